/* layers.c - the layers that a configuration describes: one row of the table each. */
#include "layers.h"

#include "continuous.h"

#include "flows/variants.h"

#include <math.h>
#include <string.h>

int choice(spec *s, const char *key, const word *w, const char *otherwise)
{
	const char *name = json_string(s->o, key, otherwise);
	for (; name && w->name; w++)
		if (!strcmp(w->name, name))
			return w->value;
	parity_unsupported(s->p, "layer %d: %s \"%s\"", s->k, key, name ? name : "(none)");
}

int *integers(spec *s, const char *key, int64_t n)
{
	const json *j = parity_member(s->p, s->o, key, JSON_ARRAY);
	if (j->n != n)
		parity_bad(s->p, "config: layer %d: \"%s\" has %d entries instead of %lld", s->k, key, j->n,
			   (long long)n);
	int *v = parity_alloc(s->p, (size_t)n * sizeof *v);
	for (int i = 0; i < j->n; i++) {
		if (j->item[i].type != JSON_NUMBER || fabs(j->item[i].number) > 1e6)
			parity_bad(s->p, "config: layer %d: \"%s\" holds no number at %d", s->k, key, i);
		v[i] = (int)j->item[i].number;
	}
	return v;
}

const nn_act *activation(parity *p, const json *o, const char *key)
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

void needs_context(spec *s, const json *net)
{
	double n = json_number(net, "context_features", 0);
	s->cond |= n > 0;
}

nn_net layer_net(spec *s)
{
	const json *o = parity_member(s->p, s->o, "conditioner", JSON_OBJECT);
	nn_net net = conditioner(s->p, o);
	const char *at = parity_text(s->p, "params/layers/%d/conditioner", s->k);
	const array *first = parity_array(s->p, "%s/initial/weight", at);
	if (first->rank != 2 || first->dim[0] != net.width)
		parity_bad(s->p, "config: layer %d: \"hidden\" is %lld, but %s/initial/weight has %lld rows", s->k,
			   (long long)net.width, at, (long long)(first->rank ? first->dim[0] : 0));
	if (net.depth && !parity_has_below(s->p, parity_text(s->p, "%s/blocks/%d/", at, net.depth - 1)))
		parity_bad(s->p, "config: layer %d: \"num_blocks\" is %d, but there is no %s/blocks/%d", s->k,
			   net.depth, at, net.depth - 1);
	needs_context(s, o);
	return net;
}

/* Are the features of this list, if there is one, those whose mask is value, in order? */
static void check_index(spec *s, const char *key, const int *mask, int value)
{
	const json *j = json_get(s->o, key);
	int *at = j ? integers(s, key, j->n) : NULL, n = 0;
	for (int i = 0; j && i < s->dim; i++)
		if (mask[i] == value && (n == j->n || at[n++] != i))
			parity_unsupported(s->p, "layer %d: \"%s\" is not what is masked, in order", s->k, key);
	if (j && n != j->n)
		parity_unsupported(s->p, "layer %d: \"%s\" is not what is masked, in order", s->k, key);
}

int *layer_mask(spec *s)
{
	int *m;
	if (json_get(s->o, "mask")) {
		m = integers(s, "mask", s->dim);
	} else {
		const json *j = parity_member(s->p, s->o, "transform_index", JSON_ARRAY);
		int *at = integers(s, "transform_index", j->n);
		m = parity_alloc(s->p, (size_t)s->dim * sizeof *m);
		for (int i = 0; i < j->n; i++) {
			if (at[i] < 0 || at[i] >= s->dim)
				parity_bad(s->p, "config: layer %d: \"transform_index\" holds %d", s->k, at[i]);
			m[at[i]] = 1;
		}
	}
	check_index(s, "identity_index", m, 0);
	check_index(s, "transform_index", m, 1);
	return m;
}

static flow *inverted_if(spec *s, flow *f)
{
	return json_true(s->o, "inverted") ? flow_invert(s->mem, f) : f;
}

static flow *additive(spec *s)
{
	return flow_coupling(s->mem, flow_additive(), layer_net(s), s->dim, layer_mask(s), NULL);
}

static flow *affine(spec *s)
{
	static const word scales[] = { { "sigmoid_plus2", FLOW_SIGMOID2 },
				       { "softplus_clamp3", FLOW_SOFTPLUS_CLAMP },
				       { "softplus", FLOW_SOFTPLUS },
				       { "exp", FLOW_EXP },
				       { NULL, 0 } };
	flow_map map = flow_affine((flow_scale)choice(s, "scale_activation", scales, "sigmoid_plus2"),
				   json_number(s->o, "epsilon", 0));
	map.layout = FLOW_PARAM_FIRST;
	return flow_coupling(s->mem, map, layer_net(s), s->dim, layer_mask(s), NULL);
}

static flow *spline_coupling(spec *s)
{
	flow_map map = spline_map(s->p, s->o), identity = map;
	identity.width_divisor = identity.height_divisor = 0;
	return flow_coupling(s->mem, map, layer_net(s), s->dim, layer_mask(s),
			     json_true(s->o, "unconditional_identity") ? &identity : NULL);
}

