/* radial.c - radial flows (Rezende & Mohamed 2015); the inverse is the root of a quadratic. */
#include "lowrank.h"
#include "amortise.h"
#include "parts.h"

typedef struct {
	flow f;
	int64_t dim;
	nn_net net;
} radial;

static ad_var radius(ad_var d)
{
	return ad_expand(ad_norm(d, AD_AXIS(1)), 1);
}

/* r (r + g) / (a + r) = R for r >= 0: r^2 + (g - R) r - a R = 0, by the formula that does not cancel */
static ad_var root(ad_var R, ad_var a, ad_var g)
{
	ad_var b = ad_sub(g, R), s = ad_sqrt(ad_add(ad_square(b), ad_scale(ad_mul(R, a), 4)));
	ad_var up = ad_above(b, 0), one = ad_full_like(b, 1);
	ad_var small = ad_div(ad_scale(ad_mul(R, a), 2), ad_where(up, ad_add(b, s), one));
	return ad_where(up, small, ad_scale(ad_sub(s, b), 0.5));
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const radial *q = (const radial *)f;
	flow__source s = flow__source_of(c, &q->net, cond, q->dim + 2);
	ad_var a = ad_abs(flow__source_take(&s, "alpha", AD_SHAPE(1), (nn_fill){ NN_CONST, 1 }));
	/* softplus(beta) = 1 = alpha: the identity */
	ad_var g = ad_softplus(flow__source_take(&s, "beta", AD_SHAPE(1), (nn_fill){ NN_CONST, 0.5413248546129181 }));
	ad_var center = flow__source_take(&s, "center", AD_SHAPE(q->dim), (nn_fill){ NN_NORMAL, 1 });
	ad_var d = ad_sub(x, center), r = radius(d);
	if (dir == FLOW_INVERSE)
		r = root(r, a, g);
	/* 1 + h = (r + g) / (a + r), and 1 + h + h' r, as sums of positive terms */
	ad_var down = ad_add(a, r), stretch = ad_div(ad_add(r, g), down), t = ad_div(a, down);
	ad_var slope = ad_add(ad_mul(ad_div(r, down), ad_shift(t, 1)), ad_mul(t, ad_div(g, down)));
	ad_var logdet = ad_add(ad_scale(ad_log(stretch), (double)(q->dim - 1)), ad_log(slope));
	logdet = ad_squeeze(logdet, 1);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_add(center, ad_mul(stretch, d)), logdet };
	return (flow_out){ ad_add(center, ad_div(d, stretch)), ad_neg(logdet) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const radial *)f)->dim, in, out, why);
}

flow *flow_radial(flow_mem *m, int64_t dim, nn_net net)
{
	if (dim < 1)
		return flow_refuse(m, "radial", "%lld features", (long long)dim);
	radial *q = flow_alloc(m, sizeof *q);
	*q = (radial){
		.f = { .kind = "radial", .apply = apply, .shape = shape, .unshape = shape, .caps.rebuilds = true },
		.dim = dim,
		.net = net,
	};
	return &q->f;
}
