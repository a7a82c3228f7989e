/* test_rearrange.c - gathers, slices and concatenations of each other: the right entries and derivatives whatever is left out. */
#include "program.h"

enum { SAMPLES = 19, WIDTH = 9, MOST = 40, STEPS = 12 };

static uint64_t state = 3;

/* 0 to n - 1 */
static int64_t below(int64_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (int64_t)((state >> 33) % (uint64_t)n);
}

/* Entries of axis 1, each of which is one of x. */
typedef struct {
	ad_var v;
	int64_t n, from[MOST];
} picked;

static ad_var index_of(ad_tape *t, int64_t n, const int32_t *at) { return ad_array_i32(t, AD_SHAPE(n), at); }

static picked gathered(const picked *p)
{
	picked r = { .n = 1 + below(MOST < p->n + 3 ? MOST : p->n + 3) };
	int32_t at[MOST];
	int64_t kind = below(3), start = below(p->n);
	for (int64_t i = 0; i < r.n; i++) { /* any, backwards, or forwards as far as they go */
		at[i] = (int32_t)(kind == 0 ? below(p->n) : kind == 1 ? (start + (p->n - 1) * i) % p->n : (start + i) % p->n);
		r.from[i] = p->from[at[i]];
	}
	r.v = ad_gather(p->v, 1, index_of(ad_tape_of(p->v), r.n, at));
	return r;
}

static picked sliced(const picked *p)
{
	int64_t lo = below(p->n), hi = lo + 1 + below(p->n - lo), step = 1 + below(3);
	picked r = { .v = ad_slice_step(p->v, 1, lo, hi, step) };
	for (int64_t i = lo; i < hi; i += step)
		r.from[r.n++] = p->from[i];
	return r;
}

static picked joined(const picked *a, const picked *b)
{
	picked r = { .v = ad_concat(1, 2, (const ad_var[]){ a->v, b->v }), .n = a->n + b->n };
	memcpy(r.from, a->from, (size_t)a->n * sizeof *r.from);
	memcpy(r.from + a->n, b->from, (size_t)b->n * sizeof *r.from);
	return r;
}

/* Each of the last few may be used again, so that entries are needed in several places. */
static void one_chain(const double *x0)
{
	program g = program_on(AD_F64, SAMPLES);
	picked p[STEPS] = { { .n = WIDTH } };
	double weight[MOST], want[WIDTH] = { 0 };
	p->v = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, WIDTH), x0);
	for (int i = 0; i < WIDTH; i++)
		p->from[i] = i;
	for (int i = 1; i < STEPS; i++) {
		const picked *a = &p[i - 1 - below(i < 3 ? i : 3)], *b = &p[below(i)];
		int64_t kind = below(3);
		p[i] = kind == 0 && a->n + b->n <= MOST ? joined(a, b) : kind == 1 ? sliced(a) : gathered(a);
		program_out(&g, p[i].v);
	}
	const picked *last = &p[STEPS - 1];
	for (int64_t j = 0; j < last->n; j++) {
		weight[j] = (double)(j * j) + 1;
		want[last->from[j]] += weight[j];
	}
	ad_var loss = ad_sum(ad_mul(last->v, ad_array(g.t, AD_SHAPE(1, last->n), weight)), AD_ALL);
	int gradient = program_out(&g, ad_grad(loss, p->v));
	program_run(&g, (ad_options){ .threads = 1, .tile = 16, .no_fusion = below(2) });
	for (int i = 1; i < STEPS; i++) {
		assert_int_equal(ad_dim(p[i].v, 1), p[i].n);
		for (int64_t s = 0; s < SAMPLES; s++)
			for (int64_t j = 0; j < p[i].n; j++)
				assert_true(program_f64(&g, i - 1)[s * p[i].n + j] == x0[s * WIDTH + p[i].from[j]]);
	}
	for (int64_t s = 0; s < SAMPLES; s++)
		for (int64_t j = 0; j < WIDTH; j++)
			assert_true(program_f64(&g, gradient)[s * WIDTH + j] == want[j]);
	program_free(&g);
}

static void chains(void **unused)
{
	(void)unused;
	double *x0 = numbers(SAMPLES * WIDTH, -1, 1, 1);
	for (int i = 0; i < 200; i++)
		one_chain(x0);
	free(x0);
}

/* What couplings and permutations one after the other leave of each other. */
static void left_out(void **unused)
{
	(void)unused;
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 4), "x"), y = ad_exp(x);
	ad_var back = index_of(t, 4, (const int32_t[]){ 3, 2, 1, 0 }), weave = index_of(t, 8, (const int32_t[]){ 4, 0, 5, 1, 6, 2, 7, 3 });
	ad_var all = ad_gather(ad_concat(1, 2, (const ad_var[]){ x, y }), 1, weave);
	assert_ptr_equal(ad_gather(ad_gather(x, 1, back), 1, back), x);
	assert_ptr_equal(ad_slice_step(all, 1, 0, 8, 2), y);
	assert_ptr_equal(ad_slice_step(all, 1, 1, 8, 2), x);
	assert_ptr_equal(ad_slice(ad_concat(1, 2, (const ad_var[]){ x, y }), 1, 4, 8), y);
	/* An index that is wrong is still one when the program runs. */
	ad_var wrong = ad_gather(ad_gather(x, 1, back), 1, index_of(t, 2, (const int32_t[]){ 1, 4 }));
	ad_prog *p = ad_compile(t, 1, &wrong, (ad_options){ .threads = 1 });
	double data[4] = { 0 };
	ad_set_batch(p, 1);
	ad_bind(p, x, data);
	assert_int_equal(ad_run(p, 0), -1);
	assert_non_null(strstr(ad_run_error(p), "index 4 is outside [0, 4)"));
	ad_prog_free(p);
	ad_tape_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(chains), cmocka_unit_test(left_out) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
