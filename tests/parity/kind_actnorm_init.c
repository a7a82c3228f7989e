/* kind_actnorm_init.c - data-dependent initialisation: what four conventions make of a first batch. */
#include "parity.h"

#include <string.h>

/* Each convention names its numbers differently; ours are log_scale and, by the form, shift or bias. */
typedef struct {
	const char *name;
	bool negative, exponential;
} number;

static const struct convention {
	const char *name, *input;
	flow_actnorm_start start;
	bool shift_last;
	number scale, shift;
} conventions[] = {
	{ "nflows", "inputs/x", FLOW_ACTNORM_WHITEN, true, { "log_scale", false, false }, { "shift", false, false } },
	{ "glow", "inputs/x", FLOW_ACTNORM_GLOW, false, { "scale", false, true }, { "loc", false, false } },
	{ "residual_flow",
	  "inputs/x",
	  FLOW_ACTNORM_RESIDUAL,
	  false,
	  { "log_scale", false, false },
	  { "bias", false, false } },
	{ "flowpp", "inputs/x_pair", FLOW_ACTNORM_FLOWPP, false, { "inv_std", false, true }, { "mean", true, false } },
};

static void expect_number(model *m, const char *name, number q, ad_var v)
{
	v = q.exponential ? ad_exp(v) : q.negative ? ad_neg(v) : v;
	model_expect(m, v, m->p->tolerance, "outputs/%s/%s", name, q.name);
}

static void check(parity *p, const struct convention *k)
{
	const array *a = parity_array(p, "%s", k->input);
	if (a->rank < 2)
		parity_bad(p, "%s has no channels", k->input);
	nn_store *s = parity_store(p);
	model *m = model_new(p, s);
	nn c = nn_in(nn_begin(m->t, s, NN_INIT), "actnorm");
	flow_out y =
		flow_apply(flow_actnorm_with(parity_mem(p), k->start), c, model_input(m, a, true), NULL, FLOW_FORWARD);
	ad_shape channels = AD_SHAPE(a->dim[1]);
	expect_number(m, k->name, k->scale, nn_param(c, "log_scale", channels, (nn_fill){ 0 }));
	expect_number(m, k->name, k->shift, nn_param(c, k->shift_last ? "shift" : "bias", channels, (nn_fill){ 0 }));
	model_expect(m, y.x, p->tolerance, "outputs/%s/y", k->name);
	const array *logdet = parity_find(p, "outputs/%s/logdet", k->name);
	if (logdet)
		model_expect(m, logdet->rank ? ad_broadcast(y.logdet, AD_SHAPE(AD_BATCH)) : y.logdet, p->tolerance,
			     "outputs/%s/logdet", k->name);
	model_run(m);
}

void check_actnorm_init(parity *p)
{
	const json *cases = parity_config(p, "cases", JSON_OBJECT);
	for (int i = 0; i < cases->n; i++) {
		const char *prefix = parity_text(p, "outputs/%s/", cases->key[i]);
		const struct convention *k = NULL;
		for (size_t j = 0; j < sizeof conventions / sizeof *conventions; j++)
			if (!strcmp(conventions[j].name, cases->key[i]))
				k = &conventions[j];
		if (!k)
			parity_skip(p, prefix, "no such convention");
		else if (parity_wants_below(p, prefix))
			check(p, k);
	}
}
