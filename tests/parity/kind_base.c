/* kind_base.c - log densities of base distributions, and the gradients of -mean log p. */
#include "parity.h"

#include <string.h>

static flow_base standard_normal(parity *p, const json *o)
{
	(void)p, (void)o;
	return flow_normal();
}
static flow_base diagonal_normal(parity *p, const json *o)
{
	(void)p, (void)o;
	return flow_normal_learned();
}
static flow_base conditional(parity *p, const json *o)
{
	(void)p, (void)o;
	return flow_normal_conditional();
}
static flow_base mixture(parity *p, const json *o)
{
	return flow_gaussian_mixture((int)parity_count(p, o, "modes"));
}
static flow_base made_mixture(parity *p, const json *o)
{
	nn_net made = conditioner(p, parity_member(p, o, "conditioner", JSON_OBJECT));
	return flow_made_mixture((int)parity_count(p, o, "components"), made, json_number(o, "epsilon", 0));
}

static const struct {
	const char *name;
	flow_base (*make)(parity *p, const json *o);
	bool context;
} bases[] = {
	{ "standard_normal", standard_normal, false },
	{ "diagonal_normal", diagonal_normal, false },
	{ "conditional_diagonal_normal", conditional, true },
	{ "gaussian_mixture", mixture, false },
	{ "made_mog", made_mixture, true },
};

static void check_case(parity *p, const char *name, flow_base b, bool context)
{
	nn_store *s = parity_store(p);
	const char *prefix = parity_text(p, "%s/", name);
	parameters ps = parameters_load(p, s, prefix, prefix);
	model *m = model_new(p, s);
	nn c = nn_in(nn_begin(m->t, s, NN_EVAL), "%s", name);
	ad_var x = model_input(m, parity_array(p, "inputs/x"), true);
	ad_var cond = context && parity_find(p, "inputs/context")
			      ? model_input(m, parity_array(p, "inputs/context"), true)
			      : NULL;
	ad_var log_prob = b.log_prob(&b, c, x, cond);
	model_expect(m, log_prob, p->tolerance, "outputs/%s/log_prob", name);
	parameters_expect(m, &ps, ad_neg(ad_mean(log_prob, AD_ALL)), parity_text(p, "grads/%s/", name), 1, &x,
			  (const char *const[]){ "x" }, p->tolerance);
	model_run(m);
}

void check_base(parity *p)
{
	const json *cases = parity_config(p, "cases", JSON_OBJECT);
	for (int i = 0; i < cases->n; i++) {
		const char *name = cases->key[i];
		const char *outputs = parity_text(p, "outputs/%s/", name), *grads = parity_text(p, "grads/%s/", name);
		size_t k = 0;
		while (k < sizeof bases / sizeof *bases && strcmp(bases[k].name, name))
			k++;
		if (k < sizeof bases / sizeof *bases &&
		    (parity_wants_below(p, outputs) || parity_wants_below(p, grads)))
			check_case(p, name, bases[k].make(p, &cases->item[i]), bases[k].context);
		if (k == sizeof bases / sizeof *bases) {
			parity_skip(p, outputs, "no such base");
			parity_skip(p, grads, "no such base");
		}
	}
}
