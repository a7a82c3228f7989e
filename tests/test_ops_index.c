/* test_ops_index.c - ops that index: adjoints, edges, and indices that do not exist. */
#include "program.h"

#define SAMPLES 37

static double noise(int64_t i) { return ad_noise_normal(1, 2, 3, (uint64_t)i); }

static void fill(int64_t n, double *x, int64_t from)
{
	for (int64_t i = 0; i < n; i++)
		x[i] = noise(from + i);
}

/* <A x, y> = <x, A' y> for gather and scatter_add on every axis of a batched array. */
static void gather_adjoint(void **state)
{
	(void)state;
	static const int32_t index[7] = { 2, 0, 1, 1, 2, 0, 2 };
	static double x[SAMPLES * 36], y[SAMPLES * 84];
	fill(SAMPLES * 36, x, 0);
	fill(SAMPLES * 84, y, 1 << 20);
	for (int axis = 1; axis < 4; axis++)
		for (int64_t tile = 0; tile <= 32; tile += 16) {
			ad_shape sx = AD_SHAPE(AD_BATCH, 3, 3, 3), sy = sx;
			sx.dim[axis == 1 ? 2 : 1] = sy.dim[axis == 1 ? 2 : 1] = 4;
			sy.dim[axis] = 7;
			program g = program_on(AD_F64, SAMPLES);
			ad_var vx = program_in(&g, AD_F64, sx, x), vy = program_in(&g, AD_F64, sy, y);
			ad_var vi = program_in(&g, AD_I32, AD_SHAPE(7), index);
			program_out(&g, ad_sum(ad_mul(ad_gather(vx, axis, vi), vy), AD_ALL));
			program_out(&g, ad_sum(ad_mul(ad_scatter_add(vy, axis, vi, 3), vx), AD_ALL));
			assert_int_equal(program_try(&g, (ad_options){ .tile = tile }), 0);
			double a = ad_result_scalar(g.p, 0), b = ad_result_scalar(g.p, 1), naive = 0;
			int64_t n[4] = { SAMPLES, sx.dim[1], sx.dim[2], sx.dim[3] },
					m[4] = { SAMPLES, sy.dim[1], sy.dim[2], sy.dim[3] };
			for (int64_t e = 0; e < SAMPLES * m[1] * m[2] * m[3]; e++) {
				int64_t at[4], rest = e;
				for (int k = 3; k >= 0; k--) {
					at[k] = rest % m[k];
					rest /= m[k];
				}
				at[axis] = index[at[axis]];
				naive += y[e] * x[((at[0] * n[1] + at[1]) * n[2] + at[2]) * n[3] + at[3]];
			}
			assert_true(fabs(a - naive) < 1e-10 && fabs(b - naive) < 1e-10);
			program_free(&g);
		}
}

/* The same for take and put_add, with array and index batched or not. */
static void take_adjoint(void **state)
{
	(void)state;
	static double x[SAMPLES * 6], y[SAMPLES * 10];
	static int32_t index[SAMPLES * 10];
	fill(SAMPLES * 6, x, 0);
	fill(SAMPLES * 10, y, 1 << 20);
	for (int i = 0; i < SAMPLES * 10; i++)
		index[i] = i * 7 % 11 % 3;
	for (int which = 0; which < 3; which++)
		for (int64_t tile = 0; tile <= 32; tile += 16) {
			program g = program_on(AD_F64, SAMPLES);
			bool bx = which != 1, bi = which != 2;
			ad_var vx = program_in(&g, AD_F64, bx ? AD_SHAPE(AD_BATCH, 2, 3) : AD_SHAPE(2, 3), x);
			ad_var vi =
				program_in(&g, AD_I32, bi ? AD_SHAPE(AD_BATCH, 2, 5) : AD_SHAPE(2, 5), index);
			ad_var vy = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 2, 5), y);
			program_out(&g, ad_sum(ad_mul(ad_take(vx, -1, vi), vy), AD_ALL));
			program_out(&g, ad_sum(ad_mul(ad_put_add(vy, -1, vi, 3), vx), AD_ALL));
			assert_int_equal(program_try(&g, (ad_options){ .tile = tile }), 0);
			double naive = 0;
			for (int s = 0; s < SAMPLES; s++)
				for (int d = 0; d < 2; d++)
					for (int j = 0; j < 5; j++)
						naive +=
							y[(s * 2 + d) * 5 + j] *
							x[((bx ? s : 0) * 2 + d) * 3 + index[((bi ? s : 0) * 2 + d) * 5 + j]];
			assert_true(fabs(ad_result_scalar(g.p, 0) - naive) < 1e-10);
			assert_true(fabs(ad_result_scalar(g.p, 1) - naive) < 1e-10);
			program_free(&g);
		}
}

