/* test_flows.c - every flow meets every law: structures x scalar maps, layers and graphs by one table each. */
#include "flow_help.h"

#include "example_layer.c"

/* --- Scalar maps in every structure ---------------------------------------------------------------- */

typedef struct {
	const char *name;
	flow_map map;
	bool bounded; /* an unbounded scale map overflows at 1e30, as it must */
} map_row;

static flow_map laid_out(flow_map map, flow_layout layout, bool raw_first)
{
	map.layout = layout;
	map.raw_first = raw_first;
	return map;
}

static flow_map divided(flow_map map)
{
	map.width_divisor = map.height_divisor = 4;
	return map;
}

static int maps(map_row *r)
{
	int n = 0;
	r[n++] = (map_row){ "additive", flow_additive(), false };
	r[n++] = (map_row){ "exp", flow_affine(FLOW_EXP, 0), true };
	r[n++] = (map_row){ "tanh exp", flow_affine(FLOW_TANH_EXP, 0), false };
	r[n++] = (map_row){ "tanh exp 3, halves", laid_out(flow_affine(FLOW_TANH_EXP, 3), FLOW_PARAM_FIRST, false),
			    false };
	r[n++] = (map_row){ "sigmoid, raw first", laid_out(flow_affine(FLOW_SIGMOID2, 0), FLOW_PARAM_LAST, true),
			    false };
	r[n++] = (map_row){ "softplus", flow_affine(FLOW_SOFTPLUS, 0), false };
	r[n++] = (map_row){ "softplus clamp, halves, raw first",
			    laid_out(flow_affine(FLOW_SOFTPLUS_CLAMP, 0), FLOW_PARAM_FIRST, true), false };
	r[n++] = (map_row){ "softclip", flow_affine(FLOW_SOFTCLIP_EXP, 0), false };
	r[n++] = (map_row){ "linear spline", flow_linear_spline(5, 3), false };
	r[n++] = (map_row){ "linear spline in a box", flow_linear_spline(5, 0), false };
	r[n++] = (map_row){ "quadratic spline", flow_quadratic_spline(5, 3), false };
	r[n++] = (map_row){ "quadratic spline in a box", flow_quadratic_spline(5, 0), false };
	r[n++] = (map_row){ "cubic spline", flow_cubic_spline(5, 3), false };
	r[n++] = (map_row){ "cubic spline in a box", flow_cubic_spline(5, 0), false };
	r[n++] = (map_row){ "rational-quadratic spline", flow_rq_spline(8, 3), false };
	r[n++] = (map_row){ "rational-quadratic spline in a box", flow_rq_spline(4, 0), false };
	r[n++] = (map_row){ "rational-quadratic spline, divided", divided(flow_rq_spline(4, 2)), false };
	return n;
}

typedef struct {
	const char *name;
	flow *(*make)(flow_mem *m, flow_map map);
	int64_t dim, cond;
	bool triangular;
	const int *perm;
	bool one_layout;
} structure;

static flow *elementwise(flow_mem *m, flow_map map)
{
	return flow_elementwise(m, map, 3);
}

static flow *line(flow_mem *m, flow_map map)
{
	return flow_elementwise(m, map, 1);
}

static flow *plane(flow_mem *m, flow_map map)
{
	return flow_coupling(m, map, nn_mlp(12, 1), 2, flow_mask_alternate(m, 2, 0), NULL);
}

static flow *any_mask(flow_mem *m, flow_map map)
{
	return flow_coupling(m, map, nn_resnet(12, 1), 5, (int[]){ 1, 1, 0, 1, 0 }, NULL);
}

static flow *half_identity(flow_mem *m, flow_map map)
{
	flow_map free_map = map;
	free_map.width_divisor = free_map.height_divisor = 0;
	return flow_coupling(m, map, nn_mlp(12, 1), 4, flow_mask_half(m, 4, 1), &free_map);
}

static flow *in_order(flow_mem *m, flow_map map)
{
	return flow_autoregressive(m, map, nn_made(12, 2), 4, NULL);
}

static const int order[] = { 3, 1, 4, 2 }, by_order[] = { 1, 3, 0, 2 };
static flow *any_order(flow_mem *m, flow_map map)
{
	return flow_autoregressive(m, map, nn_res_made(12, 1), 4, order);
}

static flow *one_dimension(flow_mem *m, flow_map map)
{
	return flow_autoregressive(m, map, nn_made(8, 1), 1, NULL);
}

static flow *inverse_order(flow_mem *m, flow_map map)
{
	return flow_invert(m, flow_autoregressive(m, map, nn_made(12, 1), 3, NULL));
}

