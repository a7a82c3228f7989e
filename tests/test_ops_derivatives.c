/* test_ops_derivatives.c - reductions, softmax and its kin, running sums, gathers and triangles:
 * derivatives of order 1 and 2 against central differences, and batched in tiles against unbatched.
 */
#include "program.h"

#define SAMPLES 37
#define ROWS 3 /* samples of the difference quotients */

#define OP(name, expression)         \
	static ad_var name(ad_var *x)    \
	{                                \
		ad_var sq = ad_square(x[0]); \
		(void)sq;                    \
		return expression;           \
	}

static const int32_t some[] = { 2, 0, 1, 1, 2, 0, 2 };
static ad_var index_of(ad_var x, int64_t n)
{
	return ad_array_i32(ad_tape_of(x), AD_SHAPE(n), some);
}

/* 0, 1 or 2 by the value of x in (-1, 1) */
static ad_var thirds(ad_var x)
{
	return ad_cast(ad_floor(ad_scale(ad_shift(ad_stop(x), 1), 1.5)), AD_I32);
}

OP(sum, ad_sum(x[0], AD_AXIS(1) | AD_AXIS(3)))
OP(sum_all, ad_sum(sq, AD_ALL))
OP(mean, ad_mean(sq, AD_AXIS(0) | AD_AXIS(2)))
OP(var, ad_var_keep(x[0], AD_EVENT, true))
OP(var_batch, ad_var_keep(x[0], AD_AXIS(0) | AD_AXIS(2), false))
OP(max_event, ad_maxof(sq, AD_EVENT))
OP(max_batch, ad_maxof_keep(sq, AD_AXIS(0) | AD_AXIS(2)))
OP(prod, ad_prod(x[0], 1))
OP(norm, ad_norm(x[0], AD_AXIS(2)))
OP(norm_all, ad_norm(x[0], AD_ALL))
OP(logsumexp, ad_logsumexp(x[0], 1))
OP(logsumexp_last, ad_logsumexp(x[0], -1))
OP(softmax, ad_softmax(x[0], 1))
OP(softmax_last, ad_softmax(x[0], -1))
OP(log_softmax, ad_log_softmax(x[0], 1))
OP(log_softmax_last, ad_log_softmax(x[0], -1))
OP(cumsum, ad_cumsum(sq, 1, false))
OP(cumsum_last, ad_cumsum(sq, -1, true))
OP(gather, ad_gather(sq, 1, index_of(sq, 5)))
OP(gather_view, ad_gather(ad_transpose(sq), 2, index_of(sq, 5)))
OP(gather_stretched,
	ad_gather(ad_broadcast(sq, AD_SHAPE(ad_dim(sq, 0), 2, 3, 3)), 2, index_of(sq, 4)))
OP(scatter, ad_scatter_add(sq, 1, index_of(sq, 3), 4))
OP(take, ad_take(sq, -1, thirds(x[1])))
OP(take_inside, ad_take(sq, 1, thirds(x[1])))
OP(put, ad_put_add(sq, -1, thirds(x[1]), 3))
OP(tril, ad_tril(sq, 0))
OP(triu, ad_triu(sq, 1))
OP(triangle_view, ad_tril(ad_transpose(sq), 1))
OP(diag, ad_diag(sq))
OP(diagonal, ad_diagonal(sq))
OP(one_hot, ad_mul(ad_one_hot(thirds(x[0]), 3), ad_expand(sq, -1)))
OP(searchsorted,
	ad_mul(ad_cast(ad_searchsorted(ad_cumsum(sq, -1, false), x[1]), ad_dtype_of(x[1])), x[1]))

