/* test_layers.c - layers without conditioners, and the variants: every law, starts, drawn permutations, extremes. */
#include "flows/flow.h"
#include "flows/variants.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void lawful(const char *name, flow *f, flow_check_opt o)
{
	if (!o.event.rank)
		o.event = AD_SHAPE(3);
	int broken = flow_check(f, o);
	if (broken)
		fail_msg("%s breaks %d laws", name, broken);
}

static void maps(void **state)
{
	flow_mem *m = flow_mem_new();
	flow_map map[] = { flow_linear_spline(5, 3), flow_quadratic_spline(5, 3), flow_cubic_spline(5, 3),
			   flow_rq_spline(5, 3),     flow_affine_zuko(0),	  flow_rqs_zuko(5, 5, 0) };
	flow_map box[] = { flow_linear_spline(5, 0), flow_quadratic_spline(5, 0), flow_cubic_spline(5, 0),
			   flow_rq_spline(5, 0) };
	(void)state;
	for (size_t i = 0; i < sizeof map / sizeof *map; i++) {
		lawful(map[i].kind, flow_elementwise(m, map[i], 3), (flow_check_opt){ 0 });
		lawful(map[i].kind, flow_coupling(m, map[i], nn_mlp(8, 1), 2, flow_mask_half(m, 2, 0), NULL),
		       (flow_check_opt){ .event = AD_SHAPE(2) });
		lawful(map[i].kind, flow_autoregressive(m, map[i], nn_made(8, 1), 3, NULL),
		       (flow_check_opt){ .triangular = true });
	}
	for (size_t i = 0; i < sizeof box / sizeof *box; i++)
		lawful(box[i].kind, flow_elementwise(m, box[i], 3), (flow_check_opt){ .unit = true });
	flow_mem_free(m);
}

static void plain(void **state)
{
	flow_mem *m = flow_mem_new();
	double mean[] = { 1, 2, 3 }, sd[] = { 0.5, 2, 30 };
	(void)state;
	for (int i = FLOW_LOGIT; i <= FLOW_SOFTCLIP; i++)
		lawful("pointwise", flow_pointwise(m, (flow_pointwise_kind)i, 0, 0),
		       (flow_check_opt){ .unit = i == FLOW_LOGIT,
					 .bounded = i == FLOW_EXPONENTIAL || i == FLOW_LOG_TANH });
	for (int64_t dim = 1; dim <= 3; dim += 2)
		for (int i = FLOW_LU; i <= FLOW_PLU; i++)
			lawful("linear", flow_linear(m, (flow_linear_kind)i, dim, 0),
			       (flow_check_opt){ .event = AD_SHAPE(dim) });
	for (int i = FLOW_ACTNORM_WHITEN; i <= FLOW_ACTNORM_FLOWPP; i++) {
		flow *f = flow_actnorm_with(m, (flow_actnorm_start)i);
		lawful("actnorm", f, (flow_check_opt){ 0 });
		lawful("actnorm of images", f, (flow_check_opt){ .event = AD_SHAPE(2, 2, 2) });
		lawful("inverse actnorm", flow_invert(m, f), (flow_check_opt){ 0 });
	}
	lawful("batch_norm", flow_batch_norm(m, 0, 0), (flow_check_opt){ 0 });
	lawful("batch_norm_softplus", flow_batch_norm_softplus(m, 0, 0), (flow_check_opt){ 0 });
	lawful("permutation", flow_permutation(m, 3, (int[]){ 2, 0, 1 }), (flow_check_opt){ 0 });
	lawful("drawn permutation", flow_permutation(m, 3, NULL), (flow_check_opt){ 0 });
	lawful("permutation of images", flow_permutation(m, 3, NULL), (flow_check_opt){ .event = AD_SHAPE(3, 2, 2) });
	lawful("reverse", flow_reverse(m, 3), (flow_check_opt){ 0 });
	lawful("standardise", flow_standardise(m, 3, mean, sd), (flow_check_opt){ 0 });
	flow_mem_free(m);
}

static void variants(void **state)
{
	flow_mem *m = flow_mem_new();
	const int64_t h[2] = { 10, 8 };
	flow_map map[] = { flow_affine_zuko(0), flow_rqs_zuko(5, 5, 0) };
	(void)state;
	for (int c = 0; c < 3; c += 2) {
		flow_check_opt o = { .cond = c }, t = { .cond = c, .triangular = true }, wild = o;
		lawful("gated", flow_gated_autoregressive(m, 3, true, 1, h, 0), t);
		lawful("gated", flow_gated_autoregressive(m, 3, false, 2, h, 0), t);
		t.perm = (int[]){ 1, 2, 0 };
		for (int k = 0; k < 2; k++) {
			lawful("hyper", flow_hyper_autoregressive(m, map[k], 3, (int[]){ 2, 0, 1 }, 2, h), t);
			lawful("hyper", flow_hyper_coupling(m, map[k], 3, (int[]){ 1, 0, 1 }, 2, h), o);
		}
		for (int k = FLOW_FREIA_NICE; k <= FLOW_FREIA_ONE_SIDED; k++)
			lawful("freia", flow_freia(m, (flow_freia_kind)k, 3, 1, 8, 1.5, (flow_freia_clamp)(k % 3)), o);
		wild.bounded = true; /* exp of an unbounded net */
		lawful("masked_coupling_exp",
		       flow_masked_coupling_exp(m, 3, (int[]){ 1, 0, 1 }, (flow_maf_exp_opt){ .hidden = 9 }), wild);
		wild.triangular = true;
		for (int split = 0; split < 2; split++)
			lawful("maf_exp",
			       flow_maf_exp(m, 3,
					    (flow_maf_exp_opt){ .hidden = 9, .split = split, .tanh_log_scale = split }),
			       wild);
	}
	lawful("context_affine", flow_context_affine(m, 3, 0), (flow_check_opt){ .cond = 2 });
	flow_mem_free(m);
}

