/* test_flow_graphs.c - composition, printing, mistakes and their messages, models by name. */
#include "flow_help.h"

static flow *coupling(flow_mem *m, int64_t dim, int first)
{
	return flow_coupling(m, flow_affine(FLOW_TANH_EXP, 0), nn_mlp(8, 1), dim, flow_mask_alternate(m, dim, first),
			     NULL);
}

typedef struct {
	flow_mem *m;
	char *text;
	size_t size;
	FILE *file;
} fixture;

static int setup(void **state)
{
	fixture *x = calloc(1, sizeof *x);
	x->m = flow_mem_new();
	x->file = open_memstream(&x->text, &x->size);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	fixture *x = *state;
	flow_mem_free(x->m);
	fclose(x->file);
	free(x->text);
	free(x);
	return 0;
}

static bool has(fixture *x, const char *what)
{
	fflush(x->file);
	if (x->text && strstr(x->text, what))
		return true;
	print_error("\"%s\" is not in:\n%s\n", what, x->text ? x->text : "");
	return false;
}

/* --- Looking ---------------------------------------------------------------- */

static void test_table(void **state)
{
	fixture *x = *state;
	flow_mem *m = x->m;
	flow *inner = flow_chain(m, 2, (flow *[]){ flow_actnorm(m), coupling(m, 4, 0) });
	flow *f = flow_chain(m, 4,
			     (flow *[]){ inner, flow_named(coupling(m, 4, 1), "second"),
					 flow_invert(m, flow_actnorm(m)), flow_repeat(m, 2, flow_actnorm(m)) });
	assert_int_equal(flow_print(f, AD_SHAPE(4), 3, x->file), 0);
	assert_true(has(x, "chain_0/actnorm_0 "));
	assert_true(has(x, "chain_0/coupling_0 "));
	assert_true(has(x, "\nsecond "));
	assert_true(has(x, "inverse of actnorm"));
	assert_true(has(x, "shared"));
	/* Each net: 2 + 3 inputs, 8 units, 4 outputs; three actnorms of 8 */
	assert_true(has(x, "192 parameters"));
}

static void test_table_of_branches(void **state)
{
	fixture *x = *state;
	flow_mem *m = x->m;
	flow *f = flow_multiscale(m, AD_SHAPE(6), coupling(m, 6, 0), 1, 2, coupling(m, 4, 0));
	assert_int_equal(flow_print(f, AD_SHAPE(6), 0, x->file), 0);
	assert_true(has(x, "[6]      [2] [4]"));
	assert_true(has(x, "merge"));
	assert_int_equal(flow_print(f, AD_SHAPE(5), 0, x->file), -1);
	assert_true(has(x, "mask of 6 elements does not fit events of shape [5]"));
}

static void test_drawing(void **state)
{
	fixture *x = *state;
	flow *f = flow_multiscale(x->m, AD_SHAPE(6), coupling(x->m, 6, 0), 1, 2, coupling(x->m, 4, 0));
	flow_write_dot(f, AD_SHAPE(6), x->file);
	assert_true(has(x, "digraph flow {"));
	assert_true(has(x, "x -> n1 [label=\"[6]\"]"));
	assert_true(has(x, "n1 -> n2 [label=\"[6]\"]"));
	assert_true(has(x, "-> z [label=\"[6]\"]"));
	assert_true(has(x, "split"));
}

static void test_capabilities(void **state)
{
	flow_mem *m = ((fixture *)*state)->m;
	flow odd = { .kind = "odd", .caps = { FLOW_ITERATIVE, FLOW_ANALYTIC, FLOW_STOCHASTIC, false } };
	flow *f = flow_chain(m, 2, (flow *[]){ flow_actnorm(m), &odd });
	flow_caps c = flow_capabilities(f), v = flow_capabilities(flow_invert(m, f));
	assert_int_equal(c.inverse, FLOW_ITERATIVE);
	assert_int_equal(c.forward, FLOW_ANALYTIC);
	assert_int_equal(c.logdet, FLOW_STOCHASTIC);
	assert_false(c.rebuilds);
	assert_int_equal(v.inverse, FLOW_ANALYTIC);
	assert_int_equal(v.forward, FLOW_ITERATIVE);
	assert_ptr_equal(flow_invert(m, flow_invert(m, f)), f);
}

