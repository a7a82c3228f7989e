/* layers.c - the layers that a configuration describes: one row of the table each. */
#include "parity.h"

#include "flows/variants.h"

#include <math.h>
#include <string.h>

typedef struct {
	parity *p;
	const json *o; /* of the layer */
	int k;
	flow_mem *mem;
	int64_t dim;
	bool cond; /* set by layers that take the context */
} spec;

typedef struct {
	const char *name;
	int value;
} word;

/* The value named by member key; the table ends with NULL.  No other name is supported. */
static int choice(spec *s, const char *key, const word *w, const char *otherwise)
{
	const char *name = json_string(s->o, key, otherwise);
	for (; name && w->name; w++)
		if (!strcmp(w->name, name))
			return w->value;
	parity_unsupported(s->p, "layer %d: %s \"%s\"", s->k, key, name ? name : "(none)");
}

static int *integers(spec *s, const char *key, int64_t n)
{
	const json *j = parity_member(s->p, s->o, key, JSON_ARRAY);
	if (j->n != n)
		parity_bad(s->p, "config: layer %d: \"%s\" has %d entries instead of %lld", s->k, key, j->n, (long long)n);
	int *v = parity_alloc(s->p, (size_t)n * sizeof *v);
	for (int i = 0; i < j->n; i++) {
		if (j->item[i].type != JSON_NUMBER || fabs(j->item[i].number) > 1e6)
			parity_bad(s->p, "config: layer %d: \"%s\" holds no number at %d", s->k, key, i);
		v[i] = (int)j->item[i].number;
	}
	return v;
}

static const nn_act *activation(parity *p, const json *o, const char *key)
{
	const char *name = json_string(o, key, NULL);
	const nn_act *act = name ? nn_act_named(name) : NULL;
	if (name && !act)
		parity_unsupported(p, "activation \"%s\"", name);
	return act;
}

nn_net conditioner(parity *p, const json *o)
{
	const char *type = parity_member(p, o, "type", JSON_STRING)->string;
	int64_t width = parity_count(p, o, "hidden");
	int depth = (int)parity_count(p, o, "num_blocks");
	nn_net net;
	if (!strcmp(type, "resnet"))
		net = nn_resnet(width, depth);
	else if (!strcmp(type, "made"))
		net = json_true(o, "residual") ? nn_res_made(width, depth) : nn_made(width, depth);
	else
		parity_unsupported(p, "conditioner \"%s\"", type);
	net.act = activation(p, o, "activation");
	net.dropout = 0;
	net.batch_norm_eps = json_number(o, "batch_norm_eps", 0);
	net.batch_norm = net.batch_norm_eps > 0;
	const json *act = json_get(o, "initial_context_activation");
	net.cond_act_off = act && act->type == JSON_BOOL && act->number == 0;
	return net;
}

static void needs_context(spec *s, const json *net)
{
	double n = json_number(net, "context_features", 0);
	s->cond |= n > 0;
}

static nn_net layer_net(spec *s)
{
	const json *o = parity_member(s->p, s->o, "conditioner", JSON_OBJECT);
	nn_net net = conditioner(s->p, o);
	const char *at = parity_text(s->p, "params/layers/%d/conditioner", s->k);
	const array *first = parity_array(s->p, "%s/initial/weight", at);
	if (first->rank != 2 || first->dim[0] != net.width)
		parity_bad(s->p, "config: layer %d: \"hidden\" is %lld, but %s/initial/weight has %lld rows", s->k,
		           (long long)net.width, at, (long long)(first->rank ? first->dim[0] : 0));
	if (net.depth && !parity_has_below(s->p, parity_text(s->p, "%s/blocks/%d/", at, net.depth - 1)))
		parity_bad(s->p, "config: layer %d: \"num_blocks\" is %d, but there is no %s/blocks/%d", s->k, net.depth, at,
		           net.depth - 1);
	needs_context(s, o);
	return net;
}

/* Elements transformed are those of transform_index, or of mask 1. */
static int *mask(spec *s)
{
	if (json_get(s->o, "mask"))
		return integers(s, "mask", s->dim);
	const json *j = parity_member(s->p, s->o, "transform_index", JSON_ARRAY);
	int *at = integers(s, "transform_index", j->n), *m = parity_alloc(s->p, (size_t)s->dim * sizeof *m);
	for (int i = 0; i < j->n; i++) {
		if (at[i] < 0 || at[i] >= s->dim)
			parity_bad(s->p, "config: layer %d: \"transform_index\" holds %d", s->k, at[i]);
		m[at[i]] = 1;
	}
	return m;
}

static flow *inverted_if(spec *s, flow *f)
{
	return json_true(s->o, "inverted") ? flow_invert(s->mem, f) : f;
}

