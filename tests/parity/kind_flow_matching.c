/* kind_flow_matching.c - probability paths: their coefficients, points on them, and what predictions say of one
 * another. */
#include "continuous.h"

#include <string.h>

static void check_case(parity *p, const char *name, const json *o)
{
	static const struct {
		const char *name;
		flow_schedule_kind kind;
	} kinds[] = { { "cond_ot", FLOW_PATH_OT },
		      { "polynomial", FLOW_PATH_POLYNOMIAL },
		      { "vp", FLOW_PATH_VP },
		      { "linear_vp", FLOW_PATH_LINEAR_VP },
		      { "cosine", FLOW_PATH_COSINE } };
	static const char *const quantities[] = { "target", "epsilon", "velocity" };
	size_t k = 0;
	while (k < sizeof kinds / sizeof *kinds && strcmp(kinds[k].name, name))
		k++;
	if (k == sizeof kinds / sizeof *kinds) {
		parity_skip(p, parity_text(p, "outputs/%s/", name), "the path \"%s\"", name);
		return;
	}
	flow_schedule s = { kinds[k].kind, json_number(o, "n", 0), json_number(o, "beta_min", 0),
			    json_number(o, "beta_max", 0) };
	model *m = model_new(p, NULL);
	ad_var t = model_input(m, parity_array(p, "inputs/t"), true),
	       x0 = model_input(m, parity_array(p, "inputs/x0"), true);
	ad_var x1 = model_input(m, parity_array(p, "inputs/x1"), true);
	ad_var said = model_input(m, parity_array(p, "inputs/%s/prediction", name), true);
	flow_scheduled at = flow_schedule_at(s, t);
	ad_var x_t = flow_schedule_mix(at.alpha, at.sigma, x1, x0);
	model_expect(m, at.alpha, p->tolerance, "outputs/%s/alpha_t", name);
	model_expect(m, at.sigma, p->tolerance, "outputs/%s/sigma_t", name);
	model_expect(m, at.d_alpha, p->tolerance, "outputs/%s/d_alpha_t", name);
	model_expect(m, at.d_sigma, p->tolerance, "outputs/%s/d_sigma_t", name);
	model_expect(m, x_t, p->tolerance, "outputs/%s/x_t", name);
	model_expect(m, flow_schedule_mix(at.d_alpha, at.d_sigma, x1, x0), p->tolerance, "outputs/%s/dx_t", name);
	for (int from = 0; from < 3; from++)
		for (int to = 0; to < 3; to++)
			if (from != to)
				model_expect(
					m, flow_schedule_convert(at, (flow_quantity)from, (flow_quantity)to, x_t, said),
					p->tolerance, "outputs/%s/%s_to_%s", name, quantities[from], quantities[to]);
	model_run(m);
}

void check_flow_matching(parity *p)
{
	const json *cases = parity_config(p, "cases", JSON_OBJECT);
	for (int i = 0; i < cases->n; i++)
		check_case(p, cases->key[i], &cases->item[i]);
}