static const structure structures[] = {
	{ "elementwise", elementwise, 3, 0, true, NULL, false },
	{ "elementwise in 1-D", line, 1, 0, true, NULL, false },
	{ "coupling in 2-D", plane, 2, 0, false, NULL, false },
	{ "coupling with any mask, conditional", any_mask, 5, 2, false, NULL, false },
	{ "coupling of halves with an identity map", half_identity, 4, 0, false, NULL, false },
	{ "autoregressive", in_order, 4, 0, true, NULL, true },
	{ "autoregressive in any order, conditional", any_order, 4, 2, true, by_order, true },
	{ "autoregressive in 1-D, conditional", one_dimension, 1, 1, true, NULL, true },
	{ "inverse autoregressive", inverse_order, 3, 0, true, NULL, true },
	{ 0 },
};

static void test_structures(void **state)
{
	map_row row[32];
	int n = maps(row), broken = 0;
	(void)state;
	for (const structure *s = structures; s->name; s++)
		for (int i = 0; i < n; i++) {
			flow_mem *m = flow_mem_new();
			char name[128];
			/* MADE's outputs come one element after another. */
			flow_map map = row[i].map;
			if (s->one_layout)
				map.layout = FLOW_PARAM_LAST;
			snprintf(name, sizeof name, "%s, %s", s->name, row[i].name);
			broken += check_one(name, s->make(m, map),
					    (flow_check_opt){ .event = AD_SHAPE(s->dim),
							      .cond = s->cond,
							      .seed = 7,
							      .unit = row[i].map.box,
							      .bounded = row[i].bounded,
							      .triangular = s->triangular,
							      .perm = s->perm });
			flow_mem_free(m);
		}
	assert_int_equal(broken, 0);
}

/* --- Layers and graphs
 * ------------------------------------------------------------------------------------------------ */

typedef struct {
	const char *name;
	flow *(*make)(flow_mem *m);
	flow_check_opt o;
} row;

#define FLOW(id, ...)                                                                                                  \
	static flow *id(flow_mem *m)                                                                                   \
	{                                                                                                              \
		return __VA_ARGS__;                                                                                    \
	}

FLOW(actnorm, flow_actnorm(m))
FLOW(batch_norm, flow_batch_norm(m, 1e-5, 0.1))
FLOW(permutation, flow_permutation(m, 4, (int[]){ 2, 0, 3, 1 }))
FLOW(drawn_permutation, flow_permutation(m, 4, NULL))
FLOW(reverse, flow_reverse(m, 4))
FLOW(lu, flow_linear(m, FLOW_LU, 4, 0))
FLOW(qr, flow_linear(m, FLOW_QR, 4, 2))
FLOW(svd, flow_linear(m, FLOW_SVD, 4, 0))
FLOW(dense, flow_linear(m, FLOW_DENSE, 4, 0))
FLOW(householder, flow_linear(m, FLOW_HOUSEHOLDER, 4, 3))
FLOW(plu, flow_linear(m, FLOW_PLU, 4, 0))
FLOW(lu1, flow_linear(m, FLOW_LU, 1, 0))
FLOW(standardise, flow_standardise(m, 2, (double[]){ 1, -3 }, (double[]){ 2, 0.25 }))
FLOW(logit, flow_pointwise(m, FLOW_LOGIT, 0, 1e-6))
FLOW(sigmoid, flow_pointwise(m, FLOW_SIGMOID, 0, 0))
FLOW(tanh_flow, flow_pointwise(m, FLOW_TANH, 0, 0))
FLOW(leaky, flow_pointwise(m, FLOW_LEAKY_RELU, 0.3, 0))
FLOW(exponential, flow_pointwise(m, FLOW_EXPONENTIAL, 0, 0))
FLOW(sinh_arcsinh, flow_sinh_arcsinh(m))

static flow *affine_coupling(flow_mem *m, int64_t dim, int first)
{
	return flow_coupling(m, flow_affine(FLOW_TANH_EXP, 0), nn_mlp(10, 1), dim, flow_mask_alternate(m, dim, first),
			     NULL);
}

FLOW(two, flow_chain(m, 3, (flow *[]){ affine_coupling(m, 3, 0), NULL, affine_coupling(m, 3, 1) }))
FLOW(empty, flow_chain(m, 0, NULL))
FLOW(inverted, flow_invert(m, two(m)))
FLOW(twice, flow_repeat(m, 2, two(m)))
FLOW(split_only, flow_split(m, 1, 1))
FLOW(reshaped, flow_chain(m, 3,
			  (flow *[]){ flow_reshape(m, AD_SHAPE(2, 2), AD_SHAPE(4)), affine_coupling(m, 4, 0),
				      flow_reshape(m, AD_SHAPE(4), AD_SHAPE(2, 2)) }))
