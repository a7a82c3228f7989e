/* Elementwise maps without parameters: a table of kinds, each a forward and an inverse.  Log-determinants are written
 * in softplus form, finite and exact wherever the map is. */
#include "flow.h"
#include <math.h>

typedef struct {
	double a, eps;
} setting;
typedef struct {
	const char *kind;
	double a; /* the default */
	bool rebuilds;
	flow_out (*forward)(ad_var x, setting s);
	flow_out (*inverse)(ad_var y, setting s);
} row;
typedef struct {
	flow f;
	const row *row;
	setting s;
} pointwise;

/* The smallest distance to keep from 0 and 1 (or from +-1) so that logs stay finite. */
static double margin(ad_var x, setting s)
{
	return s.eps > 0 ? s.eps : ad_dtype_of(x) == AD_F32 ? 6e-8 : 1.2e-16;
}

static ad_var log_dsigmoid(ad_var x, double t) /* of sigmoid(t x) */
{
	ad_var tx = ad_scale(x, t);
	return ad_shift(ad_neg(ad_add(ad_softplus(tx), ad_softplus(ad_neg(tx)))), log(t));
}

static flow_out sigmoid(ad_var x, setting s)
{
	return (flow_out){ ad_sigmoid(ad_scale(x, s.a)), log_dsigmoid(x, s.a) };
}

static flow_out logit(ad_var x, setting s)
{
	double e = margin(x, s);
	ad_var in = ad_clamp(x, e, 1 - e);
	ad_var y = ad_scale(ad_sub(ad_log(in), ad_log1p(ad_neg(in))), 1 / s.a);
	return (flow_out){ y, ad_neg(log_dsigmoid(y, s.a)) };
}

/* log(1 - tanh^2 x) = 2 (log 2 - x - softplus(-2x)) */
static ad_var log_dtanh(ad_var x)
{
	return ad_shift(ad_scale(ad_add(x, ad_softplus(ad_scale(x, -2))), -2), 2 * log(2));
}

static flow_out tanh_forward(ad_var x, setting s)
{
	(void)s;
	return (flow_out){ ad_tanh(x), log_dtanh(x) };
}

static flow_out tanh_inverse(ad_var y, setting s)
{
	double e = margin(y, s);
	ad_var x = ad_atanh(ad_clamp(y, -1 + e, 1 - e));
	return (flow_out){ x, ad_neg(log_dtanh(x)) };
}

static flow_out leaky(ad_var x, double slope)
{
	ad_var negative = ad_lt(x, ad_const(ad_tape_of(x), 0));
	return (flow_out){ ad_leaky_relu(x, slope), ad_scale(negative, log(slope)) };
}

static flow_out leaky_forward(ad_var x, setting s)
{
	return leaky(x, s.a);
}

static flow_out leaky_inverse(ad_var y, setting s)
{
	return leaky(y, 1 / s.a);
}

/* tanh for |x| <= c; beyond, sign(x) (tanh c + alpha log(|x| / c)), alpha = (1 - tanh(tanh c)) / c: continuous, with
 * a step in slope at +-c, as in the implementation whose numbers it reproduces. */
static double log_tanh_alpha(double c)
{
	return (1 - tanh(tanh(c))) / c;
}

static flow_out log_tanh_forward(ad_var x, setting s)
{
	double alpha = log_tanh_alpha(s.a);
	ad_var in = ad_within(x, -s.a, s.a);
	ad_var mid = ad_where(in, x, ad_full_like(x, 0)), far = ad_where(in, ad_full_like(x, s.a), ad_abs(x));
	ad_var l = ad_shift(ad_log(far), -log(s.a));
	ad_var tail = ad_mul(ad_sign(x), ad_shift(ad_scale(l, alpha), tanh(s.a)));
	return (flow_out){ ad_where(in, ad_tanh(mid), tail),
			   ad_where(in, log_dtanh(mid), ad_shift(ad_neg(l), log(alpha / s.a))) };
}

