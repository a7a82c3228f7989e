/* shuffle.c - Fisher-Yates with Philox noise */
#include <stdio.h>
#include <stdlib.h>

#include "ad/ad.h"
#include "shuffle.h"

int64_t *lab__order_new(int64_t n)
{
	int64_t *order = malloc((size_t)n * sizeof *order);
	if (!order) {
		fprintf(stderr, "out of memory (the order of %lld rows)\n", (long long)n);
		abort();
	}
	return order;
}

void lab__shuffle(int64_t *order, int64_t n, uint64_t seed, uint64_t step, const char *purpose)
{
	uint64_t stream = ad_hash(0, purpose);
	for (int64_t i = 0; i < n; i++)
		order[i] = i;
	for (int64_t i = n - 1; i > 0; i--) {
		int64_t j = (int64_t)(ad_noise_uniform(seed, step, stream, (uint64_t)i) * (double)(i + 1)), k = order[i];
		j = j < i ? j : i;
		order[i] = order[j];
		order[j] = k;
	}
}