static const struct {
	const char *name;
	ad_var (*f)(ad_var *x);
	ad_shape x[2];
} laws[] = {
#define B AD_BATCH
#define LAW(f, ...)            \
	{                          \
#f, f, { __VA_ARGS__ } \
	}
	LAW(sum, { 4, { B, 2, 3, 4 } }),
	LAW(sum_all, { 3, { B, 3, 2 } }),
	LAW(mean, { 4, { B, 2, 3, 2 } }),
	LAW(var, { 3, { B, 2, 3 } }),
	LAW(var_batch, { 3, { B, 2, 3 } }),
	LAW(max_event, { 3, { B, 2, 3 } }),
	LAW(max_batch, { 3, { B, 2, 3 } }),
	LAW(prod, { 3, { B, 5, 3 } }),
	LAW(norm, { 3, { B, 2, 3 } }),
	LAW(norm_all, { 3, { B, 2, 3 } }),
	LAW(logsumexp, { 3, { B, 5, 3 } }),
	LAW(logsumexp_last, { 3, { B, 2, 19 } }),
	LAW(softmax, { 3, { B, 5, 3 } }),
	LAW(softmax_last, { 3, { B, 2, 19 } }),
	LAW(log_softmax, { 3, { B, 5, 3 } }),
	LAW(log_softmax_last, { 3, { B, 2, 19 } }),
	LAW(cumsum, { 3, { B, 5, 3 } }),
	LAW(cumsum_last, { 3, { B, 2, 19 } }),
	LAW(gather, { 3, { B, 3, 4 } }),
	LAW(gather_view, { 3, { B, 3, 4 } }),
	LAW(gather_stretched, { 4, { B, 1, 3, 3 } }),
	LAW(scatter, { 3, { B, 3, 4 } }),
	LAW(take, { 3, { B, 2, 3 } }, { 3, { B, 2, 5 } }),
	LAW(take, { 2, { 2, 3 } }, { 3, { B, 2, 5 } }),
	LAW(take, { 3, { B, 2, 3 } }, { 2, { 2, 5 } }),
	LAW(take, { 3, { B, 1, 3 } }, { 2, { 2, 5 } }),
	LAW(take_inside, { 3, { B, 3, 4 } }, { 3, { B, 2, 4 } }),
	LAW(put, { 3, { B, 2, 5 } }, { 3, { B, 2, 5 } }),
	LAW(put, { 2, { 2, 5 } }, { 3, { B, 2, 5 } }),
	LAW(put, { 3, { B, 2, 5 } }, { 2, { 2, 5 } }),
	LAW(tril, { 3, { B, 3, 5 } }),
	LAW(triu, { 4, { B, 2, 5, 3 } }),
	LAW(triangle_view, { 3, { B, 5, 3 } }),
	LAW(diag, { 3, { B, 2, 3 } }),
	LAW(diagonal, { 4, { B, 2, 3, 3 } }),
	LAW(one_hot, { 2, { B, 3 } }),
	LAW(searchsorted, { 3, { B, 2, 6 } }, { 2, { B, 2 } }),
	LAW(searchsorted, { 2, { 2, 6 } }, { 2, { B, 2 } }),
#undef B
};

enum { VALUE, DIRECTIONAL, GRADIENT, CURVATURE = GRADIENT + 2, OUTPUTS = CURVATURE + 2 };

static double *data[5]; /* inputs, directions, cotangent */

static int64_t size(ad_shape s, int64_t batch)
{
	return ad_numel(s) * (s.rank && s.dim[0] == AD_BATCH ? batch : 1);
}