/* --- Mistakes -------------------------------------------------------------------------------------------------------
 */

typedef struct {
	const char *message;
	flow *(*make)(flow_mem *m);
	int64_t dim;
	flow_dir dir;
} mistake;

#define MISTAKE(id, ...)                                                                                               \
	static flow *id(flow_mem *m)                                                                                   \
	{                                                                                                              \
		return __VA_ARGS__;                                                                                    \
	}
MISTAKE(one_dimension, coupling(m, 1, 0))
MISTAKE(empty_mask, flow_coupling(m, flow_additive(), nn_mlp(4, 1), 3, (int[]){ 1, 1, 1 }, NULL))
MISTAKE(wrong_width, coupling(m, 3, 0))
MISTAKE(free_net, flow_autoregressive(m, flow_additive(), nn_mlp(4, 1), 3, NULL))
MISTAKE(bad_order, flow_autoregressive(m, flow_additive(), nn_made(4, 1), 3, (int[]){ 1, 1, 2 }))
MISTAKE(bad_split, flow_chain(m, 1, (flow *[]){ flow_split(m, 1, 1) }))
MISTAKE(bad_reshape, flow_reshape(m, AD_SHAPE(4), AD_SHAPE(2, 2)))
MISTAKE(bad_cut, flow_multiscale(m, AD_SHAPE(3), flow_actnorm(m), 1, 3, flow_actnorm(m)))
MISTAKE(nested, flow_chain(m, 1, (flow *[]){ flow_chain(m, 1, (flow *[]){ coupling(m, 4, 0) }) }))

static flow *unused_wire(flow_mem *m)
{
	flow_wire x, part[2];
	flow_builder *b = flow_graph_begin(m, 1, &x);
	flow_graph_add(b, flow_split(m, 1, 1), &x, part);
	return flow_graph_end(b, 1, part);
}

static flow *used_twice(flow_mem *m)
{
	flow_wire x, y, z;
	flow_builder *b = flow_graph_begin(m, 1, &x);
	flow_graph_add(b, flow_actnorm(m), &x, &y);
	flow_graph_add(b, flow_actnorm(m), &x, &z);
	return flow_graph_end(b, 1, &z);
}

static const mistake mistakes[] = {
	{ "coupling: needs at least 2 dimensions, one to map and one to look at; got 1", one_dimension, 1,
	  FLOW_FORWARD },
	{ "coupling: all 3 elements of the mask are 1; both values are needed, in \"f\"", empty_mask, 3, FLOW_FORWARD },
	{ "coupling: all 3 elements of the mask are 1; both values are needed, in \"f\"", empty_mask, 3, FLOW_INVERSE },
	{ "coupling: a mask of 3 elements does not fit events of shape [4], in \"f\"", wrong_width, 4, FLOW_FORWARD },
	{ "coupling: a mask of 3 elements does not fit events of shape [4], in \"f\"", wrong_width, 4, FLOW_INVERSE },
	{ "autoregressive: its net (mlp) is not autoregressive", free_net, 3, FLOW_FORWARD },
	{ "autoregressive: order[1] = 1: the order is no permutation of 1..3", bad_order, 3, FLOW_FORWARD },
	{ "chain: split has several inputs or outputs and needs a graph", bad_split, 3, FLOW_FORWARD },
	{ "reshape: cannot reshape events of shape [3]; [4] was declared", bad_reshape, 3, FLOW_FORWARD },
	{ "multiscale: cannot cut axis 1 of events of shape [3] after 3", bad_cut, 3, FLOW_FORWARD },
	{ "chain: a mask of 4 elements does not fit events of shape [3], in \"f\"", nested, 3, FLOW_FORWARD },
	{ "graph: value 2 is not used and is no output", unused_wire, 3, FLOW_FORWARD },
	{ 0 },
};

