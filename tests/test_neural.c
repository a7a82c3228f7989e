/* test_neural.c - monotone maps in every structure, block autoregressive flows and flows of circles: the laws of flows,
 * and what is special to them. */
#include "flow_help.h"

#include "flows/neural.h"
#include "flows/neural_variants.h"
#include "flows/variants.h"

#include <math.h>

typedef struct {
	const char *name;
	flow_map (*make)(flow_mem *m);
} map_row;

static flow_map dsf(flow_mem *m)
{
	return flow_dsf(m, 5, 1);
}
static flow_map dsf2(flow_mem *m)
{
	return flow_dsf(m, 3, 2);
}
static flow_map ddsf(flow_mem *m)
{
	return flow_ddsf(m, 4, 2);
}
static flow_map ddsf3(flow_mem *m)
{
	return flow_ddsf(m, 3, 3);
}
static flow_map mixture(flow_mem *m)
{
	return flow_logistic_mixture(m, 4);
}
static flow_map gaussianization(flow_mem *m)
{
	return flow_gaussianization(m, 4);
}
static flow_map squares(flow_mem *m)
{
	return flow_sum_of_squares(m, 2, 3, 0);
}
static flow_map bernstein(flow_mem *m)
{
	return flow_bernstein(m, 6, 0);
}
static flow_map umnn(flow_mem *m)
{
	return flow_umnn(m, (flow_umnn_opt){ .embedding = 2, .width = 8, .depth = 1, .nodes = 24 });
}
static flow_map umnn_cc(flow_mem *m)
{
	return flow_umnn(m, (flow_umnn_opt){ .embedding = 3, .width = 6, .rule = FLOW_CLENSHAW_CURTIS, .nodes = 40 });
}
static flow_map circular(flow_mem *m)
{
	return flow_circular_spline(m, 5, 3);
}

static const map_row maps[] = {
	{ "dsf", dsf },
	{ "dsf of 2 layers", dsf2 },
	{ "ddsf", ddsf },
	{ "ddsf of 3 layers", ddsf3 },
	{ "logistic mixture", mixture },
	{ "gaussianization", gaussianization },
	{ "sum of squares", squares },
	{ "bernstein", bernstein },
	{ "umnn", umnn },
	{ "umnn, Clenshaw-Curtis", umnn_cc },
	{ "circular spline", circular },
	{ 0 },
};

typedef struct {
	const char *name;
	flow *(*make)(flow_mem *m, flow_map map);
	int64_t dim, cond;
	bool triangular;
	const int *perm;
} structure;

static flow *line(flow_mem *m, flow_map map)
{
	return flow_elementwise(m, map, 1);
}
static flow *coupling(flow_mem *m, flow_map map)
{
	return flow_coupling(m, map, nn_mlp(8, 1), 3, flow_mask_alternate(m, 3, 1), &map);
}
static const int order[] = { 3, 1, 2 }, by_order[] = { 1, 2, 0 };
static flow *autoregressive(flow_mem *m, flow_map map)
{
	return flow_autoregressive(m, map, nn_made(8, 1), 3, order);
}
static flow *inverse_autoregressive(flow_mem *m, flow_map map)
{
	return flow_invert(m, flow_autoregressive(m, map, nn_made(6, 1), 2, NULL));
}

static flow *plane(flow_mem *m, flow_map map)
{
	nn_net net = nn_mlp(8, 1);
	net.act = nn_act_named("tanh");
	return flow_coupling(m, map, net, 2, flow_mask_alternate(m, 2, 0), &map);
}

static const structure structures[] = {
	{ "elementwise in 1-D", line, 1, 0, true, NULL },
	{ "coupling, conditional", coupling, 3, 2, false, NULL },
	{ "autoregressive in any order, conditional", autoregressive, 3, 2, true, by_order },
	{ "inverse autoregressive", inverse_autoregressive, 2, 0, true, NULL },
	{ 0 },
};

static void test_structures(void **state)
{
	int broken = 0;
	(void)state;
	for (const structure *s = structures; s->name; s++)
		for (const map_row *r = maps; r->name; r++) {
			flow_mem *m = flow_mem_new();
			char name[128];
			snprintf(name, sizeof name, "%s, %s", s->name, r->name);
			broken += check_one(name, s->make(m, r->make(m)),
					    (flow_check_opt){ .event = AD_SHAPE(s->dim),
							      .cond = s->cond,
							      .seed = 3,
							      .samples = 8,
							      .no_quadrature = s->dim > 1,
							      .triangular = s->triangular,
							      .perm = s->perm });
			flow_mem_free(m);
		}
	assert_int_equal(broken, 0);
}

