/* test_neural.c - monotone maps in every structure, block autoregressive flows and flows of circles: the laws of flows, and
 * what is special to them. */
#include "flow_help.h"

#include "flows/neural.h"

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
	return flow_umnn(m, (flow_umnn_opt){ .embedding = 2, .width = 8, .depth = 1 });
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structures),
		cmocka_unit_test(test_layers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
