/* test_broadcast.c - elementwise ops on arrays of different shapes, batched and not, in every pattern; and that fusing
 * them changes no bit. */
#include "rows.h"

#define SAMPLES 21
#define B	AD_BATCH
static const ad_shape patterns[][2] = {
	{ { 2, { 3, 4 } }, { 2, { 3, 4 } } },
	{ { 2, { 3, 4 } }, { 1, { 4 } } },
	{ { 2, { 3, 4 } }, { 2, { 3, 1 } } },
	{ { 2, { 3, 4 } }, { 0, { 0 } } },
	{ { 2, { 3, 1 } }, { 2, { 1, 4 } } },
	{ { 0, { 0 } }, { 1, { 5 } } },
	{ { 3, { 2, 1, 4 } }, { 2, { 3, 1 } } },
	{ { 2, { B, 4 } }, { 2, { B, 4 } } },
	{ { 2, { B, 4 } }, { 1, { 4 } } },
	{ { 2, { B, 4 } }, { 2, { B, 1 } } },
	{ { 2, { B, 4 } }, { 2, { 1, 4 } } },
	{ { 2, { B, 1 } }, { 2, { 1, 4 } } },
	{ { 2, { B, 1 } }, { 1, { 4 } } },
	{ { 2, { B, 4 } }, { 0, { 0 } } },
	{ { 1, { B } }, { 0, { 0 } } },
	{ { 3, { B, 2, 3 } }, { 2, { 2, 1 } } },
	{ { 3, { B, 1, 3 } }, { 3, { B, 2, 1 } } },
	{ { 3, { B, 2, 3 } }, { 3, { 1, 1, 3 } } },
	{ { 3, { 1, 2, 3 } }, { 3, { B, 2, 1 } } },
	{ { 1, { 4 } }, { 2, { B, 4 } } },
	{ { 2, { 1, 1 } }, { 2, { B, 3 } } },
};
#undef B

static int64_t extent(ad_shape s, int axis, int rank) /* axis counted in an array of that rank */
{
	int k = axis - (rank - s.rank);
	return k < 0 ? 1 : s.dim[k] == AD_BATCH ? SAMPLES : s.dim[k];
}

static ad_shape joined(ad_shape a, ad_shape b)
{
	ad_shape s = { a.rank > b.rank ? a.rank : b.rank, { 0 } };
	for (int k = 0; k < s.rank; k++) {
		int64_t p = extent(a, k, s.rank), q = extent(b, k, s.rank);
		s.dim[k] = p > q ? p : q;
	}
	return s;
}

static int64_t size_of(ad_shape s)
{
	int64_t n = 1;
	for (int k = 0; k < s.rank; k++)
		n *= extent(s, k, s.rank);
	return n;
}

/* Where element i of the joined array stands in one of shape s. */
static int64_t place(ad_shape s, ad_shape all, int64_t i)
{
	int64_t at = 0, stride = 1;
	for (int k = all.rank - 1; k >= 0; k--) {
		int64_t n = extent(s, k, all.rank), c = i % all.dim[k];
		i /= all.dim[k];
		at += (n == 1 ? 0 : c) * stride;
		stride *= n;
	}
	return at;
}

/* The same op on arrays already stretched: the value, and the gradient not yet summed. */
static void stretched(const row *r, int64_t n, const double *const x[3], const double *w, double *y, double *g[3])
{
	program q = program_on(AD_F64, 1);
	ad_var grad[3];
	for (int j = 0; j < r->nin; j++)
		program_in(&q, AD_F64, AD_SHAPE(n), x[j]);
	ad_var v = apply(r, q.in), cw = program_in(&q, AD_F64, AD_SHAPE(n), w);
	ad_vjp(1, &v, &cw, r->nin, q.in, grad);
	program_out(&q, v);
	for (int j = 0; j < r->nin; j++)
		program_out(&q, grad[j]);
	program_run(&q, (ad_options){ .threads = 1 });
	memcpy(y, program_f64(&q, 0), (size_t)n * sizeof *y);
	for (int j = 0; j < r->nin; j++)
		memcpy(g[j], program_f64(&q, 1 + j), (size_t)n * sizeof *y);
	program_free(&q);
}