/* Every element type, and a gather from a broadcast and a transposed array. */
static void gather_kinds(void **state)
{
	(void)state;
	static const int32_t index[2] = { 2, 0 }, whole[6] = { 10, 11, 12, 13, 14, 15 };
	static const float single[6] = { 0, 1, 2, 3, 4, 5 };
	program g = program_on(AD_F64, SAMPLES);
	ad_var i = program_in(&g, AD_I32, AD_SHAPE(2), index);
	ad_var n = program_in(&g, AD_I32, AD_SHAPE(2, 3), whole),
		   x = program_in(&g, AD_F32, AD_SHAPE(2, 3), single);
	program_out(&g, ad_gather(n, 1, i));
	program_out(&g, ad_gather(ad_transpose(x), 0, i));
	program_out(&g, ad_scatter_add(n, 0, i, 3));
	program_out(&g, ad_gather(ad_broadcast(x, AD_SHAPE(AD_BATCH, 2, 3)), 2, i));
	assert_int_equal(program_try(&g, (ad_options){ .tile = 16 }), 0);
	assert_memory_equal(ad_result(g.p, 0), ((int32_t[]){ 12, 10, 15, 13 }), 16);
	assert_memory_equal(ad_result(g.p, 1), ((float[]){ 2, 5, 0, 3 }), 16);
	assert_memory_equal(ad_result(g.p, 2), ((int32_t[]){ 13, 14, 15, 0, 0, 0, 10, 11, 12 }), 36);
	for (int s = 0; s < SAMPLES; s++)
		assert_memory_equal(
			(const float *)ad_result(g.p, 3) + 4 * s, ((float[]){ 2, 0, 5, 3 }), 16);
	program_free(&g);
}

static void searchsorted_edges(void **state)
{
	(void)state;
	static const double edges[5] = { -1, 0, 0, 0.5, 2 };
	static const double x[9] = { -2, -1, -1e-300, 0, 0.25, 0.5, 2, 1e30, NAN };
	static const int32_t want[9] = { 0, 1, 1, 3, 3, 4, 5, 5, 0 };
	for (int64_t n = 1; n <= 5; n++) {
		program g = program_on(AD_F64, SAMPLES);
		ad_var e = program_in(&g, AD_F64, AD_SHAPE(n), edges),
			   v = program_in(&g, AD_F64, AD_SHAPE(9), x);
		program_out(&g, ad_searchsorted(e, v));
		program_out(&g, ad_searchsorted(ad_cast(e, AD_F32),
							ad_cast(ad_broadcast(v, AD_SHAPE(AD_BATCH, 9)), AD_F32)));
		assert_int_equal(program_try(&g, (ad_options){ .tile = 16 }), 0);
		const int32_t *one = ad_result(g.p, 0), *all = ad_result(g.p, 1);
		for (int i = 0; i < 9; i++) {
			int32_t w = want[i] < n ? want[i] : (int32_t)n;
			assert_int_equal(one[i], w);
			for (int s = 0; s < SAMPLES && i != 2; s++) /* -1e-300 is 0 in single precision */
				assert_int_equal(all[9 * s + i], w);
		}
		program_free(&g);
	}
}

static void one_hot_rows(void **state)
{
	(void)state;
	static int32_t index[SAMPLES * 2];
	for (int i = 0; i < SAMPLES * 2; i++)
		index[i] = i % 5;
	program g = program_on(AD_F32, SAMPLES);
	program_out(&g, ad_one_hot(program_in(&g, AD_I32, AD_SHAPE(AD_BATCH, 2), index), 5));
	assert_int_equal(program_try(&g, (ad_options){ .tile = 16 }), 0);
	const float *y = ad_result(g.p, 0);
	for (int i = 0; i < SAMPLES * 2; i++)
		for (int j = 0; j < 5; j++)
			assert_true(y[5 * i + j] == (j == index[i]));
	program_free(&g);
}

static ad_var bad_gather(ad_var x, ad_var i) { return ad_gather(x, 1, i); }
static ad_var bad_scatter(ad_var x, ad_var i) { return ad_scatter_add(x, 1, i, 3); }
static ad_var bad_take(ad_var x, ad_var i) { return ad_take(x, 1, i); }
static ad_var bad_put(ad_var x, ad_var i) { return ad_put_add(x, 1, i, 3); }
static ad_var bad_one_hot(ad_var x, ad_var i)
{
	(void)x;
	return ad_one_hot(i, 3);
}

/* An index that does not exist stops the run with a line that names it; a good one then runs. */
static void out_of_range(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		ad_var (*f)(ad_var x, ad_var i);
	} op[] = { { "ad_gather", bad_gather }, { "ad_scatter_add", bad_scatter },
		{ "ad_take", bad_take }, { "ad_put_add", bad_put }, { "ad_one_hot", bad_one_hot } };
	static double x[SAMPLES * 3];
	for (size_t k = 0; k < sizeof op / sizeof *op; k++)
		for (int32_t bad = -1; bad <= 3; bad += 4) {
			int32_t index[3] = { 0, bad, 1 };
			program g = program_on(AD_F64, SAMPLES);
			ad_set_path(g.t, "the/path");
			ad_var vx = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 3), x);
			program_out(&g, op[k].f(vx, program_in(&g, AD_I32, AD_SHAPE(3), index)));
			assert_int_equal(program_try(&g, (ad_options){ .tile = 16 }), -1);
			char number[16];
			snprintf(number, sizeof number, "index %d ", (int)bad);
			assert_non_null(strstr(ad_run_error(g.p), op[k].name));
			assert_non_null(strstr(ad_run_error(g.p), number));
			assert_non_null(strstr(ad_run_error(g.p), "the/path"));
			index[1] = 2;
			assert_int_equal(ad_run(g.p, 1), 0);
			program_free(&g);
		}
}

