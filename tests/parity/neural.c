/* neural.c - neural autoregressive, universal monotone and circular layers. */
#include "layers.h"

#include "flows/neural.h"
#include "flows/neural_variants.h"

#include <string.h>

static void only(spec *s, const json *o, const char *key, const char *value)
{
	const char *v = json_string(o, key, value);
	if (strcmp(v, value))
		parity_unsupported(s->p, "layer %d: %s \"%s\"", s->k, key, v);
}

static int positive(spec *s, const json *o, const char *key)
{
	int n = (int)parity_count(s->p, o, key);
	if (n < 1)
		parity_bad(s->p, "config: layer %d: \"%s\" is %d", s->k, key, n);
	return n;
}

static const array *layer_array(spec *s, int rank, const char *name)
{
	const array *a = parity_array(s->p, "params/layers/%d/%s", s->k, name);
	if (a->rank != rank)
		parity_bad(s->p, "params/layers/%d/%s has rank %d instead of %d", s->k, name, a->rank, rank);
	return a;
}

flow *layer_sigmoidal(spec *s)
{
	const json *made = parity_member(s->p, s->o, "made", JSON_OBJECT);
	int linears = positive(s, made, "num_linear");
	needs_context(s, made);
	only(s, made, "activation", "elu");
	flow_sigmoidal_opt o = { .dense = json_true(s->o, "dense"),
				 .units = positive(s, s->o, "ds_dim"),
				 .steps = positive(s, s->o, "ds_layers"),
				 .outputs = layer_array(s, 3, "to_params/weight")->dim[1],
				 .delta = json_number(s->o, "delta", 0) };
	return flow_sigmoidal_autoregressive(s->mem, s->dim, o, linears - 1,
					     hidden_widths(s, "made/", "direction", linears));
}

/* Ours are fixed: the file's must be the same. */
static void check_mask(spec *s, int i, const char *name, int64_t out, int64_t in, bool diagonal)
{
	const array *a = parity_array(s->p, "buffers/layers/%d/linear_%d/%s", s->k, i, name);
	if (a->rank != 2 || a->dim[0] != out * s->dim || a->dim[1] != in * s->dim)
		parity_bad(s->p, "layer %d: %s of linear %d does not fit its weight", s->k, name, i);
	for (int64_t r = 0; r < a->dim[0]; r++)
		for (int64_t c = 0; c < a->dim[1]; c++)
			if ((a->v[r * a->dim[1] + c] != 0) != (diagonal ? r / out == c / in : r / out > c / in))
				parity_unsupported(s->p, "layer %d: a %s that is not that of blocks in order", s->k,
						   name);
}

flow *layer_block_autoregressive(spec *s)
{
	static const word residuals[] = { { "gated", FLOW_RESIDUAL_GATED },
					  { "normal", FLOW_RESIDUAL_NORMAL },
					  { "none", FLOW_RESIDUAL_NONE },
					  { NULL, 0 } };
	int linears = positive(s, s->o, "num_linear");
	only(s, s->o, "activation", "tanh");
	int64_t *w = hidden_widths(s, "", "bias", linears), in = 1;
	for (int i = 0; i < linears; i++) {
		int64_t out = i + 1 < linears ? w[i] / s->dim : 1;
		check_mask(s, i, "mask_diag", out, in, true);
		check_mask(s, i, "mask_lower", out, in, false);
		in = out;
	}
	return flow_block_autoregressive(s->mem, s->dim, linears - 1, w,
					 (flow_bnaf_residual)choice(s, "residual", residuals, "none"));
}

flow *layer_umnn(spec *s)
{
	only(s, s->o, "made_activation", "relu");
	only(s, s->o, "integrand_activation", "leaky_relu");
	int made = positive(s, s->o, "num_made"), net = positive(s, s->o, "num_integrand");
	flow_umnn_autoregressive_opt o = { .outputs = positive(s, s->o, "out_made"),
					   .steps = positive(s, s->o, "nb_steps"),
					   .log_eps = json_number(s->o, "log_eps", 0),
					   .integrand_layers = net - 1,
					   .integrand_hidden = hidden_widths(s, "integrand/", "bias", net) };
	s->cond |= json_number(s->o, "context_features", 0) > 0;
	return flow_umnn_autoregressive(s->mem, s->dim, o, made - 1, hidden_widths(s, "made/", "bias", made));
}

static int *listed(spec *s, const char *key, int64_t *n)
{
	const json *j = parity_member(s->p, s->o, key, JSON_ARRAY);
	*n = j->n;
	return integers(s, key, j->n);
}

/* Flags of the features at[], n of them, that are among the circular ones. */
static int *flags(spec *s, const int *at, int64_t n)
{
	int64_t count;
	int *circular = listed(s, "circular", &count), *f = parity_alloc(s->p, (size_t)(n + 1) * sizeof *f);
	for (int64_t i = 0; i < n; i++)
		for (int64_t k = 0; k < count; k++)
			f[i] |= circular[k] == at[i];
	return f;
}

