/* freia_block.c - FrEIA's AllInOneBlock: coupling, scale and offset of every feature, orthogonal map. */
#include "parts.h"
#include "variants.h"

#include <math.h>

typedef struct {
	flow f;
	int64_t dim;
	flow_freia_block_opt o;
} block;

static ad_var global_scale(const block *b, nn c)
{
	/* softplus(g / 2) / 5, 10 sigmoid(g - 2), exp g, each 1 at the start */
	static const double start[] = { 9.986478501101022, -0.19722457733621912, 0 };
	ad_var g = nn_param(c, "global_scale", AD_SHAPE(1, b->dim), (nn_fill){ NN_CONST, start[b->o.scale] });
	if (b->o.scale == FLOW_FREIA_SOFTPLUS)
		return ad_scale(ad_softplus(ad_scale(g, 0.5)), 0.2);
	return b->o.scale == FLOW_FREIA_SIGMOID ? ad_scale(ad_sigmoid(ad_shift(g, -2)), 10) : ad_exp(g);
}

static ad_var rotation(const block *b, nn c)
{
	int64_t n = b->dim;
	nn_fill drawn = { NN_ORTHOGONAL, 1 };
	if (!b->o.householder)
		return nn_state(c, "rotation", AD_SHAPE(n, n), drawn);
	ad_var first = nn_state(c, "initial_rotation", AD_SHAPE(n, n), drawn);
	ad_var v = nn_param(c, "householder", AD_SHAPE(b->o.householder, n), (nn_fill){ NN_NORMAL, 1 });
	return ad_matmul(first, flow__reflections(v), false, true);
}

/* R x, or R^-1 x, for each row */
static ad_var turn(const block *b, nn c, const flow *perm, ad_var x, flow_dir dir)
{
	if (!b->o.soft)
		return perm->apply(perm, c, x, NULL, dir).x;
	ad_var r = rotation(b, c);
	return dir == FLOW_FORWARD ? ad_linear(x, r, NULL) : ad_matmul(x, r, false, false);
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const block *b = (const block *)f;
	const flow *perm = f->child ? f->child[0] : NULL;
	bool forward = dir == FLOW_FORWARD;
	int64_t k = b->o.split, n = b->dim - k;
	ad_var offset = nn_param(c, "global_offset", AD_SHAPE(1, b->dim), (nn_fill){ NN_ZEROS, 0 }), logdet = NULL;
	ad_var scale = b->o.gin ? NULL : global_scale(b, c);
	if (!forward) {
		x = ad_sub(turn(b, c, perm, x, FLOW_INVERSE), offset);
		x = scale ? ad_div(x, scale) : x;
	} else if (b->o.reverse) {
		x = turn(b, c, perm, x, FLOW_INVERSE);
	}
	ad_var a = ad_slice(x, 1, 0, k), d = ad_slice(x, 1, k, b->dim), u = cond ? ad_concat(1, 2, (ad_var[]){ a, cond }) : a;
	nn net = nn_in(c, "subnet");
	ad_var out = nn_linear(nn_in(net, "linear_1"), ad_relu(nn_linear(nn_in(net, "linear_0"), u, b->o.hidden)), 2 * n);
	out = ad_scale(out, 0.1);
	ad_var s = ad_scale(ad_tanh(ad_scale(ad_slice(out, 1, 0, n), 1 / b->o.clamp)), b->o.clamp);
	ad_var t = ad_slice(out, 1, n, 2 * n);
	if (b->o.gin)
		s = ad_sub(s, ad_mean_keep(s, AD_AXIS(1)));
	else
		logdet = ad_add(ad_sum(s, AD_EVENT), ad_sum(ad_log(scale), AD_ALL));
	d = forward ? ad_add(ad_mul(d, ad_exp(s)), t) : ad_mul(ad_sub(d, t), ad_exp(ad_neg(s)));
	ad_var y = ad_concat(1, 2, (ad_var[]){ a, d });
	if (forward)
		y = turn(b, c, perm, ad_add(scale ? ad_mul(y, scale) : y, offset), FLOW_FORWARD);
	else if (b->o.reverse)
		y = turn(b, c, perm, y, FLOW_FORWARD);
	if (!logdet)
		logdet = ad_const(c.tape, 0);
	return (flow_out){ y, forward ? logdet : ad_neg(logdet) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const block *)f)->dim, in, out, why);
}

flow *flow_freia_all_in_one(flow_mem *m, int64_t dim, flow_freia_block_opt o)
{
	if (o.split < 1 || o.split >= dim || o.hidden < 1 || o.householder < 0 || !(o.clamp >= 0 && o.clamp < 1e3) ||
	    (unsigned)o.scale > FLOW_FREIA_EXP || (o.householder && !o.soft))
		return flow_refuse(m, "all_in_one", "%lld of %lld features, width %lld, %lld reflections, clamp %g",
				   (long long)o.split, (long long)dim, (long long)o.hidden, (long long)o.householder, o.clamp);
	if (o.clamp == 0)
		o.clamp = 2;
	block *b = flow_alloc(m, sizeof *b);
	flow *perm = flow_permutation(m, dim, NULL);
	*b = (block){
		.f = { .kind = "all_in_one",
		       .apply = apply,
		       .shape = shape,
		       .unshape = shape,
		       .child = o.soft ? NULL : flow_copy(m, &perm, sizeof perm) },
		.dim = dim,
		.o = o,
	};
	return &b->f;
}