static flow *additive(spec *s)
{
	return flow_coupling(s->mem, flow_additive(), layer_net(s), s->dim, mask(s), NULL);
}

static flow *affine(spec *s)
{
	static const word scales[] = { { "sigmoid_plus2", FLOW_SIGMOID2 }, { "softplus_clamp3", FLOW_SOFTPLUS_CLAMP },
		                       { "softplus", FLOW_SOFTPLUS }, { "exp", FLOW_EXP }, { NULL, 0 } };
	flow_map map = flow_affine((flow_scale)choice(s, "scale_activation", scales, "sigmoid_plus2"),
	                           json_number(s->o, "epsilon", 0));
	map.layout = FLOW_PARAM_FIRST;
	return flow_coupling(s->mem, map, layer_net(s), s->dim, mask(s), NULL);
}

static flow *spline_coupling(spec *s)
{
	flow_map map = spline_map(s->p, s->o), identity = map;
	identity.width_divisor = identity.height_divisor = 0;
	return flow_coupling(s->mem, map, layer_net(s), s->dim, mask(s),
	                     json_true(s->o, "unconditional_identity") ? &identity : NULL);
}

static flow *affine_autoregressive(spec *s)
{
	static const word scales[] = { { "softplus", FLOW_SOFTPLUS }, { "sigmoid_plus2", FLOW_SIGMOID2 },
		                       { "exp", FLOW_EXP }, { NULL, 0 } };
	flow_map map = flow_affine((flow_scale)choice(s, "scale", scales, "softplus"), json_number(s->o, "epsilon", 0));
	map.raw_first = true;
	return inverted_if(s, flow_autoregressive(s->mem, map, layer_net(s), s->dim, NULL));
}

static flow *spline_autoregressive(spec *s)
{
	return inverted_if(s, flow_autoregressive(s->mem, spline_map(s->p, s->o), layer_net(s), s->dim, NULL));
}

static flow *permutation(spec *s)
{
	return flow_permutation(s->mem, s->dim, integers(s, "permutation", s->dim));
}

static flow *linear(spec *s, flow_linear_kind kind, const char *count)
{
	return flow_linear_with(s->mem, kind, s->dim, count ? (int)parity_count(s->p, s->o, count) : 0,
	                        json_number(s->o, "eps", 1e-3));
}

static flow *lu(spec *s) { return linear(s, FLOW_LU, NULL); }
static flow *qr(spec *s) { return linear(s, FLOW_QR, "num_householder"); }
static flow *svd(spec *s) { return linear(s, FLOW_SVD, "num_householder"); }
static flow *dense(spec *s) { return linear(s, FLOW_DENSE, NULL); }
static flow *householder(spec *s) { return linear(s, FLOW_HOUSEHOLDER, "num"); }
static flow *plu(spec *s) { return linear(s, FLOW_PLU, NULL); }

static flow *actnorm(spec *s)
{
	static const word forms[] = { { "scale*x+shift", FLOW_ACTNORM_WHITEN },
		                      { "(x+bias)*exp(log_scale)", FLOW_ACTNORM_RESIDUAL }, { NULL, 0 } };
	return flow_actnorm_with(s->mem, (flow_actnorm_start)choice(s, "form", forms, "scale*x+shift"));
}

static flow *batch_norm_eval(spec *s)
{
	return flow_batch_norm_softplus(s->mem, json_number(s->o, "eps", 1e-5), 0);
}

/* running_var of this layer already includes eps. */
static flow *batch_norm_exp(spec *s) { return flow_batch_norm(s->mem, 0, 0); }

static flow *leaky(spec *s)
{
	return flow_pointwise(s->mem, FLOW_LEAKY_RELU, parity_member(s->p, s->o, "slope", JSON_NUMBER)->number, 0);
}
static flow *log_tanh(spec *s)
{
	return flow_pointwise(s->mem, FLOW_LOG_TANH, parity_member(s->p, s->o, "cut_point", JSON_NUMBER)->number, 0);
}
static flow *temperature(spec *s, flow_pointwise_kind kind)
{
	return flow_pointwise(s->mem, kind, json_number(s->o, "temperature", 1), json_number(s->o, "eps", 0));
}
static flow *sigmoid(spec *s) { return temperature(s, FLOW_SIGMOID); }
static flow *logit(spec *s) { return temperature(s, FLOW_LOGIT); }
static flow *tangent(spec *s) { return flow_pointwise(s->mem, FLOW_TANH, 0, 0); }
static flow *exponential(spec *s) { return flow_pointwise(s->mem, FLOW_EXPONENTIAL, 0, 0); }
static flow *softclip(spec *s)
{
	return flow_pointwise(s->mem, FLOW_SOFTCLIP, parity_member(s->p, s->o, "bound", JSON_NUMBER)->number, 0);
}

