/* test_flows_lowrank.c - planar, radial, Sylvester, convex potential and TarFlow layers meet the laws, conditional ones too. */
#include "flow_help.h"

#include "flows/lowrank.h"
#include "flows/potential.h"
#include "flows/tarflow.h"
#include "flows/variants.h"

#include <math.h>

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
#define NET nn_mlp(6, 1)

FLOW(planar, flow_planar(m, 2, (flow_planar_opt){ 0 }))
FLOW(planar_line, flow_planar(m, 1, (flow_planar_opt){ 0 }))
FLOW(planar_leaky, flow_planar(m, 3, (flow_planar_opt){ .leaky = true, .slope = 0.2 }))
FLOW(planar_net, flow_planar(m, 3, (flow_planar_opt){ .net = NET }))
FLOW(planar_leaky_net, flow_planar(m, 2, (flow_planar_opt){ .leaky = true, .net = NET }))
FLOW(planar_sampler, flow_invert(m, planar_net(m)))
FLOW(radial, flow_radial(m, 2, (nn_net){ 0 }))
FLOW(radial_line, flow_radial(m, 1, (nn_net){ 0 }))
FLOW(radial_net, flow_radial(m, 3, NET))
FLOW(orthogonal, flow_sylvester(m, FLOW_SYLVESTER_ORTHOGONAL, 4, (flow_sylvester_opt){ .rank = 2 }))
FLOW(orthogonal_full, flow_sylvester(m, FLOW_SYLVESTER_ORTHOGONAL, 2, (flow_sylvester_opt){ 0 }))
FLOW(orthogonal_net, flow_sylvester(m, FLOW_SYLVESTER_ORTHOGONAL, 3, (flow_sylvester_opt){ .rank = 2, .net = NET }))
FLOW(householder, flow_sylvester(m, FLOW_SYLVESTER_HOUSEHOLDER, 3, (flow_sylvester_opt){ .rank = 2, .reflections = 3 }))
FLOW(householder_net, flow_sylvester(m, FLOW_SYLVESTER_HOUSEHOLDER, 3, (flow_sylvester_opt){ .reflections = 2, .net = NET }))
FLOW(triangular, flow_sylvester(m, FLOW_SYLVESTER_TRIANGULAR, 2, (flow_sylvester_opt){ 0 }))
FLOW(triangular_net, flow_sylvester(m, FLOW_SYLVESTER_TRIANGULAR, 3, (flow_sylvester_opt){ .flip = true, .net = NET }))
FLOW(one, flow_sylvester(m, FLOW_SYLVESTER_ORTHOGONAL, 1, (flow_sylvester_opt){ 0 }))
FLOW(block, flow_freia_all_in_one(m, 4, (flow_freia_block_opt){ .split = 2, .hidden = 8 }))
FLOW(block_soft, flow_freia_all_in_one(m, 3, (flow_freia_block_opt){ .split = 1, .hidden = 8, .soft = true, .reverse = true,
								   .scale = FLOW_FREIA_SIGMOID }))
FLOW(block_gin, flow_freia_all_in_one(m, 4, (flow_freia_block_opt){ .split = 1, .hidden = 8, .soft = true, .gin = true,
								  .householder = 2 }))
FLOW(potential, flow_convex_potential(m, 2, (flow_potential_opt){ .width = 8 }))
FLOW(potential_line, flow_convex_potential(m, 1, (flow_potential_opt){ .width = 6, .depth = 1, .centred = true }))
FLOW(potential_gauss, flow_convex_potential(m, 3, (flow_potential_opt){ .width = 6, .depth = 3, .gaussian = true, .even = true }))
FLOW(potential_stochastic, flow_convex_potential(m, 3, (flow_potential_opt){ .width = 6, .probes = 2 }))
FLOW(tar, flow_tarflow_block(m, (flow_tarflow_opt){ .tokens = 3, .channels = 2, .width = 8, .head_dim = 4, .bound = 2 }))
FLOW(tar_flip, flow_tarflow_block(m, (flow_tarflow_opt){ .tokens = 4, .channels = 1, .width = 6, .layers = 2, .flip = true,
							   .bound = 2 }))
FLOW(tar_classes, flow_tarflow_block(m, (flow_tarflow_opt){ .tokens = 2, .channels = 2, .width = 6, .classes = 3, .bound = 2 }))
FLOW(tar_one, flow_tarflow_block(m, (flow_tarflow_opt){ .tokens = 1, .channels = 2, .width = 6, .bound = 2 }))

