/* kind_nn.c - layers of nets: y = layer(x), and the gradients of <w, y>. */
#include "parity.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
	parity *p;
	const json *o;
	const char *name;
	nn c; /* scope of the case */
	ad_var x;
} layer;

static const array *weight(layer *l)
{
	const array *w = parity_find(l->p, "params/%s/weight", l->name);
	return w ? w : parity_array(l->p, "params/%s/v", l->name);
}

static ad_var linear(layer *l)
{
	nn_linear_opt o = { .weight_norm = json_get(l->o, "weight") != NULL,
			    .no_bias = !parity_find(l->p, "params/%s/bias", l->name) };
	return nn_linear_with(l->c, l->x, weight(l)->dim[0], o);
}

/* A number for every axis, or a list with one each. */
static void extents(parity *p, const json *o, const char *key, int64_t v[2])
{
	const json *j = json_get(o, key);
	for (int i = 0; j && i < 2; i++) {
		const json *at = j->type == JSON_ARRAY ? (i < j->n ? &j->item[i] : NULL) : j;
		if (!at || at->type != JSON_NUMBER || !(at->number >= 0 && at->number < 1e6))
			parity_bad(p, "config: \"%s\" is neither a number nor a list of two", key);
		v[i] = (int64_t)at->number;
	}
}

static ad_var conv(layer *l)
{
	const char *type = json_string(l->o, "type", "");
	const array *w = weight(l);
	nn_conv_opt o = { .weight_norm = json_get(l->o, "weight") != NULL,
			  .transposed = strstr(type, "transpose") != NULL,
			  .no_bias = !parity_find(l->p, "params/%s/bias", l->name) };
	if (strcmp(json_string(l->o, "padding_mode", "zeros"), "zeros"))
		return NULL;
	o.groups = (int64_t)json_number(l->o, "groups", 1);
	o.kernel[0] = w->rank > 2 ? w->dim[2] : 1;
	o.kernel[1] = w->rank > 3 ? w->dim[3] : 1;
	extents(l->p, l->o, "stride", o.stride);
	extents(l->p, l->o, "padding", o.pad);
	extents(l->p, l->o, "dilation", o.dilation);
	return nn_conv(l->c, l->x, o.transposed ? w->dim[1] * o.groups : w->dim[0], o);
}

static ad_var layer_norm(layer *l)
{
	if (json_number(l->o, "axis", -1) != -1)
		return NULL;
	return nn_layer_norm(l->c, l->x, json_number(l->o, "eps", 1e-5));
}
static ad_var group_norm(layer *l)
{
	return nn_group_norm(l->c, l->x, (int)parity_count(l->p, l->o, "groups"), json_number(l->o, "eps", 1e-5));
}
static ad_var batch_norm(layer *l)
{
	return nn_batch_norm(l->c, l->x, json_number(l->o, "eps", 1e-5), json_number(l->o, "momentum", 0.1));
}
static ad_var attention(layer *l)
{
	return nn_attention(l->c, l->x, (int)parity_count(l->p, l->o, "heads"), json_true(l->o, "causal"));
}
static ad_var avg_pool(layer *l)
{
	return nn_avg_pool(l->x, parity_count(l->p, l->o, "kernel"));
}
static ad_var upsample(layer *l)
{
	return nn_upsample(l->x, parity_count(l->p, l->o, "factor"));
}
static ad_var shuffle(layer *l)
{
	return nn_pixel_shuffle(l->x, parity_count(l->p, l->o, "factor"));
}
static ad_var unshuffle(layer *l)
{
	return nn_pixel_unshuffle(l->x, parity_count(l->p, l->o, "factor"));
}

static ad_var activation(layer *l)
{
	const char *name = json_string(l->o, "name", "");
	if (parity_begins(name, "softplus_beta")) {
		double beta = strtod(name + strlen("softplus_beta"), NULL);
		return beta > 0 ? ad_scale(ad_softplus(ad_scale(l->x, beta)), 1 / beta) : NULL;
	}
	const nn_act *act = nn_act_named(name);
	return act ? act->apply(l->x) : NULL;
}

static const struct kind {
	const char *type;
	ad_var (*apply)(layer *l); /* NULL: not known */
} kinds[] = {
	{ "linear", linear },
	{ "conv1d", conv },
	{ "conv2d", conv },
	{ "conv_transpose1d", conv },
	{ "conv_transpose2d", conv },
	{ "layer_norm", layer_norm },
	{ "group_norm", group_norm },
	{ "batch_norm", batch_norm },
	{ "multihead_attention", attention },
	{ "activation", activation },
	{ "avg_pool2d", avg_pool },
	{ "upsample_nearest", upsample },
	{ "pixel_shuffle", shuffle },
	{ "pixel_unshuffle", unshuffle },
};

/* The running statistics after a step in training are recorded among the buffers; they start at 0 and 1. */
static void before_training(parity *p, nn_store *s, const char *name)
{
	static const char *const running[] = { "running_mean", "running_var" };
	for (int i = 0; i < 2; i++) {
		const array *a = parity_find(p, "buffers/%s/%s", name, running[i]);
		double *v = parity_alloc(p, (size_t)(a ? a->n : 0) * sizeof *v);
		for (int64_t k = 0; a && k < a->n; k++)
			v[k] = i;
		if (a)
			nn_set(s, parity_text(p, "%s/%s", name, running[i]), v, a->n);
	}
}

static void expect_updates(model *m)
{
	const char *name[8];
	ad_var v[8];
	int n = nn_updates(m->s, m->t, name, v, 8);
	for (int i = 0; i < n && i < 8; i++)
		model_expect(m, v[i], m->p->tolerance, "buffers/%s", name[i]);
}

static void check_case(parity *p, const char *name, const json *o)
{
	const char *type = json_string(o, "type", ""), *outputs = parity_text(p, "outputs/%s/", name);
	const char *grads = parity_text(p, "grads/%s/", name), *prefix = parity_text(p, "%s/", name);
	if (!parity_wants_below(p, outputs) && !parity_wants_below(p, grads))
		return;
	const struct kind *kind = NULL;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i].type, type))
			kind = &kinds[i];
	bool train = !strcmp(json_string(o, "mode", "eval"), "train");
	nn_store *s = parity_store(p);
	parameters ps = parameters_load(p, s, prefix, prefix);
	if (train)
		before_training(p, s, name);
	model *m = model_new(p, s);
	nn c = nn_in(nn_begin(m->t, s, train ? NN_TRAIN : NN_EVAL), "%s", name);
	layer l = { p, o, name, c, model_input(m, parity_array(p, "inputs/%s/x", name), true) };
	ad_var y = kind ? kind->apply(&l) : NULL;
	if (!y) {
		parity_skip(p, outputs, "no layer \"%s\" %s", type, json_string(o, "name", ""));
		parity_skip(p, grads, "no layer \"%s\" %s", type, json_string(o, "name", ""));
		return;
	}
	model_expect(m, y, p->tolerance, "%sy", outputs);
	ad_var w = model_input(m, parity_array(p, "inputs/%s/w", name), true);
	parameters_expect(m, &ps, ad_sum(ad_mul(y, w), AD_ALL), grads, 1, &l.x, (const char *const[]){ "x" },
			  p->tolerance);
	if (train)
		expect_updates(m);
	model_run(m);
}

void check_nn(parity *p)
{
	const json *cases = parity_config(p, "cases", JSON_OBJECT);
	for (int i = 0; i < cases->n; i++)
		check_case(p, cases->key[i], &cases->item[i]);
}
