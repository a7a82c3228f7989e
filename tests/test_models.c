/* test_models.c - every model by name meets every law, in all its words. */
#include "flow_help.h"

/* Not integrated over the plane: a circle's cut, and tails too long for a grid (test_neural.c integrates both). */
static bool no_grid(const char *model)
{
	return !strcmp(model, "ncsf") || !strcmp(model, "mol");
}

/* A small one of layers; of continuous flows, a step error remains. */
static int check(const char *what, const flow_model_row *r, int64_t dim, int64_t cond, flow_model_opt o)
{
	char why[160];
	bool continuous = flow_model_takes(r->name, "solver_steps");
	flow_check_opt law = { .event = AD_SHAPE(dim), .cond = cond, .no_quadrature = no_grid(r->name) };
	o.act = "tanh", o.units = 4, o.nodes = 12, o.width = 12;
	if (continuous) {
		o.layers = 1, o.width = 5, o.steps = 16;
		law.samples = 5, law.tolerance = 1e-4, law.no_quadrature = true;
	}
	flow_mem *m = flow_mem_new();
	flow *f = flow_model(m, r->name, dim, o, why);
	if (!f)
		print_error("%s: %s\n", what, why);
	int broken = f ? check_one(what, f, law) : 1;
	flow_mem_free(m);
	return broken;
}

static void test_models(void **state)
{
	int broken = 0;
	char what[64];
	(void)state;
	for (const flow_model_row *r = flow_models; r->name; r++)
		for (int64_t dim = r->min_dim; dim <= 5; dim += 2)
			for (int cond = 0; cond < 3; cond += 2) {
				snprintf(what, sizeof what, "%s, dim %d, cond %d", r->name, (int)dim, cond);
				broken += check(what, r, dim, cond, (flow_model_opt){ .layers = 2 });
			}
	assert_int_equal(broken, 0);
}

/* Every word of every option that a model takes, but what is not of the flow, or the same for all. */
static void test_words(void **state)
{
	int broken = 0;
	char what[100];
	(void)state;
	for (const flow_model_row *r = flow_models; r->name; r++)
		for (const flow_model_key *k = flow_model_keys; k->key; k++) {
			if (k->kind != FLOW_WORD || !flow_model_takes(r->name, k->key) || !strcmp(k->key, "base") ||
			    !strcmp(k->key, "solver") /* test_ode.c */ ||
			    (!strcmp(k->key, "direction") && strcmp(r->name, "realnvp")))
				continue;
			for (int w = 1; k->words[w]; w++) {
				flow_model_opt o = { .layers = 1 };
				flow_option_put_text(&o, k, k->words[w]);
				snprintf(what, sizeof what, "%s, %s=%s", r->name, k->key, k->words[w]);
				broken += check(what, r, 3, 0, o);
			}
		}
	assert_int_equal(broken, 0);
}

static void test_bases(void **state)
{
	(void)state;
	static const char *const kind[][2] = { { "normal", "normal" }, { "student", "student_t" }, { "logistic", "logistic" },
					       { "mixture", "gaussian_mixture" } };
	for (size_t i = 0; i < sizeof kind / sizeof *kind; i++)
		assert_string_equal(flow_model_base((flow_model_opt){ .base = kind[i][0] }).kind, kind[i][1]);
	assert_string_equal(flow_model_base((flow_model_opt){ 0 }).kind, "normal");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_bases),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
