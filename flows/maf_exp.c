/* Masked autoregressive flow and mask coupling of ikostrikov/pytorch-flows: y = (x - m) exp(-a). */
#include "parts.h"
#include "variants.h"

typedef struct {
	flow f;
	flow_map map;
	int64_t dim;
	const double *mask;
	int64_t width[2][3]; /* of the single or shift net, and of the log_scale net */
	flow__net net[2];
	bool split, tanh_log_scale;
} maf_exp;

static flow_out map(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	(void)m, (void)c;
	ad_var mean = ad_squeeze(ad_slice(p, -1, 0, 1), -1), a = ad_squeeze(ad_slice(p, -1, 1, 2), -1);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_mul(ad_sub(x, mean), ad_exp(ad_neg(a))), ad_neg(a) };
	return (flow_out){ ad_add(ad_mul(x, ad_exp(a)), mean), a };
}

static ad_var params(const flow *f, nn c, ad_var x, ad_var cond)
{
	const maf_exp *e = (const maf_exp *)f;
	ad_var m, a;
	if (e->split) {
		m = flow__net_apply(&e->net[0], nn_in(c, "shift"), x, cond);
		a = flow__net_apply(&e->net[1], nn_in(c, "log_scale"), x, cond);
	} else {
		ad_var both = flow__net_apply(&e->net[0], c, x, cond);
		m = ad_slice(both, 1, 0, e->dim), a = ad_slice(both, 1, e->dim, 2 * e->dim);
	}
	return ad_stack(2, 2, (ad_var[]){ m, e->tanh_log_scale ? ad_tanh(a) : a });
}

static flow_out autoregressive(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const maf_exp *e = (const maf_exp *)f;
	return flow__sequential(f, &e->map, params, c, x, cond, e->dim, dir, NULL);
}

static flow_out coupling(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const maf_exp *e = (const maf_exp *)f;
	ad_var keep = ad_array(c.tape, AD_SHAPE(e->dim), e->mask), move = ad_shift(ad_neg(keep), 1),
	       u = ad_mul(x, keep);
	ad_var t = ad_mul(flow__net_apply(&e->net[0], nn_in(c, "shift"), u, cond), move);
	ad_var s = ad_mul(flow__net_apply(&e->net[1], nn_in(c, "log_scale"), u, cond), move);
	ad_var logdet = ad_sum(s, AD_EVENT);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_add(ad_mul(x, ad_exp(s)), t), logdet };
	return (flow_out){ ad_mul(ad_sub(x, t), ad_exp(ad_neg(s))), ad_neg(logdet) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const maf_exp *)f)->dim, in, out, why);
}

static maf_exp *new (flow_mem *m, const char *kind, int64_t dim, const int *degree, bool split, flow_maf_exp_opt o)
{
	maf_exp *e = flow_alloc(m, sizeof *e);
	const nn_act *relu = nn_act_named("relu"), *tanh = nn_act_named("tanh");
	const nn_act *act[2] = { o.shift_act ? o.shift_act
				 : split     ? tanh
					     : relu,
				 o.log_scale_act ? o.log_scale_act : relu };
	e->f = (flow){ .kind = kind, .shape = shape, .unshape = shape };
	e->map = (flow_map){ .kind = kind, .nparam = 2, .apply = map };
	e->dim = dim;
	e->split = split;
	e->tanh_log_scale = o.tanh_log_scale;
	for (int k = 0; k < 2; k++) {
		e->width[k][0] = e->width[k][1] = o.hidden;
		e->width[k][2] = split ? dim : 2 * dim;
		e->net[k] = (flow__net){
			.linears = 3,
			.width = e->width[k],
			.act = act[k],
			.degree = degree,
			.context_weight = degree != NULL,
		};
	}
	return e;
}

flow *flow_maf_exp(flow_mem *m, int64_t dim, flow_maf_exp_opt o)
{
	if (dim < 1 || o.hidden < 1)
		return flow_refuse(m, "maf_exp", "%lld features, width %lld", (long long)dim, (long long)o.hidden);
	int *degree = flow__degrees_in_order(m, dim, NULL);
	maf_exp *e = new (m, "maf_exp", dim, degree, o.split, o);
	e->f.apply = autoregressive;
	e->f.caps.inverse = FLOW_ITERATIVE;
	return &e->f;
}

flow *flow_masked_coupling_exp(flow_mem *m, int64_t dim, const int *mask, flow_maf_exp_opt o)
{
	if (dim < 1 || o.hidden < 1)
		return flow_refuse(m, "masked_coupling_exp", "%lld features, width %lld", (long long)dim,
				   (long long)o.hidden);
	double *v = flow_alloc(m, (size_t)dim * sizeof *v);
	for (int64_t d = 0; d < dim; d++)
		v[d] = mask[d] != 0;
	maf_exp *e = new (m, "masked_coupling_exp", dim, NULL, true, o);
	e->mask = v;
	e->f.apply = coupling;
	return &e->f;
}
