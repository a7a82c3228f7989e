/* memory.c - small allocations, which end the program with a line when there is no memory. */
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *sure(void *p, size_t bytes)
{
	if (p)
		return p;
	fprintf(stderr, "out of memory (%zu bytes wanted)\n", bytes);
	exit(1);
}

void *lab_alloc(size_t n, size_t size)
{
	return sure(calloc(n ? n : 1, size), n * size);
}

void *lab_realloc(void *p, size_t bytes)
{
	return sure(realloc(p, bytes ? bytes : 1), bytes);
}

char *lab_strdup(const char *s)
{
	return sure(strdup(s), strlen(s) + 1);
}
