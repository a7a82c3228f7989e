/* test_rq_spline.c - the rational-quadratic spline's kernels against its form composed of ad ops: values, cotangents and
 * tangents of two orders, in every layout, on every instruction set; at edges and with saturated numbers. */
#include "flows/spline.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 37, D = 3, MAXK = 11, MAXM = 3 * MAXK + 1, OUTS = 8, LONGEST = BATCH * D * MAXM };

/* How x and p lie.  TRANSPOSED: p is a view whose numbers are not neighbours. */
typedef enum { OWN, TRANSPOSED, SHARED_P, SHARED_X, NO_BATCH, BROADCAST, LAYOUTS } layout;
static const char *const layouts[] = { "own", "transposed", "shared p", "shared x", "no batch", "broadcast" };

typedef struct {
	double out[OUTS][LONGEST];
	int64_t n[OUTS];
} result;

static double noise(int stream, int64_t i) { return ad_noise_normal(11, 0, (uint64_t)stream, (uint64_t)i); }

static ad_shape x_shape(layout l)
{
	return l == SHARED_X || l == NO_BATCH ? AD_SHAPE(D) : AD_SHAPE(AD_BATCH, D);
}

static ad_shape p_shape(layout l, int M)
{
	return l == TRANSPOSED  ? AD_SHAPE(AD_BATCH, M, D)
	       : l == BROADCAST ? AD_SHAPE(AD_BATCH, 1, M)
	       : l == OWN || l == SHARED_X ? AD_SHAPE(AD_BATCH, D, M)
	                                   : AD_SHAPE(D, M);
}

static int64_t count(ad_shape s)
{
	int64_t n = 1;
	for (int i = 0; i < s.rank; i++)
		n *= s.dim[i] == AD_BATCH ? BATCH : s.dim[i];
	return n;
}

/* Value; gradient of a weighted sum of it; gradient of a weighted sum of that; tangent. */
static void run(const ad_rq *o, layout l, bool composed, ad_dtype d, const char *isa, const double *x, const double *p,
                result *r)
{
	int M = ad_rq_numbers(o);
	ad_tape *t = ad_tape_new(d);
	ad_shape sx = x_shape(l), sp = p_shape(l, M), sy = l == NO_BATCH ? AD_SHAPE(D, 2) : AD_SHAPE(AD_BATCH, D, 2);
	ad_var in[] = { ad_input(t, d, sx, "x"), ad_input(t, d, sp, "p"), ad_input(t, d, sy, "g"), ad_input(t, d, sx, "v"),
		            ad_input(t, d, sp, "w") };
	ad_var q = l == TRANSPOSED ? ad_transpose(in[1]) : in[1], g[2], h[3];
	if (composed && l == SHARED_X)
		sx = AD_SHAPE(AD_BATCH, D);
	ad_var y = composed ? o->composed(ad_broadcast(in[0], sx), q, o) : ad_rq_spline(in[0], q, o);
	ad_vjp(1, &y, &in[2], 2, in, g);
	ad_vjp(2, g, in + 3, 3, in, h);
	ad_var out[OUTS] = { y, g[0], g[1], h[0], h[1], h[2] };
	ad_jvp(1, &y, 2, in, in + 3, &out[6]);
	ad_vjp(1, &out[6], &in[2], 1, &in[1], &out[7]);
	if (ad_error(t))
		fail_msg("%s", ad_error(t));
	ad_prog *prog = ad_compile(t, OUTS, out, (ad_options){ .threads = 1, .tile = 16, .isa = isa });
	if (!prog)
		fail_msg("%s", ad_error(t));
	ad_set_batch(prog, BATCH);
	float *copy[5];
	double *data[5];
	for (int k = 0; k < 5; k++) {
		int64_t n = count(ad_shape_of(in[k]));
		data[k] = malloc((size_t)n * sizeof(double));
		copy[k] = malloc((size_t)n * sizeof(float));
		for (int64_t i = 0; i < n; i++) {
			data[k][i] = k == 0 ? x[i] : k == 1 ? p[i] : noise(40 + k, i);
			copy[k][i] = (float)data[k][i];
		}
		ad_bind(prog, in[k], d == AD_F64 ? (void *)data[k] : copy[k]);
	}
	if (ad_run(prog, 0))
		fail_msg("%s", ad_run_error(prog));
	for (int k = 0; k < OUTS; k++) {
		r->n[k] = count(ad_shape_of(out[k]));
		for (int64_t i = 0; i < r->n[k]; i++)
			r->out[k][i] = d == AD_F64 ? ((const double *)ad_result(prog, k))[i] : (double)((const float *)ad_result(prog, k))[i];
	}
	for (int k = 0; k < 5; k++) {
		free(data[k]);
		free(copy[k]);
	}
	ad_prog_free(prog);
	ad_tape_free(t);
}

static ad_rq spline(int bins, bool ends, bool inverse)
{
	return (ad_rq){ .bins = bins, .lo = ends ? 0 : -2.5, .side = ends ? 1 : 5, .width_scale = 0.8, .height_scale = 1.1,
		            .min_width = 1e-3, .min_height = 2e-3, .min_derivative = 1e-3, .ends = ends, .inverse = inverse,
		            .composed = flow__rq_composed };
}

/* Inside and outside of the box, and on its edges. */
static void points(const ad_rq *o, double *x)
{
	for (int i = 0; i < BATCH * D; i++)
		x[i] = o->lo + o->side * (0.5 + 0.4 * noise(1, i));
	double edge[] = { o->lo, o->lo + o->side, nextafter(o->lo, -9), nextafter(o->lo + o->side, 9), 1e30, -1e30 };
	memcpy(x + 5, edge, sizeof edge);
}

