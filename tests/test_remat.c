/* test_remat.c - values computed again on the way back: the same derivatives, less memory, no leak in the graph. */
#include "program.h"

#define N 37

static ad_var layer(ad_var x, ad_var w)
{
	return ad_add(ad_tanh(ad_linear(ad_softplus(ad_linear(x, w, NULL)), w, NULL)), x);
}

static ad_var layers(ad_var x, ad_var w, int depth, bool remat)
{
	for (int i = 0; i < depth; i++) {
		if (!remat) {
			x = layer(x, w);
			continue;
		}
		ad_fn *f = ad_fn_begin(ad_tape_of(x));
		ad_var arg = ad_fn_arg(f, ad_dtype_of(x), ad_shape_of(x)), out = layer(arg, w);
		ad_fn_end(f, 1, &out);
		ad_remat(f, &x, &x);
	}
	return x;
}

static size_t arena_of(const double *x0, const double *w0, int depth, bool remat)
{
	program g = program_on(AD_F64, N);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 4), x0), w = program_in(&g, AD_F64, AD_SHAPE(4, 4), w0);
	program_out(&g, ad_grad(ad_sum(layers(x, w, depth, remat), AD_ALL), x));
	program_run(&g, (ad_options){ .threads = 1, .tile = 16 });
	size_t bytes = ad_prog_summary(g.p).tile_arena;
	program_free(&g);
	return bytes;
}

/* The same gradients with and without, at orders 1 and 2; the arena grows less with depth. */
static void remat(void **state)
{
	(void)state;
	double *x0 = numbers(N * 4, -1, 1, 1), *w0 = numbers(16, -0.5, 0.5, 2), *first = NULL, *second = NULL;
	size_t bytes[2];
	for (int k = 0; k < 2; k++) {
		program g = program_on(AD_F64, N);
		ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 4), x0),
		       w = program_in(&g, AD_F64, AD_SHAPE(4, 4), w0);
		ad_var grad = ad_grad(ad_sum(ad_square(layers(x, w, 4, k)), AD_ALL), w);
		program_out(&g, grad);
		program_out(&g, ad_grad(ad_sum(ad_square(grad), AD_ALL), x));
		program_run(&g, (ad_options){ .threads = 2, .tile = 16 });
		if (k == 0) {
			first = memcpy(malloc(16 * 8), program_f64(&g, 0), 16 * 8);
			second = memcpy(malloc(N * 4 * 8), program_f64(&g, 1), N * 4 * 8);
		}
		for (int i = 0; i < 16; i++)
			assert_true(fabs(program_f64(&g, 0)[i] - first[i]) <= 1e-12 * fmax(1, fabs(first[i])));
		for (int i = 0; i < N * 4; i++)
			assert_true(fabs(program_f64(&g, 1)[i] - second[i]) <= 1e-12 * fmax(1, fabs(second[i])));
		program_free(&g);
		/* What a layer keeps for the way back. */
		bytes[k] = arena_of(x0, w0, 120, k) - arena_of(x0, w0, 20, k);
	}
	if (!(bytes[1] <= 0.5 * (double)bytes[0]))
		fail_msg("100 layers keep %zu bytes with remat, %zu without", bytes[1], bytes[0]);
	free(first);
	free(second);
	free(x0);
	free(w0);
}

/* Live nodes grow linearly with depth, not faster: derivatives do not leak back through what is computed again. */
static void remat_grows_linearly(void **state)
{
	(void)state;
	int64_t nodes[3];
	double *x0 = numbers(N * 4, -1, 1, 1), *w0 = numbers(16, -0.5, 0.5, 2);
	for (int k = 0; k < 3; k++) {
		program g = program_on(AD_F64, N);
		ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 4), x0),
		       w = program_in(&g, AD_F64, AD_SHAPE(4, 4), w0);
		program_out(&g, ad_grad(ad_sum(layers(x, w, 10 << k, true), AD_ALL), w));
		program_run(&g, (ad_options){ 0 });
		nodes[k] = ad_prog_summary(g.p).nodes;
		program_free(&g);
	}
	assert_true(nodes[2] - nodes[1] <= 2 * (nodes[1] - nodes[0]) + 8);
	free(x0);
	free(w0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remat),
		cmocka_unit_test(remat_grows_linearly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
