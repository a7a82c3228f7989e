/* test_residual_estimates.c - random log-determinants: the variance that theory says, the same bits for any threads and tiles,
 * memory that does not know the number of terms.  That they have no bias: test_estimators.c. */
#include "estimators.h"

#include "flows/residual.h"

enum { D = 4, ROWS = 32 };

static nn_net net(flow_mem *m)
{
	return flow_lipschitz_mlp(m, D, 1, "lipswish", (nn_induced){ .coeff = 0.8 });
}

/* Weights near the identity, so that the log-determinant is far from 0 and its noise much smaller. */
static nn_store *store(void)
{
	nn_store *s = nn_store_new(AD_F64, 5);
	for (int k = 0; k < 4; k += 2) {
		char name[32];
		double w[D * D];
		normals((uint64_t)(20 + k), D * D, w);
		for (int i = 0; i < D * D; i++)
			w[i] = 0.15 * w[i] + (i % (D + 1) == 0);
		snprintf(name, sizeof name, "net/%d/weight", k);
		nn_put(s, name, AD_SHAPE(D, D), true, w);
	}
	return s;
}

typedef struct {
	nn_store *s;
	ad_tape *t;
	ad_prog *p;
} estimate;

static void estimate_new(estimate *e, flow *f, const double *x, ad_options o)
{
	e->s = store();
	e->t = ad_tape_new(AD_F64);
	nn c = nn_begin(e->t, e->s, NN_TRAIN);
	ad_var in = ad_input(e->t, AD_F64, AD_SHAPE(AD_BATCH, D), "x");
	ad_var mean = ad_mean(flow_apply(f, c, in, NULL, FLOW_FORWARD).logdet, AD_ALL);
	ad_var by = nn_param(c, "net/2/weight", AD_SHAPE(D, D), (nn_fill){ 0 }), out[2] = { mean };
	ad_vjp(1, &mean, NULL, 1, &by, out + 1);
	if (ad_error(e->t))
		fail_msg("%s", ad_error(e->t));
	e->p = ad_compile(e->t, 2, out, o);
	assert_non_null(e->p);
	nn_bind(e->s, e->t, e->p);
	ad_set_batch(e->p, ROWS);
	ad_bind(e->p, in, x);
	ad_set_seed(e->p, 3);
}

static void estimate_free(estimate *e)
{
	ad_prog_free(e->p);
	ad_tape_free(e->t);
	nn_store_free(e->s);
}

static void run(estimate *e, uint64_t step)
{
	if (ad_run(e->p, step))
		fail_msg("%s", ad_run_error(e->p));
}

/* z = a x in one dimension, probes -1 and 1: the estimate is a function of the number of terms alone, so that its mean
 * and variance are sums over that number's distribution. */