static flow *affine_autoregressive(spec *s)
{
	static const word scales[] = {
		{ "softplus", FLOW_SOFTPLUS }, { "sigmoid_plus2", FLOW_SIGMOID2 }, { "exp", FLOW_EXP }, { NULL, 0 }
	};
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

static flow *lu(spec *s)
{
	return linear(s, FLOW_LU, NULL);
}
static flow *qr(spec *s)
{
	return linear(s, FLOW_QR, "num_householder");
}
static flow *svd(spec *s)
{
	return linear(s, FLOW_SVD, "num_householder");
}
static flow *dense(spec *s)
{
	return linear(s, FLOW_DENSE, NULL);
}
static flow *householder(spec *s)
{
	return linear(s, FLOW_HOUSEHOLDER, "num");
}
static flow *plu(spec *s)
{
	return linear(s, FLOW_PLU, NULL);
}

static flow *actnorm(spec *s)
{
	static const word forms[] = { { "scale*x+shift", FLOW_ACTNORM_WHITEN },
				      { "(x+bias)*exp(log_scale)", FLOW_ACTNORM_RESIDUAL },
				      { NULL, 0 } };
	return flow_actnorm_with(s->mem, (flow_actnorm_start)choice(s, "form", forms, "scale*x+shift"));
}

static flow *batch_norm_eval(spec *s)
{
	return flow_batch_norm_softplus(s->mem, json_number(s->o, "eps", 1e-5), 0);
}

/* running_var of this layer already includes eps. */
static flow *batch_norm_exp(spec *s)
{
	static const word modes[] = { { "eval", 0 }, { NULL, 0 } };
	choice(s, "mode", modes, "eval");
	return flow_batch_norm(s->mem, 0, 0);
}

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
static flow *sigmoid(spec *s)
{
	return temperature(s, FLOW_SIGMOID);
}
static flow *logit(spec *s)
{
	return temperature(s, FLOW_LOGIT);
}
static flow *tangent(spec *s)
{
	return flow_pointwise(s->mem, FLOW_TANH, 0, 0);
}
static flow *exponential(spec *s)
{
	return flow_pointwise(s->mem, FLOW_EXPONENTIAL, 0, 0);
}
static flow *softclip(spec *s)
{
	return flow_pointwise(s->mem, FLOW_SOFTCLIP, parity_member(s->p, s->o, "bound", JSON_NUMBER)->number, 0);
}

static flow *cnf_block(spec *s)
{
	flow_cnf_opt o = { .end_time = json_number(s->o, "T", 1) };
	o.solver = ode_options(s->p, parity_member(s->p, s->o, "method", JSON_STRING)->string, s->o, false);
	o.solver.control = AD_ODE_BATCH;
	flow_field f = odenet_field(s->p, s->o, parity_text(s->p, "params/layers/%d/", s->k));
	return flow_cnf(s->mem, &f, o);
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
	{ "gated_autoregressive", layer_gated },
	{ "context_affine", layer_context_affine },
	{ "maf_exp", layer_maf_exp },
	{ "masked_coupling_exp", layer_masked_coupling_exp },
	{ "freia_nice", layer_freia_nice },
	{ "freia_rnvp", layer_freia_rnvp },
	{ "freia_glow", layer_freia_glow },
	{ "freia_gin", layer_freia_gin },
	{ "freia_affine_one_sided", layer_freia_one_sided },
	{ "hyper_autoregressive", layer_hyper_autoregressive },
	{ "hyper_coupling", layer_hyper_coupling },
	{ "planar", layer_planar },
	{ "radial", layer_radial },
	{ "sylvester", layer_sylvester },
	{ "triangular_sylvester", layer_triangular_sylvester },
	{ "all_in_one", layer_all_in_one },
	{ "convex_potential", layer_convex_potential },
	{ "sigmoidal_autoregressive", layer_sigmoidal },
	{ "block_autoregressive", layer_block_autoregressive },
	{ "umnn_autoregressive", layer_umnn },
	{ "circular_spline_coupling", layer_circular_coupling },
	{ "gaussianization", layer_gaussianization },
	{ "rotation", layer_rotation },
	{ "cnf_block", cnf_block },
	{ "ires_block", layer_ires },
	{ "idense_block", layer_idense },
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
	flow a = {
		.kind = "alone", .apply = apply_alone, .caps = f->caps, .nchild = 1, .child = flow_copy(m, &f, sizeof f)
	};
	return flow_copy(m, &a, sizeof a);
}

layered layers_build(parity *p)
{
	const json *all = parity_config(p, "layers", JSON_ARRAY);
	layered l = { .mem = parity_mem(p), .store = parity_store(p), .n = all->n };
	const char *base = json_string(p->config, "base", "standard_normal");
	if (!parity_begins(base, "standard_normal"))
		parity_unsupported(p, "base \"%s\"", base);
	const array *x = parity_find(p, "inputs/x"), *first = x ? x : parity_array(p, "inputs/batches");
	if (first->rank != (x ? 2 : 3))
		parity_unsupported(p, "flows on arrays other than vectors");
	int64_t dim = first->dim[first->rank - 1];
	if (dim < 1 || json_number(p->config, "dim", (double)dim) != (double)dim)
		parity_bad(p, "config: \"dim\" is %g, but the data has %lld columns", json_number(p->config, "dim", 0),
			   (long long)dim);
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
