/* test_estimators.c - the mean of every random estimate is the exact value, seen to 1 %: traces, log-determinants by series and by
 * conjugate gradients, divergences by samples, bounds by dequantisation, flow matching.  Cut series must fail the same test. */
#include "estimators.h"

#include "flows/continuous.h"
#include "flows/dequantise.h"
#include "flows/potential.h"
#include "flows/residual.h"
#include "flows/variational.h"

/* --- Continuous flows: Hutchinson's trace -------------------------------------------------------------------------------------- */

static ad_var continuous(nn c, flow_mem *m, ad_var x, bool exact, const void *opt)
{
	flow_field f = flow_odenet(FLOW_T_CONCATSQUASH, ad_dim(x, 1), 1, "tanh");
	flow_cnf_opt o = { .solver = { .method = AD_RK4, .steps = 3 }, .trace = exact ? FLOW_TRACE_EXACT : *(const flow_trace *)opt };
	return ad_mean(flow_apply(flow_cnf(m, &f, o), c, x, NULL, FLOW_FORWARD).logdet, AD_ALL);
}

/* A field of one's own: x M^T + w tanh(x), M with 1/2 on the diagonal and 1/5 elsewhere. */
static flow_slope own_slope(const flow_field *f, nn c, ad_var t, ad_var x, ad_var cond, bool trace)
{
	(void)f, (void)t, (void)cond, (void)trace;
	ad_var w = nn_param(c, "w", AD_SHAPE(ad_dim(x, 1)), (nn_fill){ NN_CONST, 0.25 });
	ad_var linear = ad_add(ad_scale(x, 0.3), ad_scale(ad_sum_keep(x, AD_AXIS(1)), 0.2));
	return (flow_slope){ .x = ad_add(linear, ad_mul(w, ad_tanh(x))) };
}

static ad_var own_field(nn c, flow_mem *m, ad_var x, bool exact, const void *opt)
{
	flow_field f = { .kind = "own", .slope = own_slope };
	flow_cnf_opt o = { .solver = { .method = AD_RK4, .steps = 4 }, .trace = exact ? FLOW_TRACE_EXACT : *(const flow_trace *)opt };
	(void)m;
	return ad_mean(flow_cnf_solve(&f, c, o, x, NULL, NULL, NULL, FLOW_FORWARD).logdet, AD_ALL);
}

static void as_filled(nn_store *s)
{
	(void)s;
}

static const flow_trace signs = FLOW_TRACE_RADEMACHER, normal = FLOW_TRACE_GAUSSIAN;

/* The mean squared Jacobian that the same probes give to the regulariser. */
static ad_var frobenius(nn c, flow_mem *m, ad_var x, bool exact, const void *opt)
{
	(void)m;
	flow_field f = flow_odenet(FLOW_T_CONCATSQUASH, ad_dim(x, 1), 1, "tanh");
	flow_cnf_opt o = { .solver = { .method = AD_RK4, .steps = 3 }, .trace = exact ? FLOW_TRACE_EXACT : *(const flow_trace *)opt };
	o.weight[FLOW_REG_FROBENIUS] = 1;
	return ad_mean(flow_cnf_solve(&f, c, o, x, NULL, NULL, NULL, FLOW_FORWARD).reg[FLOW_REG_FROBENIUS], AD_ALL);
}

/* --- Residual flows: power series with a random number of terms ------------------------------------------------------------------- */

static ad_var residual(nn c, flow_mem *m, ad_var x, bool exact, const void *opt)
{
	flow_residual_opt o = *(const flow_residual_opt *)opt;
	nn_net g = flow_lipschitz_mlp(m, ad_dim(x, 1), 1, "lipswish", (nn_induced){ .coeff = 0.8 });
	if (exact)
		o.train = FLOW_LOGDET_EXACT;
	return ad_mean(flow_apply(flow_residual(m, g, ad_dim(x, 1), o), c, x, NULL, FLOW_FORWARD).logdet, AD_ALL);
}