static void broadcast_pattern(const row *r, const ad_shape s[3], ad_options o)
{
	domain d = domain_of(r);
	ad_shape all = joined(joined(s[0], s[1]), s[2]);
	int64_t n = size_of(all);
	double *small[3], *x[3], *g[3], *y = malloc((size_t)n * 8), *w = numbers(n, 0.5, 1.5, 9);
	for (int j = 0; j < 3; j++) {
		small[j] = numbers(size_of(s[j]), d.lo, d.hi, 5 + (uint64_t)j);
		for (int64_t i = 0; !j && !strcmp(r->name, "where") && i < size_of(s[j]); i++)
			small[j][i] = i % 2;
		x[j] = malloc((size_t)n * 8);
		g[j] = malloc((size_t)n * 8);
		for (int64_t i = 0; i < n; i++)
			x[j][i] = small[j][place(s[j], all, i)];
	}
	stretched(r, n, (const double *const *)x, w, y, g);

	program q = program_on(AD_F64, SAMPLES);
	ad_var grad[3];
	for (int j = 0; j < r->nin; j++)
		program_in(&q, AD_F64, s[j], small[j]);
	ad_var v = apply(r, q.in), cw = program_in(&q, AD_F64, ad_shape_of(v), w);
	ad_vjp(1, &v, &cw, r->nin, q.in, grad);
	program_out(&q, v);
	for (int j = 0; j < r->nin; j++)
		program_out(&q, grad[j]);
	program_run(&q, o);
	assert_int_equal(program_count(&q, 0), n);
	assert_memory_equal(program_f64(&q, 0), y, (size_t)n * sizeof *y);
	for (int j = 0; j < r->nin; j++) {
		int64_t m = size_of(s[j]);
		double *sum = calloc((size_t)m, sizeof *sum);
		for (int64_t i = 0; i < n; i++)
			sum[place(s[j], all, i)] += g[j][i];
		assert_int_equal(program_count(&q, 1 + j), m);
		for (int64_t i = 0; i < m; i++)
			if (!(fabs(program_f64(&q, 1 + j)[i] - sum[i]) <= 1e-12 * fmax(1, fabs(sum[i]))))
				fail_msg("%s: gradient of input %d: %.17g against %.17g", r->name, j,
					 program_f64(&q, 1 + j)[i], sum[i]);
		free(sum);
	}
	program_free(&q);
	for (int j = 0; j < 3; j++) {
		free(small[j]);
		free(x[j]);
		free(g[j]);
	}
	free(y);
	free(w);
}

static void broadcasting(void **state)
{
	(void)state;
	static const ad_shape scalar;
	for (size_t k = 0; k < ROWS; k++)
		for (size_t i = 0; rows[k].nin > 1 && i < sizeof patterns / sizeof *patterns; i++) {
			const ad_shape *p = patterns[i];
			ad_shape s[3] = { p[0], p[1], rows[k].nin > 2 ? p[i % 2] : scalar };
			broadcast_pattern(&rows[k], s, (ad_options){ .threads = 1 });
			broadcast_pattern(&rows[k], s, (ad_options){ .threads = 2, .tile = 16, .no_fusion = i % 2 });
		}
}

/* --- Fusion ---------------------------------------------------------------- */

/* A net of elementwise ops over everything in range, with shared and broadcast inner values. */
static void tangle(program *g, const double *x, const double *b)
{
	ad_var v = program_in(g, AD_F64, AD_SHAPE(AD_BATCH, 5), x), bias = program_in(g, AD_F64, AD_SHAPE(5), b),
	       kept = v;
	for (size_t k = 0; k < ROWS; k++) {
		const row *r = &rows[k];
		domain d = domain_of(r);
		/* into the domain */
		ad_var in = ad_shift(ad_scale(ad_sigmoid(v), d.hi - d.lo), d.lo);
		ad_var other = ad_shift(ad_scale(ad_sigmoid(ad_add(kept, bias)), d.hi - d.lo), d.lo);
		ad_var y = apply(r, (ad_var[]){ in, other, in });
		kept = k % 4 ? kept : v;
		v = ad_add(ad_scale(ad_tanh(y), 0.5), ad_scale(v, 0.5));
	}
	ad_var loss = ad_sum(v, AD_ALL);
	program_out(g, v);
	program_out(g, ad_grad(loss, g->in[0]));
	program_out(g, ad_grad(loss, bias));
}

static void fusion(void **state)
{
	(void)state;
	double *x = numbers(37 * 5, -2, 2, 1), *b = numbers(5, -1, 1, 2), *first[3] = { NULL };
	for (int i = 0; i < 4; i++) {
		program g = program_on(AD_F64, 37);
		tangle(&g, x, b);
		program_run(&g, (ad_options){ .threads = 1 + i / 2, .tile = 16, .no_fusion = i % 2 });
		for (int o = 0; o < 3; o++) {
			size_t bytes = (size_t)program_count(&g, o) * sizeof(double);
			if (i == 0)
				first[o] = memcpy(malloc(bytes), program_f64(&g, o), bytes);
			else
				assert_memory_equal(first[o], program_f64(&g, o), bytes);
		}
		program_free(&g);
	}
	for (int o = 0; o < 3; o++)
		free(first[o]);
	free(x);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broadcasting),
		cmocka_unit_test(fusion),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
