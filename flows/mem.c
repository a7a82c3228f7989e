/* mem.c - the owner of flows, maps, nets and arrays. */
#include "private.h"

#include <stdlib.h>
#include <string.h>

typedef struct block {
	struct block *next;
	max_align_t data[];
} block;

struct flow_mem {
	block *first;
};

static void *must(void *p, size_t bytes)
{
	if (!p) {
		fprintf(stderr, "flow: no memory for %zu bytes\n", bytes);
		abort();
	}
	return p;
}

flow_mem *flow_mem_new(void)
{
	return must(calloc(1, sizeof(flow_mem)), sizeof(flow_mem));
}

void flow_mem_free(flow_mem *m)
{
	if (!m)
		return;
	for (block *b = m->first, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(m);
}

void *flow_alloc(flow_mem *m, size_t bytes)
{
	block *b = must(calloc(1, sizeof(block) + bytes), bytes);
	b->next = m->first;
	m->first = b;
	return b->data;
}

void *flow_copy(flow_mem *m, const void *p, size_t bytes)
{
	void *q = flow_alloc(m, bytes);
	if (bytes)
		memcpy(q, p, bytes);
	return q;
}
