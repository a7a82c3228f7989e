/* parts.h - small pieces that several layers use.  Private to flows/. */
#ifndef FLOW_PARTS_H
#define FLOW_PARTS_H

#include "autoregressive.h"

/* A trained parameter that starts with these values. */
ad_var flow__param_array(nn c, const char *name, ad_shape s, const double *v);
/* The map of n reflections x <- x - 2 v (v.x) / (v.v), the rows of v [n, dim] in order, as a matrix [dim, dim]. */
ad_var flow__reflections(ad_var v);
ad_var flow__eye(ad_tape *t, int64_t n);
/* Strictly lower (or upper) triangular [n, n] from its entries row by row. */
ad_var flow__triangle(ad_var entries, int64_t n, bool upper);
/* Rows of x times the transpose of op(a)^-1, for triangular a [n, n]. */
ad_var flow__solve_rows(ad_var a, ad_var x, bool upper, bool unit);

/* Linears "linear_0", .. with act between. */
typedef struct {
	int linears;
	const int64_t *width; /* of the output of each */
	const nn_act *act;
	const int *degree; /* of x's features, 1..n: masked, each output depends on inputs of smaller degree; or NULL */
	bool interleaved;  /* output j belongs to feature j / (out / n), else to j mod n */
	bool context_weight; /* cond enters the first linear by "context_weight", else joined to x */
} flow__net;
ad_var flow__net_apply(const flow__net *n, nn c, ad_var x, ad_var cond);
/* The mask of linear i [width, in], in counting the joined features of cond; caller frees. */
double *flow__net_mask(const flow__net *n, int i, int64_t dim, int64_t in);

/* torchkit's MADE "made/linear_i" with elu between (see flow_gated_autoregressive): [B, dim, width of the last / dim]. */
ad_var flow__torchkit_made(const flow__net *n, nn c, ad_var x, ad_var cond);
int *flow__degrees_in_order(flow_mem *m, int64_t dim, const int *place); /* place[d] + 1, or (NULL) d + 1 */

/* y_d = map(x_d; p_d(x_<d)), p [B, dim, nparam] given by params; the inverse is sequential, in the order of the
 * degrees 1..dim (NULL: as they stand). */
typedef ad_var flow__params(const flow *f, nn c, ad_var x, ad_var cond);
flow_out flow__sequential(const flow *f, const flow_map *map, flow__params *params, nn c, ad_var x, ad_var cond,
			  int64_t dim, flow_dir dir, const int *degree);
flow_out flow__sequential_with(const flow *f, const flow_map *map, flow__params *params, nn c, ad_var x, ad_var cond,
			       int64_t dim, flow_dir dir, flow_solver how, const int *degree);
bool flow__takes(int64_t dim, const ad_shape in[], ad_shape out[], char why[160]); /* vectors of dim features */

#endif