#define V(n) .event = { 1, { n } }
static const row rows[] = {
	{ "planar", planar, { V(2) } },
	{ "planar in 1-D", planar_line, { V(1) } },
	{ "planar, leaky", planar_leaky, { V(3) } },
	{ "planar, amortised", planar_net, { V(3), .cond = 2 } },
	{ "planar, leaky, amortised", planar_leaky_net, { V(2), .cond = 2 } },
	{ "planar, inverted", planar_sampler, { V(3), .cond = 2 } },
	{ "radial", radial, { V(2) } },
	{ "radial in 1-D", radial_line, { V(1) } },
	{ "radial, amortised", radial_net, { V(3), .cond = 2 } },
	{ "Sylvester, orthogonal", orthogonal, { V(4) } },
	{ "Sylvester, orthogonal, full", orthogonal_full, { V(2) } },
	{ "Sylvester, orthogonal, amortised", orthogonal_net, { V(3), .cond = 2 } },
	{ "Sylvester, Householder", householder, { V(3) } },
	{ "Sylvester, Householder, amortised", householder_net, { V(3), .cond = 2 } },
	{ "Sylvester, triangular", triangular, { V(2) } },
	{ "Sylvester, triangular, amortised", triangular_net, { V(3), .cond = 2 } },
	{ "Sylvester in 1-D", one, { V(1) } },
	{ "all-in-one", block, { V(4) } },
	{ "all-in-one, soft, reversed, conditional", block_soft, { V(3), .cond = 2 } },
	{ "all-in-one, GIN", block_gin, { V(4) } },
	{ "convex potential", potential, { V(2), .samples = 8 } },
	{ "convex potential in 1-D", potential_line, { V(1), .samples = 8, .cond = 1 } },
	{ "convex potential, Gaussian softplus", potential_gauss, { V(3), .samples = 8, .cond = 2 } },
	{ "convex potential, stochastic", potential_stochastic, { V(3), .samples = 8 } },
	{ "TarFlow", tar, { .event = { 2, { 3, 2 } }, .cond = 2 } },
	{ "TarFlow, flipped", tar_flip, { .event = { 2, { 4, 1 } } } },
	{ "TarFlow of classes", tar_classes, { .event = { 2, { 2, 2 } }, .cond = 3 } },
	{ "TarFlow, one token", tar_one, { .event = { 2, { 1, 2 } } } },
	{ 0 },
};

static void test_laws(void **state)
{
	int broken = 0;
	(void)state;
	for (const row *r = rows; r->name; r++) {
		flow_mem *m = flow_mem_new();
		broken += check_one(r->name, r->make(m), r->o);
		flow_mem_free(m);
	}
	assert_int_equal(broken, 0);
}

/* --- Parameters far from the start: still invertible ------------------------------------------------------------ */

static void test_wild(void **state)
{
	static const struct {
		const char *name;
		flow *(*make)(flow_mem *m);
		int64_t dim;
	} wild[] = { { "planar", planar, 2 },
		     { "planar, leaky", planar_leaky, 3 },
		     { "radial", radial, 2 },
		     { "Sylvester", orthogonal, 4 },
		     { "triangular", triangular, 2 },
		     { "potential", potential, 2 } };
	static const char *const law[] = { "BROKEN: inverse", "BROKEN: log-det", "BROKEN: tracing", "BROKEN: values" };
	(void)state;
	int broken = 0;
	for (size_t i = 0; i < sizeof wild / sizeof *wild; i++)
		for (uint64_t seed = 1; seed <= 3; seed++) {
			flow_mem *m = flow_mem_new();
			/* Curvatures of hundreds: the laws of values alone. */
			flow_check_opt o = { .event = AD_SHAPE(wild[i].dim), .perturb = 3, .seed = seed, .scale = 3,
					     .tolerance = 1e-6 };
			char *text = report_of(wild[i].make(m), o, &broken), *line = strtok(text, "\n");
			for (; line; line = strtok(NULL, "\n"))
				for (int k = 0; k < 4; k++)
					if (strstr(line, law[k]))
						fail_msg("%s, seed %d: %s", wild[i].name, (int)seed, line);
			free(text);
			flow_mem_free(m);
		}
}

/* A second derivative of the estimate is refused. */
static void test_second(void **state)
{
	(void)state;
	flow_mem *m = flow_mem_new();
	flow *f = flow_convex_potential(m, 2, (flow_potential_opt){ .width = 4, .probes = 1 });
	nn_store *s = nn_store_new(AD_F64, 3);
	ad_tape *t = ad_tape_new(AD_F64);
	nn c = nn_begin(t, s, NN_TRAIN);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 2), "x");
	ad_var g = ad_grad(flow_apply(f, c, x, NULL, FLOW_FORWARD).logdet, x);
	assert_null(ad_error(t));
	ad_grad(ad_sum(ad_square(g), AD_ALL), x);
	assert_non_null(ad_error(t));
	assert_non_null(strstr(ad_error(t), "second derivative of a stochastic log-determinant"));
	nn_store_free(s);
	ad_tape_free(t);
	flow_mem_free(m);
}

/* --- Mistakes ----------------------------------------------------------------------------------------------------------- */

static void refused(const flow *f, ad_shape event)
{
	ad_shape out;
	char why[160];
	assert_false(flow_shape(f, &event, &out, why));
	assert_true(*why);
}

static void test_mistakes(void **state)
{
	(void)state;
	flow_mem *m = flow_mem_new();
	refused(flow_planar(m, 2, (flow_planar_opt){ .leaky = true, .slope = 1.5 }), AD_SHAPE(2));
	refused(flow_planar(m, 2, (flow_planar_opt){ 0 }), AD_SHAPE(3));
	refused(flow_radial(m, 0, (nn_net){ 0 }), AD_SHAPE(1));
	refused(flow_sylvester(m, FLOW_SYLVESTER_ORTHOGONAL, 2, (flow_sylvester_opt){ .rank = 3 }), AD_SHAPE(2));
	refused(flow_sylvester(m, FLOW_SYLVESTER_TRIANGULAR, 3, (flow_sylvester_opt){ .rank = 2 }), AD_SHAPE(3));
	refused(flow_convex_potential(m, 2, (flow_potential_opt){ .width = 5 }), AD_SHAPE(2));
	refused(flow_tarflow_block(m, (flow_tarflow_opt){ .tokens = 2, .channels = 1, .width = 6, .head_dim = 4 }),
		AD_SHAPE(2, 1));
	refused(tar(m), AD_SHAPE(3, 1));
	flow_mem_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_laws),   cmocka_unit_test(test_wild),
		cmocka_unit_test(test_second), cmocka_unit_test(test_mistakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