FLOW(multiscale,
     flow_multiscale(m, AD_SHAPE(6), affine_coupling(m, 6, 0), 1, 2,
		     flow_multiscale(m, AD_SHAPE(4), affine_coupling(m, 4, 1), 1, 2, affine_coupling(m, 2, 0))))

/* x -> (a, b); a and b through layers of their own; joined the other way round */
static flow *wired(flow_mem *m)
{
	flow_wire x, part[2], both[2], z;
	flow_builder *b = flow_graph_begin(m, 1, &x);
	flow_graph_add(b, flow_split(m, 1, 2), &x, part);
	flow_graph_add(b, affine_coupling(m, 2, 0), &part[0], &both[1]);
	flow_graph_add(b, flow_named(affine_coupling(m, 3, 1), "wide"), &part[1], &both[0]);
	flow_graph_add(b, flow_merge(m, 1, 3), both, &z);
	return flow_graph_end(b, 1, &z);
}

/* A user's own conditioner, on images */
static ad_var convolve(const nn_net *net, nn c, ad_var x, ad_var cond, int64_t out)
{
	(void)cond;
	ad_var h = ad_tanh(nn_conv(nn_in(c, "in"), x, net->width, (nn_conv_opt){ .pad = { 1, 1 } }));
	return nn_conv(nn_in(c, "out"), h, out, (nn_conv_opt){ .pad = { 1, 1 } });
}

static flow *image(flow_mem *m, flow_map map)
{
	nn_net net = { .kind = "conv", .apply = convolve, .width = 4 };
	flow_map free_map = flow_affine(FLOW_TANH_EXP, 0);
	return flow_coupling(m, map, net, 3, (int[]){ 1, 0, 1 }, &free_map);
}

FLOW(image_affine, image(m, flow_affine(FLOW_TANH_EXP, 0)))
FLOW(image_halves, image(m, laid_out(flow_affine(FLOW_TANH_EXP, 0), FLOW_PARAM_FIRST, false)))
FLOW(image_spline, image(m, flow_rq_spline(4, 3)))
FLOW(image_chain,
     flow_multiscale(m, AD_SHAPE(3, 2, 2), flow_chain(m, 2, (flow *[]){ flow_actnorm(m), image_affine(m) }), 1, 1,
		     flow_actnorm(m)))

#define V(...)                                                                                                         \
	{                                                                                                              \
		.event = { 1, { __VA_ARGS__ } }                                                                        \
	}
static const row layers[] = {
	{ "actnorm", actnorm, V(3) },
	{ "batch norm", batch_norm, V(3) },
	{ "permutation", permutation, V(4) },
	{ "drawn permutation", drawn_permutation, V(4) },
	{ "reverse", reverse, V(4) },
	{ "LU", lu, V(4) },
	{ "LU in 1-D", lu1, V(1) },
	{ "QR", qr, V(4) },
	{ "SVD", svd, V(4) },
	{ "dense", dense, V(4) },
	{ "Householder", householder, V(4) },
	{ "PLU", plu, V(4) },
	{ "standardise", standardise, { .event = { 1, { 2 } }, .scale = 3 } },
	{ "logit", logit, { .event = { 1, { 2 } }, .unit = true } },
	{ "sigmoid", sigmoid, { .event = { 1, { 2 } }, .no_quadrature = true } },
	{ "tanh", tanh_flow, { .event = { 1, { 2 } }, .no_quadrature = true } },
	{ "leaky relu", leaky, V(1) },
	{ "exponential", exponential, { .event = { 1, { 2 } }, .no_quadrature = true, .bounded = true } },
	{ "sinh-arcsinh", sinh_arcsinh, V(2) },
	{ "chain", two, V(3) },
	{ "empty chain", empty, V(2) },
	{ "inverse of a chain", inverted, V(3) },
	{ "repeat", twice, V(3) },
	{ "split", split_only, V(3) },
	{ "reshape", reshaped, { .event = { 2, { 2, 2 } } } },
	{ "multiscale", multiscale, V(6) },
	{ "graph", wired, V(5) },
	{ "images, affine", image_affine, { .event = { 3, { 3, 2, 3 } } } },
	{ "images, halves", image_halves, { .event = { 3, { 3, 2, 3 } } } },
	{ "images, spline", image_spline, { .event = { 3, { 3, 2, 2 } } } },
	{ "images, multiscale", image_chain, { .event = { 3, { 3, 2, 2 } } } },
	{ 0 },
};

static void test_layers(void **state)
{
	int broken = 0;
	(void)state;
	for (const row *r = layers; r->name; r++) {
		flow_mem *m = flow_mem_new();
		broken += check_one(r->name, r->make(m), r->o);
		flow_mem_free(m);
	}
	assert_int_equal(broken, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structures),
		cmocka_unit_test(test_layers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