static void numbers(double scale, double *p)
{
	for (int i = 0; i < LONGEST; i++)
		p[i] = scale * noise(2, i);
}

static void compare(const ad_rq *o, const char *what, const result *a, const result *b, int orders, double tol)
{
	static const char *const outs[OUTS] = { "value", "dx", "dp", "ddx", "ddp", "ddg", "tangent", "tangent's dp" };
	for (int k = 0; k < OUTS; k++) {
		double top = 1;
		if (k >= 3 && orders < 2)
			break;
		assert_int_equal(a->n[k], b->n[k]);
		for (int64_t i = 0; i < b->n[k]; i++)
			top = fmax(top, fabs(b->out[k][i]) > 1e29 ? 0 : fabs(b->out[k][i]));
		for (int64_t i = 0; i < a->n[k]; i++)
			if (!(fabs(a->out[k][i] - b->out[k][i]) <= tol * fmax(top, fabs(b->out[k][i]))))
				fail_msg("%s, %d bins%s%s: %s[%lld] is %.17g, composed %.17g", what, o->bins, o->ends ? ", ends" : "",
				         o->inverse ? ", inverse" : "", outs[k], (long long)i, a->out[k][i], b->out[k][i]);
	}
}

static double x[BATCH * D], p[LONGEST];
static result a, b, f;

static void as_composed(void **state)
{
	static const int bins[] = { 2, 3, 8, MAXK };
	(void)state;
	numbers(1, p);
	for (int l = 0; l < LAYOUTS; l++)
		for (size_t k = 0; k < sizeof bins / sizeof *bins; k++)
			for (int way = 0; way < 4; way++) {
				ad_rq o = spline(bins[k], way & 1, way & 2);
				points(&o, x);
				run(&o, (layout)l, false, AD_F64, NULL, x, p, &a);
				run(&o, (layout)l, true, AD_F64, NULL, x, p, &b);
				compare(&o, layouts[l], &a, &b, 2, 1e-10);
			}
}

static void instruction_sets(void **state)
{
	static const char *const isas[] = { "plain", "base", "v3", "v4" };
	(void)state;
	numbers(1, p);
	for (int way = 0; way < 4; way++)
		for (int k = 0; k < 4; k++) {
			ad_rq o = spline(8, way & 1, way & 2);
			ad_tape *t = ad_tape_new(AD_F64);
			ad_var one = ad_const(t, 1);
			ad_prog *there = ad_compile(t, 1, &one, (ad_options){ .isa = isas[k] });
			ad_prog_free(there);
			ad_tape_free(t);
			if (!there)
				continue;
			points(&o, x);
			for (int i = 0; i < BATCH * D; i++)
				x[i] = (float)x[i];
			run(&o, OWN, true, AD_F64, NULL, x, p, &b);
			run(&o, OWN, false, AD_F64, isas[k], x, p, &a);
			compare(&o, isas[k], &a, &b, 2, 1e-10);
			for (int i = 0; i < LONGEST; i++)
				p[i] = (float)p[i];
			run(&o, OWN, true, AD_F64, NULL, x, p, &b);
			run(&o, OWN, false, AD_F32, isas[k], x, p, &f);
			compare(&o, isas[k], &f, &b, 1, 2e-4);
		}
}

/* One softmax term takes all, slopes reach from their floor to 300: finite where the composed form is, and near it. */
static void saturated(void **state)
{
	(void)state;
	for (int way = 0; way < 8; way++) {
		ad_rq o = spline(way & 4 ? 8 : 5, way & 1, way & 2);
		points(&o, x);
		numbers(way & 4 ? 300 : 30, p);
		run(&o, OWN, false, AD_F64, NULL, x, p, &a);
		run(&o, OWN, true, AD_F64, NULL, x, p, &b);
		compare(&o, "saturated", &a, &b, 1, 1e-8);
		run(&o, OWN, false, AD_F32, NULL, x, p, &f);
		for (int k = 0; k < 3; k++)
			for (int64_t i = 0; i < f.n[k]; i++)
				if (!isfinite(f.out[k][i]))
					fail_msg("saturated: %g at %lld of %d in single precision", f.out[k][i], (long long)i, k);
	}
}

static void one_mistake(ad_rq o, ad_shape sx, ad_shape sp, const char *says)
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_rq_spline(ad_input(t, AD_F64, sx, "x"), ad_input(t, AD_F64, sp, "p"), &o);
	assert_non_null(ad_error(t));
	if (!strstr(ad_error(t), says))
		fail_msg("\"%s\" does not say \"%s\"", ad_error(t), says);
	ad_tape_free(t);
}

static void mistakes(void **state)
{
	(void)state;
	ad_rq o = spline(4, false, false);
	one_mistake(o, AD_SHAPE(AD_BATCH, 3), AD_SHAPE(AD_BATCH, 3, 12), "11 numbers a point");
	one_mistake(o, AD_SHAPE(AD_BATCH, 3), AD_SHAPE(AD_BATCH, 2, 11), "[B,2,11]");
	o.bins = 1;
	one_mistake(o, AD_SHAPE(AD_BATCH, 3), AD_SHAPE(AD_BATCH, 3, 2), "1 bins");
	o = spline(4, false, false);
	o.width_scale = -1;
	one_mistake(o, AD_SHAPE(AD_BATCH, 3), AD_SHAPE(AD_BATCH, 3, 11), "scales -1");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_composed), cmocka_unit_test(instruction_sets),
		                                cmocka_unit_test(saturated), cmocka_unit_test(mistakes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
