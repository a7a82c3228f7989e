/* kind_cnf.c - continuous flows of several blocks, and their regularisers. */
#include "continuous.h"

#include <string.h>

typedef struct {
	parity *p;
	flow_field field;
	flow_cnf_opt o;
	int blocks;
	nn_store *s;
	parameters ps;
} cnf;

typedef struct {
	model *m;
	ad_var x, z, logdet, loss, log_prob;
	ad_var block_z[64], block_logdet[64], nfe[64];
} traced;

/* batched: as flows are; else the whole batch as one ordinary state, whose error norm is that of the reference's
 * adjoint. */
static traced trace(cnf *k, ad_ode_opt solver, flow_dir dir, bool batched)
{
	parity *p = k->p;
	traced r = { .m = model_new(p, k->s) };
	nn c = nn_begin(r.m->t, k->s, NN_EVAL);
	r.x = model_input(r.m, parity_array(p, dir == FLOW_FORWARD ? "inputs/x" : "inputs/z"), batched);
	flow_cnf_opt o = k->o;
	o.solver = solver;
	ad_var h = r.x, l = NULL;
	for (int i = 0; i < k->blocks; i++) {
		int b = dir == FLOW_FORWARD ? i : k->blocks - 1 - i;
		ad_var e = o.trace == FLOW_TRACE_EXACT
				   ? NULL
				   : model_input(r.m, parity_array(p, "inputs/noise/layer_%d", b), batched);
		flow_path path = flow_cnf_solve(&k->field, nn_in(c, "layers/%d", b), o, h, l, NULL, e, dir);
		h = r.block_z[b] = path.x;
		l = path.l;
		r.block_logdet[b] = path.logdet;
		r.nfe[i] = ad_batched(path.nfe) ? ad_mean(path.nfe, AD_ALL) : path.nfe;
		r.logdet = r.logdet ? ad_add(r.logdet, path.logdet) : path.logdet;
	}
	r.z = h;
	double n = (double)ad_numel(ad_shape_of(h)) / (batched ? 1 : (double)ad_dim(h, 0));
	r.log_prob =
		ad_add(ad_shift(ad_scale(ad_sum(ad_square(h), AD_EVENT), -0.5), -0.91893853320467274178 * n), r.logdet);
	r.loss = ad_neg(ad_mean(r.log_prob, AD_ALL));
	return r;
}

/* The reference's function copies time to a new array, which cuts its derivative. */
static flow_slope timeless(const flow_field *f, nn c, ad_var t, ad_var x, ad_var cond, bool trace)
{
	const flow_field *whole = f->data;
	return whole->slope(whole, c, ad_stop(t), x, cond, trace);
}

static void gradients(cnf *k, ad_ode_opt solver, const char *where, bool adjoint, double tolerance)
{
	if (!parity_wants_below(k->p, where))
		return;
	solver.gradient = adjoint ? AD_ODE_ADJOINT : AD_ODE_DIRECT;
	solver.first_derivative = !adjoint;
	cnf cut = *k;
	cut.field = (flow_field){ .kind = "timeless", .slope = timeless, .data = &k->field };
	traced r = trace(adjoint ? k : &cut, solver, FLOW_FORWARD, !adjoint);
	parameters_expect(r.m, &k->ps, r.loss, where, 1, &r.x, (const char *const[]){ "x" }, tolerance);
	model_run(r.m);
}

static void check_values(cnf *k, ad_ode_opt solver)
{
	parity *p = k->p;
	traced r = trace(k, solver, FLOW_FORWARD, true);
	model_expect(r.m, r.z, p->tolerance, "outputs/z");
	model_expect(r.m, r.logdet, p->tolerance, "outputs/logdet");
	model_expect(r.m, r.log_prob, p->tolerance, "outputs/log_prob");
	model_expect(r.m, r.loss, p->tolerance, "outputs/loss");
	model_expect(r.m, ad_stack(0, k->blocks, r.nfe), p->tolerance, "outputs/nfe");
	for (int b = 0; b < k->blocks; b++) {
		model_expect(r.m, r.block_z[b], p->tolerance, "intermediates/layer_%d/z", b);
		model_expect(r.m, r.block_logdet[b], p->tolerance, "intermediates/layer_%d/logdet", b);
	}
	model_run(r.m);
	static const char *const inverse[] = { "outputs/x_inverse", "outputs/logdet_inverse", "outputs/nfe_inverse" };
	if (!parity_wants(p, inverse[0]) && !parity_wants(p, inverse[1]) && !parity_wants(p, inverse[2]))
		return;
	r = trace(k, solver, FLOW_INVERSE, true);
	model_expect(r.m, r.z, p->tolerance_inverse, "%s", inverse[0]);
	model_expect(r.m, r.logdet, p->tolerance_inverse, "%s", inverse[1]);
	model_expect(r.m, ad_stack(0, k->blocks, r.nfe), p->tolerance_inverse, "%s", inverse[2]);
	model_run(r.m);
}