#define SERIES(...) &(const flow_residual_opt){ __VA_ARGS__ }

/* --- Convex potentials: Lanczos quadrature, gradient by conjugate gradients ------------------------------------------------------- */

static ad_var potential(nn c, flow_mem *m, ad_var x, bool exact, const void *opt)
{
	(void)opt;
	flow *f = flow_convex_potential(m, ad_dim(x, 1), (flow_potential_opt){ .width = 12, .probes = !exact });
	return ad_mean(flow_apply(f, c, x, NULL, FLOW_FORWARD).logdet, AD_ALL);
}

/* Away from log-determinants near 0. */
static void curved(nn_store *s)
{
	for (int i = 0; i < nn_count(s); i++)
		for (int64_t j = 0; j < nn_at(s, i).numel; j++)
			((double *)nn_at(s, i).value)[j] += 0.2 * ad_noise_normal(9, 0, (uint64_t)i, (uint64_t)j);
	nn_set(s, "w0", (double[]){ 1.5 }, 1);
}

/* --- Reverse divergence: normal q of mean -b exp(-a) and sd exp(-a) to a normal target of mean 1 and sd 2 --------------------------- */

static ad_var bell(nn c, ad_var x, ad_var cond, void *user)
{
	(void)c, (void)cond, (void)user;
	return ad_sum(ad_scale(ad_square(ad_scale(ad_shift(x, -1), 0.5)), 0.5), AD_EVENT);
}

static ad_var divergence(nn c, flow_mem *m, ad_var x, bool exact, const void *opt)
{
	int64_t n = ad_dim(x, 1);
	flow_density d = { flow_actnorm(m), flow_normal() };
	nn f = nn_in(c, "flow");
	if (nn_find(c.store, "flow/shift") < 0) {
		nn_put(c.store, "flow/log_scale", AD_SHAPE(n), true, (double[]){ -0.3, 0.4 });
		nn_put(c.store, "flow/shift", AD_SHAPE(n), true, (double[]){ 0.4, 0.9 });
	}
	if (!exact)
		return flow_reverse_kl(&d, c, AD_SHAPE(n), NULL, bell, NULL, *(const flow_gradient *)opt);
	/* E log q + U = -1/2 - log(2 pi)/2 + a + (v + (mu - 1)^2) / 8 for each dimension, v = exp(-2 a), mu = -b exp(-a) */
	ad_var a = nn_param(f, "log_scale", AD_SHAPE(n), (nn_fill){ 0 }), b = nn_param(f, "shift", AD_SHAPE(n), (nn_fill){ 0 });
	ad_var sd = ad_exp(ad_neg(a)), off = ad_shift(ad_neg(ad_mul(b, sd)), -1);
	ad_var each = ad_add(a, ad_scale(ad_add(ad_square(sd), ad_square(off)), 0.125));
	return ad_sum(ad_shift(each, -0.5 - 0.5 * log(2 * acos(-1))), AD_ALL);
}

static const flow_gradient path = FLOW_PATH, stick = FLOW_STICK;

/* --- Variational dequantisation: the bound of a normal density, against the midpoint rule over the cell --------------------------- */

enum { CELLS = 4, NODES = 1024 };

/* The middle of a cell, a place u in it for the rule, and its weight: equal steps of log u / (1 - u), as q is steep at the ends. */
static void cells(int64_t batch, double *x)
{
	for (int64_t i = 0; i < batch; i++) {
		double u = 1 / (1 + exp(16 - 32 * ((double)(i / CELLS % NODES) + 0.5) / NODES));
		x[3 * i] = 0.5 * (double)(i % CELLS) + 1;
		x[3 * i + 1] = u;
		x[3 * i + 2] = 32 * u * (1 - u);
	}
}

/* Smooth enough for the rule. */
static void gentle(nn_store *s)
{
	for (int i = 0; i < nn_count(s); i++)
		for (int64_t j = 0; j < nn_at(s, i).numel; j++)
			((double *)nn_at(s, i).value)[j] += 0.05 * ad_noise_normal(9, 0, (uint64_t)i, (uint64_t)j);
}

