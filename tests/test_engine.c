/* test_engine.c - running programs: the same bits for any threads, order of tiles and (per sample) tiles; phases;
 * batches of any size; the summary; the first bad node; refusing memory; large graphs. */
#include "program.h"

/* A net with a loss, batch statistics in the middle, noise, and gradients: outputs of every kind. */
static void trace(program *g, const double *x0, const double *w0, const double *v0)
{
	ad_var x = program_in(g, AD_F64, AD_SHAPE(AD_BATCH, 5), x0), w = program_in(g, AD_F64, AD_SHAPE(9, 5), w0);
	ad_var v = program_in(g, AD_F64, AD_SHAPE(3, 9), v0);
	ad_var noisy = ad_add(x, ad_scale(ad_normal(g->t, AD_SHAPE(AD_BATCH, 5), 42), 0.1));
	ad_var h = ad_linear(noisy, w, NULL);
	/* Phases: the mean feeds the spread, which feeds everything after. */
	ad_var mean = ad_mean_keep(h, AD_AXIS(0)), sd = ad_sqrt(ad_shift(ad_var_keep(h, AD_AXIS(0), false), 1e-3));
	ad_var y = ad_log_softmax(ad_linear(ad_tanh(ad_div(ad_sub(h, mean), sd)), v, NULL), 1);
	ad_var loss = ad_mean(ad_square(ad_sum(y, AD_AXIS(1))), AD_ALL);
	program_out(g, y);
	program_out(g, loss);
	program_out(g, ad_grad(loss, w));
	program_out(g, ad_grad(loss, v));
	program_out(g, ad_grad(loss, x));
	program_out(g, mean);
	program_out(g, ad_maxof(h, AD_AXIS(0)));
}

typedef struct {
	double *at[64];
} kept;

static kept keep(const program *g)
{
	kept k = { { NULL } };
	for (int i = 0; i < g->nout; i++) {
		size_t bytes = (size_t)program_count(g, i) * sizeof(double);
		k.at[i] = memcpy(malloc(bytes), program_f64(g, i), bytes);
	}
	return k;
}

static void same_bits(const program *g, const kept *k)
{
	for (int i = 0; i < g->nout; i++)
		assert_memory_equal(k->at[i], program_f64(g, i), (size_t)program_count(g, i) * sizeof(double));
}

static void nearly(const program *g, const kept *k, double tolerance)
{
	for (int i = 0; i < g->nout; i++)
		for (int64_t j = 0; j < program_count(g, i); j++)
			if (!(fabs(k->at[i][j] - program_f64(g, i)[j]) <= tolerance * fmax(1, fabs(k->at[i][j]))))
				fail_msg("output %d[%lld]: %.17g against %.17g", i, (long long)j, program_f64(g, i)[j],
					 k->at[i][j]);
}

static void drop(kept *k)
{
	for (int i = 0; i < 64; i++)
		free(k->at[i]);
}

static void threads_and_tiles(void **state)
{
	(void)state;
	double *x0 = numbers(1000 * 5, -1, 1, 1), *w0 = numbers(45, -1, 1, 2), *v0 = numbers(27, -1, 1, 3);
	static const int64_t batches[] = { 1, 2, 15, 16, 17, 100, 1000 };
	static const ad_options ways[] = {
		{ .threads = 1 },
		{ .threads = 2 },
		{ .threads = 4 },
		{ .threads = 8 },
		{ .threads = 2, .reverse_tiles = true },
		{ .threads = 1, .reverse_tiles = true },
		{ .threads = 2, .no_fusion = true },
	};
	static const int64_t tiles[] = { 0, 16, 32, 64, 256 };
	for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
		kept first = { { NULL } };
		for (size_t t = 0; t < sizeof tiles / sizeof *tiles; t++) {
			kept of_tile = { { NULL } };
			for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
				program g = program_on(AD_F64, batches[b]);
				trace(&g, x0, w0, v0);
				ad_options o = ways[i];
				o.tile = tiles[t];
				program_run(&g, o);
				if (i == 0)
					of_tile = keep(&g);
				same_bits(&g, &of_tile);
				if (t == 0 && i == 0)
					first = keep(&g);
				nearly(&g, &first, 1e-11);
				program_free(&g);
			}
			drop(&of_tile);
		}
		drop(&first);
	}
	free(x0);
	free(w0);
	free(v0);
}

/* Batches of one program growing and shrinking; the same bits as fresh ones. */
static void changing_batch(void **state)
{
	(void)state;
	double *x0 = numbers(500 * 5, -1, 1, 1), *w0 = numbers(45, -1, 1, 2), *v0 = numbers(27, -1, 1, 3);
	program g = program_on(AD_F64, 1);
	trace(&g, x0, w0, v0);
	program_run(&g, (ad_options){ .threads = 2 });
	static const int64_t batches[] = { 500, 3, 64, 65, 500, 2 };
	for (int i = 0; i < 6; i++) {
		g.batch = batches[i];
		ad_set_batch(g.p, g.batch);
		assert_int_equal(ad_run(g.p, 0), 0);
		kept k = keep(&g);
		program fresh = program_on(AD_F64, batches[i]);
		trace(&fresh, x0, w0, v0);
		program_run(&fresh, (ad_options){ .threads = 2 });
		same_bits(&fresh, &k);
		program_free(&fresh);
		drop(&k);
	}
	program_free(&g);
	free(x0);
	free(w0);
	free(v0);
}

