/* kind_extreme.c - values and first derivatives at extreme arguments. */
#include "parity.h"

#include <math.h>
#include <string.h>

/* torch's softplus is the identity above 20, which is 2.1e-9 off. */
#define LOOSE 1e-8

/* clang-format off */
#define UNARY(name, value) static ad_var at_##name(ad_var x) { return value; }
UNARY(softplus, ad_softplus(x))
UNARY(logsigmoid, ad_logsigmoid(x))
UNARY(sigmoid, ad_sigmoid(x))
UNARY(tanh, ad_tanh(x))
UNARY(elu, ad_elu(x, 1))
UNARY(silu, ad_swish(x))
UNARY(gelu, ad_gelu(x))
UNARY(erf, ad_erf(x))
UNARY(atan, ad_atan(x))
UNARY(expm1_neg, ad_expm1(ad_neg(ad_abs(x))))
UNARY(log1p_abs, ad_log1p(ad_abs(x)))
UNARY(exp_neg_abs, ad_exp(ad_neg(ad_abs(x))))
UNARY(softplus_plus_neg, ad_add(ad_softplus(x), ad_softplus(ad_neg(x))))
UNARY(logsumexp, ad_logsumexp(x, 1))
UNARY(softmax, ad_softmax(x, 1))
UNARY(log_softmax, ad_log_softmax(x, 1))
/* clang-format on */

static const struct row {
	const char *name;
	ad_var (*apply)(ad_var x);
	bool rows; /* recorded with the product "vjp" of its Jacobian and inputs/w, else with the derivative "dy" */
	double tolerance;
} rows[] = {
	{ "softplus", at_softplus, false, LOOSE },
	{ "logsigmoid", at_logsigmoid, false, LOOSE },
	{ "sigmoid", at_sigmoid, false, 0 },
	{ "tanh", at_tanh, false, 0 },
	{ "elu", at_elu, false, 0 },
	{ "silu", at_silu, false, 0 },
	{ "gelu", at_gelu, false, 0 },
	{ "erf", at_erf, false, 0 },
	{ "atan", at_atan, false, 0 },
	{ "expm1_neg", at_expm1_neg, false, 0 },
	{ "log1p_abs", at_log1p_abs, false, 0 },
	{ "exp_neg_abs", at_exp_neg_abs, false, 0 },
	{ "softplus_plus_neg", at_softplus_plus_neg, false, LOOSE },
	{ "logsumexp", at_logsumexp, true, 0 },
	{ "softmax", at_softmax, true, 0 },
	{ "log_softmax", at_log_softmax, true, 0 },
};

static void check_row(parity *p, const struct row *r, const char *name, bool batched)
{
	double tol = fmax(p->tolerance, r->tolerance);
	model *m = model_new(p, NULL);
	ad_var x = model_input(m, parity_array(p, "inputs/%s/x", name), batched), y = r->apply(x), w = NULL, g;
	if (r->rows)
		w = model_input(m, parity_array(p, "inputs/%s/w", name), batched);
	ad_vjp(1, &y, w ? &w : NULL, 1, &x, &g);
	model_expect(m, y, tol, "outputs/%s/y", name);
	model_expect(m, g, tol, "outputs/%s/%s", name, w ? "vjp" : "dy");
	model_run(m);
}

/* log of a mixture of logistic distributions, axis 1 the component: density and distribution function */
static void check_mixture(parity *p, const char *name)
{
	double tol = fmax(p->tolerance, LOOSE);
	model *m = model_new(p, NULL);
	ad_var x = model_input(m, parity_array(p, "inputs/%s/x", name), true);
	ad_var pi = ad_log_softmax(model_input(m, parity_array(p, "inputs/%s/mixture_logits", name), true), 1);
	ad_var mean = model_input(m, parity_array(p, "inputs/%s/means", name), true);
	ad_var s = model_input(m, parity_array(p, "inputs/%s/log_scales", name), true);
	ad_var u = ad_mul(ad_sub(ad_expand(x, 1), mean), ad_exp(ad_neg(s)));
	ad_var pdf = ad_sub(ad_sub(u, s), ad_scale(ad_softplus(u), 2));
	ad_var log_pdf = ad_logsumexp(ad_add(pi, pdf), 1), log_cdf = ad_logsumexp(ad_add(pi, ad_logsigmoid(u)), 1);
	model_expect(m, log_pdf, tol, "outputs/%s/log_pdf", name);
	model_expect(m, log_cdf, tol, "outputs/%s/log_cdf", name);
	model_expect(m, ad_grad(log_pdf, x), tol, "outputs/%s/d_log_pdf", name);
	model_expect(m, ad_grad(log_cdf, x), tol, "outputs/%s/d_log_cdf", name);
	model_run(m);
}

static void check_spline(parity *p, const char *name, const json *o)
{
	flow_map map =
		flow_rq_spline((int)parity_count(p, o, "bins"), parity_member(p, o, "tail_bound", JSON_NUMBER)->number);
	map.min_width = spline_floor(o, "min_bin_width", map.min_width);
	map.min_height = spline_floor(o, "min_bin_height", map.min_height);
	map.min_derivative = spline_floor(o, "min_derivative", map.min_derivative);
	map.start = NULL;
	model *m = model_new(p, NULL);
	nn c = nn_begin(m->t, parity_store(p), NN_EVAL);
	ad_var raw[3];
	static const char *const part[] = { "widths", "heights", "derivatives" };
	for (int i = 0; i < 3; i++)
		raw[i] = model_input(m, parity_array(p, "inputs/%s/unnormalized_%s", name, part[i]), true);
	ad_var x = model_input(m, parity_array(p, "inputs/%s/x", name), true);
	flow_out z = map.apply(&map, c, x, ad_concat(1, 3, raw), FLOW_FORWARD);
	model_expect(m, z.x, p->tolerance, "outputs/%s/z", name);
	model_expect(m, z.logdet, p->tolerance, "outputs/%s/logdet", name);
	model_run(m);
}

void check_extreme(parity *p)
{
	const json *cases = parity_config(p, "cases", JSON_OBJECT);
	for (int i = 0; i < cases->n; i++) {
		const char *name = cases->key[i], *prefix = parity_text(p, "outputs/%s/", name);
		const json *o = json_get(cases, name);
		const struct row *r = NULL;
		for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
			if (!strcmp(rows[k].name, name))
				r = &rows[k];
		if (!parity_wants_below(p, prefix))
			continue;
		if (r) {
			check_row(p, r, name, false);
			check_row(p, r, name, true);
		} else if (!strcmp(name, "mixture")) {
			check_mixture(p, name);
		} else if (!strcmp(name, "rq_spline")) {
			check_spline(p, name, o);
		} else {
			parity_skip(p, prefix, "no such case");
		}
	}
}