/* Densities of the plane integrate to 1. */
static void test_plane(void **state)
{
	int broken = 0;
	(void)state;
	for (const map_row *r = maps; r->name; r++) {
		if ((r - maps) % 4)
			continue;
		flow_mem *m = flow_mem_new();
		broken += check_one(r->name, plane(m, r->make(m)),
				    (flow_check_opt){ .event = AD_SHAPE(2), .samples = 4 });
		flow_mem_free(m);
	}
	assert_int_equal(broken, 0);
}

/* --- Layers ------------------------------------------------------------------------------------------ */

static flow *bnaf(flow_mem *m)
{
	return flow_block_autoregressive(m, 3, 2, (int64_t[]){ 9, 6 }, FLOW_RESIDUAL_GATED);
}
static flow *bnaf_normal(flow_mem *m)
{
	return flow_block_autoregressive(m, 2, 1, (int64_t[]){ 8 }, FLOW_RESIDUAL_NORMAL);
}
static flow *bnaf_none(flow_mem *m)
{
	return flow_block_autoregressive(m, 2, 2, (int64_t[]){ 8, 8 }, FLOW_RESIDUAL_NONE);
}
static flow *bnaf_line(flow_mem *m)
{
	return flow_block_autoregressive(m, 1, 1, (int64_t[]){ 4 }, FLOW_RESIDUAL_GATED);
}
static flow *bnaf_single(flow_mem *m)
{
	return flow_block_autoregressive(m, 3, 0, NULL, FLOW_RESIDUAL_NORMAL);
}
static flow *hyper_any_order(flow_mem *m)
{
	return flow_hyper_autoregressive(m, flow_bernstein_zuko(m, 4, 5, 1e-6), 3, (const int[]){ 2, 0, 1 }, 1, (int64_t[]){ 8 });
}
static flow *bnaf_inverse(flow_mem *m)
{
	return flow_invert(m, bnaf_normal(m));
}
static flow *turn(flow_mem *m)
{
	return flow_rotate_circle(m, 2, 3);
}
static flow *wrap(flow_mem *m)
{
	return flow_wrap(m, 2, 3);
}
static flow *probit(flow_mem *m)
{
	return flow_probit(m, 2, 3);
}
static flow *circle_coupling(flow_mem *m)
{
	nn_net net = flow_periodic_net(m, nn_mlp(8, 1), 2, (int[]){ 0, 1 }, 3);
	return flow_coupling(m, flow_circular_spline(m, 4, 3), net, 4, flow_mask_half(m, 4, 1), NULL);
}

static const struct {
	const char *name;
	flow *(*make)(flow_mem *m);
	flow_check_opt o;
} layers[] = {
	{ "bnaf", bnaf, { .event = { 1, { 3 } }, .triangular = true } },
	{ "bnaf, normal residual, conditional", bnaf_normal, { .event = { 1, { 2 } }, .cond = 2, .triangular = true } },
	/* bounded: not onto R */
	{ "bnaf without residual", bnaf_none, { .event = { 1, { 2 } }, .triangular = true, .no_quadrature = true } },
	{ "bnaf in 1-D", bnaf_line, { .event = { 1, { 1 } }, .cond = 1 } },
	{ "bnaf of a single linear map", bnaf_single, { .event = { 1, { 3 } }, .triangular = true } },
	{ "Bernstein polynomials in another order", hyper_any_order, { .event = { 1, { 3 } } } },
	{ "inverse of bnaf", bnaf_inverse, { .event = { 1, { 2 } }, .triangular = true } },
	{ "turn", turn, { .event = { 1, { 2 } } } },
	{ "wrap", wrap, { .event = { 1, { 2 } }, .scale = 0.7, .bounded = true, .no_quadrature = true } },
	{ "probit", probit, { .event = { 1, { 2 } }, .scale = 0.7 } },
	{ "circular coupling", circle_coupling, { .event = { 1, { 4 } }, .cond = 1 } },
	{ 0 },
};

static void test_layers(void **state)
{
	int broken = 0;
	(void)state;
	for (size_t i = 0; layers[i].name; i++) {
		flow_mem *m = flow_mem_new();
		broken += check_one(layers[i].name, layers[i].make(m), layers[i].o);
		flow_mem_free(m);
	}
	assert_int_equal(broken, 0);
}

