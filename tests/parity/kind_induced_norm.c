/* kind_induced_norm.c - one call of the power iteration for the norm between p-norms, and the bounded weight. */
#include "residual.h"

#include <string.h>

static void check_linear(parity *p, const json *o, const char *name)
{
	const array *w = parity_array(p, "params/%s/weight", name);
	const array *u = parity_array(p, "inputs/%s/u", name), *v = parity_array(p, "inputs/%s/v", name);
	if (w->rank != 2 || u->n != w->dim[0] || v->n != w->dim[1])
		parity_bad(p, "%s: u and v do not fit the weight", name);
	nn_induced how = induced(p, o);
	how.iterations = (int)parity_count(p, o, "n_iterations");
	double *uv = parity_alloc(p, (size_t)(u->n + v->n) * sizeof *uv);
	memcpy(uv, u->v, (size_t)u->n * sizeof *uv);
	memcpy(uv + u->n, v->v, (size_t)v->n * sizeof *uv);
	double sigma = nn_induced_norm(w->dim[0], w->dim[1], w->v, uv, uv + u->n, how);
	parity_compare(p, parity_text(p, "outputs/%s/sigma", name), p->tolerance, 1, &sigma);
	parity_compare(p, parity_text(p, "outputs/%s/u", name), p->tolerance, u->n, uv);
	parity_compare(p, parity_text(p, "outputs/%s/v", name), p->tolerance, v->n, uv + u->n);
	/* The layer, with these u and v in its store. */
	nn_store *s = parity_store(p);
	nn_put(s, "weight", AD_SHAPE(w->dim[0], w->dim[1]), true, w->v);
	nn_put(s, "u", AD_SHAPE(u->n), false, uv);
	nn_put(s, "v", AD_SHAPE(v->n), false, uv + u->n);
	model *m = model_new(p, s);
	ad_var sig, weight = nn_induced_weight(nn_begin(m->t, s, NN_EVAL), w->dim[0], w->dim[1], how, &sig);
	model_expect(m, weight, p->tolerance, "outputs/%s/weight", name);
	model_expect(m, sig, p->tolerance, "outputs/%s/sigma", name);
	model_run(m);
}

/* The layer made with the given u and v, refreshed once. */
static void check_conv(parity *p, const json *o, const char *name)
{
	const array *w = parity_array(p, "params/%s/weight", name), *x = parity_array(p, "inputs/%s/x", name);
	const array *u = parity_array(p, "inputs/%s/u", name), *v = parity_array(p, "inputs/%s/v", name);
	const array *bias = parity_find(p, "params/%s/bias", name);
	if (w->rank != 4 || x->rank != 4)
		parity_bad(p, "%s: weight and x must have rank 4", name);
	nn_induced how = induced(p, o);
	how.iterations = (int)parity_count(p, o, "n_iterations");
	how.no_bias = !bias;
	int64_t stride = (int64_t)json_number(o, "stride", 1), pad = (int64_t)json_number(o, "padding", 0);
	nn_conv_opt k = { .kernel = { w->dim[2], w->dim[3] }, .stride = { stride, stride }, .pad = { pad, pad } };
	nn_store *s = parity_store(p);
	nn_put(s, "weight", array_shape(w, false), true, w->v);
	nn_put(s, "u", AD_SHAPE(u->n), false, u->v);
	nn_put(s, "v", AD_SHAPE(v->n), false, v->v);
	if (bias)
		nn_put(s, "bias", AD_SHAPE(bias->n), true, bias->v);
	model *m = model_new(p, s);
	ad_var weight, sigma,
		y = nn_induced_conv(nn_begin(m->t, s, NN_EVAL), model_input(m, x, true), w->dim[0], k, how, &weight,
				    &sigma);
	if (ad_error(m->t) || !nn_refresh(s, m->t))
		parity_bad(p, "%s", ad_error(m->t) ? ad_error(m->t) : nn_error(s));
	model_expect(m, y, p->tolerance, "outputs/%s/y", name);
	model_expect(m, weight, p->tolerance, "outputs/%s/weight", name);
	model_expect(m, sigma, p->tolerance, "outputs/%s/sigma", name);
	model_run(m);
	static const char *const state[] = { "u", "v" };
	for (int i = 0; i < 2; i++) {
		int64_t n = i ? v->n : u->n;
		double *now = parity_alloc(p, (size_t)n * sizeof *now);
		nn_get(s, state[i], now, n);
		parity_compare(p, parity_text(p, "outputs/%s/%s", name, state[i]), p->tolerance, n, now);
	}
}

void check_induced_norm(parity *p)
{
	const json *cases = parity_config(p, "cases", JSON_ARRAY);
	for (int i = 0; i < cases->n; i++) {
		const json *o = &cases->item[i];
		const char *name = parity_member(p, o, "name", JSON_STRING)->string;
		const char *kind = parity_member(p, o, "kind", JSON_STRING)->string;
		if (!strcmp(kind, "linear"))
			check_linear(p, o, name);
		else if (!strcmp(kind, "conv2d"))
			check_conv(p, o, name);
		else
			parity_skip(p, parity_text(p, "outputs/%s/", name), "case of kind \"%s\"", kind);
	}
}
