/* snapshot.c - a copy of all values, to be put back. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

struct nn_snapshot {
	int n;
	bool *ready;
	char *data[2];
	size_t bytes[2];
};

nn_snapshot *nn_snapshot_take(const nn_store *s)
{
	nn_snapshot *k = nn__alloc(sizeof *k);
	k->n = s->n;
	k->ready = nn__alloc((size_t)s->n * sizeof *k->ready);
	for (int i = 0; i < s->n; i++)
		k->ready[i] = s->entry[i].ready;
	for (int b = 0; b < 2; b++) {
		k->bytes[b] = (size_t)s->block[b].n * nn__size(s);
		k->data[b] = nn__alloc(k->bytes[b]);
		if (k->bytes[b])
			memcpy(k->data[b], s->block[b].data, k->bytes[b]);
	}
	return k;
}

/* Entries added since then lie behind the copied part and stay as they are. */
void nn_snapshot_restore(nn_store *s, const nn_snapshot *k)
{
	for (int i = 0; i < k->n; i++)
		s->entry[i].ready = k->ready[i];
	for (int b = 0; b < 2; b++)
		if (k->bytes[b])
			memcpy(s->block[b].data, k->data[b], k->bytes[b]);
}

void nn_snapshot_free(nn_snapshot *k)
{
	if (!k)
		return;
	free(k->ready);
	free(k->data[0]);
	free(k->data[1]);
	free(k);
}