static void test_mistakes(void **state)
{
	flow_mem *m = ((fixture *)*state)->m;
	for (const mistake *k = mistakes; k->make; k++) {
		ad_tape *t = ad_tape_new(AD_F64);
		nn_store *s = nn_store_new(AD_F64, 0);
		ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, k->dim), "x");
		flow_out r = flow_apply(k->make(m), nn_in(nn_begin(t, s, NN_EVAL), "f"), x, NULL, k->dir);
		assert_non_null(r.x);
		assert_non_null(r.logdet);
		if (!ad_error(t) || !strstr(ad_error(t), k->message))
			fail_msg("\"%s\" was said, not \"%s\"", ad_error(t) ? ad_error(t) : "nothing", k->message);
		ad_tape_free(t);
		nn_store_free(s);
	}
	ad_shape in = AD_SHAPE(3), out;
	char why[160] = "";
	assert_false(flow_shape(used_twice(m), &in, &out, why));
	assert_string_equal(why, "actnorm uses value 0, which is used already");
}

/* --- Models by name -------------------------------------------------------------------------------------------------
 */

static void test_options(void **state)
{
	(void)state;
	flow_model_opt o = { 0 };
	char why[160];
	assert_true(flow_model_set(&o, "layers", "3", why) && o.layers == 3);
	assert_true(flow_model_set(&o, "width", "32", why) && o.width == 32);
	assert_true(flow_model_set(&o, "bound", "2.5", why) && o.bound == 2.5);
	assert_true(flow_model_set(&o, "act", "silu", why) && !strcmp(o.act, "silu"));
	assert_false(flow_model_set(&o, "layers", "3.5", why));
	assert_string_equal(why, "layers: 3.5 is not a whole number from 1 to 1000");
	assert_false(flow_model_set(&o, "width", "x", why));
	assert_false(flow_model_set(&o, "dropout", "nan", why));
	assert_false(flow_model_set(&o, "act", "nope", why));
	assert_string_equal(why, "act: there is no activation named nope");
	assert_false(flow_model_set(&o, "wdth", "3", why));
	assert_non_null(strstr(why, "there is no option wdth; there are layers width depth bins bound dropout act norm"));
	assert_false(flow_model_set(&o, "norm", "layer", why));
	assert_string_equal(why, "norm: layer is none of actnorm batch none");
	for (const flow_model_key *k = flow_model_keys; k->key; k++) {
		char low[32];
		snprintf(low, sizeof low, "%g", k->lo);
		const char *value = k->kind == FLOW_ACT ? "relu" : k->kind == FLOW_WORD ? k->words[0] : low;
		assert_true(flow_model_set(&o, k->key, value, why));
		if (k->kind < FLOW_ACT)
			assert_true(flow_option_number(&o, k) == k->lo);
		else
			assert_string_equal(flow_option_text(&o, k), value);
	}
	assert_true(flow_model_takes("maf", "norm") && flow_model_takes("maf", "width"));
	assert_false(flow_model_takes("maf", "bins") || flow_model_takes("maf", "wid") ||
		     flow_model_takes("no", "act"));
}

static void test_names(void **state)
{
	flow_mem *m = ((fixture *)*state)->m;
	char why[160];
	assert_null(flow_model(m, "glow", 2, (flow_model_opt){ 0 }, why));
	assert_non_null(strstr(why, "there is no model glow; there are independent nice realnvp maf iaf nsf-c nsf-ar"));
	assert_null(flow_model(m, "nice", 1, (flow_model_opt){ 0 }, why));
	assert_string_equal(why, "nice needs data of at least 2 dimensions; these have 1");
	assert_null(flow_model(m, "maf", 2, (flow_model_opt){ .act = "nope" }, why));
	for (const flow_model_row *r = flow_models; r->name; r++)
		assert_non_null(flow_model(m, r->name, r->min_dim, (flow_model_opt){ 0 }, why));
}

/* --- The documentation shows the example as it is -------------------------------------------------------------------
 */

static char *text_of(const char *name)
{
	const char *data = getenv("FLOWTAPE_PARITY_DATA");
	char path[1024], *text = NULL;
	snprintf(path, sizeof path, "%s/../../../%s", data ? data : "tests/parity/data", name);
	FILE *f = fopen(path, "r");
	size_t room = 0;
	if (f && getdelim(&text, &room, 0, f) < 0)
		text[0] = 0;
	if (f)
		fclose(f);
	return text;
}

static void test_documentation(void **state)
{
	(void)state;
	char *example = text_of("tests/example_layer.c"), *page = text_of("docs/adding-a-flow.md");
	if (!example || !page)
		skip();
	assert_non_null(strstr(page, example));
	free(example);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_table_of_branches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drawing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mistakes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test(test_documentation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
