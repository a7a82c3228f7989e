/* test_residual.c - residual flows: the laws of a flow, truncation against its bound, inverses to tolerance, refusals.
 */
#include "flow_help.h"

#include "flows/residual.h"
#include "nn_help.h"

static flow *block(flow_mem *m, int64_t dim, const char *act, double coeff, flow_residual_opt o)
{
	return flow_residual(m, flow_lipschitz_mlp(m, 9, 2, act, (nn_induced){ .coeff = coeff }), dim, o);
}

/* A flow's parameters are moved by noise and the bounds follow: the laws hold for any weights. */
static void laws(void **state)
{
	(void)state;
	flow_mem *m = flow_mem_new();
	flow_residual_opt tight = { .tolerance = 1e-13, .eval = FLOW_LOGDET_EXACT };
	nn_net dense = flow_lipschitz_dense(m, 5, 2, "clipswish", (nn_induced){ .coeff = 0.95 });
	const struct {
		const char *name;
		flow *f;
		flow_check_opt o;
	} all[] = {
		{ "lipswish 1", block(m, 1, "lipswish", 0.9, tight), { .event = AD_SHAPE(1), .bounded = true } },
		{ "lipswish 2", block(m, 2, "lipswish", 0.97, tight), { .event = AD_SHAPE(2), .bounded = true } },
		{ "elu 3", block(m, 3, "elu", 0.7, tight), { .event = AD_SHAPE(3), .bounded = true, .samples = 6 } },
		{ "tanh 4 conditional",
		  block(m, 4, "tanh", 0.8, tight),
		  { .event = AD_SHAPE(4), .cond = 2, .samples = 6 } },
		{ "dense 2", flow_residual(m, dense, 2, tight), { .event = AD_SHAPE(2), .bounded = true } },
		{ "dense 5",
		  flow_residual(m, dense, 5, tight),
		  { .event = AD_SHAPE(5), .samples = 4, .bounded = true } },
		{ "chain",
		  flow_chain(m, 3,
			     (flow *[]){ block(m, 2, "softplus", 0.9, tight), flow_actnorm(m),
					 flow_residual(m, dense, 2, tight) }),
		  { .event = AD_SHAPE(2), .samples = 6, .no_quadrature = true, .bounded = true } },
	};
	int broken = 0;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		broken += check_one(all[i].name, all[i].f, all[i].o);
	flow_mem_free(m);
	assert_int_equal(broken, 0);
}

enum { ROWS = 24 };

typedef struct {
	nn_store *s;
	ad_tape *t;
	nn c;
	ad_var x;
} sheet;

static sheet sheet_new(ad_dtype d, int64_t dim)
{
	sheet k = { .s = nn_store_new(d, 5), .t = ad_tape_new(d) };
	k.c = nn_begin(k.t, k.s, NN_EVAL);
	k.x = ad_input(k.t, d, AD_SHAPE(AD_BATCH, dim), "x");
	return k;
}

static void sheet_free(sheet *k)
{
	ad_tape_free(k->t);
	nn_store_free(k->s);
}

/* A series cut after n terms misses no more than the bound; the bound is not idle. */
static void truncation(void **state)
{
	(void)state;
	enum { D = 3, LAST = 12 };
	flow_mem *m = flow_mem_new();
	double x[ROWS * D], exact[ROWS], cut[ROWS], missed[LAST + 1];
	normals(3, ROWS * D, x);
	/* A linear map of norm L in every direction: the worst case but for the sign. */
	static const nn_lip_module one = { .kind = NN_LIP_LINEAR,
					   .linear = { .coeff = 0.6, .weight = { NN_ORTHOGONAL, -1 } } };
	for (int n = 0; n <= LAST; n++) {
		flow_residual_opt o = { .eval = n ? FLOW_LOGDET_TRACES : FLOW_LOGDET_EXACT, .eval_terms = n };
		flow *f = flow_residual(m, nn_lipschitz(1, &one), D, o);
		sheet k = sheet_new(AD_F64, D);
		evaluate(k.s, k.t, k.x, x, ROWS, flow_apply(f, k.c, k.x, NULL, FLOW_FORWARD).logdet, n ? cut : exact);
		sheet_free(&k);
		missed[n] = 0;
		for (int i = 0; n && i < ROWS; i++)
			missed[n] = fmax(missed[n], fabs(cut[i] - exact[i]));
		if (n)
			assert_true(missed[n] <= flow_residual_bias(0.6, D, n));
	}
	assert_true(missed[1] > 1e-2 && missed[LAST] < 1e-3);
	flow_mem_free(m);
	assert_close(flow_residual_bias(0.5, 2, 1), 2 * 0.25 / (2 * 0.5), 1e-15);
}