/* A sample's values do not depend on the others in the batch. */
static void neighbours(void **state)
{
	(void)state;
	double *x0 = numbers(300, -1, 1, 1), *w0 = numbers(45, -1, 1, 2), all[60 * 9];
	for (int k = 0; k < 2; k++) {
		program g = program_on(AD_F64, k ? 1 : 60);
		ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 5), x0),
		       w = program_in(&g, AD_F64, AD_SHAPE(9, 5), w0);
		program_out(&g, ad_softmax(ad_tanh(ad_linear(x, w, NULL)), 1));
		program_run(&g, (ad_options){ 0 });
		for (int i = 0; k && i < 60; i++) {
			ad_bind(g.p, g.in[0], x0 + 5 * i);
			assert_int_equal(ad_run(g.p, 0), 0);
			assert_memory_equal(program_f64(&g, 0), all + 9 * i, 9 * sizeof *all);
		}
		if (k == 0)
			memcpy(all, program_f64(&g, 0), sizeof all);
		program_free(&g);
	}
	free(x0);
	free(w0);
}

/* Batch statistics against plain loops. */
static void phases(void **state)
{
	(void)state;
	enum { N = 77 };
	double *x0 = numbers(N * 2, -3, 5, 8);
	program g = program_on(AD_F64, N);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 2), x0);
	ad_var m = ad_mean_keep(x, AD_AXIS(0)), s = ad_sqrt(ad_var_keep(x, AD_AXIS(0), true));
	ad_var z = ad_div(ad_sub(x, m), s), largest = ad_maxof(ad_abs(z), AD_ALL);
	program_out(&g, z);
	program_out(&g, ad_div(z, largest));
	program_out(&g, largest);
	program_run(&g, (ad_options){ .tile = 16, .threads = 2 });
	assert_true(ad_prog_summary(g.p).phases >= 4);
	double top = 0;
	for (int k = 0; k < 2; k++) {
		double mean = 0, var = 0;
		for (int i = 0; i < N; i++)
			mean += x0[2 * i + k] / N;
		for (int i = 0; i < N; i++)
			var += (x0[2 * i + k] - mean) * (x0[2 * i + k] - mean) / (N - 1);
		for (int i = 0; i < N; i++) {
			double want = (x0[2 * i + k] - mean) / sqrt(var);
			top = fmax(top, fabs(want));
			assert_true(fabs(program_f64(&g, 0)[2 * i + k] - want) < 1e-13);
		}
	}
	assert_true(fabs(ad_result_scalar(g.p, 2) - top) < 1e-13);
	for (int i = 0; i < 2 * N; i++)
		assert_true(fabs(program_f64(&g, 1)[i] - program_f64(&g, 0)[i] / top) < 1e-13);
	program_free(&g);
	free(x0);
}

static void summary(void **state)
{
	(void)state;
	double *x0 = numbers(64 * 32, -1, 1, 1), *w0 = numbers(32 * 32, -1, 1, 2);
	program g = program_on(AD_F64, 64);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 32), x0), w = program_in(&g, AD_F64, AD_SHAPE(32, 32), w0);
	program_out(&g, ad_mean(ad_square(ad_linear(x, w, NULL)), AD_ALL));
	program_run(&g, (ad_options){ 0 });
	ad_summary s = ad_prog_summary(g.p);
	assert_true(s.nodes >= 4 && s.steps >= 2 && s.phases >= 1 && s.tile % 16 == 0);
	assert_true(s.flops_sample >= 2 * 32 * 32 && s.flops_sample < 4 * 32 * 32);
	assert_true(s.tile_arena > 0);
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	ad_prog_print(g.p, f);
	ad_profile(g.p, true);
	assert_int_equal(ad_run(g.p, 0), 0);
	ad_profile_print(g.p, f);
	fclose(f);
	assert_true(n > 200);
	free(text);
	program_free(&g);
	free(x0);
	free(w0);
}

/* Memory of a deep program does not grow with the batch; its arena grows with depth only through what is kept. */
static void arena(void **state)
{
	(void)state;
	size_t bytes[2];
	double *x0 = numbers(16 * 4096, -1, 1, 1);
	for (int k = 0; k < 2; k++) {
		program g = program_on(AD_F64, k ? 4096 : 512);
		ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 16), x0), y = x;
		for (int i = 0; i < 30; i++)
			y = ad_tanh(ad_cumsum(y, 1, false));
		program_out(&g, ad_sum(y, AD_ALL));
		program_run(&g, (ad_options){ .tile = 64 });
		bytes[k] = ad_prog_summary(g.p).tile_arena;
		program_free(&g);
	}
	assert_int_equal(bytes[0], bytes[1]);
	assert_true(bytes[0] <= 6 * 16 * 64 * sizeof(double) + 65536);
	free(x0);
}

