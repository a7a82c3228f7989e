/* affine.c - the additive and affine scalar maps: y = s x + t with s > 0, by every customary scale map. */
#include "flow.h"

#include <math.h>

static ad_var number(ad_var p, int i)
{
	return ad_squeeze(ad_slice(p, -1, i, i + 1), -1);
}

static flow_out additive(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	ad_var t = number(p, 0);
	(void)m, (void)c;
	return (flow_out){ dir == FLOW_FORWARD ? ad_add(x, t) : ad_sub(x, t), ad_full_like(x, 0) };
}

flow_map flow_additive(void)
{
	return (flow_map){ .kind = "additive",
			   .nparam = 1,
			   .apply = additive,
			   .caps = { .rebuilds = true },
			   .constant_logdet = true };
}

/* log s of the maps whose scale is an exponential */
static ad_var same(ad_var raw, double a)
{
	(void)a;
	return raw;
}

static ad_var bounded(ad_var raw, double a)
{
	return ad_scale(ad_tanh(ad_scale(raw, 1 / a)), a);
}

static ad_var softclip(ad_var raw, double a)
{
	return ad_div(raw, ad_shift(ad_scale(ad_abs(raw), 1 / fabs(log(a))), 1));
}

/* s of the others */
static ad_var sigmoid2(ad_var raw, double a)
{
	return ad_shift(ad_sigmoid(ad_shift(raw, 2)), a);
}

static ad_var softplus(ad_var raw, double a)
{
	return ad_shift(ad_softplus(raw), a);
}

static ad_var softplus_clamp(ad_var raw, double a)
{
	return ad_clamp(ad_shift(ad_softplus(raw), a), 0, 3);
}

typedef struct {
	const char *kind;
	ad_var (*log_scale)(ad_var raw, double a);
	ad_var (*scale)(ad_var raw, double a);
	double a;
} scale_row;

static const scale_row rows[] = {
	[FLOW_EXP] = { "affine-exp", same, NULL, 0 },
	[FLOW_TANH_EXP] = { "affine", bounded, NULL, 2 },
	[FLOW_SIGMOID2] = { "affine-sigmoid", NULL, sigmoid2, 1e-3 },
	[FLOW_SOFTPLUS] = { "affine-softplus", NULL, softplus, 1e-3 },
	[FLOW_SOFTPLUS_CLAMP] = { "affine-softplus-clamp", NULL, softplus_clamp, 1e-3 },
	[FLOW_SOFTCLIP_EXP] = { "affine-softclip", softclip, NULL, 1e-3 },
};

static flow_out affine(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	const scale_row *r = m->data;
	ad_var raw = number(p, m->raw_first ? 0 : 1), t = number(p, m->raw_first ? 1 : 0);
	(void)c;
	if (r->log_scale) {
		ad_var ls = r->log_scale(raw, m->a);
		if (dir == FLOW_FORWARD)
			return (flow_out){ ad_add(ad_mul(x, ad_exp(ls)), t), ls };
		ls = ad_neg(ls);
		return (flow_out){ ad_mul(ad_sub(x, t), ad_exp(ls)), ls };
	}
	ad_var s = r->scale(raw, m->a);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_add(ad_mul(x, s), t), ad_log(s) };
	return (flow_out){ ad_div(ad_sub(x, t), s), ad_neg(ad_log(s)) };
}

flow_map flow_affine(flow_scale kind, double a)
{
	const scale_row *r = &rows[kind];
	return (flow_map){ .kind = r->kind,
			   .nparam = 2,
			   .apply = affine,
			   .caps = { .rebuilds = true },
			   .a = a ? a : r->a,
			   .data = r };
}
