/* lipschitz.c - contractions: bounded linears, activations of known Lipschitz constant, dense blocks. */
#include "lipschitz.h"
#include "internal.h"

#include <math.h>
#include <string.h>

/* The largest slope; of swish 1.0998.., of gelu 1.1289.., of its tanh form 1.1290.., of mish 1.0884.., of selu 1.7581..
 */
const nn_lip_act nn_lip_acts[] = {
	{ "lipswish", 1 },	 { "clipswish", 1 }, { "elu", 1 },	  { "relu", 1 },     { "leaky_relu", 1 },
	{ "tanh", 1 },		 { "softplus", 1 },  { "identity", 1 },	  { "softsign", 1 }, { "logsigmoid", 1 },
	{ "hardtanh", 1 },	 { "relu6", 1 },     { "tanhshrink", 1 }, { "celu", 1 },     { "sigmoid", 0.25 },
	{ "softplus_beta2", 1 }, { "silu", 1.1 },    { "swish", 1.1 },	  { "gelu", 1.13 },  { "gelu_tanh", 1.13 },
	{ "mish", 1.09 },	 { "selu", 1.759 },  { NULL, 0 },
};

static double constant_of(const char *act)
{
	for (const nn_lip_act *a = nn_lip_acts; a->name; a++)
		if (!strcmp(a->name, act))
			return a->constant;
	return INFINITY;
}

static ad_var lipswish(nn c, ad_var x, double beta, double divisor)
{
	ad_var b = ad_softplus(nn_param(c, "beta", AD_SHAPE(1), (nn_fill){ NN_CONST, beta == 0 ? 0.5 : beta }));
	return ad_scale(ad_div(ad_swish(ad_mul(x, b)), b), 1 / divisor);
}

static ad_var activate(nn c, const nn_lip_module *m, ad_var x)
{
	const char *act = m->act;
	if (!strcmp(act, "lipswish"))
		return lipswish(c, x, m->beta, 1.1);
	if (!strcmp(act, "clipswish"))
		return lipswish(c, ad_concat(-1, 2, (const ad_var[]){ x, ad_neg(x) }), m->beta, 1.1 * 1.004);
	const nn_act *a = isinf(constant_of(act)) ? NULL : nn_act_named(act);
	if (a)
		return a->apply(x);
	ad_fail(c.tape, "nn_lipschitz: no activation of known Lipschitz constant is named \"%s\", in \"%s\"", act,
		c.path);
	return x;
}

static ad_var eta(nn c, int i, const nn_lip_module *m)
{
	char name[16];
	snprintf(name, sizeof name, "eta_%d_raw", i);
	ad_var raw = nn_param(c, name, AD_SHAPE(1), (nn_fill){ NN_ZEROS, 0 });
	return ad_shift(ad_softplus(raw), m->eta_floor == 0 ? 0.1 : m->eta_floor);
}

static double dense_scale(const nn_lip_module *m)
{
	return m->scale == 0 ? 0.98 : m->scale;
}

static ad_var with_context(nn c, ad_var y, ad_var cond)
{
	return cond ? ad_add(y, nn_linear_with(nn_in(c, "context"), cond, ad_dim(y, -1),
					       (nn_linear_opt){ .no_bias = true }))
		    : y;
}

static ad_var dense(nn c, const nn_lip_module *m, ad_var h, ad_var cond, int64_t out)
{
	ad_var v = m->act ? activate(c, m, h) : h;
	v = with_context(c, nn_induced_linear(c, v, out, m->linear), cond);
	ad_var e1 = eta(c, 1, m), e2 = eta(c, 2, m);
	ad_var k = ad_scale(ad_rsqrt(ad_add(ad_square(e1), ad_square(e2))), dense_scale(m));
	return ad_concat(-1, 2, (const ad_var[]){ ad_mul(h, ad_mul(e1, k)), ad_mul(v, ad_mul(e2, k)) });
}