static flow_map circular_map(spec *s, const int *at, int64_t n)
{
	flow_map m = flow_circular_spline_mixed(s->mem, (int)parity_count(s->p, s->o, "bins"),
						parity_member(s->p, s->o, "tail_bound", JSON_NUMBER)->number, n,
						flags(s, at, n));
	m.min_width = spline_floor(s->o, "min_bin_width", m.min_width);
	m.min_height = spline_floor(s->o, "min_bin_height", m.min_height);
	m.min_derivative = spline_floor(s->o, "min_derivative", m.min_derivative);
	return m;
}

flow *layer_circular_coupling(spec *s)
{
	int64_t still, moved, count;
	int *identity = listed(s, "identity_index", &still), *transform = listed(s, "transform_index", &moved);
	int *periodic = listed(s, "periodic_inputs", &count);
	for (int64_t i = 1; i < still || i < moved; i++)
		if ((i < still && identity[i] <= identity[i - 1]) || (i < moved && transform[i] <= transform[i - 1]))
			parity_unsupported(s->p, "layer %d: features out of order", s->k);
	for (int64_t i = 0; i < count; i++)
		if (periodic[i] < 0 || periodic[i] >= still || (i && periodic[i] <= periodic[i - 1]))
			parity_unsupported(s->p, "layer %d: \"periodic_inputs\" out of range or order", s->k);
	flow_map map = circular_map(s, transform, moved), free_map = circular_map(s, identity, still);
	map.width_divisor = json_number(s->o, "width_divisor", 0);
	map.height_divisor = json_number(s->o, "height_divisor", 0);
	nn_net net = layer_net(s);
	if (count)
		net = flow_periodic_mixed_net(s->mem, net, still, count, periodic,
					      json_number(s->o, "periodic_scale", 1));
	const json *free_identity = json_get(s->o, "unconditional_identity");
	bool has = !free_identity || json_true(s->o, "unconditional_identity");
	return flow_coupling(s->mem, map, net, s->dim, layer_mask(s), has ? &free_map : NULL);
}

flow *layer_gaussianization(spec *s)
{
	return flow_gaussianization_zuko(s->mem, s->dim, positive(s, s->o, "components"));
}

flow *layer_rotation(spec *s)
{
	return flow_rotation(s->mem, s->dim);
}

/* Entry k of array i of "shapes" */
static int extent(spec *s, int i, int k)
{
	const json *shapes = parity_member(s->p, s->o, "shapes", JSON_ARRAY);
	const json *of = i < shapes->n ? &shapes->item[i] : NULL;
	if (!of || of->type != JSON_ARRAY || k >= of->n || of->item[k].type != JSON_NUMBER || of->item[k].number < 1)
		parity_bad(s->p, "config: layer %d: \"shapes\" has no positive number %d in entry %d", s->k, k, i);
	return (int)of->item[k].number;
}

static int64_t *own_widths(spec *s, int n)
{
	int64_t *w = parity_alloc(s->p, (size_t)n * sizeof *w);
	for (int i = 0; i < n - 1; i++)
		w[i] = layer_array(s, 3, parity_text(s->p, "network/linear_%d/weight", i))->dim[1];
	return w;
}

flow_map zuko_monotone_map(spec *s)
{
	enum { SQUARES, BERNSTEIN, MLP, UMNN };
	static const word maps[] = { { "sos_shifted", SQUARES },
				     { "bernstein_bounded", BERNSTEIN },
				     { "monotonic_mlp", MLP },
				     { "umnn_zuko", UMNN },
				     { NULL, 0 } };
	int n;
	switch (choice(s, "univariate", maps, NULL)) {
	case SQUARES:
		return flow_sum_of_squares_zuko(s->mem, extent(s, 0, 0), extent(s, 0, 1) - 1,
						json_number(s->o, "bound", 10), json_number(s->o, "slope", 0));
	case BERNSTEIN:
		return flow_bernstein_zuko(s->mem, extent(s, 0, 0), json_number(s->o, "bound", 5),
					   json_number(s->o, "eps", 1e-6));
	case MLP:
		only(s, s->o, "activation_network", "two_way_elu");
		n = positive(s, s->o, "num_network");
		return flow_monotonic_mlp_zuko(s->mem, extent(s, 0, 0), n - 1, own_widths(s, n));
	default:
		only(s, s->o, "activation_network", "elu");
		n = positive(s, s->o, "num_network");
		return flow_umnn_zuko(s->mem, extent(s, 0, 0), (int)json_number(s->o, "quadrature", 32), n - 1,
				      own_widths(s, n));
	}
}