/* The flow on n samples x of extent dim, from the store; out: result then log-determinant [n]. */
static void apply(const flow *f, nn_store *s, nn_phase phase, flow_dir dir, int64_t n, int64_t dim, const double *x,
		  double *y, double *logdet)
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var v = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, dim), "x");
	flow_out o = flow_apply(f, nn_in(nn_begin(t, s, phase), "flow"), v, NULL, dir);
	ad_var out[2] = { o.x, ad_add(o.logdet, ad_full(t, AD_SHAPE(AD_BATCH), 0)) };
	ad_prog *p = ad_compile(t, 2, out, (ad_options){ 0 });
	if (!p)
		fail_msg("%s", ad_error(t));
	ad_set_batch(p, n);
	nn_bind(s, t, p);
	ad_bind(p, v, x);
	if (ad_run(p, 0))
		fail_msg("%s", ad_run_error(p));
	memcpy(y, ad_result(p, 0), (size_t)(n * dim) * sizeof *y);
	memcpy(logdet, ad_result(p, 1), (size_t)n * sizeof *logdet);
	ad_prog_free(p);
	ad_tape_free(t);
}

/* Linear layers start at the identity, householder at an orthogonal map. */
static void starts(void **state)
{
	flow_mem *m = flow_mem_new();
	(void)state;
	for (int64_t dim = 1; dim < 7; dim++)
		for (int i = FLOW_LU; i <= FLOW_PLU; i++) {
			nn_store *s = nn_store_new(AD_F64, 3);
			double x[12], y[12], l[2], norm[2] = { 0 };
			for (int j = 0; j < 12; j++)
				x[j] = ad_noise_normal(1, 0, 0, (uint64_t)j);
			apply(flow_linear(m, (flow_linear_kind)i, dim, 0), s, NN_EVAL, FLOW_FORWARD, 2, dim, x, y, l);
			for (int j = 0; j < 2 * dim; j++) {
				norm[0] += x[j] * x[j], norm[1] += y[j] * y[j];
				if (i != FLOW_HOUSEHOLDER && !(fabs(x[j] - y[j]) < 1e-14))
					fail_msg("kind %d, %d features: %g becomes %g", i, (int)dim, x[j], y[j]);
			}
			assert_true(fabs(l[0]) < 1e-14 && fabs(norm[0] - norm[1]) < 1e-12);
			nn_store_free(s);
		}
	flow_mem_free(m);
}

/* The first batch comes out with mean 0 and variance 1 whichever direction sees it; a constant column stays finite. */
static void whitening(void **state)
{
	enum { B = 50, D = 3 };
	static double x[B * D], y[B * D], l[B];
	flow_mem *m = flow_mem_new();
	(void)state;
	for (int i = 0; i < B * D; i++)
		x[i] = i % D == 2 ? 7 : 5 + 3 * ad_noise_normal(1, 0, 0, (uint64_t)i) * (1 + i % D);
	for (int start = 0; start < 4; start++)
		for (int dir = 0; dir < 2; dir++) {
			nn_store *s = nn_store_new(AD_F64, 3);
			apply(flow_actnorm_with(m, (flow_actnorm_start)start), s, NN_INIT, (flow_dir)dir, B, D, x, y,
			      l);
			for (int d = 0; d < D; d++) {
				double mean = 0, var = 0;
				for (int i = 0; i < B; i++)
					mean += y[i * D + d] / B;
				for (int i = 0; i < B; i++)
					var += (y[i * D + d] - mean) * (y[i * D + d] - mean) /
					       (B - (start != FLOW_ACTNORM_FLOWPP));
				if (!(fabs(mean) < 1e-9 && fabs(var - (d < 2)) < 1e-5))
					fail_msg("start %d, direction %d, channel %d: mean %g, variance %g", start, dir,
						 d, mean, var);
			}
			nn_store_free(s);
		}
	flow_mem_free(m);
}

