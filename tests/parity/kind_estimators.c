/* kind_estimators.c - estimators of the log-determinant of a residual block, with given probe and coefficients. */
#include "residual.h"

#include <string.h>

typedef struct {
	model *m;
	nn c;
	nn_net net;
	ad_var x, g, noise, cotangent;
	parameters params;
} block;

static void check_set(block *b, const char *set)
{
	parity *p = b->m->p;
	const array *coef = parity_array(p, "outputs/%s/coefficients", set);
	int n = (int)coef->n;
	ad_var c[n + 1], x = b->x;
	for (int k = 0; k < n; k++)
		c[k] = ad_const(b->m->t, coef->v[k]);
	ad_var logdet[2] = { flow_logdet_basic(b->g, x, b->noise, n, c),
			     flow_logdet_neumann(b->g, x, b->noise, n, coef->v) };
	static const char *const name[2] = { "basic", "neumann" };
	/* The coefficients themselves, from the listed draws. */
	for (int i = 0; i < 2; i++) {
		model_expect(b->m, logdet[i], p->tolerance, "outputs/%s/%s/logdet", set, name[i]);
		ad_var loss = ad_sum(ad_mul(b->cotangent, logdet[i]), AD_ALL);
		parameters_expect(b->m, &b->params, loss, parity_text(p, "grads/%s/%s/", set, name[i]), 1, &x,
				  (const char *const[]){ "x" }, p->tolerance);
	}
}

/* c_k = mean over the draws of [N >= k - exact] / P(N >= k - exact), N geometric */
static void check_coefficients(parity *p, const char *set, bool roulette)
{
	const array *a = parity_array(p, "outputs/%s/coefficients", set);
	const json *draws = roulette ? parity_config(p, "roulette_samples", JSON_ARRAY) : NULL;
	double exact = json_number(p->config, "n_exact_terms", 0), q = 1 - json_number(p->config, "geom_p", 0.5);
	double *c = parity_alloc(p, (size_t)a->n * sizeof *c);
	for (int k = 1; k <= a->n; k++) {
		double left = 1, sum = 0;
		for (int j = 1; j < k - exact; j++)
			left *= q;
		for (int i = 0; draws && i < draws->n; i++)
			sum += draws->item[i].number >= k - exact;
		c[k - 1] = k <= exact || !draws ? 1 : sum / draws->n / left;
	}
	parity_compare(p, parity_text(p, "outputs/%s/coefficients", set), p->tolerance, a->n, c);
}

void check_estimators(parity *p)
{
	nn_store *s = parity_store(p);
	block b = { .m = model_new(p, s), .params = parameters_load(p, s, "", "") };
	b.c = nn_begin(b.m->t, s, NN_EVAL);
	b.net = residual_net(p, parity_config(p, "net", JSON_ARRAY), "net");
	const array *x = parity_array(p, "inputs/x");
	if (x->rank != 2)
		parity_unsupported(p, "estimators on arrays other than vectors");
	b.x = model_input(b.m, x, true);
	b.noise = model_input(b.m, parity_array(p, "inputs/noise"), true);
	b.cotangent = model_input(b.m, parity_array(p, "inputs/cotangent"), true);
	b.g = nn_apply(&b.net, nn_in(b.c, "net"), b.x, NULL, x->dim[1]);
	model_expect(b.m, ad_add(b.x, b.g), p->tolerance, "outputs/z");
	double bound = nn_lipschitz_bound(&b.net);
	flow *exact = flow_residual(parity_mem(p), b.net, x->dim[1],
				    (flow_residual_opt){ .eval = FLOW_LOGDET_EXACT,
							 .tolerance = 1e-13,
							 .lipschitz = bound < 1 ? bound : 0.99 });
	model_expect(b.m, flow_apply(exact, b.c, b.x, NULL, FLOW_FORWARD).logdet, p->tolerance, "outputs/logdet_exact");
	/* A set is one of coefficients: outputs/<set>/coefficients. */
	for (int i = 0; i < p->paths; i++) {
		const char *set = parity_begins(p->path[i], "outputs/") ? p->path[i] + strlen("outputs/") : "";
		size_t n = strcspn(set, "/");
		if (strcmp(set + n, "/coefficients"))
			continue;
		set = parity_text(p, "%.*s", (int)n, set);
		check_set(&b, set);
		check_coefficients(p, set, parity_begins(set, "truncated") == false);
	}
	model_run(b.m);
	if (!parity_wants(p, "outputs/x_inverse"))
		return;
	model *m = model_new(p, s);
	ad_var z = model_input(m, parity_array(p, "inputs/z"), true);
	model_expect(m, flow_apply(exact, nn_begin(m->t, s, NN_EVAL), z, NULL, FLOW_INVERSE).x, p->tolerance_inverse,
		     "outputs/x_inverse");
	model_run(m);
}
