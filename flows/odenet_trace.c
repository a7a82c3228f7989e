/* odenet_trace.c - the exact trace of the Jacobian of a net of affine maps and activations,
 *
 *     J = W_n D_n .. W_1 D_1 W_0,    D_k the slopes of the activation, diagonal,
 *
 * from both ends to the middle: W_1 D_1 W_0 e_i is a product of the slopes by a weight that is known beforehand, and so is
 * e_i^T W_n D_n W_(n-1).  With two hidden layers all i come together in one product. */
#include "odenet.h"

enum {
	COLUMNS = 8,     /* with more dimensions, directions one after the other need less memory */
	SMALL = 128 * 128 /* numbers of a weight */
};

/* D_k, with what the map before it multiplies its result by. */
static ad_var diagonal(const flow__map *m)
{
	return m->gate ? ad_mul(m->slope, m->gate) : m->slope;
}

/* d scaled by row i of s, through w; a small weight has a scaled copy, so that the samples need not be scaled. */
static ad_var directed(ad_var d, ad_var s, int64_t i, ad_var w)
{
	ad_var row = ad_slice(s, 0, i, i + 1);
	return ad_numel(ad_shape_of(w)) <= SMALL ? ad_linear(d, ad_mul(row, w), NULL) : ad_linear(ad_mul(d, row), w, NULL);
}

ad_var flow__net_trace(int n, const flow__map m[], int64_t dim)
{
	for (int k = 0; k < n; k++)
		if (!m[k].weight || (k + 1 < n && !m[k].slope))
			return NULL;
	const flow__map *last = &m[n - 1];
	if (n < 2 || (dim > COLUMNS && (n > 3 || (n == 3 && last->gate))))
		return NULL;
	ad_var first = ad_transpose(ad_slice(m[0].weight, 1, 0, dim)), end = last->weight;
	if (n == 2) {
		ad_var d = ad_linear(diagonal(&m[0]), ad_mul(first, end), NULL);
		return ad_sum(last->gate ? ad_mul(d, last->gate) : d, AD_AXIS(1));
	}
	if (n == 3 && !last->gate) {
		ad_var w = ad_mul(m[1].weight, ad_matmul(end, first, true, false));
		return ad_einsum("bn,bn->b", diagonal(&m[1]), ad_linear(diagonal(&m[0]), w, NULL));
	}
	ad_var sum = NULL, in = diagonal(&m[0]), out = diagonal(&m[n - 2]), back = ad_transpose(m[n - 2].weight);
	for (int64_t i = 0; i < dim; i++) {
		ad_var column = directed(in, first, i, m[1].weight), row = ad_slice(end, 0, i, i + 1);
		for (int k = 2; k < n - 2; k++)
			column = ad_linear(ad_mul(diagonal(&m[k - 1]), column), m[k].weight, NULL);
		if (n > 3)
			row = directed(out, end, i, back);
		ad_var pair = ad_mul(column, row);
		if (last->gate)
			pair = ad_mul(pair, ad_slice(last->gate, ad_rank(last->gate) - 1, i, i + 1));
		sum = sum ? ad_add(sum, pair) : pair;
	}
	return ad_einsum("bn,bn->b", diagonal(&m[n > 3 ? n - 3 : 1]), sum);
}
