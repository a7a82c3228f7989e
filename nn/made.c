/* made.c - masked autoregressive nets (Germain et al. 2015): feed-forward and residual. */
#include "internal.h"

#include <stdlib.h>

/* With a condition there are hidden units of degree 0 as well: through them it reaches the first output. */
static int regular_degree(int64_t j, int64_t width, int64_t dim, bool cond)
{
	if (cond)
		return (int)(j * dim / width);
	return dim > 1 ? (int)(j * (dim - 1) / width) + 1 : 0;
}

void nn__hidden_degrees(const nn_net *n, nn c, int64_t width, const int *in_degree, int64_t in, int64_t dim, bool cond,
                        int *out)
{
	int64_t low = cond ? 0 : dim - 1;
	for (int64_t i = 0; i < in; i++)
		low = in_degree[i] < low ? in_degree[i] : low;
	for (int64_t j = 0; j < width; j++) {
		double u = ad_noise_uniform(c.store->seed, 0, nn_stream(c, "degrees"), (uint64_t)j);
		int64_t drawn = low + (int64_t)(u * (double)(dim - low));
		out[j] = n->random_degrees ? (int)(drawn < dim ? drawn : dim - 1) : regular_degree(j, width, dim, cond);
	}
}

static bool permutation(const int *degree, int64_t dim)
{
	char *seen = nn__alloc((size_t)dim + 1);
	bool ok = true;
	for (int64_t i = 0; ok && i < dim; i++) {
		ok = degree[i] >= 1 && degree[i] <= dim && !seen[degree[i]];
		if (ok)
			seen[degree[i]] = 1;
	}
	free(seen);
	return ok;
}

int *nn__output_degrees(const nn_net *n, nn c, int64_t dim, int64_t out)
{
	if (out % dim)
		ad_fail(c.tape, "a masked net of %lld inputs cannot have %lld outputs: not a multiple", (long long)dim,
		        (long long)out);
	else if (n->degree && !permutation(n->degree, dim))
		ad_fail(c.tape, "the degrees of a masked net of %lld inputs are no permutation of 1..%lld", (long long)dim,
		        (long long)dim);
	if (ad_error(c.tape))
		return NULL;
	int *d = nn__alloc((size_t)out * sizeof *d);
	for (int64_t j = 0; j < out; j++) {
		int64_t i = j / (out / dim);
		d[j] = n->degree ? n->degree[i] : (int)i + 1;
	}
	return d;
}

static ad_var hidden(const nn_net *n, nn c, ad_var h, const int *out_degree, const int *in_degree, nn_linear_opt o)
{
	return nn__masked_linear(c, h, n->width, out_degree, in_degree, false, n->random_degrees, o);
}

/* All hidden layers share degrees, so that the sum keeps the order. */
static ad_var residual_block(const nn_net *n, nn c, ad_var h, ad_var cond, const int *degree)
{
	nn_fill small = { NN_UNIFORM, 1e-3 };
	ad_var t = nn__act(n, nn__net_norm(n, nn_in(c, "batch_norm_0"), h));
	t = hidden(n, nn_in(c, "linear_0"), t, degree, degree, (nn_linear_opt){ 0 });
	if (cond)
		t = ad_add(t, nn_linear(nn_in(c, "context"), cond, n->width));
	t = nn__act(n, nn__net_norm(n, nn_in(c, "batch_norm_1"), t));
	t = nn_dropout(c, t, n->dropout);
	return ad_add(h, hidden(n, nn_in(c, "linear_1"), t, degree, degree, (nn_linear_opt){ .weight = small, .bias = small }));
}

/* Moves degree on to the block's. */
static ad_var plain_block(const nn_net *n, nn c, ad_var h, int64_t dim, bool cond, int *degree)
{
	int *next = nn__alloc((size_t)n->width * sizeof *next);
	nn__hidden_degrees(n, nn_in(c, "linear"), n->width, degree, n->width, dim, cond, next);
	h = nn__net_norm(n, nn_in(c, "batch_norm"), h);
	h = nn__act(n, hidden(n, nn_in(c, "linear"), h, next, degree, (nn_linear_opt){ 0 }));
	for (int64_t j = 0; j < n->width; j++)
		degree[j] = next[j];
	free(next);
	return nn_dropout(c, h, n->dropout);
}

static ad_var apply(const nn_net *n, nn c, ad_var x, ad_var cond, int64_t out)
{
	int64_t dim = ad_dim(x, -1);
	int *out_degree = nn__output_degrees(n, c, dim, out);
	if (!out_degree)
		return nn__dud(c);
	int *in_degree = nn__alloc((size_t)dim * sizeof *in_degree);
	int *degree = nn__alloc((size_t)n->width * sizeof *degree);
	for (int64_t i = 0; i < dim; i++)
		in_degree[i] = n->degree ? n->degree[i] : (int)i + 1;
	nn__hidden_degrees(n, nn_in(c, "initial"), n->width, in_degree, dim, dim, cond, degree);
	ad_var h = hidden(n, nn_in(c, "initial"), x, degree, in_degree, (nn_linear_opt){ 0 });
	if (cond) {
		ad_var t = nn_linear(nn_in(c, "initial_context"), cond, n->width);
		h = ad_add(h, n->cond_act_off ? t : nn__act(n, t));
	}
	if (!n->residual)
		h = nn__act(n, h);
	for (int b = 0; b < n->depth; b++) {
		nn at = nn_in(c, "blocks/%d", b);
		h = n->residual ? residual_block(n, at, h, cond, degree) : plain_block(n, at, h, dim, cond, degree);
	}
	h = nn__masked_linear(nn_in(c, "final"), h, out, out_degree, degree, true, n->random_degrees,
	                      (nn_linear_opt){ .zero = n->zero_last });
	free(in_degree);
	free(degree);
	free(out_degree);
	return h;
}

nn_net nn_made(int64_t width, int depth)
{
	return (nn_net){ .kind = "made", .apply = apply, .width = width, .depth = depth, .autoregressive = true };
}

nn_net nn_res_made(int64_t width, int depth)
{
	nn_net n = nn_made(width, depth);
	n.residual = true;
	return n;
}