typedef struct {
	int n;
	const nn_lip_module *module;
} list;

/* nn_net has one pointer to data and one count: the modules and how many there are. */
static list modules(const nn_net *net)
{
	return (list){ net->depth, net->data };
}

static ad_var apply(const nn_net *net, nn c, ad_var x, ad_var cond, int64_t out)
{
	list l = modules(net);
	ad_var h = x;
	for (int i = 0; i < l.n; i++) {
		const nn_lip_module *m = &l.module[i];
		nn at = nn_in(c, "%d", i);
		int64_t units = m->out > 0 ? m->out : out;
		if (m->kind == NN_LIP_ACT) {
			h = activate(at, m, h);
			continue;
		}
		h = m->kind == NN_LIP_DENSE ? dense(at, m, h, cond, units)
					    : with_context(at, nn_induced_linear(at, h, units, m->linear), cond);
		cond = NULL;
	}
	return h;
}

nn_net nn_lipschitz(int n, const nn_lip_module module[])
{
	return (nn_net){ .kind = "lipschitz", .apply = apply, .depth = n, .data = module };
}

/* What module m multiplies the constant with, its linear's norm being at most `linear`. */
static double factor(const nn_lip_module *m, double linear)
{
	switch (m->kind) {
	case NN_LIP_ACT:
		return constant_of(m->act);
	case NN_LIP_LINEAR:
		return linear;
	default:
		/* |[e1 h, e2 v]|^2 <= (e1^2 + (e2 L)^2) |dx|^2, and L <= 1 */
		return dense_scale(m) * fmax(1, linear * (m->act ? constant_of(m->act) : 1));
	}
}

static double coeff(const nn_lip_module *m)
{
	return m->linear.coeff == 0 ? 0.9 : m->linear.coeff;
}

/* A norm's identity: learned ones by number. */
static double norm_id(int number, double p)
{
	return number ? -number : p == 0 ? 2 : p;
}

double nn_lipschitz_bound(const nn_net *net)
{
	if (net->apply != apply)
		return INFINITY;
	list l = modules(net);
	double bound = 1, first = 0, last = 0;
	for (int i = 0; i < l.n; i++) {
		const nn_lip_module *m = &l.module[i];
		bound *= factor(m, coeff(m));
		if (m->kind == NN_LIP_ACT && strcmp(m->act, "clipswish"))
			continue;
		/* Concatenations are bounded in the 2-norm. */
		const nn_induced *o = &m->linear;
		bool linear = m->kind == NN_LIP_LINEAR;
		double in = linear ? norm_id(o->learned_domain, o->domain) : 2,
		       out = linear ? norm_id(o->learned_codomain, o->codomain) : 2;
		first = first == 0 ? in : first;
		if (last != 0 && last != in)
			return INFINITY;
		last = out;
	}
	return first == last ? bound : INFINITY;
}

ad_var nn_lipschitz_now(const nn_net *net, nn c)
{
	list l = modules(net);
	ad_var product = ad_const(c.tape, 1);
	double known = 1;
	for (int i = 0; i < l.n; i++) {
		const nn_lip_module *m = &l.module[i];
		char path[256];
		if (m->kind == NN_LIP_ACT) {
			known *= factor(m, 1);
			continue;
		}
		nn at = nn_in(c, "%d", i);
		int k = nn__path(at, "weight", path) ? nn_find(c.store, path) : -1;
		if (k < 0 || m->kind == NN_LIP_DENSE) {
			known *= factor(m, coeff(m));
			continue;
		}
		ad_shape s = nn_at(c.store, k).shape;
		ad_var sigma;
		nn quiet = at;
		quiet.phase = NN_EVAL;
		nn_induced_weight(quiet, s.dim[0], s.dim[1], m->linear, &sigma);
		product = ad_mul(product, ad_min(sigma, ad_full_like(sigma, coeff(m))));
	}
	return ad_scale(product, known);
}