/* The circle's density integrates to 1 over one period, is that of any representative, and meets itself at the cut. */
static void test_circle(void **state)
{
	enum { SIDE = 4000, POINTS = SIDE + 3 };
	static double x[POINTS];
	const double pi = 3.14159265358979323846;
	char why[160];
	flow_mem *m = flow_mem_new();
	flow_density d = { flow_model(m, "ncsf", 1, (flow_model_opt){ .layers = 2, .bins = 4 }, why), flow_normal() };
	nn_store *store = nn_store_new(AD_F64, 5);
	(void)state;
	assert_non_null(d.f);
	for (int i = 0; i < SIDE; i++)
		x[i] = -pi + 2 * pi * (i + 0.5) / SIDE;
	x[SIDE] = x[7] + 6 * pi, x[SIDE + 1] = -pi + 1e-9, x[SIDE + 2] = pi - 1e-9;
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var in = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 1), "x"),
	       p = flow_log_prob(&d, nn_begin(t, store, NN_EVAL), in, NULL);
	ad_prog *prog = ad_compile(t, 1, &p, (ad_options){ .threads = 1 });
	assert_non_null(prog);
	for (int i = 0; i < nn_count(store); i++)
		for (int64_t k = 0; k < nn_at(store, i).numel; k++)
			((double *)nn_at(store, i).value)[k] += 0.4 * ad_noise_normal(1, (uint64_t)i, 0, (uint64_t)k);
	nn_bind(store, t, prog);
	ad_bind(prog, in, x);
	ad_set_batch(prog, POINTS);
	assert_int_equal(ad_run(prog, 0), 0);
	const double *log_p = ad_result(prog, 0);
	double sum = 0, range = 0;
	for (int i = 0; i < SIDE; i++) {
		sum += exp(log_p[i]) * 2 * pi / SIDE;
		range = fmax(range, fabs(log_p[i] - log_p[0]));
	}
	assert_true(fabs(sum - 1) < 1e-4);
	assert_true(range > 0.1);
	assert_true(fabs(log_p[SIDE] - log_p[7]) < 1e-9);
	assert_true(fabs(log_p[SIDE + 1] - log_p[SIDE + 2]) < 1e-6);
	ad_prog_free(prog);
	nn_release(store, t);
	ad_tape_free(t);
	nn_store_free(store);
	flow_mem_free(m);
}

/* --- Mistakes ------------------------------------------------------------------------------------------ */

static void refused(const flow *f, int64_t dim, const char *want)
{
	char *text = NULL, why[160] = "";
	size_t n;
	FILE *out = open_memstream(&text, &n);
	nn_store *store = nn_store_new(AD_F64, 1);
	ad_tape *t = ad_tape_new(AD_F64);
	ad_shape event = AD_SHAPE(dim), z;
	if (flow_shape(f, &event, &z, why)) {
		flow_apply(f, nn_begin(t, store, NN_EVAL), ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, dim), "x"), NULL,
			   FLOW_FORWARD);
		snprintf(why, sizeof why, "%s", ad_error(t) ? ad_error(t) : "accepted");
	}
	if (!strstr(why, want))
		print_error("\"%s\" instead of \"%s\"\n", why, want);
	assert_non_null(strstr(why, want));
	fclose(out);
	free(text);
	ad_tape_free(t);
	nn_store_free(store);
}

static void test_refusals(void **state)
{
	flow_mem *m = flow_mem_new();
	(void)state;
	refused(flow_elementwise(m, flow_dsf(m, -1, 1), 2), 2, "dsf: 1 layers of -1 units");
	refused(flow_elementwise(m, flow_ddsf(m, 3, 100), 2), 2, "ddsf: 100 layers");
	refused(flow_elementwise(m, flow_bernstein(m, 1, 0), 2), 2, "bernstein: degree 1");
	refused(flow_elementwise(m, flow_sum_of_squares(m, 2, 2, -1), 2), 2, "bound -1");
	refused(flow_elementwise(m, flow_umnn(m, (flow_umnn_opt){ .nodes = 1 }), 2), 2, "1 nodes");
	refused(flow_elementwise(m, flow_circular_spline(m, 1, 3), 2), 2, "1 bins");
	refused(flow_block_autoregressive(m, 3, 1, (int64_t[]){ 8 }, FLOW_RESIDUAL_NORMAL), 3,
		"width 8 is no multiple of 3");
	refused(flow_coupling(m, flow_circular_spline(m, 4, 3), flow_periodic_net(m, nn_made(8, 1), 1, NULL, 3), 2,
			      flow_mask_alternate(m, 2, 0), NULL),
		2, "not autoregressive");
	flow_mem_free(m);
}