/* The inverse is within the tolerance that was asked for, in both precisions, for contractions that are slow. */
static void inverse(void **state)
{
	(void)state;
	enum { D = 3 };
	static const struct {
		double tolerance, coeff;
	} of[] = { { 1e-3, 0.98 }, { 1e-6, 0.98 }, { 1e-10, 0.98 }, { 0, 0.98 }, { 1e-6, 0.5 } };
	double x[ROWS * D], back[ROWS * D];
	normals(3, ROWS * D, x);
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		flow_mem *m = flow_mem_new();
		/* One linear: |g| really is its coeff in some direction. */
		flow *f = flow_residual(
			m,
			flow_lipschitz_mlp(m, 9, 0, "lipswish",
					   (nn_induced){ .coeff = of[i].coeff, .weight = { NN_NORMAL, 2 } }),
			D, (flow_residual_opt){ .tolerance = of[i].tolerance });
		assert_int_equal(f->caps.inverse, FLOW_ITERATIVE);
		sheet k = sheet_new(AD_F64, D);
		ad_var z = flow_apply(f, k.c, k.x, NULL, FLOW_FORWARD).x;
		evaluate(k.s, k.t, k.x, x, ROWS, flow_apply(f, k.c, z, NULL, FLOW_INVERSE).x, back);
		double tolerance = of[i].tolerance > 0 ? of[i].tolerance : 1e-11;
		for (int r = 0; r < ROWS; r++) {
			double size = 0, off = 0;
			for (int j = 0; j < D; j++) {
				size = fmax(size, fabs(x[r * D + j]));
				off = fmax(off, fabs(x[r * D + j] - back[r * D + j]));
			}
			if (off > tolerance * (1 + size))
				fail_msg("tolerance %g: an error of %g in a sample of size %g", tolerance, off, size);
		}
		sheet_free(&k);
		flow_mem_free(m);
	}
	/* Single precision, at the default. */
	flow_mem *m = flow_mem_new();
	flow *f = block(m, D, "lipswish", 0.97, (flow_residual_opt){ 0 });
	sheet k = sheet_new(AD_F32, D);
	ad_var z = flow_apply(f, k.c, k.x, NULL, FLOW_FORWARD).x, y = flow_apply(f, k.c, z, NULL, FLOW_INVERSE).x;
	ad_prog *p = ad_compile(k.t, 1, &y, (ad_options){ 0 });
	assert_non_null(p);
	float xf[ROWS * D];
	for (int i = 0; i < ROWS * D; i++)
		xf[i] = (float)x[i];
	nn_bind(k.s, k.t, p);
	ad_set_batch(p, ROWS);
	ad_bind(p, k.x, xf);
	assert_int_equal(ad_run(p, 0), 0);
	for (int i = 0; i < ROWS * D; i++)
		assert_close((double)((const float *)ad_result(p, 0))[i], (double)xf[i], 5e-5);
	ad_prog_free(p);
	sheet_free(&k);
	flow_mem_free(m);
}

static void refusals(void **state)
{
	(void)state;
	flow_mem *m = flow_mem_new();
	nn_net good = flow_lipschitz_mlp(m, 4, 1, "elu", (nn_induced){ 0 });
	nn_net steep = flow_lipschitz_mlp(m, 4, 1, "elu", (nn_induced){ .coeff = 1.2 }), other = nn_mlp(4, 1);
	const struct {
		flow *f;
		const char *says;
	} bad[] = {
		{ flow_residual(m, steep, 2, (flow_residual_opt){ 0 }), "which must be below 1" },
		{ flow_residual(m, other, 2, (flow_residual_opt){ 0 }), "(mlp) has the Lipschitz bound inf" },
		{ flow_residual(m, good, 0, (flow_residual_opt){ 0 }), "at least 1 dimension" },
		{ flow_residual(m, good, 2, (flow_residual_opt){ .terms = -1 }), "numbers of terms" },
		{ flow_residual(m, good, 2, (flow_residual_opt){ .rate = 1e-9 }), "geometric tail" },
		{ flow_residual(m, good, 2, (flow_residual_opt){ .tail = FLOW_TAIL_POISSON, .rate = 1e9 }),
		  "Poisson tail" },
		{ flow_residual(m, good, 2, (flow_residual_opt){ .tolerance = -1 }), "tolerance" },
		{ flow_residual(m, good, 3, (flow_residual_opt){ 0 }), "takes vectors of 3 features" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char why[160] = "";
		ad_shape in = AD_SHAPE(2), out;
		assert_false(flow_shape(bad[i].f, &in, &out, why));
		if (!strstr(why, bad[i].says))
			fail_msg("\"%s\" lacks \"%s\"", why, bad[i].says);
	}
	/* A user's contraction of any kind, its constant given. */
	assert_int_equal(flow_residual(m, other, 2, (flow_residual_opt){ .lipschitz = 0.5 })->caps.logdet, FLOW_EXACT);
	assert_int_equal(flow_residual(m, good, 40, (flow_residual_opt){ 0 })->caps.logdet, FLOW_STOCHASTIC);
	flow_mem_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(laws), cmocka_unit_test(truncation),
					    cmocka_unit_test(inverse), cmocka_unit_test(refusals) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
