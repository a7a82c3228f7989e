/* kind_flow.c - a stack of layers: both directions, their log-determinants, intermediate values and gradients. */
#include "parity.h"

static ad_var per_sample(ad_var logdet)
{
	return ad_broadcast(logdet, AD_SHAPE(AD_BATCH));
}

static ad_var context(model *m, const layered *l, const char *path)
{
	return l->cond ? model_input(m, parity_array(m->p, "%s", path), true) : NULL;
}

static ad_var negative_mean(ad_var log_prob)
{
	return ad_neg(ad_mean(log_prob, AD_ALL));
}

/* log|det dz/dx| of the whole map, by forward derivatives. */
static ad_var whole_logdet(ad_var z, ad_var x)
{
	int64_t n = ad_dim(x, 1);
	ad_var column[n], eye = ad_diag(ad_full(ad_tape_of(z), AD_SHAPE(n), 1));
	for (int64_t i = 0; i < n; i++) {
		ad_var v = ad_broadcast(ad_slice(eye, 0, i, i + 1), ad_shape_of(x));
		ad_jvp(1, &z, 1, &x, &v, &column[i]);
	}
	return ad_logabsdet(ad_stack(1, (int)n, column));
}

static void check_forward(parity *p, const layered *l)
{
	double tol = p->tolerance;
	model *m = model_new(p, l->store);
	nn c = nn_begin(m->t, l->store, NN_EVAL);
	ad_var x = model_input(m, parity_array(p, "inputs/x"), true), cond = context(m, l, "inputs/context");
	flow_density d = { l->chain, flow_normal() };
	ad_var log_prob = flow_log_prob(&d, c, x, cond);
	ad_var loss = negative_mean(log_prob);
	flow_out z = flow_apply(l->chain, nn_in(c, "flow"), x, cond, FLOW_FORWARD);
	model_expect(m, z.x, tol, "outputs/z");
	model_expect(m, per_sample(z.logdet), tol, "outputs/logdet");
	model_expect(m, log_prob, tol, "outputs/log_prob");
	if (parity_wants(p, "outputs/logdet_exact")) /* where outputs/logdet is an approximation */
		model_expect(m, whole_logdet(z.x, x), tol, "outputs/logdet_exact");
	model_expect(m, loss, tol, "outputs/loss");
	parameters_expect(m, &l->params, loss, "grads/", 1, &x, (const char *const[]){ "x" }, tol);
	ad_var h = x;
	for (int k = 0; k < l->n && parity_wants_below(p, "intermediates/"); k++) {
		flow_out o = flow_apply(l->layer[k], nn_in(c, "flow/layers/%d", k), h, cond, FLOW_FORWARD);
		h = o.x;
		model_expect(m, h, tol, "intermediates/layer_%d/z", k);
		model_expect(m, per_sample(o.logdet), tol, "intermediates/layer_%d/logdet", k);
	}
	model_run(m);
}

/* mean over the batch of |x|^2 / 2 - log|det dx/dz| */
static ad_var reverse_loss(flow_out o)
{
	ad_var half = ad_scale(ad_sum(ad_square(o.x), AD_EVENT), 0.5);
	return ad_mean(ad_sub(half, per_sample(o.logdet)), AD_ALL);
}

static void check_inverse(parity *p, const layered *l)
{
	double tol = p->tolerance_inverse;
	model *m = model_new(p, l->store);
	nn c = nn_in(nn_begin(m->t, l->store, NN_EVAL), "flow");
	ad_var z = model_input(m, parity_array(p, "inputs/z"), true);
	const array *given = parity_find(p, "inputs/context");
	/* The latents may be fewer than the data: they take the first rows of the context. */
	if (l->cond && given && given->rank == 2 && given->dim[0] > m->batch) {
		array *first = parity_alloc(p, sizeof *first);
		*first = *given;
		first->dim[0] = m->batch;
		first->n = m->batch * given->dim[1];
		given = first;
	}
	ad_var cond = l->cond ? model_input(m, given ? given : parity_array(p, "inputs/context"), true) : NULL;
	flow_out x = flow_apply(l->chain, c, z, cond, FLOW_INVERSE);
	ad_var loss = reverse_loss(x);
	model_expect(m, x.x, tol, "outputs/x_inverse");
	model_expect(m, per_sample(x.logdet), tol, "outputs/logdet_inverse");
	model_expect(m, loss, tol, "outputs/loss_inverse");
	parameters_expect(m, &l->params, loss, "grads_inverse/", 1, &z, (const char *const[]){ "z" }, tol);
	model_run(m);
}

static void check_boundary(parity *p, const layered *l)
{
	model *m = model_new(p, l->store);
	nn c = nn_in(nn_begin(m->t, l->store, NN_EVAL), "flow");
	ad_var x = model_input(m, parity_array(p, "inputs/x_boundary"), true);
	flow_out z = flow_apply(l->chain, c, x, context(m, l, "inputs/context_boundary"), FLOW_FORWARD);
	model_expect(m, z.x, p->tolerance, "outputs/boundary/z");
	model_expect(m, per_sample(z.logdet), p->tolerance, "outputs/boundary/logdet");
	model_run(m);
}

void check_flow(parity *p)
{
	layered l = layers_build(p);
	check_forward(p, &l);
	if (parity_wants_below(p, "outputs/x_inverse") || parity_wants_below(p, "outputs/logdet_inverse") ||
	    parity_wants_below(p, "outputs/loss_inverse") || parity_wants_below(p, "grads_inverse/"))
		check_inverse(p, &l);
	if (parity_wants_below(p, "outputs/boundary/"))
		check_boundary(p, &l);
}