/* A drawn permutation is a permutation, the same for the same store, another for another seed, and undone. */
static void drawn(void **state)
{
	enum { D = 40 };
	double x[D], y[2][D], back[D], l;
	flow_mem *m = flow_mem_new();
	flow *f = flow_permutation(m, D, NULL);
	(void)state;
	for (int i = 0; i < D; i++)
		x[i] = i;
	for (int seed = 0; seed < 2; seed++) {
		nn_store *s = nn_store_new(AD_F64, (uint64_t)seed);
		double kept[D], again[D];
		bool seen[D] = { false };
		apply(f, s, NN_EVAL, FLOW_FORWARD, 1, D, x, y[seed], &l);
		apply(f, s, NN_TRAIN, FLOW_FORWARD, 1, D, x, again, &l);
		apply(f, s, NN_EVAL, FLOW_INVERSE, 1, D, y[seed], back, &l);
		assert_memory_equal(again, y[seed], sizeof again);
		assert_memory_equal(back, x, sizeof x);
		assert_true(nn_get(s, "flow/permutation", kept, D));
		assert_memory_equal(kept, y[seed], sizeof kept);
		for (int i = 0; i < D; i++)
			seen[(int)y[seed][i]] = true;
		for (int i = 0; i < D; i++)
			assert_true(seen[i]);
		nn_store_free(s);
	}
	assert_memory_not_equal(y[0], y[1], sizeof y[0]);
	flow_mem_free(m);
}

/* Log-determinants where the maps themselves have saturated. */
static void saturation(void **state)
{
	const double x[] = { 1e30, -1e30, 400, -400, 1e-300, 0 };
	enum { N = sizeof x / sizeof *x };
	double y[N], l[N];
	flow_mem *m = flow_mem_new();
	nn_store *s = nn_store_new(AD_F64, 0);
	(void)state;
	apply(flow_pointwise(m, FLOW_TANH, 0, 0), s, NN_EVAL, FLOW_FORWARD, N, 1, x, y, l);
	for (int i = 0; i < N; i++)
		assert_true(fabs(l[i] - (fabs(x[i]) > 1 ? 2 * log(2) - 2 * fabs(x[i]) : 0)) <=
			    1e-12 * fmax(1, fabs(x[i])));
	apply(flow_pointwise(m, FLOW_SIGMOID, 0, 0), s, NN_EVAL, FLOW_FORWARD, N, 1, x, y, l);
	for (int i = 0; i < N; i++)
		assert_true(fabs(l[i] + (fabs(x[i]) > 1 ? fabs(x[i]) : 2 * log(2))) <= 1e-12 * fmax(1, fabs(x[i])));
	apply(flow_pointwise(m, FLOW_SOFTCLIP, 2, 0), s, NN_EVAL, FLOW_FORWARD, N, 1, x, y, l);
	for (int i = 0; i < N; i++)
		assert_true(fabs(y[i]) <= 2 && fabs(l[i] + 2 * log1p(fabs(x[i]) / 2)) <= 1e-12 * fmax(1, fabs(l[i])));
	nn_store_free(s);
	flow_mem_free(m);
}

/* Arguments that make no sense are refused where the flow is used, with the reason. */
static void mistakes(void **state)
{
	flow_mem *m = flow_mem_new();
	const struct {
		flow *f;
		const char *says;
	} k[] = {
		{ flow_permutation(m, 3, (int[]){ 0, 0, 2 }), "permutation" },
		{ flow_standardise(m, 3, (double[]){ 0, 0, 0 }, (double[]){ 1, 0, 1 }), "feature 1" },
		{ flow_linear(m, FLOW_LU, 4, 0), "4 features" },
		{ flow_linear(m, (flow_linear_kind)17, 3, 0), "17" },
		{ flow_pointwise(m, FLOW_SIGMOID, -1, 0), "-1" },
		{ flow_batch_norm(m, 1e-5, 2), "momentum 2" },
		{ flow_freia(m, FLOW_FREIA_GLOW, 3, 3, 8, 1, FLOW_CLAMP_ATAN), "3 of 3" },
		{ flow_hyper_coupling(m, flow_affine_zuko(0), 3, (int[]){ 1, 1, 1 }, 0, NULL), "0 of 3" },
		{ flow_context_affine(m, 3, 0), "conditional" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof k / sizeof *k; i++) {
		ad_tape *t = ad_tape_new(AD_F64);
		nn_store *s = nn_store_new(AD_F64, 0);
		ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 3), "x");
		flow_apply(k[i].f, nn_in(nn_begin(t, s, NN_EVAL), "here"), x, NULL, FLOW_FORWARD);
		assert_non_null(ad_error(t));
		if (!strstr(ad_error(t), k[i].says) || !strstr(ad_error(t), "here"))
			fail_msg("\"%s\" does not say \"%s\"", ad_error(t), k[i].says);
		nn_store_free(s);
		ad_tape_free(t);
	}
	flow_mem_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps),	    cmocka_unit_test(plain),	 cmocka_unit_test(variants),
		cmocka_unit_test(starts),   cmocka_unit_test(drawn),	 cmocka_unit_test(saturation),
		cmocka_unit_test(mistakes), cmocka_unit_test(whitening),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