/* Widths of the hidden layers of linears <prefix>/linear_0, linear_1, .., from their biases. */
static int64_t *hidden_widths(spec *s, const char *prefix, const char *array_name, int linears)
{
	int64_t *w = parity_alloc(s->p, (size_t)linears * sizeof *w);
	for (int i = 0; i < linears - 1; i++)
		w[i] = parity_array(s->p, "params/layers/%d/%slinear_%d/%s", s->k, prefix, i, array_name)->dim[0];
	return w;
}

static flow *gated(spec *s)
{
	static const word realify[] = { { "sigmoid", 1 }, { "softplus", 0 }, { NULL, 0 } };
	const json *made = parity_member(s->p, s->o, "made", JSON_OBJECT);
	int linears = (int)parity_count(s->p, made, "num_linear");
	needs_context(s, made);
	if (linears < 1 || strcmp(json_string(made, "activation", "elu"), "elu"))
		parity_unsupported(s->p, "layer %d: a net of %d linears with \"%s\"", s->k, linears,
		                   json_string(made, "activation", "elu"));
	return flow_gated_autoregressive(s->mem, s->dim, choice(s, "realify", realify, "sigmoid"), linears - 1,
	                                 hidden_widths(s, "made/", "direction", linears), json_number(s->o, "delta", 0));
}

static flow *context_affine(spec *s)
{
	s->cond = true;
	return flow_context_affine(s->mem, s->dim, json_number(s->o, "delta", 0));
}

static flow_maf_exp_opt maf_options(spec *s, const char *first)
{
	flow_maf_exp_opt o = { .split = json_true(s->o, "split"), .tanh_log_scale = json_true(s->o, "tanh_log_scale") };
	o.hidden = parity_array(s->p, "params/layers/%d/%slinear_0/weight", s->k, first)->dim[0];
	o.shift_act = activation(s->p, s->o, json_get(s->o, "shift_activation") ? "shift_activation" : "activation");
	o.log_scale_act = activation(s->p, s->o, "log_scale_activation");
	s->cond |= parity_find(s->p, "inputs/context") != NULL;
	return o;
}

static flow *maf_exp(spec *s)
{
	return flow_maf_exp(s->mem, s->dim, maf_options(s, json_true(s->o, "split") ? "shift/" : ""));
}

static flow *masked_coupling_exp(spec *s)
{
	return flow_masked_coupling_exp(s->mem, s->dim, integers(s, "mask", s->dim), maf_options(s, "shift/"));
}

static flow *freia(spec *s, flow_freia_kind kind, const char *net)
{
	static const word clamps[] = { { "ATAN", FLOW_CLAMP_ATAN }, { "TANH", FLOW_CLAMP_TANH },
		                       { "SIGMOID", FLOW_CLAMP_SIGMOID }, { "none", FLOW_CLAMP_ATAN }, { NULL, 0 } };
	int64_t hidden = parity_array(s->p, "params/layers/%d/%s/linear_0/weight", s->k, net)->dim[0];
	int *split = integers(s, "split", 2);
	return flow_freia(s->mem, kind, s->dim, split[0], hidden, json_number(s->o, "clamp", 0),
	                  (flow_freia_clamp)choice(s, "clamp_activation", clamps, "ATAN"));
}

static flow *freia_nice(spec *s) { return freia(s, FLOW_FREIA_NICE, "f"); }
static flow *freia_rnvp(spec *s) { return freia(s, FLOW_FREIA_RNVP, "subnet_s1"); }
static flow *freia_glow(spec *s) { return freia(s, FLOW_FREIA_GLOW, "subnet1"); }
static flow *freia_gin(spec *s) { return freia(s, FLOW_FREIA_GIN, "subnet1"); }
static flow *freia_one_sided(spec *s) { return freia(s, FLOW_FREIA_ONE_SIDED, "subnet"); }

static flow_map zuko_map(spec *s)
{
	enum { AFFINE, SPLINE };
	static const word maps[] = { { "affine_zuko", AFFINE }, { "rqs_zuko", SPLINE }, { NULL, 0 } };
	double slope = json_number(s->o, "slope", 0);
	if (choice(s, "univariate", maps, NULL) == AFFINE)
		return flow_affine_zuko(slope);
	const json *shapes = parity_member(s->p, s->o, "shapes", JSON_ARRAY);
	const json *widths = shapes->n ? &shapes->item[0] : NULL;
	if (!widths || widths->type != JSON_ARRAY || widths->n != 1 || widths->item[0].type != JSON_NUMBER)
		parity_bad(s->p, "config: layer %d: \"shapes\" does not give the number of bins", s->k);
	return flow_rqs_zuko((int)widths->item[0].number, json_number(s->o, "bound", 5), slope);
}