static void variance_of_the_tail(void **state)
{
	(void)state;
	enum { STEPS = 4000, EXACT = 2 };
	static const nn_lip_module one = { .kind = NN_LIP_LINEAR,
					   .out = 1,
					   .linear = { .coeff = 0.3, .no_bias = true, .weight = { NN_CONST, -3 } } };
	const double a = -0.3;
	for (int poisson = 0; poisson < 2; poisson++) {
		double mean = 0, second = 0, series = 0, left = 1, mass, x[1] = { 0.3 };
		static double v[STEPS], squares[STEPS];
		for (int n = 0; n < 200; n++) {
			/* P(N = n), P(N >= n) and the estimate with EXACT + n terms */
			mass = poisson ? exp(n * log(2.0) - 2 - lgamma(n + 1.0)) : n ? pow(0.5, n) : 0;
			left = 0;
			for (int j = n; j < n + 100; j++)
				left += poisson ? exp(j * log(2.0) - 2 - lgamma(j + 1.0)) : j ? pow(0.5, j) : 0;
			for (int k = n ? EXACT + n : 1; k <= EXACT + n; k++)
				series += (k % 2 ? 1 : -1) * pow(a, k) / k / (k <= EXACT ? 1 : left);
			mean += mass * series;
			second += mass * series * series;
			if (n && mass < 1e-15) /* further terms of a Poisson tail would diverge, were they ever drawn */
				break;
		}
		assert_close(mean, log1p(a), 1e-6);
		flow_mem *m = flow_mem_new();
		flow *f =
			flow_residual(m, nn_lipschitz(1, &one), 1,
				      (flow_residual_opt){ .train = FLOW_LOGDET_NEUMANN,
							   .terms = EXACT,
							   .tail = poisson ? FLOW_TAIL_POISSON : FLOW_TAIL_GEOMETRIC });
		nn_store *s = nn_store_new(AD_F64, 1);
		ad_tape *t = ad_tape_new(AD_F64);
		ad_var in = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 1), "x");
		ad_var y = flow_apply(f, nn_begin(t, s, NN_TRAIN), in, NULL, FLOW_FORWARD).logdet;
		ad_prog *p = ad_compile(t, 1, &y, (ad_options){ .threads = 1 });
		assert_non_null(p);
		nn_bind(s, t, p);
		ad_set_batch(p, 1);
		ad_bind(p, in, x);
		for (int k = 0; k < STEPS; k++) {
			assert_int_equal(ad_run(p, (uint64_t)k), 0);
			v[k] = *(const double *)ad_result(p, 0);
			squares[k] = (v[k] - mean) * (v[k] - mean);
		}
		sampled got = mean_of(STEPS, v), spread = mean_of(STEPS, squares);
		double variance = second - mean * mean;
		assert_close(got.mean, mean, 4 * got.error);
		assert_close(spread.mean, variance, 5 * spread.error);
		assert_true(spread.error < 0.2 * variance); /* so a variance wrong by its own size would be seen */
		ad_prog_free(p);
		ad_tape_free(t);
		nn_store_free(s);
		flow_mem_free(m);
	}
}

/* One term of a linear map: e^T A e, whose variance is 2 |S|^2 with normal probes and lacks the diagonal with signs
 * (Hutchinson 1989), S the symmetric part. */
static void variance_of_the_probe(void **state)
{
	(void)state;
	enum { MANY = 20000 };
	static const nn_lip_module one = { .kind = NN_LIP_LINEAR,
					   .linear = { .coeff = 0.9, .weight = { NN_NORMAL, 1 } } };
	double *x = calloc(MANY * D, sizeof *x), *v = malloc(MANY * sizeof *v),
	       *squares = malloc(MANY * sizeof *squares);
	for (int gaussian = 0; gaussian < 2; gaussian++) {
		flow_mem *m = flow_mem_new();
		flow *f = flow_residual(
			m, nn_lipschitz(1, &one), D,
			(flow_residual_opt){
				.train = FLOW_LOGDET_BASIC, .terms = 1, .tail = FLOW_TAIL_NONE, .gaussian = gaussian });
		nn_store *s = nn_store_new(AD_F64, 1);
		ad_tape *t = ad_tape_new(AD_F64);
		ad_var in = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, D), "x");
		nn c = nn_begin(t, s, NN_TRAIN);
		evaluate(s, t, in, x, MANY, flow_apply(f, c, in, NULL, FLOW_FORWARD).logdet, v);
		double w[D * D], trace = 0, variance = 0;
		ad_tape *t2 = ad_tape_new(AD_F64);
		ad_var none = ad_input(t2, AD_F64, AD_SHAPE(AD_BATCH, 1), "none");
		evaluate(s, t2, none, x, 1,
			 nn_induced_weight(nn_in(nn_begin(t2, s, NN_EVAL), "net/0"), D, D, one.linear, NULL), w);
		for (int i = 0; i < D; i++) {
			trace += w[i * D + i];
			for (int j = 0; j < D; j++)
				variance += i == j && !gaussian ? 0 : 0.5 * pow(w[i * D + j] + w[j * D + i], 2);
		}
		for (int i = 0; i < MANY; i++)
			squares[i] = (v[i] - trace) * (v[i] - trace);
		sampled got = mean_of(MANY, v), spread = mean_of(MANY, squares);
		assert_close(got.mean, trace, 4 * got.error);
		assert_close(spread.mean, variance, 4 * spread.error);
		assert_true(spread.error < 0.04 * variance);
		ad_tape_free(t);
		ad_tape_free(t2);
		nn_store_free(s);
		flow_mem_free(m);
	}
	free(x), free(v), free(squares);
}

