/* y_j = x_perm[j] along axis 1.  A drawn permutation is state: scores are drawn by the store, whose ranks replace
 * them; from then on the entry is fixed, and traces take it as a constant. */
#include "flow.h"
#include <stdlib.h>

typedef struct {
	flow f;
	int64_t dim;
	const int *perm; /* NULL: drawn */
} permutation;

static bool is_permutation(int64_t n, const int *perm)
{
	bool *seen = calloc((size_t)n, sizeof *seen), ok = seen != NULL;
	for (int64_t i = 0; ok && i < n; i++) {
		ok = perm[i] >= 0 && perm[i] < n && !seen[perm[i]];
		if (ok)
			seen[perm[i]] = true;
	}
	free(seen);
	return ok;
}

static void to_ranks(int64_t n, double *v, double *rank)
{
	for (int64_t i = 0; i < n; i++) {
		int64_t below = 0;
		for (int64_t j = 0; j < n; j++)
			below += v[j] < v[i] || (v[j] == v[i] && j < i);
		rank[i] = (double)below;
	}
	for (int64_t i = 0; i < n; i++)
		v[i] = rank[i];
}

/* The entry "permutation", drawn at first sight; false after a failure. */
static bool stored(nn c, int64_t n, int *perm)
{
	nn at = nn_in(c, "permutation");
	bool drawn = nn_find(c.store, at.path) < 0, ok;
	double *v = malloc((size_t)n * 2 * sizeof *v);
	nn_state(c, "permutation", AD_SHAPE(n), (nn_fill){ NN_UNIFORM, 1 });
	ok = v && nn_get(c.store, at.path, v, n);
	if (ok && drawn) {
		to_ranks(n, v, v + n);
		ok = nn_set(c.store, at.path, v, n);
	}
	for (int64_t i = 0; ok && i < n; i++)
		perm[i] = v[i] >= 0 && v[i] < (double)n ? (int)v[i] : -1;
	free(v);
	return ok;
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)cond;
	const permutation *p = (const permutation *)f;
	flow_out o = { x, ad_const(c.tape, 0) };
	size_t n = (size_t)p->dim;
	int *perm = malloc(n * sizeof *perm);
	int32_t *index = malloc(n * sizeof *index);
	bool ok = perm && index;
	for (size_t i = 0; ok && p->perm && i < n; i++)
		perm[i] = p->perm[i];
	if (ok && !p->perm)
		ok = stored(c, p->dim, perm);
	if (!ok || !is_permutation(p->dim, perm)) {
		ad_fail(c.tape, "permutation: not a permutation of 0..%lld, in \"%s\"", (long long)p->dim - 1, c.path);
	} else {
		for (size_t i = 0; i < n; i++)
			if (dir == FLOW_FORWARD)
				index[i] = perm[i];
			else
				index[perm[i]] = (int32_t)i;
		o.x = ad_gather(x, 1, ad_array_i32(c.tape, AD_SHAPE(p->dim), index));
	}
	free(index);
	free(perm);
	return o;
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	const permutation *p = (const permutation *)f;
	out[0] = in[0];
	if (in[0].rank >= 1 && in[0].dim[0] == p->dim)
		return true;
	snprintf(why, 160, "takes %lld features or channels", (long long)p->dim);
	return false;
}

flow *flow_permutation(flow_mem *m, int64_t dim, const int *perm)
{
	if (dim < 1 || (perm && !is_permutation(dim, perm)))
		return flow_refuse(m, "permutation", "not a permutation of 0..%lld", (long long)dim - 1);
	permutation *p = flow_alloc(m, sizeof *p);
	*p = (permutation){
		.f = { .kind = "permutation", .apply = apply, .shape = shape, .unshape = shape, .caps.rebuilds = true },
		.dim = dim,
		.perm = perm ? flow_copy(m, perm, (size_t)dim * sizeof *perm) : NULL,
	};
	return &p->f;
}

flow *flow_reverse(flow_mem *m, int64_t dim)
{
	if (dim < 1)
		return flow_refuse(m, "reverse", "%lld features", (long long)dim);
	int *perm = flow_alloc(m, (size_t)dim * sizeof *perm);
	for (int64_t i = 0; i < dim; i++)
		perm[i] = (int)(dim - 1 - i);
	return flow_permutation(m, dim, perm);
}
