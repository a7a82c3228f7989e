/* memory.h - small allocations, which end the program with a line when there is no memory. */
#ifndef LAB_MEMORY_H
#define LAB_MEMORY_H

#include <stddef.h>

void *lab_alloc(size_t n, size_t size); /* zeroed */
void *lab_realloc(void *p, size_t bytes);
char *lab_strdup(const char *s);

#endif