static flow_out log_tanh_inverse(ad_var y, setting s)
{
	double alpha = log_tanh_alpha(s.a), edge = tanh(s.a), e = margin(y, s);
	ad_var in = ad_within(y, -edge, edge), zero = ad_full_like(y, 0);
	ad_var mid = ad_atanh(ad_clamp(ad_where(in, y, zero), -1 + e, 1 - e));
	ad_var l = ad_where(in, zero, ad_scale(ad_shift(ad_abs(y), -edge), 1 / alpha)); /* log(|x| / c) */
	return (flow_out){ ad_where(in, mid, ad_mul(ad_sign(y), ad_scale(ad_exp(l), s.a))),
			   ad_where(in, ad_neg(log_dtanh(mid)), ad_shift(l, -log(alpha / s.a))) };
}

static flow_out exp_forward(ad_var x, setting s)
{
	(void)s;
	return (flow_out){ ad_exp(x), x };
}

static flow_out exp_inverse(ad_var y, setting s)
{
	(void)s;
	ad_var x = ad_log(y);
	return (flow_out){ x, ad_neg(x) };
}

/* x / (1 + |x| / B) */
static flow_out softclip_forward(ad_var x, setting s)
{
	ad_var r = ad_scale(ad_abs(x), 1 / s.a);
	return (flow_out){ ad_div(x, ad_shift(r, 1)), ad_scale(ad_log1p(r), -2) };
}

static flow_out softclip_inverse(ad_var y, setting s)
{
	double e = margin(y, s);
	ad_var in = ad_clamp(y, -s.a * (1 - e), s.a * (1 - e));
	ad_var left = ad_shift(ad_scale(ad_abs(in), -1 / s.a), 1);
	return (flow_out){ ad_div(in, left), ad_scale(ad_log(left), -2) };
}

static const row rows[] = {
	[FLOW_LOGIT] = { "logit", 1, false, logit, sigmoid },
	[FLOW_SIGMOID] = { "sigmoid", 1, false, sigmoid, logit },
	[FLOW_TANH] = { "tanh", 0, false, tanh_forward, tanh_inverse },
	[FLOW_LEAKY_RELU] = { "leaky_relu", 0.01, true, leaky_forward, leaky_inverse },
	[FLOW_LOG_TANH] = { "log_tanh", 1, true, log_tanh_forward, log_tanh_inverse },
	[FLOW_EXPONENTIAL] = { "exponential", 0, false, exp_forward, exp_inverse },
	[FLOW_SOFTCLIP] = { "softclip", 5, false, softclip_forward, softclip_inverse },
};

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)c, (void)cond;
	const pointwise *p = (const pointwise *)f;
	flow_out o = dir == FLOW_FORWARD ? p->row->forward(x, p->s) : p->row->inverse(x, p->s);
	o.logdet = ad_sum(o.logdet, AD_EVENT);
	return o;
}

static const char *describe(const flow *f, char *buf, size_t n)
{
	const pointwise *p = (const pointwise *)f;
	snprintf(buf, n, "%g", p->s.a);
	return buf;
}

flow *flow_pointwise(flow_mem *m, flow_pointwise_kind kind, double a, double eps)
{
	if ((unsigned)kind >= sizeof rows / sizeof *rows)
		return flow_refuse(m, "pointwise", "no kind %d", (int)kind);
	const row *r = &rows[kind];
	if (a < 0 || !isfinite(a) || !(eps >= 0 && eps < 0.5))
		return flow_refuse(m, r->kind, "parameter %g, margin %g", a, eps);
	pointwise *p = flow_alloc(m, sizeof *p);
	*p = (pointwise){
		.f = { .kind = r->kind, .apply = apply, .caps.rebuilds = r->rebuilds },
		.row = r,
		.s = { a > 0 ? a : r->a, eps },
	};
	if (p->s.a > 0)
		p->f.describe = describe;
	return &p->f;
}
