/* Matrices from parameters: triangles from entries, products of reflections, triangular solves of rows. */
#include "parts.h"
#include <stdlib.h>

ad_var flow__param_array(nn c, const char *name, ad_shape s, const double *v)
{
	nn at = nn_in(c, "%s", name);
	if (nn_find(c.store, at.path) < 0)
		nn_put(c.store, at.path, s, true, v);
	return nn_param(c, name, s, (nn_fill){ NN_ZEROS, 0 });
}

ad_var flow__eye(ad_tape *t, int64_t n)
{
	return ad_diag(ad_full(t, AD_SHAPE(n), 1));
}

ad_var flow__triangle(ad_var entries, int64_t n, bool upper)
{
	int64_t count = n * (n - 1) / 2, k = 0;
	int32_t *at = malloc((size_t)count * sizeof *at);
	if (!at) {
		ad_fail(ad_tape_of(entries), "a triangle of %lld rows: no memory", (long long)n);
		return ad_diag(ad_full(ad_tape_of(entries), AD_SHAPE(n), 0));
	}
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = upper ? i + 1 : 0; j < (upper ? n : i); j++)
			at[k++] = (int32_t)(i * n + j);
	ad_var index = ad_array_i32(ad_tape_of(entries), AD_SHAPE(count), at);
	free(at);
	return ad_reshape(ad_scatter_add(entries, 0, index, n * n), AD_SHAPE(n, n));
}

/* I - V^T S^-1 V with S = tril(V V^T, -1) + diag(v.v) / 2: the compact form of the product, three operations however
 * many reflections. */
ad_var flow__reflections(ad_var v)
{
	ad_var gram = ad_matmul(v, v, false, true);
	ad_var s = ad_add(ad_tril(gram, -1), ad_diag(ad_scale(ad_diagonal(gram), 0.5)));
	ad_var sv = ad_solve_triangular(s, v, false, false, false);
	return ad_sub(flow__eye(ad_tape_of(v), ad_dim(v, -1)), ad_matmul(v, sv, true, false));
}

ad_var flow__solve_rows(ad_var a, ad_var x, bool upper, bool unit)
{
	return ad_squeeze(ad_solve_triangular(a, ad_expand(x, -1), upper, false, unit), -1);
}
