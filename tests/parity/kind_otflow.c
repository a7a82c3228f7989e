/* kind_otflow.c - OT-Flow: the potential, and the flow with its costs. */
#include "continuous.h"

#include <string.h>

static flow_field field(parity *p)
{
	flow_field f = flow_potential(parity_count(p, p->config, "width"), (int)parity_count(p, p->config, "layers"));
	const array *A = parity_array(p, "params/A");
	f.rank = A->rank == 2 ? A->dim[0] : 0;
	return f;
}

void check_otflow_potential(parity *p)
{
	nn_store *s = parity_store(p);
	flow_field f = field(p);
	parameters ps = parameters_load(p, s, "", "");
	model *m = model_new(p, s);
	nn c = nn_begin(m->t, s, NN_EVAL);
	ad_var xt = model_input(m, parity_array(p, "inputs/xt"), true),
	       w = model_input(m, parity_array(p, "inputs/cotangent"), true);
	int64_t d = ad_dim(xt, 1) - 1;
	ad_var x = ad_slice(xt, 1, 0, d), t = ad_reshape(ad_slice(xt, 1, d, d + 1), AD_SHAPE(AD_BATCH));
	flow_slope r = f.slope(&f, c, t, x, NULL, true);
	ad_var grad = ad_concat(1, 2, (ad_var[]){ ad_neg(r.x), ad_expand(r.time, 1) }), trace = ad_neg(r.trace);
	ad_var loss = ad_add(ad_sum(ad_mul(w, grad), AD_ALL), ad_sum(trace, AD_ALL));
	model_expect(m, ad_expand(flow_potential_value(&f, c, t, x, NULL), 1), p->tolerance, "outputs/phi");
	model_expect(m, grad, p->tolerance, "outputs/grad");
	model_expect(m, trace, p->tolerance, "outputs/trace_hessian");
	model_expect(m, loss, p->tolerance, "outputs/loss");
	parameters_expect(m, &ps, loss, "grads/", 1, &xt, (const char *const[]){ "xt" }, p->tolerance);
	model_run(m);
}

void check_otflow(parity *p)
{
	nn_store *s = parity_store(p);
	flow_field f = field(p);
	parameters ps = parameters_load(p, s, "", "");
	const json *alpha = parity_config(p, "alpha", JSON_ARRAY);
	if (alpha->n != 3)
		parity_bad(p, "config: \"alpha\" has %d entries, not 3", alpha->n);
	const char *stepper = json_string(p->config, "stepper", "classic rk4");
	if (strcmp(stepper, "classic rk4"))
		parity_unsupported(p, "stepper \"%s\"", stepper);
	f.alpha = alpha->item[0].number;
	flow_cnf_opt o = { .solver = { .method = AD_RK4, .steps = (int)parity_count(p, p->config, "nt") } };
	o.weight[FLOW_REG_TRANSPORT] = o.weight[FLOW_REG_HJB] = 1;
	model *m = model_new(p, s);
	nn c = nn_begin(m->t, s, NN_EVAL);
	ad_var x = model_input(m, parity_array(p, "inputs/x"), true);
	flow_path r = flow_cnf_solve(&f, c, o, x, NULL, NULL, NULL, FLOW_FORWARD);
	double constant = 0.91893853320467274178 * (double)ad_dim(x, 1);
	ad_var nll = ad_sub(ad_shift(ad_scale(ad_sum(ad_square(r.x), AD_EVENT), 0.5), constant), r.logdet);
	ad_var cost[3] = { ad_mean(r.reg[FLOW_REG_TRANSPORT], AD_ALL), ad_mean(nll, AD_ALL),
			   ad_mean(r.reg[FLOW_REG_HJB], AD_ALL) };
	ad_var loss = NULL;
	for (int i = 0; i < 3; i++) {
		ad_var term = ad_scale(cost[i], alpha->item[i].number);
		loss = loss ? ad_add(loss, term) : term;
	}
	model_expect(m, r.x, p->tolerance, "outputs/z");
	model_expect(m, r.logdet, p->tolerance, "outputs/logdet");
	model_expect(m, r.reg[FLOW_REG_TRANSPORT], p->tolerance, "outputs/transport");
	model_expect(m, r.reg[FLOW_REG_HJB], p->tolerance, "outputs/hjb");
	model_expect(m, ad_stack(0, 3, cost), p->tolerance, "outputs/costs");
	model_expect(m, loss, p->tolerance, "outputs/objective");
	model_expect(m, loss, p->tolerance, "outputs/loss");
	parameters_expect(m, &ps, loss, "grads/", 1, &x, (const char *const[]){ "x" }, p->tolerance);
	model_run(m);
	if (!parity_wants(p, "outputs/x_inverse"))
		return;
	m = model_new(p, s);
	ad_var z = model_input(m, parity_array(p, "inputs/z"), true);
	flow_path back = flow_cnf_solve(&f, nn_begin(m->t, s, NN_EVAL), o, z, NULL, NULL, NULL, FLOW_INVERSE);
	model_expect(m, back.x, p->tolerance_inverse, "outputs/x_inverse");
	model_run(m);
}