/* --- As other libraries have them ------------------------------------------------------------------------- */

static const int64_t eight[] = { 8 }, six[] = { 6 };

static flow *hyper(flow_mem *m, flow_map map)
{
	return flow_hyper_autoregressive(m, map, 2, NULL, 1, eight);
}
static flow *torchkit(flow_mem *m)
{
	flow_sigmoidal_opt o = { .units = 4, .steps = 1, .outputs = 6 };
	return flow_sigmoidal_autoregressive(m, 2, o, 1, eight);
}
static flow *torchkit_dense(flow_mem *m)
{
	flow_sigmoidal_opt o = { .dense = true, .units = 3, .steps = 2, .outputs = 6 };
	return flow_sigmoidal_autoregressive(m, 2, o, 1, eight);
}
static flow *umnn_there(flow_mem *m)
{
	flow_umnn_autoregressive_opt o = { .outputs = 3, .steps = 40, .integrand_layers = 1, .integrand_hidden = six };
	return flow_umnn_autoregressive(m, 2, o, 1, eight);
}
static flow *zuko_squares(flow_mem *m)
{
	return hyper(m, flow_sum_of_squares_zuko(m, 2, 2, 10, 0));
}
static flow *zuko_bernstein(flow_mem *m)
{
	return hyper(m, flow_bernstein_zuko(m, 5, 5, 1e-6));
}
static flow *zuko_mlp(flow_mem *m)
{
	return hyper(m, flow_monotonic_mlp_zuko(m, 2, 1, six));
}
static flow *zuko_umnn(flow_mem *m)
{
	return hyper(m, flow_umnn_zuko(m, 2, 32, 1, six));
}
static flow *zuko_gf(flow_mem *m)
{
	return flow_gaussianization_zuko(m, 2, 3);
}
static flow *rotation(flow_mem *m)
{
	return flow_rotation(m, 3);
}
static flow *normflows(flow_mem *m)
{
	nn_net net = flow_periodic_mixed_net(m, nn_mlp(8, 1), 2, 1, (int[]){ 1 }, 1);
	return flow_coupling(m, flow_circular_spline_mixed(m, 4, 3, 2, (int[]){ 0, 1 }), net, 4,
			     flow_mask_half(m, 4, 1), NULL);
}

static const struct {
	const char *name;
	flow *(*make)(flow_mem *m);
	flow_check_opt o;
} variants[] = {
/* They overflow, saturate or lose accuracy far out, as the originals do. */
#define V(dim, ...)                                                                                                    \
	{                                                                                                              \
		.event = { 1, { dim } }, .samples = 8, .bounded = true, .no_quadrature = true, __VA_ARGS__             \
	}
	/* their log-determinants leave out part of delta */
	{ "torchkit", torchkit, V(2, .triangular = true, .cond = 2, .tolerance = 1e-4) },
	{ "torchkit, dense", torchkit_dense, V(2, .triangular = true, .cond = 1, .tolerance = 1e-4) },
	/* a quadrature over kinks */
	{ "UMNN", umnn_there, V(2, .triangular = true, .tolerance = 1e-5) },
	{ "zuko, sum of squares", zuko_squares, V(2, .triangular = true) },
	{ "zuko, Bernstein", zuko_bernstein, V(2, .triangular = true) },
	{ "zuko, monotonic net", zuko_mlp, V(2, .triangular = true) },
	{ "zuko, integrated net", zuko_umnn, V(2, .triangular = true, .tolerance = 1e-5) },
	{ "zuko, Gaussianization", zuko_gf, V(2, .triangular = true, .scale = 0.5) },
	{ "rotation", rotation, { .event = { 1, { 3 } } } },
	{ "normflows, circular", normflows, { .event = { 1, { 4 } }, .no_quadrature = true } },
	{ 0 },
};

static void test_variants(void **state)
{
	int broken = 0;
	(void)state;
	for (size_t i = 0; variants[i].name; i++) {
		flow_mem *m = flow_mem_new();
		broken += check_one(variants[i].name, variants[i].make(m), variants[i].o);
		flow_mem_free(m);
	}
	assert_int_equal(broken, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structures), cmocka_unit_test(test_plane),    cmocka_unit_test(test_layers),
		cmocka_unit_test(test_circle),	   cmocka_unit_test(test_refusals), cmocka_unit_test(test_variants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