static void bits_and_memory(void **state)
{
	(void)state;
	static const ad_options way[] = { { .threads = 1 },
					  { .threads = 3, .tile = 16 },
					  { .threads = 2, .tile = 16, .reverse_tiles = true } };
	enum { MORE = 5 };
	double x[ROWS * D], value[MORE];
	normals(3, ROWS * D, x);
	flow_mem *m = flow_mem_new();
	for (size_t i = 0; i < 3; i++) {
		estimate e;
		estimate_new(&e, flow_residual(m, net(m), D, (flow_residual_opt){ .train = FLOW_LOGDET_NEUMANN }), x,
			     way[i]);
		for (int k = 0; k < MORE; k++) {
			run(&e, (uint64_t)k);
			double v = ad_result_scalar(e.p, 0);
			if (i)
				assert_true(v == value[k]);
			value[k] = v;
			assert_true(k == 0 || v != value[k - 1]); /* another draw at each step */
		}
		estimate_free(&e);
	}
	/* 2 terms or 500: the same program but for its coefficients. */
	ad_summary sum[2];
	for (int i = 0; i < 2; i++) {
		estimate e;
		estimate_new(&e,
			     flow_residual(m, net(m), D,
					   (flow_residual_opt){ .train = FLOW_LOGDET_NEUMANN, .terms = i ? 500 : 2 }),
			     x, way[0]);
		sum[i] = ad_prog_summary(e.p);
		run(&e, 0);
		assert_true(isfinite(ad_result_scalar(e.p, 0)));
		estimate_free(&e);
	}
	assert_int_equal(sum[0].tile_arena, sum[1].tile_arena);
	assert_int_equal(sum[0].nodes, sum[1].nodes);
	assert_int_equal(sum[0].invariant_bytes, sum[1].invariant_bytes);
	flow_mem_free(m);
}

/* A block's inner variables are computed again in the derivative: what a block more keeps is far less than what it
 * computes. */
static size_t arena(int blocks, flow_logdet_estimator kind)
{
	flow_mem *m = flow_mem_new();
	flow *f[16];
	for (int i = 0; i < blocks; i++)
		f[i] = flow_residual(m, flow_lipschitz_mlp(m, 64, 2, "lipswish", (nn_induced){ 0 }), D,
				     (flow_residual_opt){ .train = kind });
	nn_store *s = nn_store_new(AD_F32, 1);
	ad_tape *t = ad_tape_new(AD_F32);
	ad_var in = ad_input(t, AD_F32, AD_SHAPE(AD_BATCH, D), "x");
	flow_density d = { flow_chain(m, blocks, f), flow_normal() };
	ad_var g = ad_grad(flow_nll(&d, nn_begin(t, s, NN_TRAIN), in, NULL), in);
	ad_prog *p = ad_compile(t, 1, &g, (ad_options){ .threads = 1, .tile = 16 });
	if (!p)
		fail_msg("%s", ad_error(t));
	size_t bytes = ad_prog_summary(p).tile_arena;
	ad_prog_free(p);
	ad_tape_free(t);
	nn_store_free(s);
	flow_mem_free(m);
	return bytes;
}

static void depth(void **state)
{
	(void)state;
	size_t more = arena(12, FLOW_LOGDET_NEUMANN) - arena(2, FLOW_LOGDET_NEUMANN);
	size_t kept = arena(12, FLOW_LOGDET_EXACT) - arena(2, FLOW_LOGDET_EXACT);
	assert_true(more < 10 * 16 * 4 * 64);  /* less than one hidden layer a block */
	assert_true(kept > 10 * 16 * 4 * 256); /* several of them */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(variance_of_the_tail),
					    cmocka_unit_test(variance_of_the_probe), cmocka_unit_test(bits_and_memory),
					    cmocka_unit_test(depth) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