static void trace_gather_real(ad_var x, ad_var i)
{
	(void)i;
	ad_gather(x, 1, x);
}
static void trace_gather_batch(ad_var x, ad_var i) { ad_gather(x, 0, i); }
static void trace_take_batch(ad_var x, ad_var i) { ad_take(x, 0, i); }
static void trace_take_shape(ad_var x, ad_var i)
{
	ad_take(ad_stack(-1, 2, (ad_var[]){ x, x }), 2, ad_broadcast(i, AD_SHAPE(2, 3)));
}
static void trace_scatter_count(ad_var x, ad_var i)
{
	ad_scatter_add(ad_slice(x, 1, 0, 2), 1, i, 9);
}
static void trace_scatter_extent(ad_var x, ad_var i) { ad_scatter_add(x, 1, i, 0); }
static void trace_one_hot_real(ad_var x, ad_var i)
{
	(void)i;
	ad_one_hot(x, 3);
}
static void trace_search_shape(ad_var x, ad_var i)
{
	(void)i;
	ad_searchsorted(ad_stack(1, 2, (ad_var[]){ x, x }), x);
}
static void trace_diagonal(ad_var x, ad_var i)
{
	(void)i;
	ad_diagonal(x);
}
static void trace_tril(ad_var x, ad_var i)
{
	(void)i;
	ad_tril(x, 0);
}
static void trace_cumsum(ad_var x, ad_var i)
{
	(void)x;
	ad_cumsum(i, 0, false);
}
static void trace_softmax(ad_var x, ad_var i)
{
	(void)i;
	ad_softmax(x, 0);
}
static void trace_prod(ad_var x, ad_var i)
{
	(void)i;
	ad_prod(x, 0);
}

/* Mistakes are seen while tracing, once, and what follows does no harm. */
static void mistakes(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		void (*f)(ad_var x, ad_var i);
	} c[] = { { "ad_gather", trace_gather_real }, { "ad_gather", trace_gather_batch },
		{ "ad_take", trace_take_batch }, { "ad_take", trace_take_shape },
		{ "ad_scatter_add", trace_scatter_count }, { "ad_scatter_add", trace_scatter_extent },
		{ "ad_one_hot", trace_one_hot_real }, { "ad_searchsorted", trace_search_shape },
		{ "ad_diagonal", trace_diagonal }, { "ad_tril", trace_tril }, { "ad_cumsum", trace_cumsum },
		{ "ad_softmax", trace_softmax }, { "ad_prod", trace_prod } };
	for (size_t k = 0; k < sizeof c / sizeof *c; k++) {
		ad_tape *t = ad_tape_new(AD_F32);
		ad_var x = ad_input(t, AD_F32, AD_SHAPE(AD_BATCH, 3), "x"),
			   i = ad_input(t, AD_I32, AD_SHAPE(3), "i");
		c[k].f(x, i);
		assert_non_null(ad_error(t));
		char first[1024];
		snprintf(first, sizeof first, "%s", ad_error(t));
		assert_non_null(strstr(first, c[k].name));
		c[(k + 1) % (sizeof c / sizeof *c)].f(x, i);
		assert_string_equal(ad_error(t), first);
		ad_tape_free(t);
	}
}

/* A triangle replaces what it drops by zero, infinite or not; its derivative too. */
static void triangles(void **state)
{
	(void)state;
	double x[12], want[2][12];
	for (int d = -4; d <= 5; d++) {
		for (int i = 0; i < 12; i++) {
			bool low = i % 4 - i / 4 <= d, high = i % 4 - i / 4 >= d;
			x[i] = i % 5 == 4 ? INFINITY : i + 1;
			want[0][i] = low ? x[i] : 0;
			want[1][i] = high ? x[i] : 0;
		}
		program g = program_on(AD_F64, SAMPLES);
		ad_var v = program_in(&g, AD_F64, AD_SHAPE(3, 4), x);
		program_out(&g, ad_tril(v, d));
		program_out(&g, ad_triu(v, d));
		program_out(&g, ad_tril(ad_broadcast(v, AD_SHAPE(AD_BATCH, 3, 4)), d));
		assert_int_equal(program_try(&g, (ad_options){ .tile = 16 }), 0);
		assert_memory_equal(ad_result(g.p, 0), want[0], sizeof want[0]);
		assert_memory_equal(ad_result(g.p, 1), want[1], sizeof want[1]);
		for (int s = 0; s < SAMPLES; s++)
			assert_memory_equal(
				(const double *)ad_result(g.p, 2) + 12 * s, want[0], sizeof want[0]);
		program_free(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gather_adjoint),
		cmocka_unit_test(take_adjoint),
		cmocka_unit_test(gather_kinds),
		cmocka_unit_test(searchsorted_edges),
		cmocka_unit_test(one_hot_rows),
		cmocka_unit_test(out_of_range),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(triangles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