static ad_var bound(nn c, flow_mem *m, ad_var x, bool exact, const void *opt)
{
	(void)opt;
	const double width = 3;
	flow_dequantiser *q = flow_dequantise_new(m, 1, 1, (int64_t[]){ 0 }, &width);
	flow_density p = { flow_elementwise(m, flow_affine(FLOW_EXP, 0), 1), flow_normal() };
	ad_var at = ad_slice(x, 1, 0, 1), u = ad_slice(x, 1, 1, 2), log_q, place;
	if (!exact) {
		place = flow_dequantise(q, c, at, NULL, &log_q);
		return ad_mean(ad_sub(flow_log_prob(&p, c, place, NULL), log_q), AD_ALL);
	}
	log_q = flow_dequantise_log_prob(q, c, at, NULL, u);
	place = ad_add(at, ad_scale(ad_shift(u, -0.5), width));
	ad_var weight = ad_mul(ad_squeeze(ad_slice(x, 1, 2, 3), 1), ad_exp(log_q));
	return ad_mean(ad_mul(weight, ad_sub(flow_log_prob(&p, c, place, NULL), log_q)), AD_ALL);
}

/* --- Flow matching: random times and noise against quadrature over both ------------------------------------------------------------ */

enum { ROWS = 4, TIMES = 12, NOISES = 24 };

/* Gauss-Hermite for the weight exp(-x^2 / 2) / sqrt(2 pi), by Newton's method on the recurrence. */
static void hermite(int n, double *x, double *w)
{
	for (int i = 0; i < n; i++) {
		double z = 0, slope = 1;
		/* Roots from the largest down, deflated. */
		z = i ? x[i - 1] - 0.1 : sqrt(4.0 * n + 2);
		for (int turn = 0; turn < 200; turn++) {
			double before = 0, p = 1, others = 0;
			for (int k = 0; k < n; k++) {
				double next = (z * p - sqrt((double)k) * before) / sqrt(k + 1.0);
				before = p, p = next;
			}
			slope = sqrt((double)n) * before;
			for (int k = 0; k < i; k++)
				others += 1 / (z - x[k]);
			double step = p / (slope - p * others);
			z -= step;
			if (fabs(step) < 1e-15 * (1 + fabs(z)))
				break;
		}
		double sum = 0, before = 0, p = 1;
		for (int k = 0; k < n; k++) {
			sum += p * p;
			double next = (z * p - sqrt((double)k) * before) / sqrt(k + 1.0);
			before = p, p = next;
		}
		x[i] = z, w[i] = 1 / sum;
	}
}

static ad_var matching(nn c, flow_mem *m, ad_var x, bool exact, const void *opt)
{
	(void)opt;
	flow_field f = flow_odenet(FLOW_T_CONCATSQUASH, 6, 1, "tanh");
	flow *cnf = flow_cnf(m, &f, (flow_cnf_opt){ .solver = { .method = AD_RK4, .steps = 3 } });
	if (!exact)
		return flow_matching_loss(cnf, c, (flow_schedule){ FLOW_PATH_OT }, x, NULL, NULL);
	double t[TIMES], wt[TIMES], z[NOISES], wz[NOISES];
	double at[ROWS * NOISES], want[ROWS * NOISES], w[ROWS * NOISES];
	hermite(NOISES, z, wz);
	for (int i = 0; i < TIMES; i++) { /* Gauss-Legendre on [0, 1], by Newton's method */
		double v = cos(acos(-1) * (i + 0.75) / (TIMES + 0.5)), slope = 1;
		for (int turn = 0; turn < 50; turn++) {
			double p = 1, before = 0;
			for (int k = 0; k < TIMES; k++) {
				double next = ((2 * k + 1) * v * p - k * before) / (k + 1);
				before = p, p = next;
			}
			slope = TIMES * (v * p - before) / (v * v - 1);
			v -= p / slope;
		}
		t[i] = 0.5 * (1 + v), wt[i] = 1 / ((1 - v * v) * slope * slope);
	}
	ad_var total = NULL;
	for (int i = 0; i < TIMES; i++) {
		for (int n = 0; n < ROWS * NOISES; n++) {
			double x1 = ad_noise_normal(7, 0, 3, (uint64_t)(n / NOISES)), x0 = z[n % NOISES];
			at[n] = t[i] * x1 + (1 - t[i]) * x0;
			want[n] = x0 - x1; /* the flow's time runs from data to noise */
			w[n] = wt[i] * wz[n % NOISES] / ROWS;
		}
		ad_shape s = AD_SHAPE(ROWS * NOISES, 1);
		ad_var v = f.slope(&f, c, ad_const(c.tape, 1 - t[i]), ad_array(c.tape, s, at), NULL, false).x;
		ad_var part = ad_sum(ad_mul(ad_square(ad_sub(v, ad_array(c.tape, s, want))), ad_array(c.tape, s, w)), AD_ALL);
		total = total ? ad_add(total, part) : part;
	}
	return total;
}