static int zuko_linears(spec *s)
{
	int n = (int)parity_count(s->p, s->o, "num_linear");
	if (n < 1 || strcmp(json_string(s->o, "activation", "relu"), "relu"))
		parity_unsupported(s->p, "layer %d: a net of %d linears with \"%s\"", s->k, n,
		                   json_string(s->o, "activation", "relu"));
	return n;
}

static flow *hyper_autoregressive(spec *s)
{
	int n = zuko_linears(s);
	if (json_number(s->o, "passes", (double)s->dim) != (double)s->dim)
		parity_unsupported(s->p, "layer %d: fewer passes than dimensions", s->k);
	return flow_hyper_autoregressive(s->mem, zuko_map(s), s->dim, integers(s, "order", s->dim), n - 1,
	                                 hidden_widths(s, "hyper/", "bias", n));
}

static flow *hyper_coupling(spec *s)
{
	int n = zuko_linears(s);
	return flow_hyper_coupling(s->mem, zuko_map(s), s->dim, integers(s, "mask", s->dim), n - 1,
	                           hidden_widths(s, "hyper/", "bias", n));
}

static const struct {
	const char *type;
	flow *(*make)(spec *s);
} types[] = {
	{ "additive_coupling", additive },
	{ "affine_coupling", affine },
	{ "spline_coupling", spline_coupling },
	{ "masked_affine_autoregressive", affine_autoregressive },
	{ "spline_autoregressive", spline_autoregressive },
	{ "permutation", permutation },
	{ "lu_linear", lu },
	{ "qr_linear", qr },
	{ "svd_linear", svd },
	{ "dense_linear", dense },
	{ "householder", householder },
	{ "plu_matrix", plu },
	{ "actnorm", actnorm },
	{ "batch_norm_eval", batch_norm_eval },
	{ "batch_norm_exp", batch_norm_exp },
	{ "leaky_relu", leaky },
	{ "log_tanh", log_tanh },
	{ "sigmoid", sigmoid },
	{ "logit", logit },
	{ "tanh", tangent },
	{ "exp", exponential },
	{ "softclip", softclip },
	{ "gated_autoregressive", gated },
	{ "context_affine", context_affine },
	{ "maf_exp", maf_exp },
	{ "masked_coupling_exp", masked_coupling_exp },
	{ "freia_nice", freia_nice },
	{ "freia_rnvp", freia_rnvp },
	{ "freia_glow", freia_glow },
	{ "freia_gin", freia_gin },
	{ "freia_affine_one_sided", freia_one_sided },
	{ "hyper_autoregressive", hyper_autoregressive },
	{ "hyper_coupling", hyper_coupling },
};

static flow *make(spec *s)
{
	const char *type = parity_member(s->p, s->o, "type", JSON_STRING)->string;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (!strcmp(types[i].type, type))
			return types[i].make(s);
	parity_unsupported(s->p, "layer %d: type \"%s\"", s->k, type);
}

/* A layer without context in a model with one. */
static flow_out apply_alone(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)cond;
	return flow_apply(f->child[0], c, x, NULL, dir);
}

static flow *alone(flow_mem *m, flow *f)
{
	flow a = { .kind = "alone", .apply = apply_alone, .caps = f->caps, .nchild = 1, .child = flow_copy(m, &f, sizeof f) };
	return flow_copy(m, &a, sizeof a);
}

layered layers_build(parity *p)
{
	const json *all = parity_config(p, "layers", JSON_ARRAY);
	layered l = { .mem = parity_mem(p), .store = parity_store(p), .n = all->n };
	const array *x = parity_find(p, "inputs/x"), *first = x ? x : parity_array(p, "inputs/batches");
	if (first->rank != (x ? 2 : 3))
		parity_unsupported(p, "flows on arrays other than vectors");
	int64_t dim = first->dim[first->rank - 1];
	if (dim < 1 || json_number(p->config, "dim", (double)dim) != (double)dim)
		parity_bad(p, "config: \"dim\" is %g, but the data has %lld columns", json_number(p->config, "dim", 0), (long long)dim);
	l.layer = parity_alloc(p, (size_t)l.n * sizeof *l.layer);
	for (int k = 0; k < l.n; k++) {
		spec s = { .p = p, .o = &all->item[k], .k = k, .mem = l.mem, .dim = dim };
		flow *f = make(&s);
		l.layer[k] = flow_named(s.cond ? f : alone(l.mem, f), parity_text(p, "layers/%d", k));
		l.cond |= s.cond;
	}
	l.chain = flow_chain(l.mem, l.n, l.layer);
	l.params = parameters_load(p, l.store, "", "flow/");
	return l;
}
