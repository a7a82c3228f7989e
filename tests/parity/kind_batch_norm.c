/* kind_batch_norm.c - the batch-norm flow layer in training: batch statistics, gradients through them, running ones. */
#include "parity.h"

#include <string.h>

void check_batch_norm(parity *p)
{
	double tol = p->tolerance;
	nn_store *s = parity_store(p);
	flow *f = flow_batch_norm(parity_mem(p), json_number(p->config, "eps", 1e-5),
				  json_number(p->config, "momentum", 0.9));
	parameters ps = parameters_load(p, s, "", "layer/");
	static const char *const running[] = { "running_mean", "running_var" };
	for (int i = 0; i < 2; i++) {
		const array *a = parity_array(p, "buffers/%s_before", running[i]);
		if (!nn_put(s, parity_text(p, "layer/%s", running[i]), array_shape(a, false), false, a->v))
			parity_bad(p, "%s", nn_error(s));
	}
	model *m = model_new(p, s);
	nn c = nn_in(nn_begin(m->t, s, NN_TRAIN), "layer");
	ad_var x = model_input(m, parity_array(p, "inputs/x"), true);
	flow_out z = flow_apply(f, c, x, NULL, FLOW_FORWARD);
	flow_base normal = flow_normal();
	ad_var logdet = ad_broadcast(z.logdet, AD_SHAPE(AD_BATCH));
	ad_var log_prob = ad_add(normal.log_prob(&normal, nn_in(c, "base"), z.x, NULL), logdet);
	ad_var loss = ad_neg(ad_mean(log_prob, AD_ALL)), value[8];
	model_expect(m, z.x, tol, "outputs/z");
	model_expect(m, logdet, tol, "outputs/logdet");
	model_expect(m, log_prob, tol, "outputs/log_prob");
	model_expect(m, loss, tol, "outputs/loss");
	const char *name[8];
	int n = nn_updates(s, m->t, name, value, 8);
	for (int i = 0; i < n && i < 8; i++)
		if (parity_begins(name[i], "layer/"))
			model_expect(m, value[i], tol, "outputs/%s", name[i] + strlen("layer/"));
	parameters_expect(m, &ps, loss, "grads/", 1, &x, (const char *const[]){ "x" }, tol);
	model_run(m);
}
