/* test_splines.c - the four splines: identity, tails, knots, inverses, derivatives of two orders, saturated numbers. */
#include "flows/flow.h"
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 48, K = 6, MAXP = 3 * K + 1 };
#define BOUND 3.0

typedef flow_map maker(int bins, double bound);
static const struct {
	const char *name;
	maker *make;
} kinds[] = { { "linear", flow_linear_spline },
	      { "quadratic", flow_quadratic_spline },
	      { "cubic", flow_cubic_spline },
	      { "rq", flow_rq_spline } };
enum { LINEAR, QUADRATIC, CUBIC, RQ, KINDS };

typedef struct {
	double y[N], logdet[N], slope[N], gp[N * MAXP], hx[N], hp[N * MAXP];
} result;

static double noise(int stream, int i)
{
	return ad_noise_normal(7, 0, (uint64_t)stream, (uint64_t)i);
}

/* y, logdet, dy/dx; the gradient in p of L = sum 0.7 y + 1.3 logdet; and that of its product with c, in x and p. */
static result run(flow_map m, flow_dir dir, ad_dtype d, const double *x, const double *p, bool shared, const double *c)
{
	static float fx[N], fp[N * MAXP];
	static const double none[N * MAXP];
	result r = { 0 };
	ad_tape *t = ad_tape_new(d);
	nn_store *s = nn_store_new(d, 1);
	int M = m.nparam;
	ad_var vx = ad_input(t, d, AD_SHAPE(AD_BATCH, 1), "x");
	ad_var vp = ad_input(t, d, shared ? AD_SHAPE(1, M) : AD_SHAPE(AD_BATCH, 1, M), "p");
	ad_var vc = ad_input(t, d, ad_shape_of(vp), "c");
	flow_out o = m.apply(&m, nn_begin(t, s, NN_EVAL), vx, vp, dir);
	ad_var l = ad_sum(ad_add(ad_scale(o.x, 0.7), ad_scale(o.logdet, 1.3)), AD_ALL), in[2] = { vx, vp }, g, h[2];
	ad_vjp(1, &l, NULL, 1, &vp, &g);
	ad_var q = ad_sum(ad_mul(g, vc), AD_ALL);
	ad_vjp(1, &q, NULL, 2, in, h);
	ad_var out[] = { o.x, o.logdet, ad_grad(o.x, vx), g, h[0], h[1] };
	double *to[] = { r.y, r.logdet, r.slope, r.gp, r.hx, r.hp };
	int64_t count[] = { N, N, N, shared ? M : N * M, N, shared ? M : N * M };
	if (ad_error(t))
		print_message("%s\n", ad_error(t));
	ad_prog *prog = ad_compile(t, 6, out, (ad_options){ .threads = 1, .tile = 16 });
	assert_non_null(prog);
	ad_set_batch(prog, N);
	for (int i = 0; i < N; i++)
		fx[i] = (float)x[i];
	for (int i = 0; i < (shared ? M : N * M); i++)
		fp[i] = (float)p[i];
	ad_bind(prog, vx, d == AD_F64 ? (const void *)x : fx);
	ad_bind(prog, vp, d == AD_F64 ? (const void *)p : fp);
	ad_bind(prog, vc, c ? c : none);
	assert_int_equal(ad_run(prog, 0), 0);
	for (int k = 0; k < 6; k++)
		for (int64_t i = 0; i < count[k]; i++)
			to[k][i] = d == AD_F64 ? ((const double *)ad_result(prog, k))[i]
					       : ((const float *)ad_result(prog, k))[i];
	ad_prog_free(prog);
	nn_store_free(s);
	ad_tape_free(t);
	return r;
}

static void numbers(flow_map m, int stream, double scale, double *p)
{
	for (int i = 0; i < N * m.nparam; i++)
		p[i] = scale * noise(stream, i);
}

/* Points of the box and, with tails, outside. */
static void points(bool box, double *x)
{
	for (int i = 0; i < N; i++)
		x[i] = box ? 1 / (1 + exp(-1.5 * noise(99, i))) : 1.8 * noise(99, i);
	if (box) {
		x[0] = 0, x[1] = 1;
	} else {
		double edge[] = { BOUND,
				  -BOUND,
				  nextafter(BOUND, 0),
				  nextafter(-BOUND, 0),
				  nextafter(BOUND, 9),
				  nextafter(-BOUND, -9),
				  1e30,
				  -1e30,
				  0,
				  1e-300 };
		memcpy(x, edge, sizeof edge);
	}
}

static void near_to(const char *what, int kind, int i, double a, double b, double tol)
{
	if (!(fabs(a - b) <= tol * fmax(1, fabs(b))))
		fail_msg("%s %s[%d]: %.17g, not %.17g", kinds[kind].name, what, i, a, b);
}

