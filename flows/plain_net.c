/* plain_net.c - plain nets, masked or not, for the variants. */
#include "parts.h"
#include <stdlib.h>

bool flow__takes(int64_t dim, const ad_shape in[], ad_shape out[], char why[160])
{
	out[0] = in[0];
	if (in[0].rank == 1 && in[0].dim[0] == dim)
		return true;
	snprintf(why, 160, "takes vectors of %lld features", (long long)dim);
	return false;
}

int *flow__degrees_in_order(flow_mem *m, int64_t dim, const int *place)
{
	int *degree = flow_alloc(m, (size_t)dim * sizeof *degree);
	for (int64_t d = 0; d < dim; d++)
		degree[d] = (place ? place[d] : (int)d) + 1;
	return degree;
}

/* Degrees of the units between linears i - 1 and i of the net, dim features; cond has degree 0. */
static void degrees(const flow__net *n, int i, int64_t dim, int64_t count, int *d)
{
	int64_t last = i == n->linears ? n->width[i - 1] / dim : 0, top = dim > 1 ? dim - 1 : 1, low = dim > 1;
	for (int64_t j = 0; j < count; j++)
		if (i == 0)
			d[j] = j < dim ? n->degree[j] : 0;
		else if (i < n->linears)
			d[j] = (int)(j % top + low);
		else
			d[j] = n->degree[n->interleaved ? j / last : j % dim];
}

double *flow__net_mask(const flow__net *n, int i, int64_t dim, int64_t in)
{
	int64_t out = n->width[i];
	int *a = malloc((size_t)in * sizeof *a), *b = malloc((size_t)out * sizeof *b);
	double *mask = NULL;
	if (a && b) {
		degrees(n, i, dim, in, a);
		degrees(n, i + 1, dim, out, b);
		mask = nn_degree_mask(out, b, in, a, i + 1 == n->linears);
	}
	free(a);
	free(b);
	return mask;
}

static ad_var masked(const flow__net *n, int i, nn c, ad_var x, int64_t dim)
{
	int64_t in = ad_dim(x, -1), out = n->width[i];
	double *v = flow__net_mask(n, i, dim, in);
	if (!v) {
		ad_fail(c.tape, "a mask [%lld,%lld]: no memory, in \"%s\"", (long long)out, (long long)in, c.path);
		return ad_full(c.tape, AD_SHAPE(AD_BATCH, out), 0);
	}
	ad_var mask = nn_state_array(c, "mask", AD_SHAPE(out, in), v);
	free(v);
	ad_var w = nn_param(c, "weight", AD_SHAPE(out, in), (nn_fill){ NN_FAN_IN, 1 });
	return ad_linear(x, ad_mul(w, mask), nn_param(c, "bias", AD_SHAPE(out), (nn_fill){ NN_ZEROS, 0 }));
}

ad_var flow__net_apply(const flow__net *n, nn c, ad_var x, ad_var cond)
{
	int64_t dim = ad_dim(x, -1);
	bool joined = cond && !n->context_weight;
	ad_var h = joined ? ad_concat(1, 2, (ad_var[]){ x, cond }) : x;
	for (int i = 0; i < n->linears; i++) {
		nn at = nn_in(c, "linear_%d", i);
		h = n->degree ? masked(n, i, at, h, dim) : nn_linear(at, h, n->width[i]);
		if (i == 0 && cond && !joined) {
			ad_shape s = AD_SHAPE(n->width[0], ad_dim(cond, 1));
			h = ad_add(h,
				   ad_linear(cond, nn_param(at, "context_weight", s, (nn_fill){ NN_FAN_IN, 1 }), NULL));
		}
		if (i + 1 < n->linears)
			h = n->act->apply(h);
	}
	return h;
}