static cnf build(parity *p)
{
	cnf k = { .p = p, .blocks = 1, .s = parity_store(p) };
	k.field = odenet_field(p, p->config, "params/layers/0/");
	k.ps = parameters_load(p, k.s, "", "");
	k.blocks = (int)parity_count(p, p->config, "blocks");
	if (k.blocks < 1 || k.blocks > 64)
		parity_unsupported(p, "%d blocks", k.blocks);
	if (json_number(p->config, "t0", 0) != 0)
		parity_unsupported(p, "a start at another time than 0");
	if (strcmp(json_string(p->config, "base", "standard_normal"), "standard_normal"))
		parity_unsupported(p, "base \"%s\"", json_string(p->config, "base", ""));
	k.o.end_time = json_number(p->config, "T", 1);
	k.o.train_end_time = parity_find(p, "params/layers/0/sqrt_end_time") != NULL;
	const char *div = parity_config(p, "divergence", JSON_STRING)->string;
	if (!strcmp(div, "fixed_noise"))
		k.o.trace = FLOW_TRACE_RADEMACHER;
	else if (strcmp(div, "exact"))
		parity_unsupported(p, "divergence \"%s\"", div);
	return k;
}

/* Its tolerance is an attribute of its own. */
static double exact_tolerance(parity *p)
{
	double v = 1e-8;
	hid_t a = H5Aexists(p->h5, "tolerance_exact") > 0 ? H5Aopen(p->h5, "tolerance_exact", H5P_DEFAULT) : -1;
	if (a >= 0) {
		H5Aread(a, H5T_NATIVE_DOUBLE, &v);
		H5Aclose(a);
	}
	return v;
}

void check_cnf(parity *p)
{
	cnf k = build(p);
	const char *method = parity_config(p, "method", JSON_STRING)->string;
	ad_ode_opt solver = ode_options(p, method, p->config, false), tight = ode_options(p, method, p->config, true);
	bool adaptive = !(solver.step_size > 0);
	solver.control = tight.control = AD_ODE_BATCH;
	check_values(&k, solver);
	/* What is recorded for dopri5 is off by up to 3e-4 from the gradient of the tight solution, which central differences
	 * confirm: it counts the derivative of the first step's size, against which nothing stands once that of time is
	 * cut. */
	gradients(&k, adaptive ? tight : solver, "grads/", false, p->tolerance);
	gradients(&k, solver, "grads_adjoint/", true, p->tolerance);
	if (parity_wants_below(p, "outputs/exact/")) {
		traced r = trace(&k, tight, FLOW_FORWARD, true);
		model_expect(r.m, r.z, exact_tolerance(p), "outputs/exact/z");
		model_expect(r.m, r.logdet, exact_tolerance(p), "outputs/exact/logdet");
		model_run(r.m);
	}
}

void check_cnf_regularised(parity *p)
{
	static const struct {
		const char *name;
		flow_regulariser k;
	} names[] = { { "l1", FLOW_REG_L1 },
		      { "l2", FLOW_REG_L2 },
		      { "directional_l2", FLOW_REG_DIRECTIONAL },
		      { "jacobian_frobenius", FLOW_REG_JACOBIAN } };
	nn_store *s = parity_store(p);
	flow_field f = odenet_field(p, p->config, "params/");
	parameters ps = parameters_load(p, s, "", "");
	const json *list = parity_config(p, "regularisers", JSON_ARRAY);
	flow_cnf_opt o = { .end_time = json_number(p->config, "T", 1) };
	o.solver = ode_options(p, parity_config(p, "method", JSON_STRING)->string, p->config, false);
	int which[FLOW_REGS], n = list->n;
	if (n < 1 || n > (int)(sizeof names / sizeof *names))
		parity_unsupported(p, "%d regularisers", n);
	for (int i = 0; i < n; i++) {
		size_t k = 0;
		while (k < sizeof names / sizeof *names &&
		       (list->item[i].type != JSON_STRING || strcmp(list->item[i].string, names[k].name)))
			k++;
		if (k == sizeof names / sizeof *names)
			parity_unsupported(p, "regulariser %d", i);
		which[i] = (int)names[k].k;
		o.weight[which[i]] = 1;
	}
	model *m = model_new(p, s);
	ad_var x = model_input(m, parity_array(p, "inputs/x"), true),
	       w = model_input(m, parity_array(p, "inputs/weights"), false);
	flow_path r = flow_cnf_solve(&f, nn_begin(m->t, s, NN_EVAL), o, x, NULL, NULL, NULL, FLOW_FORWARD);
	ad_var value[FLOW_REGS];
	for (int i = 0; i < n; i++)
		value[i] = ad_mean(r.reg[which[i]], AD_ALL);
	double constant = -0.91893853320467274178 * (double)ad_dim(x, 1);
	ad_var regs = ad_stack(0, n, value),
	       log_prob = ad_add(ad_shift(ad_scale(ad_sum(ad_square(r.x), AD_EVENT), -0.5), constant), r.logdet);
	ad_var loss = ad_add(ad_neg(ad_mean(log_prob, AD_ALL)), ad_sum(ad_mul(w, regs), AD_ALL));
	model_expect(m, r.x, p->tolerance, "outputs/z");
	model_expect(m, r.logdet, p->tolerance, "outputs/logdet");
	model_expect(m, regs, p->tolerance, "outputs/regularisers");
	model_expect(m, loss, p->tolerance, "outputs/loss");
	parameters_expect(m, &ps, loss, "grads/", 1, &x, (const char *const[]){ "x" }, p->tolerance);
	model_run(m);
}
