/* kind_odenet.c - time-dependent nets: values and divergences at given times. */
#include "continuous.h"

enum { TIMES = 64 };

static void check_case(parity *p, const json *o)
{
	const char *name = parity_member(p, o, "name", JSON_STRING)->string, *prefix = parity_text(p, "%s/", name);
	flow_field f = odenet_field(p, o, parity_text(p, "params/%s", prefix));
	nn_store *s = parity_store(p);
	parameters ps = parameters_load(p, s, prefix, prefix);
	model *m = model_new(p, s);
	nn c = nn_in(nn_begin(m->t, s, NN_EVAL), "%s", name);
	const array *times = parity_array(p, "inputs/%s/t", name), *w = parity_array(p, "inputs/%s/cotangent", name);
	ad_var y = model_input(m, parity_array(p, "inputs/%s/y", name), false);
	ad_var noise = model_input(m, parity_array(p, "inputs/%s/noise", name), false),
	       weight = model_input(m, w, false);
	ad_var slope[TIMES], div[TIMES], noisy[TIMES];
	int n = (int)times->n;
	if (times->rank != 1 || n > TIMES || w->rank != 3 || w->dim[0] != n)
		parity_unsupported(p, "%d times", n);
	for (int i = 0; i < n; i++) {
		ad_var t = ad_const(m->t, times->v[i]);
		slope[i] = f.slope(&f, c, t, y, NULL, false).x;
		div[i] = flow_divergence(&f, c, t, y, NULL, NULL);
		noisy[i] = flow_divergence(&f, c, t, y, NULL, noise);
	}
	ad_var all = ad_stack(0, n, slope), exact = ad_stack(0, n, div), drawn = ad_stack(0, n, noisy);
	model_expect(m, all, p->tolerance, "outputs/%s/f", name);
	model_expect(m, exact, p->tolerance, "outputs/%s/divergence", name);
	model_expect(m, drawn, p->tolerance, "outputs/%s/divergence_noise", name);
	ad_var loss = ad_add(ad_sum(ad_mul(weight, all), AD_ALL),
			     ad_add(ad_scale(ad_sum(exact, AD_ALL), 0.5), ad_scale(ad_sum(drawn, AD_ALL), 0.25)));
	parameters_expect(m, &ps, loss, parity_text(p, "grads/%s", prefix), 1, &y, (const char *const[]){ "y" },
			  p->tolerance);
	model_run(m);
}

void check_odenet(parity *p)
{
	const json *cases = parity_config(p, "cases", JSON_ARRAY);
	for (int i = 0; i < cases->n; i++)
		check_case(p, &cases->item[i]);
}
