/* mlp.c - a multilayer perceptron, plain or masked. */
#include "internal.h"

#include <stdlib.h>

static ad_var mlp(const nn_net *n, nn c, ad_var x, ad_var cond, int64_t out)
{
	ad_var h = cond ? ad_concat(-1, 2, (const ad_var[]){ x, cond }) : x;
	for (int i = 0; i <= n->depth; i++) {
		bool last = i == n->depth;
		int64_t width = last ? out : n->widths ? n->widths[i] : n->width;
		h = nn_linear_with(nn_in(c, "linear_%d", i), h, width, (nn_linear_opt){ .zero = last && n->zero_last });
		if (last)
			break;
		h = nn__act(n, nn__net_norm(n, nn_in(c, "batch_norm_%d", i), h));
		h = nn_dropout(nn_in(c, "dropout_%d", i), h, n->dropout);
	}
	return h;
}

/* Inputs carry their degrees, the condition degree 0. */
static ad_var masked(const nn_net *n, nn c, ad_var x, ad_var cond, int64_t out)
{
	int64_t dim = ad_dim(x, -1), in = dim + (cond ? ad_dim(cond, -1) : 0);
	int *out_degree = nn__output_degrees(n, c, dim, out);
	if (!out_degree)
		return nn__dud(c);
	int *degree = nn__alloc((size_t)in * sizeof *degree);
	for (int64_t i = 0; i < dim; i++)
		degree[i] = n->degree ? n->degree[i] : (int)i + 1;
	ad_var h = cond ? ad_concat(-1, 2, (const ad_var[]){ x, cond }) : x;
	for (int i = 0; i < n->depth; i++) {
		nn at = nn_in(c, "linear_%d", i);
		int64_t width = n->widths ? n->widths[i] : n->width;
		int *next = nn__alloc((size_t)width * sizeof *next);
		nn__hidden_degrees(n, at, width, degree, in, dim, cond, next);
		h = nn__masked_linear(at, h, width, next, degree, false, n->random_degrees, (nn_linear_opt){ 0 });
		h = nn__act(n, nn__net_norm(n, nn_in(c, "batch_norm_%d", i), h));
		h = nn_dropout(nn_in(c, "dropout_%d", i), h, n->dropout);
		free(degree);
		degree = next;
		in = width;
	}
	h = nn__masked_linear(nn_in(c, "linear_%d", n->depth), h, out, out_degree, degree, true, n->random_degrees,
	                      (nn_linear_opt){ .zero = n->zero_last });
	free(degree);
	free(out_degree);
	return h;
}

static ad_var apply(const nn_net *n, nn c, ad_var x, ad_var cond, int64_t out)
{
	return n->autoregressive ? masked(n, c, x, cond, out) : mlp(n, c, x, cond, out);
}

nn_net nn_mlp(int64_t width, int depth)
{
	return (nn_net){ .kind = "mlp", .apply = apply, .width = width, .depth = depth };
}