static void inverse_and_slope(void **state)
{
	static double x[N], p[N * MAXP];
	(void)state;
	for (int k = 0; k < KINDS; k++)
		for (int box = 0; box < 2; box++) {
			flow_map m = kinds[k].make(K, box ? 0 : BOUND);
			points(box, x);
			numbers(m, k, 1, p);
			result f = run(m, FLOW_FORWARD, AD_F64, x, p, false, NULL),
			       b = run(m, FLOW_INVERSE, AD_F64, f.y, p, false, NULL);
			for (int i = 0; i < N; i++) {
				near_to("inverse", k, i, b.y[i], x[i], 1e-10);
				near_to("logdet", k, i, f.logdet[i], log(f.slope[i]), 1e-10);
				if (k == LINEAR && fmod(x[i], 2 * BOUND / K) == 0)
					continue; /* on a knot rounding decides which of two slopes the inverse meets */
				near_to("inverse logdet", k, i, b.logdet[i], log(b.slope[i]), 1e-9);
				near_to("sum of logdets", k, i, b.logdet[i] + f.logdet[i], 0, 1e-9);
				if (fabs(x[i]) > BOUND) {
					assert_true(f.y[i] == x[i] && f.logdet[i] == 0 && f.slope[i] == 1);
					assert_true(b.y[i] == x[i] && b.logdet[i] == 0 && b.slope[i] == 1);
				}
			}
		}
}

/* Equal bins, and slopes of 1 at the knots. */
static void identity(void **state)
{
	static double x[N], p[N * MAXP];
	(void)state;
	for (int k = 0; k < KINDS; k++)
		for (int box = 0; box < 2; box++) {
			flow_map m = kinds[k].make(K, box ? 0 : BOUND);
			if (k == QUADRATIC && !box)
				continue; /* its outer heights are not 1 for equal inner ones */
			for (int i = 0; i < N * m.nparam; i++) {
				int j = i % m.nparam;
				p[i] = k == LINEAR || j < 2 * K || k == QUADRATIC ? 0.3
				       : k == CUBIC				  ? log(0.5)
										  : log(expm1(0.999));
			}
			points(box, x);
			result f = run(m, FLOW_FORWARD, AD_F64, x, p, false, NULL),
			       b = run(m, FLOW_INVERSE, AD_F64, x, p, false, NULL);
			for (int i = 0; i < N; i++) {
				near_to("y", k, i, f.y[i], x[i], 1e-13);
				near_to("logdet", k, i, f.logdet[i], 0, 1e-12);
				near_to("x", k, i, b.y[i], x[i], 1e-13);
				near_to("inverse logdet", k, i, b.logdet[i], 0, 1e-12);
			}
		}
}

/* On every knot and one ulp to its sides: increasing, and continuous with its slope (all but the linear spline). */
static void knots(void **state)
{
	static double x[N], p[N * MAXP];
	(void)state;
	for (int k = 0; k < KINDS; k++) {
		flow_map m = kinds[k].make(K, BOUND);
		double at = 0, sum = 0, w[K];
		numbers(m, 20 + k, 1, p);
		for (int i = 1; i < N; i++)
			memcpy(p + i * m.nparam, p, (size_t)m.nparam * sizeof *p);
		for (int j = 0; j < K; j++)
			sum += w[j] = exp(p[j]);
		for (int j = 0; j < N; j++)
			x[j] = -BOUND + 2 * BOUND * j / (N - 1);
		for (int j = 0; j < K - 1; j++) {
			at += k == LINEAR ? 1.0 / K : 1e-3 + (1 - 1e-3 * K) * w[j] / sum;
			double knot = -BOUND + 2 * BOUND * at;
			x[3 * j] = nextafter(knot, -9), x[3 * j + 1] = knot, x[3 * j + 2] = nextafter(knot, 9);
		}
		result f = run(m, FLOW_FORWARD, AD_F64, x, p, false, NULL),
		       b = run(m, FLOW_INVERSE, AD_F64, f.y, p, false, NULL);
		for (int j = 0; j < N; j++)
			near_to("inverse at a knot", k, j, b.y[j], x[j], 1e-11);
		for (int j = 0; j < 3 * (K - 1); j++) {
			near_to("y at a knot", k, j, f.y[j], f.y[j / 3 * 3 + 1], 1e-13);
			if (k != LINEAR)
				near_to("logdet at a knot", k, j, f.logdet[j], f.logdet[j / 3 * 3 + 1], 1e-10);
		}
	}
}

static double objective(const result *r, int i)
{
	return 0.7 * r->y[i] + 1.3 * r->logdet[i];
}

