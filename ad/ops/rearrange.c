/* rearrange.c - what a gather or slice takes from gathers and concatenations is taken from where those have it. */
#include "gather.h"

#include <stdlib.h>
#include <string.h>

/* The input of a concatenation in which all n entries lie; *at: its first entry. */
static ad_var holder(ad_var x, int axis, int64_t n, const int32_t *index, int64_t *at)
{
	*at = 0;
	for (int i = 0; i < x->nin; i++) {
		int64_t end = *at + x->in[i]->shape.dim[axis], k = 0;
		while (k < n && index[k] >= *at && index[k] < end)
			k++;
		if (k == n)
			return x->in[i];
		*at = end;
	}
	return NULL;
}

static bool inside(int64_t n, const int32_t *index, int64_t extent)
{
	for (int64_t k = 0; k < n; k++)
		if (index[k] < 0 || index[k] >= extent)
			return false;
	return n > 0;
}

/* One step further back: false if x is what has the entries. */
static bool step_back(ad_var *x, int axis, int64_t n, int32_t *index)
{
	const int32_t *of = ad__constant_gather(*x, axis);
	int64_t at = 0;
	if (of && inside((*x)->shape.dim[axis], of, (*x)->in[0]->shape.dim[axis])) {
		for (int64_t k = 0; k < n; k++)
			index[k] = of[index[k]];
		*x = (*x)->in[0];
		return true;
	}
	ad_var from = ad__is_concat(*x, axis) ? holder(*x, axis, n, index, &at) : NULL;
	if (!from)
		return false;
	for (int64_t k = 0; k < n; k++)
		index[k] -= (int32_t)at;
	*x = from;
	return true;
}

/* The distance of neighbours, if it is the same for all and above 0; else 0. */
static int64_t even_step(int64_t n, const int32_t *index)
{
	int64_t step = n > 1 ? index[1] - index[0] : 1;
	for (int64_t k = 2; k < n; k++)
		if (index[k] - index[k - 1] != step)
			return 0;
	return step > 0 ? step : 0;
}

ad_var ad__rearranged(ad_var x, int axis, int64_t n, const int32_t *index, bool slice)
{
	if (!inside(n, index, x->shape.dim[axis]))
		return NULL;
	int32_t *at = malloc((size_t)n * sizeof *at);
	if (!at)
		abort();
	memcpy(at, index, (size_t)n * sizeof *at);
	bool moved = false;
	while (step_back(&x, axis, n, at))
		moved = true;
	int64_t step = moved || !slice ? even_step(n, at) : 0;
	ad_var y = step    ? ad_slice_step(x, axis, at[0], at[n - 1] + 1, step)
	           : moved ? ad_gather(x, axis, ad_array_i32(ad_root(x->tape), AD_SHAPE(n), at))
	                   : NULL;
	free(at);
	return y;
}