static const estimator all[] = {
	{ "trace, signs", continuous, &signs, .dim = 3, .batch = 2048, .runs = 80 },
	{ "trace, normal", continuous, &normal, .dim = 3, .batch = 4096, .runs = 120 },
	{ "trace, signs, own field", own_field, &signs, .dim = 3, .batch = 2048, .runs = 80, .weights = as_filled },
	{ "Frobenius norm, signs", frobenius, &signs, .dim = 3, .batch = 2048, .runs = 80 },
	{ "Frobenius norm, normal", frobenius, &normal, .dim = 3, .batch = 4096, .runs = 80 },
	{ "series, Neumann, geometric", residual, SERIES(.train = FLOW_LOGDET_NEUMANN, .terms = 1), .dim = 4, .batch = 32, .runs = 2500 },
	{ "series, Neumann, Poisson", residual, SERIES(.train = FLOW_LOGDET_NEUMANN, .terms = 1, .tail = FLOW_TAIL_POISSON), .dim = 4,
	  .batch = 32, .runs = 2500 },
	{ "series, Neumann, normal", residual, SERIES(.train = FLOW_LOGDET_NEUMANN, .terms = 1, .gaussian = true), .dim = 4, .batch = 128,
	  .runs = 5000 },
	{ "series, basic, geometric", residual, SERIES(.train = FLOW_LOGDET_BASIC, .terms = 1, .most = 16), .dim = 4, .batch = 32,
	  .runs = 2500 },
	{ "series, Neumann, cut", residual, SERIES(.train = FLOW_LOGDET_NEUMANN, .terms = 1, .tail = FLOW_TAIL_NONE), .dim = 4,
	  .batch = 32, .runs = 2500, .biased = true },
	{ "series, basic, cut", residual, SERIES(.train = FLOW_LOGDET_BASIC, .terms = 1, .tail = FLOW_TAIL_NONE), .dim = 4, .batch = 32,
	  .runs = 2500, .biased = true },
	{ "conjugate gradients", potential, NULL, .dim = 6, .batch = 1024, .runs = 400, .weights = curved,
	  .by = "z_linear_1/weight" },
	{ "reverse divergence, path", divergence, &path, .dim = 2, .batch = 4096, .runs = 400, .weights = as_filled },
	{ "reverse divergence, stick", divergence, &stick, .dim = 2, .batch = 4096, .runs = 400, .weights = as_filled },
	{ "variational dequantisation", bound, NULL, .dim = 3, .batch = CELLS * NODES, .data = cells, .runs = 800, .weights = gentle,
	  .by = "dequantisation/flow/params" },
	{ "flow matching", matching, NULL, .dim = 1, .batch = 4096, .rows = ROWS, .runs = 400 },
};

static void every_estimator(void **state)
{
	int wrong = 0;
	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		const char *why = estimator_check(&all[i]);
		if (why)
			print_error("%s: %s\n", all[i].name, why);
		wrong += why != NULL;
	}
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_estimator) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