static void first_bad_node(void **state)
{
	(void)state;
	double x0[40];
	for (int i = 0; i < 40; i++)
		x0[i] = i - 3;
	program g = program_on(AD_F64, 40);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH), x0);
	ad_set_path(g.t, "flow/2/scale");
	ad_var bad = ad_log(x);
	ad_set_path(g.t, "after");
	program_out(&g, ad_sum(ad_square(ad_sin(bad)), AD_ALL));
	for (int k = 0; k < 4; k++) {
		ad_options o = { .check_finite = k > 0, .threads = k, .tile = 16, .no_fusion = k == 2 };
		int rc = program_try(&g, o);
		assert_int_equal(rc, k ? -1 : 0);
		if (k && (!strstr(ad_run_error(g.p), "log") || !strstr(ad_run_error(g.p), "flow/2/scale")))
			fail_msg("\"%s\"", ad_run_error(g.p));
	}
	/* The program can run again once its data are right. */
	double good[40];
	for (int i = 0; i < 40; i++)
		good[i] = i + 1;
	ad_bind(g.p, x, good);
	assert_int_equal(ad_run(g.p, 0), 0);
	assert_true(isfinite(ad_result_scalar(g.p, 0)));
	program_free(&g);
}

static void memory(void **state)
{
	(void)state;
	ad_tape *t = ad_tape_new(AD_F64);
	ad_set_path(t, "giant");
	ad_var x = ad_sin(ad_full(t, AD_SHAPE(1 << 20, 1 << 20), 1)), y = ad_matmul(x, x, false, false);
	ad_var out = ad_sum(y, AD_ALL);
	assert_null(ad_compile(t, 1, &out, (ad_options){ 0 }));
	assert_non_null(ad_error(t));
	assert_non_null(strstr(ad_error(t), "giant"));
	ad_tape_free(t);

	t = ad_tape_new(AD_F64);
	out = ad_sum(ad_cumsum(ad_full(t, AD_SHAPE(1000, 1000), 1), 1, false), AD_ALL);
	assert_null(ad_compile(t, 1, &out, (ad_options){ .memory = 1 << 20 }));
	assert_non_null(ad_error(t));
	ad_tape_free(t);
}

static void large_graph(void **state)
{
	(void)state;
	enum { N = 20000 };
	double x0[32];
	for (int i = 0; i < 32; i++)
		x0[i] = i * 0.01;
	program g = program_on(AD_F64, 16);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 2), x0), y = x;
	for (int i = 0; i < N; i++)
		y = i % 10 ? ad_scale(ad_sin(y), 1.01) : ad_flip(y, 1);
	ad_var loss = ad_sum(y, AD_ALL);
	program_out(&g, loss);
	program_out(&g, ad_grad(loss, x));
	program_run(&g, (ad_options){ .threads = 1 });
	double want = 0;
	for (int s = 0; s < 32; s++) {
		double v = x0[s];
		for (int i = 0; i < N; i++)
			v = i % 10 ? 1.01 * sin(v) : v;
		want += v;
	}
	assert_true(fabs(ad_result_scalar(g.p, 0) - want) < 1e-9);
	program_free(&g);
}

/* Steps of a run differ in their noise; equal steps and seeds do not. */
static void seeds(void **state)
{
	(void)state;
	double a[33], b[33];
	program g = program_on(AD_F64, 33);
	program_out(&g, ad_normal(g.t, AD_SHAPE(AD_BATCH), 7));
	program_run(&g, (ad_options){ .threads = 2, .tile = 16 });
	memcpy(a, program_f64(&g, 0), sizeof a);
	ad_run(g.p, 1);
	memcpy(b, program_f64(&g, 0), sizeof b);
	assert_true(memcmp(a, b, sizeof a) != 0);
	ad_run(g.p, 0);
	assert_memory_equal(a, program_f64(&g, 0), sizeof a);
	ad_set_seed(g.p, 5);
	ad_run(g.p, 0);
	assert_true(memcmp(a, program_f64(&g, 0), sizeof a) != 0);
	for (int i = 0; i < 33; i++)
		assert_true(program_f64(&g, 0)[i] == ad_noise_normal(5, 0, 7, (uint64_t)i));
	program_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_and_tiles), cmocka_unit_test(changing_batch),
		cmocka_unit_test(neighbours),	     cmocka_unit_test(phases),
		cmocka_unit_test(summary),	     cmocka_unit_test(arena),
		cmocka_unit_test(first_bad_node),    cmocka_unit_test(memory),
		cmocka_unit_test(large_graph),	     cmocka_unit_test(seeds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
