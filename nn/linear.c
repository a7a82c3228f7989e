/* linear.c - y = x W^T + b: plain, masked, weight-normalised. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void row_norms(const nn_store *s, int i, int axis, double *norm)
{
	const nn__entry *e = &s->entry[i];
	double *v = nn__alloc((size_t)e->numel * sizeof *v);
	nn__get_double(s->dtype, nn__value(s, i), v, e->numel);
	int64_t rows = e->shape.dim[axis], inner = 1;
	for (int k = axis + 1; k < e->shape.rank; k++)
		inner *= e->shape.dim[k];
	for (int64_t k = 0; k < rows; k++)
		norm[k] = 0;
	for (int64_t k = 0; k < e->numel; k++)
		norm[k / inner % rows] += v[k] * v[k];
	for (int64_t k = 0; k < rows; k++)
		norm[k] = sqrt(norm[k]);
	free(v);
}

ad_var nn__weight_norm(nn c, ad_shape s, int axis, nn_fill fill, bool zero)
{
	ad_var v = nn_param(c, "v", s, fill);
	char path[256];
	if (ad_error(c.tape) || !nn__path(c, "v", path))
		return v;
	ad_shape gs = { .rank = s.rank };
	for (int k = 0; k < s.rank; k++)
		gs.dim[k] = k == axis ? s.dim[k] : 1;
	double *norm = nn__alloc((size_t)s.dim[axis] * sizeof *norm);
	if (!zero)
		row_norms(c.store, nn_find(c.store, path), axis, norm);
	ad_var g = nn__param_array(c, "g", gs, norm, true);
	free(norm);
	unsigned others = ((1u << s.rank) - 1) & ~AD_AXIS(axis);
	return ad_mul(v, ad_div(g, ad_sqrt(ad_sum_keep(ad_square(v), others))));
}

/* A mask in the store (a loaded one) counts before the one given. */
static ad_var mask_of(nn c, ad_shape s, const double *given)
{
	char path[256];
	if (nn__path(c, "mask", path) && nn_find(c.store, path) >= 0)
		return nn_state(c, "mask", s, (nn_fill){ 0 });
	return given ? ad_array(ad_root(c.tape), s, given) : NULL;
}

static bool given(nn_fill f) { return f.kind != NN_ZEROS || f.a != 0; }

static ad_var linear(nn c, ad_var x, int64_t out, nn_linear_opt o)
{
	if (ad_rank(x) < 1) {
		ad_fail(c.tape, "nn_linear: the input has no axis");
		return nn__dud(c);
	}
	int64_t in = ad_dim(x, -1);
	ad_shape s = AD_SHAPE(out, in);
	nn_fill zero = { NN_ZEROS, 0 }, fill = given(o.weight) ? o.weight : (nn_fill){ NN_FAN_IN, 1 };
	ad_var w = o.weight_norm ? nn__weight_norm(c, s, 0, fill, o.zero) : nn_param(c, "weight", s, o.zero ? zero : fill);
	ad_var mask = mask_of(c, s, o.mask);
	if (mask)
		w = ad_mul(w, mask);
	if (o.lo && !mask && o.order) {
		ad_var order = ad_array_i32(ad_root(c.tape), AD_SHAPE(in), o.order);
		x = ad_gather(x, -1, order);
		w = ad_gather(w, 1, order);
	}
	if (o.no_bias)
		return o.lo && !mask ? ad_linear_masked(x, w, NULL, o.lo, o.hi) : ad_linear(x, w, NULL);
	bool default_bias = !given(o.bias) || o.bias.kind == NN_FAN_IN;
	fill = default_bias ? (nn_fill){ NN_UNIFORM, (o.bias.a == 0 ? 1 : o.bias.a) / sqrt((double)in) } : o.bias;
	ad_var b = nn_param(c, "bias", AD_SHAPE(out), o.zero ? zero : fill);
	return o.lo && !mask ? ad_linear_masked(x, w, b, o.lo, o.hi) : ad_linear(x, w, b);
}

ad_var nn_linear_with(nn c, ad_var x, int64_t out, nn_linear_opt o)
{
	const char *was = ad_set_path(c.tape, c.path);
	ad_var y = linear(c, x, out, o);
	ad_set_path(c.tape, was);
	return y;
}

ad_var nn_linear(nn c, ad_var x, int64_t out) { return nn_linear_with(c, x, out, (nn_linear_opt){ 0 }); }

double *nn_degree_mask(int64_t out, const int *out_degree, int64_t in, const int *in_degree, bool strict)
{
	double *mask = nn__alloc((size_t)(out * in) * sizeof *mask);
	for (int64_t i = 0; i < out; i++)
		for (int64_t j = 0; j < in; j++)
			mask[i * in + j] = out_degree[i] >= in_degree[j] + strict;
	return mask;
}

/* Where each row of the mask begins and ends; false if one has a gap, which units sorted by degree never have. */
static bool row_ranges(int64_t out, const int *out_degree, int64_t in, const int *in_degree, bool strict, int64_t *lo,
                       int64_t *hi)
{
	for (int64_t i = 0; i < out; i++) {
		int64_t n = 0;
		lo[i] = hi[i] = 0;
		for (int64_t j = 0; j < in; j++)
			if (out_degree[i] >= in_degree[j] + strict) {
				lo[i] = n++ ? lo[i] : j;
				hi[i] = j + 1;
			}
		if (n != hi[i] - lo[i])
			return false;
	}
	return true;
}

/* Columns by degree, as they are among equals. */
static int32_t *sorted_columns(int64_t in, const int *degree)
{
	int32_t *order = nn__alloc((size_t)in * sizeof *order);
	for (int64_t j = 0; j < in; j++) {
		int64_t k = j;
		for (; k > 0 && degree[order[k - 1]] > degree[j]; k--)
			order[k] = order[k - 1];
		order[k] = (int32_t)j;
	}
	return order;
}

/* The ranges of rows over columns so sorted: each takes the first few. */
static void sorted_ranges(int64_t out, const int *out_degree, int64_t in, const int *in_degree, bool strict, int64_t *lo, int64_t *hi)
{
	for (int64_t i = 0; i < out; i++) {
		lo[i] = hi[i] = 0;
		for (int64_t j = 0; j < in; j++)
			hi[i] += out_degree[i] >= in_degree[j] + strict;
	}
}

ad_var nn__masked_linear(nn c, ad_var x, int64_t out, const int *out_degree, const int *in_degree, bool strict, bool keep,
                         nn_linear_opt o)
{
	int64_t in = ad_dim(x, -1), *range = nn__alloc((size_t)(2 * out) * sizeof *range);
	double *mask = NULL;
	int32_t *order = NULL;
	if (keep) {
		o.mask = mask = nn_degree_mask(out, out_degree, in, in_degree, strict);
		nn_state_array(c, "mask", AD_SHAPE(out, in), mask);
	} else {
		if (!row_ranges(out, out_degree, in, in_degree, strict, range, range + out)) {
			o.order = order = sorted_columns(in, in_degree);
			sorted_ranges(out, out_degree, in, in_degree, strict, range, range + out);
		}
		o.lo = range;
		o.hi = range + out;
	}
	ad_var y = nn_linear_with(c, x, out, o);
	free(mask);
	free(order);
	free(range);
	return y;
}