/* Gradients in the parameters, and second derivatives, against central differences of values and of gradients. */
static void derivatives(void **state)
{
	static double x[N], p[N * MAXP], p1[N * MAXP], x1[N], c[N * MAXP];
	const double h = 1e-5;
	(void)state;
	for (int k = 0; k < KINDS; k++)
		for (int dir = 0; dir < 2; dir++) {
			flow_map m = kinds[k].make(K, BOUND);
			int M = m.nparam;
			numbers(m, 40 + k, 0.8, p);
			for (int i = 0; i < N; i++)
				x[i] = 2.9 * sin(1 + 1.7 * i);
			result r = run(m, (flow_dir)dir, AD_F64, x, p, false, NULL);
			for (int j = 0; j < M; j++) { /* parameter j of every element at once */
				result s[2];
				for (int e = 0; e < 2; e++) {
					memcpy(p1, p, sizeof p);
					for (int i = 0; i < N; i++)
						p1[i * M + j] += e ? h : -h;
					s[e] = run(m, (flow_dir)dir, AD_F64, x, p1, false, NULL);
				}
				for (int i = 0; i < N; i++)
					near_to(dir ? "inverse dL/dp" : "dL/dp", k, i * M + j, r.gp[i * M + j],
						(objective(&s[1], i) - objective(&s[0], i)) / (2 * h), 2e-5);
			}
			/* Along a direction in p and x: d(g.c) = h_x dx + h_p dp. */
			double want[2][N] = { 0 };
			for (int i = 0; i < N * M; i++)
				c[i] = cos(p[i]);
			for (int e = 0; e < 2; e++) {
				double step = e ? h : -h;
				for (int i = 0; i < N * M; i++)
					p1[i] = p[i] + step * noise(60, i);
				for (int i = 0; i < N; i++)
					x1[i] = x[i] + step * noise(61, i);
				result s = run(m, (flow_dir)dir, AD_F64, x1, p1, false, NULL);
				for (int i = 0; i < N * M; i++)
					want[e][i / M] += s.gp[i] * c[i];
			}
			r = run(m, (flow_dir)dir, AD_F64, x, p, false, c);
			for (int i = 0; i < N; i++) {
				double got = r.hx[i] * noise(61, i);
				for (int j = 0; j < M; j++)
					got += r.hp[i * M + j] * noise(60, i * M + j);
				near_to(dir ? "inverse second derivative" : "second derivative", k, i, got,
					(want[1][i] - want[0][i]) / (2 * h), 1e-4);
			}
		}
}

/* Numbers that saturate softmax, softplus and sigmoid: everything stays finite and ordered, in both precisions. */
static void saturated(void **state)
{
	static double x[N], p[N * MAXP];
	(void)state;
	for (int k = 0; k < KINDS; k++)
		for (int dir = 0; dir < 2; dir++)
			for (int d = 0; d < 2; d++) {
				flow_map m = kinds[k].make(K, BOUND);
				numbers(m, 80 + k, k == LINEAR || k == CUBIC ? 12 : 300, p);
				points(false, x);
				result r = run(m, (flow_dir)dir, d ? AD_F64 : AD_F32, x, p, false, NULL);
				for (int i = 0; i < N; i++) {
					if (!isfinite(r.y[i]) || !isfinite(r.logdet[i]) || !isfinite(r.slope[i]))
						fail_msg("%s[%d] at %g: y %g, logdet %g, slope %g", kinds[k].name, i,
							 x[i], r.y[i], r.logdet[i], r.slope[i]);
					for (int j = 0; j < m.nparam; j++)
						if (!isfinite(r.gp[i * m.nparam + j]))
							fail_msg("%s[%d] at %g: gradient %d is %g", kinds[k].name, i,
								 x[i], j, r.gp[i * m.nparam + j]);
					if (fabs(x[i]) > BOUND ? fabs(r.y[i]) < BOUND : fabs(r.y[i]) > BOUND)
						fail_msg("%s[%d] at %.17g: %.17g is across the edge", kinds[k].name, i,
							 x[i], r.y[i]);
				}
			}
}

/* Parameters shared by the batch give what copies of them give. */
static void shared(void **state)
{
	static double x[N], p[N * MAXP];
	(void)state;
	for (int k = 0; k < KINDS; k++)
		for (int dir = 0; dir < 2; dir++) {
			flow_map m = kinds[k].make(K, BOUND);
			numbers(m, 120 + k, 1, p);
			for (int i = 1; i < N; i++)
				memcpy(p + i * m.nparam, p, (size_t)m.nparam * sizeof *p);
			points(false, x);
			result a = run(m, (flow_dir)dir, AD_F64, x, p, false, NULL),
			       b = run(m, (flow_dir)dir, AD_F64, x, p, true, NULL);
			for (int i = 0; i < N; i++) {
				near_to("shared y", k, i, b.y[i], a.y[i], 1e-14);
				near_to("shared logdet", k, i, b.logdet[i], a.logdet[i], 1e-13);
			}
		}
}

/* Mistakes are named. */
static void mistakes(void **state)
{
	(void)state;
	for (int bins = 1; bins <= 1000; bins += 999) {
		flow_map m = flow_rq_spline(bins, BOUND);
		ad_tape *t = ad_tape_new(AD_F64);
		nn_store *s = nn_store_new(AD_F64, 1);
		ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 1), "x");
		ad_var p = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 1, m.nparam), "p");
		m.apply(&m, nn_in(nn_begin(t, s, NN_EVAL), "here"), x, p, FLOW_FORWARD);
		assert_non_null(ad_error(t));
		assert_non_null(strstr(ad_error(t), "bins"));
		assert_non_null(strstr(ad_error(t), "here"));
		nn_store_free(s);
		ad_tape_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inverse_and_slope), cmocka_unit_test(identity),  cmocka_unit_test(knots),
		cmocka_unit_test(derivatives),	     cmocka_unit_test(saturated), cmocka_unit_test(shared),
		cmocka_unit_test(mistakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
