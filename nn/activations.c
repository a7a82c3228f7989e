/* activations.c - activations by name. */
#include "internal.h"

#include <string.h>

static ad_var leaky_relu(ad_var x) { return ad_leaky_relu(x, 0.01); }
/* Flat at the ends too, unlike ad_clamp. */
static ad_var between(ad_var x, double lo, double hi)
{
	ad_tape *t = ad_tape_of(x);
	ad_var inside = ad_mul(ad_gt(x, ad_const(t, lo)), ad_lt(x, ad_const(t, hi)));
	return ad_where(inside, x, ad_stop(ad_clamp(x, lo, hi)));
}
static ad_var relu6(ad_var x) { return between(x, 0, 6); }
static ad_var elu(ad_var x) { return ad_elu(x, 1); }
static ad_var softplus_beta2(ad_var x) { return ad_scale(ad_softplus(ad_scale(x, 2)), 0.5); }
static ad_var mish(ad_var x) { return ad_mul(x, ad_tanh(ad_softplus(x))); }
static ad_var hardtanh(ad_var x) { return between(x, -1, 1); }
static ad_var softsign(ad_var x) { return ad_div(x, ad_shift(ad_abs(x), 1)); }
static ad_var tanhshrink(ad_var x) { return ad_sub(x, ad_tanh(x)); }
static ad_var concat_elu(ad_var x) { return ad_elu(ad_concat(1, 2, (const ad_var[]){ x, ad_neg(x) }), 1); }
static ad_var identity(ad_var x) { return x; }

static ad_var glu(ad_var x)
{
	int64_t n = ad_dim(x, 1);
	if (n % 2)
		ad_fail(ad_tape_of(x), "glu: axis 1 has the odd extent %lld", (long long)n);
	return ad_mul(ad_slice(x, 1, 0, n / 2), ad_sigmoid(ad_slice(x, 1, n / 2, n / 2 * 2)));
}

const nn_act nn_acts[] = {
	{ "relu", ad_relu },
	{ "relu6", relu6 },
	{ "leaky_relu", leaky_relu },
	{ "elu", elu },
	{ "selu", ad_selu },
	{ "celu", elu },
	{ "gelu", ad_gelu },
	{ "gelu_tanh", ad_gelu_tanh },
	{ "silu", ad_swish },
	{ "swish", ad_swish },
	{ "softplus", ad_softplus },
	{ "softplus_beta2", softplus_beta2 },
	{ "tanh", ad_tanh },
	{ "sigmoid", ad_sigmoid },
	{ "logsigmoid", ad_logsigmoid },
	{ "mish", mish },
	{ "hardtanh", hardtanh },
	{ "softsign", softsign },
	{ "tanhshrink", tanhshrink },
	{ "concat_elu", concat_elu },
	{ "glu", glu },
	{ "identity", identity },
	{ NULL, NULL },
};

const nn_act *nn_act_named(const char *name)
{
	for (const nn_act *a = nn_acts; a->name; a++)
		if (!strcmp(a->name, name))
			return a;
	return NULL;
}
