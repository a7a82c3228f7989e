/* kind_train.c - a flow trained on given batches: losses, gradient norms, rates and weights after some steps. */
#include "residual.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static ad_var loss(nn c, int n, const ad_var batch[], void *user)
{
	const layered *l = user;
	flow_density d = { l->chain, flow_normal() };
	(void)n;
	return flow_nll(&d, c, batch[0], NULL);
}

/* outputs/params_after_<k>/.. and buffers_after_<k>/.. */
static void compare_weights(parity *p, const layered *l, int64_t steps)
{
	parameters_compare(p, &l->params, l->store, parity_text(p, "outputs/params_after_%lld/", (long long)steps),
			   p->tolerance);
	const char *prefix = parity_text(p, "outputs/buffers_after_%lld/", (long long)steps);
	for (int i = 0; i < p->paths; i++) {
		const char *path = p->path[i];
		if (!parity_begins(path, prefix) || !parity_wants(p, path))
			continue;
		const array *a = parity_array(p, "%s", path);
		double *v = parity_alloc(p, (size_t)a->n * sizeof *v);
		if (!nn_get(l->store, parity_text(p, "flow/%s", path + strlen(prefix)), v, a->n))
			parity_bad(p, "%s", nn_error(l->store));
		parity_compare(p, path, p->tolerance, a->n, v);
	}
}

void check_train(parity *p)
{
	const array *x = parity_array(p, "inputs/batches");
	int64_t steps = parity_count(p, p->config, "steps");
	if (x->rank < 2 || x->dim[0] < steps)
		parity_bad(p, "inputs/batches has fewer than %lld batches", (long long)steps);
	iterations_after_step(p); /* layers with such work do it themselves */
	layered l = layers_build(p);
	if (l.cond)
		parity_unsupported(p, "training with a context");
	nn_optim o = optimiser(p, parity_config(p, "optimiser", JSON_OBJECT));
	o.clip_norm = json_number(p->config, "clip_norm", 0);
	nn_trainer_opt opt = { .inputs = 1,
			       .dtype = { p->real },
			       .tasks = 1,
			       .task = {
				       { .loss = loss, .user = &l, .optim = o, .schedule = schedule(p, p->config) } } };
	opt.shape[0] = (ad_shape){ x->rank - 1, { AD_BATCH } };
	memcpy(opt.shape[0].dim + 1, x->dim + 2, (size_t)(x->rank - 2) * sizeof *x->dim);
	nn_trainer *tr = parity_trainer(p, l.store, opt);
	double *v[3];
	static const char *const name[] = { "outputs/loss", "outputs/grad_norm", "outputs/lr" };
	for (int i = 0; i < 3; i++)
		v[i] = parity_alloc(p, (size_t)steps * sizeof *v[i]);
	int64_t size = x->n / x->dim[0];
	for (int64_t t = 0; t < steps; t++) {
		const void *batch = array_as(p, x->v + t * size, size, p->real);
		v[0][t] = nn_train_step(tr, 0, x->dim[1], &batch);
		v[1][t] = nn_grad_norm(tr, 0);
		v[2][t] = nn_lr(tr, 0);
		if (nn_error(l.store))
			parity_bad(p, "step %lld: %s", (long long)t, nn_error(l.store));
		parameters_complete(p, &l.params, l.store);
		compare_weights(p, &l, t + 1);
	}
	for (int i = 0; i < 3; i++)
		if (parity_wants(p, name[i]))
			parity_compare(p, name[i], p->tolerance, steps, v[i]);
}