/* y = f(x); <g, s> for g = dL/dx, L = <y, w>; g; and d<g, s>/dx, with the batch symbolic or not. */
static program traced(size_t law, int64_t batch, bool symbolic)
{
	program g = program_on(AD_F64, batch);
	ad_var x[2], s[2];
	int n = laws[law].x[1].rank ? 2 : 1;
	for (int i = 0; i < 2 * n; i++) {
		ad_shape shape = laws[law].x[i % n];
		if (shape.dim[0] == AD_BATCH && !symbolic)
			shape.dim[0] = batch;
		*(i < n ? &x[i] : &s[i - n]) = program_in(&g, AD_F64, shape, data[i < n ? i : i - n + 2]);
	}
	ad_var y = laws[law].f(x), w = program_in(&g, AD_F64, ad_shape_of(y), data[4]);
	ad_var gx[2], hx[2], along = ad_const(g.t, 0);
	ad_vjp(1, &y, &w, n, x, gx);
	for (int i = 0; i < n; i++)
		along = ad_add(along, ad_sum(ad_mul(gx[i], s[i]), AD_ALL));
	ad_vjp(1, &along, NULL, n, x, hx);
	program_out(&g, y);
	program_out(&g, along);
	for (int i = 0; i < 2; i++)
		program_out(&g, gx[i % n]);
	for (int i = 0; i < 2; i++)
		program_out(&g, hx[i % n]);
	return g;
}

static double weighted_sum(const program *g)
{
	double s = 0;
	for (int64_t i = 0; i < program_count(g, VALUE); i++)
		s += program_f64(g, VALUE)[i] * data[4][i];
	return s;
}

static void differences(size_t law)
{
	const double h = 1e-5;
	program g = traced(law, ROWS, false), moved = traced(law, ROWS, false);
	program_run(&g, (ad_options){ .threads = 1 });
	program_run(&moved, (ad_options){ .threads = 1 });
	for (int i = 0; i < 2 && laws[law].x[i].rank; i++)
		for (int64_t k = 0; k < size(laws[law].x[i], ROWS); k++) {
			double old = data[i][k], d[2] = { 0 };
			for (int side = -1; side <= 1; side += 2) {
				data[i][k] = old + side * h;
				assert_int_equal(ad_run(moved.p, 0), 0);
				d[0] += side * weighted_sum(&moved) / (2 * h);
				d[1] += side * program_f64(&moved, DIRECTIONAL)[0] / (2 * h);
			}
			data[i][k] = old;
			double g1 = program_f64(&g, GRADIENT + i)[k], g2 = program_f64(&g, CURVATURE + i)[k];
			if (!(fabs(d[0] - g1) < 1e-7 * (1 + fabs(g1)) &&
					fabs(d[1] - g2) < 1e-6 * (1 + fabs(g2))))
				fail_msg("%s, input %d, element %d: %g, not %g; %g, not %g", laws[law].name, i,
					(int)k, g1, d[0], g2, d[1]);
		}
	program_free(&g);
	program_free(&moved);
}

static void tiles(size_t law)
{
	static const ad_options ways[] = { { .tile = 16 },
		{ .tile = 32, .threads = 2, .reverse_tiles = true },
		{ .tile = 16, .no_fusion = true, .isa = "plain" }, { .isa = "base" }, { 0 } };
	program whole = traced(law, SAMPLES, false);
	program_run(&whole, (ad_options){ 0 });
	for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
		program g = traced(law, SAMPLES, true);
		program_run(&g, ways[k]);
		for (int i = 0; i < OUTPUTS; i++) {
			assert_int_equal(program_count(&g, i), program_count(&whole, i));
			for (int64_t e = 0; e < program_count(&g, i); e++) {
				double a = program_f64(&g, i)[e], b = program_f64(&whole, i)[e];
				if (!(fabs(a - b) < 1e-11 * (1 + fabs(b))))
					fail_msg("%s, way %d, output %d: %g, not %g", laws[law].name, (int)k, i, a, b);
			}
		}
		program_free(&g);
	}
	program_free(&whole);
}

static void derivatives(void **state)
{
	(void)state;
	for (size_t law = 0; law < sizeof laws / sizeof *laws; law++) {
		for (int i = 0; i < 5; i++)
			data[i] = numbers(SAMPLES * 64, -1, 1, 100 * law + (uint64_t)i);
		differences(law);
		tiles(law);
		for (int i = 0; i < 5; i++)
			free(data[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(derivatives) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
