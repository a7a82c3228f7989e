/* kind_tarflow.c - a transformer autoregressive flow over the patches of images. */
#include "parity.h"

#include "flows/tarflow.h"

#include <string.h>

typedef struct {
	int64_t side[3], patch, tokens, channels; /* [C, H, W]; numbers of a patch */
	int blocks, classes;
	flow **block;
	flow *chain;
	nn_store *store;
	parameters params;
} tarflow;

static tarflow build(parity *p)
{
	tarflow t = { .patch = parity_count(p, p->config, "patch"), .blocks = (int)parity_count(p, p->config, "blocks"),
		      .store = parity_store(p) };
	const json *shape = parity_config(p, "input_shape", JSON_ARRAY), *flip = parity_config(p, "flip", JSON_ARRAY);
	t.classes = (int)parity_count(p, p->config, "num_classes");
	const array *x = parity_array(p, "inputs/x");
	for (int i = 0; i < 3; i++) {
		t.side[i] = shape->n == 3 && shape->item[i].type == JSON_NUMBER ? (int64_t)shape->item[i].number : 0;
		if (x->rank != 4 || x->dim[i + 1] != t.side[i] || t.patch < 1 || (i && t.side[i] % t.patch))
			parity_bad(p, "config: \"input_shape\" and \"patch\" do not fit inputs/x");
	}
	if (flip->n != t.blocks)
		parity_bad(p, "config: \"flip\" has %d entries for %d blocks", flip->n, t.blocks);
	t.tokens = t.side[1] / t.patch * (t.side[2] / t.patch);
	t.channels = t.side[0] * t.patch * t.patch;
	t.block = parity_alloc(p, (size_t)(t.blocks + 1) * sizeof *t.block);
	for (int i = 0; i < t.blocks; i++) {
		flow_tarflow_opt o = {
			.tokens = t.tokens,
			.channels = t.channels,
			.width = parity_count(p, p->config, "channels"),
			.head_dim = parity_count(p, p->config, "head_dim"),
			.expansion = parity_count(p, p->config, "expansion"),
			.layers = (int)parity_count(p, p->config, "layers_per_block"),
			.classes = t.classes,
			.flip = flip->item[i].type == JSON_BOOL && flip->item[i].number != 0,
			.eps = json_number(p->config, "layernorm_eps", 1e-5),
		};
		t.block[i] = flow_named(flow_tarflow_block(parity_mem(p), o), parity_text(p, "blocks/%d", i));
	}
	t.chain = flow_chain(parity_mem(p), t.blocks, t.block);
	t.params = parameters_load(p, t.store, "", "flow/");
	return t;
}

/* [B, C, H, W] to [B, T, C P P] */
static ad_var patches(const tarflow *t, ad_var x)
{
	int64_t P = t->patch;
	x = ad_reshape(x, AD_SHAPE(AD_BATCH, t->side[0], t->side[1] / P, P, t->side[2] / P, P));
	x = ad_permute(x, (const int[]){ 0, 2, 4, 1, 3, 5 });
	return ad_reshape(x, AD_SHAPE(AD_BATCH, t->tokens, t->channels));
}

static ad_var image(const tarflow *t, ad_var x)
{
	int64_t P = t->patch;
	x = ad_reshape(x, AD_SHAPE(AD_BATCH, t->side[1] / P, t->side[2] / P, t->side[0], P, P));
	x = ad_permute(x, (const int[]){ 0, 3, 1, 4, 2, 5 });
	return ad_reshape(x, AD_SHAPE(AD_BATCH, t->side[0], t->side[1], t->side[2]));
}

/* Log-determinants of the file are means over the elements. */
static ad_var per_element(const tarflow *t, ad_var logdet)
{
	return ad_scale(logdet, 1 / (double)(t->tokens * t->channels));
}

/* The class of every sample, [B, classes], one of them 1; NULL: there are none. */
static ad_var classes(model *m, const tarflow *t)
{
	static const char *const names[] = { "class", "classes", "y", "label", "labels" };
	parity *p = m->p;
	const array *a = NULL;
	if (!t->classes)
		return NULL;
	for (int i = 0; !a && i < 5; i++)
		a = parity_find(p, "inputs/%s", names[i]);
	if (!a || a->rank != 1)
		parity_unsupported(p, "classes that are not in inputs/class, one for each sample");
	array *hot = parity_alloc(p, sizeof *hot);
	double *v = parity_alloc(p, (size_t)(a->n * t->classes) * sizeof *v);
	*hot = (array){ .rank = 2, .dim = { a->n, t->classes }, .n = a->n * t->classes, .v = v };
	for (int64_t i = 0; i < a->n; i++) {
		if (!(a->v[i] >= 0 && a->v[i] < t->classes))
			parity_bad(p, "sample %lld is of class %g, of %d", (long long)i, a->v[i], t->classes);
		v[i * t->classes + (int64_t)a->v[i]] = 1;
	}
	return model_input(m, hot, true);
}

static void check_forward(parity *p, const tarflow *t)
{
	model *m = model_new(p, t->store);
	nn c = nn_in(nn_begin(m->t, t->store, NN_EVAL), "flow");
	ad_var x = model_input(m, parity_array(p, "inputs/x"), true), h = patches(t, x), logdet = NULL, cond = classes(m, t);
	model_expect(m, h, p->tolerance, "intermediates/patches");
	for (int i = 0; i < t->blocks; i++) {
		flow_out o = flow_apply(t->block[i], nn_in(c, "blocks/%d", i), h, cond, FLOW_FORWARD);
		h = o.x;
		logdet = flow_add_logdet(logdet, o.logdet);
		model_expect(m, h, p->tolerance, "intermediates/block_%d/z", i);
		model_expect(m, per_element(t, o.logdet), p->tolerance, "intermediates/block_%d/logdet", i);
	}
	logdet = per_element(t, logdet);
	ad_var loss = ad_sub(ad_scale(ad_mean(ad_square(h), AD_ALL), 0.5), ad_mean(logdet, AD_ALL));
	model_expect(m, h, p->tolerance, "outputs/z");
	model_expect(m, logdet, p->tolerance, "outputs/logdet");
	model_expect(m, loss, p->tolerance, "outputs/loss");
	parameters_expect(m, &t->params, loss, "grads/", 1, &x, (const char *const[]){ "x" }, p->tolerance);
	model_run(m);
}

static void check_inverse(parity *p, const tarflow *t)
{
	model *m = model_new(p, t->store);
	nn c = nn_in(nn_begin(m->t, t->store, NN_EVAL), "flow");
	ad_var z = model_input(m, parity_array(p, "inputs/z"), true);
	ad_var var = model_input(m, parity_array(p, "buffers/var"), false);
	flow_out o = flow_apply(t->chain, c, ad_mul(z, ad_sqrt(var)), classes(m, t), FLOW_INVERSE);
	model_expect(m, image(t, o.x), p->tolerance_inverse, "outputs/x_inverse");
	model_run(m);
}

void check_tarflow(parity *p)
{
	tarflow t = build(p);
	check_forward(p, &t);
	if (parity_wants_below(p, "outputs/x_inverse"))
		check_inverse(p, &t);
}
