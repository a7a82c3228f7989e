/* test_group.c - programs run by several processes together have the bits of one alone: sums, phases, noise, outputs, errors,
 * training of every model. */
#include "program.h"
#include "random_graph.h"
#include "ranks.h"

#include "flows/flow.h"

typedef struct {
	void (*trace)(program *g);
	int64_t batch, tile;
	int threads;
} job;

/* All results of all outputs, and the error if there is one. */
static void perform(ranks *r, const ad_group *group, void *with)
{
	const job *j = with;
	program g = program_on(AD_F64, j->batch);
	j->trace(&g);
	ad_options o = { .threads = j->threads ? j->threads : 1 + (group->rank & 1), .tile = j->tile, .group = group };
	int bad = program_try(&g, o);
	for (int again = 0; again < 2 && !bad; again++) {
		for (int i = 0; i < g.nout; i++)
			ranks_put(r, ad_result(g.p, i),
				  (size_t)program_count(&g, i) * (ad_dtype_of(g.out[i]) == AD_F64 ? sizeof(double) : sizeof(float)));
		bad = ad_run(g.p, 7);
	}
	if (bad)
		ranks_put(r, ad_run_error(g.p), strlen(ad_run_error(g.p)));
	program_free(&g);
}

static void same_alone(const char *what, const job *j, int size, const ranks *alone)
{
	ranks *r = ranks_run(size, -1, perform, (void *)j);
	assert_non_null(r);
	for (int i = 0; i < size; i++)
		if (r->used[i] != alone->used[0] || memcmp(r->result[i], alone->result[0], alone->used[0]))
			fail_msg("%s, %lld samples, tiles of %lld: rank %d of %d differs", what, (long long)j->batch, (long long)j->tile,
				 i, size);
	ranks_free(r);
}

static void compare(const char *what, job j, int n, const int size[])
{
	ranks *alone = ranks_run(1, -1, perform, &j);
	assert_non_null(alone);
	assert_true(alone->used[0] > 0);
	for (int i = 0; i < n; i++)
		same_alone(what, &j, size[i], alone);
	ranks_free(alone);
}

/* --- What is run ------------------------------------------------------------------------------------------------------------- */

enum { MOST = 2100 };

/* A net with a loss, batch statistics in the middle, noise, gradients, a maximum: outputs of every kind. */
static void net(program *g)
{
	static double *x0, *w0, *v0;
	if (!x0)
		x0 = numbers(MOST * 5, -1, 1, 1), w0 = numbers(45, -1, 1, 2), v0 = numbers(27, -1, 1, 3);
	ad_var x = program_in(g, AD_F64, AD_SHAPE(AD_BATCH, 5), x0), w = program_in(g, AD_F64, AD_SHAPE(9, 5), w0);
	ad_var v = program_in(g, AD_F64, AD_SHAPE(3, 9), v0);
	ad_var noisy = ad_add(x, ad_scale(ad_normal(g->t, AD_SHAPE(AD_BATCH, 5), 42), 0.1));
	ad_var h = ad_linear(noisy, w, NULL);
	ad_var mean = ad_mean_keep(h, AD_AXIS(0)), sd = ad_sqrt(ad_shift(ad_var_keep(h, AD_AXIS(0), false), 1e-3));
	ad_var y = ad_log_softmax(ad_linear(ad_tanh(ad_div(ad_sub(h, mean), sd)), v, NULL), 1);
	ad_var loss = ad_mean(ad_square(ad_sum(y, AD_AXIS(1))), AD_ALL);
	program_out(g, y);
	program_out(g, loss);
	program_out(g, ad_grad(loss, w));
	program_out(g, ad_grad(loss, x));
	program_out(g, ad_cast(ad_grad(loss, v), AD_F32));
	program_out(g, mean);
	program_out(g, ad_maxof(h, AD_AXIS(0)));
	program_out(g, ad_cast(y, AD_F32));
}

/* Nothing is summed over the batch. */
static void map(program *g)
{
	static double *x0;
	if (!x0)
		x0 = numbers(MOST * 3, -1, 1, 4);
	program_out(g, ad_tanh(ad_scale(program_in(g, AD_F64, AD_SHAPE(AD_BATCH, 3), x0), 2)));
}

/* Sums of more than a megabyte: few slots, more of them for many tiles. */
static void wide(program *g)
{
	static double *x0, *w0;
	if (!x0)
		x0 = numbers(MOST * 400, -1, 1, 5), w0 = numbers(400 * 400, -1, 1, 6);
	ad_var x = program_in(g, AD_F64, AD_SHAPE(AD_BATCH, 400), x0), w = program_in(g, AD_F64, AD_SHAPE(400, 400), w0);
	ad_var loss = ad_mean(ad_square(ad_tanh(ad_linear(x, w, NULL))), AD_ALL);
	program_out(g, loss);
	program_out(g, ad_grad(loss, w));
}

/* A masked weight of more than four megabytes, of which little counts: fewer slots still, added up where it does. */
static void masked(program *g)
{
	enum { ROWS = 720, COLS = 920, BAND = 20 };
	static double *x0, *w0;
	static int64_t lo[ROWS], hi[ROWS];
	if (!x0) {
		x0 = numbers(MOST * COLS, -1, 1, 12), w0 = numbers(ROWS * COLS, -1, 1, 13);
		for (int64_t i = 0; i < ROWS; i++) {
			lo[i] = 7 * i % (COLS - BAND);
			hi[i] = lo[i] + i % BAND;
		}
	}
	ad_var x = program_in(g, AD_F64, AD_SHAPE(AD_BATCH, COLS), x0), w = program_in(g, AD_F64, AD_SHAPE(ROWS, COLS), w0);
	ad_var loss = ad_mean(ad_square(ad_tanh(ad_linear_masked(x, w, NULL, lo, hi))), AD_ALL);
	program_out(g, ad_sum(ad_mul(ad_grad(loss, w), w), AD_AXIS(1)));
}

static void inverse(program *g)
{
	static double *x0;
	if (!x0) {
		x0 = numbers(MOST * 3, 0, 0.5, 7);
		for (int i = 900; i < 1800; i += 40)
			x0[3 * i] = -1e6; /* matrices of these samples are not positive definite */
	}
	ad_var x = program_in(g, AD_F64, AD_SHAPE(AD_BATCH, 3), x0);
	program_out(g, ad_cholesky(ad_add(ad_diag(x), ad_array(g->t, AD_SHAPE(3, 3), (double[]){ 2, 1, 0, 1, 2, 1, 0, 1, 2 }))));
}

static uint64_t seed;
static void any(program *g)
{
	ad_tape_free(g->t);
	graph r = random_graph(seed, AD_F64, AD_BATCH, 24);
	static double *x0, *w0, *v0, *s0;
	static int32_t index0[MOST * 3];
	if (!x0) {
		x0 = numbers(MOST * 5, -1, 1, 8), w0 = numbers(20, -1, 1, 9), v0 = numbers(5, -1, 1, 10), s0 = numbers(1, -1, 1, 11);
		for (int i = 0; i < MOST * 3; i++)
			index0[i] = (int32_t)(3 * ad_noise_uniform(9, 0, 9, (uint64_t)i));
	}
	g->t = r.t;
	const void *data[] = { x0, w0, v0, s0, index0 };
	ad_var in[] = { r.x.v, r.w.v, r.v.v, r.s.v, r.index.v }, loss = ad_const(g->t, 0), gx[4];
	for (int i = 0; i < 5; i++) {
		g->in[g->nin] = in[i];
		g->data[g->nin++] = data[i];
	}
	for (int i = r.n > 8 ? r.n - 8 : 0; i < r.n; i++)
		loss = ad_add(loss, ad_mean(ad_sin(r.pool[i].v), AD_ALL));
	ad_vjp(1, &loss, NULL, 4, in, gx);
	program_out(g, loss);
	for (int i = 0; i < 4; i++)
		program_out(g, gx[i]);
	program_out(g, r.pool[r.n - 1].v);
}

/* --- Tests ------------------------------------------------------------------------------------------------------------------- */

static void sums(void **state)
{
	(void)state;
	static const int64_t batches[] = { 1, 16, 17, 100, 555, 2100 };
	for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
		compare("net", (job){ .trace = net, .batch = batches[b] }, 4, (int[]){ 2, 3, 4, 7 });
		compare("net", (job){ .trace = net, .batch = batches[b], .tile = 16 }, 3, (int[]){ 2, 5, 20 });
		compare("map", (job){ .trace = map, .batch = batches[b], .tile = 32 }, 3, (int[]){ 2, 3, 20 });
	}
	compare("wide", (job){ .trace = wide, .batch = 500 }, 3, (int[]){ 2, 3, 6 });
	compare("wide", (job){ .trace = wide, .batch = 1200, .tile = 16 }, 3, (int[]){ 2, 4, 11 });
	compare("masked", (job){ .trace = masked, .batch = 300 }, 3, (int[]){ 2, 3, 4 });
	compare("masked", (job){ .trace = masked, .batch = 300, .tile = 16 }, 2, (int[]){ 2, 5 });
}

static void graphs(void **state)
{
	(void)state;
	for (seed = 1; seed <= 20; seed++)
		compare("a random graph", (job){ .trace = any, .batch = 37 + (int64_t)seed, .tile = seed % 2 ? 16 : 0 }, 2, (int[]){ 2, 3 });
}

static ranks *fails(void work(ranks *r, const ad_group *g, void *with), job j, int size, int lose, const char *words)
{
	ranks *r = ranks_run(size, lose, work, &j);
	assert_non_null(r);
	for (int i = 0; i < size; i++)
		if (!strstr(r->result[i], words))
			fail_msg("rank %d of %d says \"%s\", not \"%s\"", i, size, r->result[i], words);
	return r;
}

static void errors(void **state)
{
	(void)state;
	job j = { .trace = inverse, .batch = 2000, .threads = 1 };
	for (int size = 1; size <= 4; size++) /* the first sample of the first tile that fails, whoever has it */
		ranks_free(fails(perform, j, size, -1, "matrix of sample 900 is not positive definite"));
	j.trace = net;
	for (int lose = 0; lose < 8; lose++)
		ranks_free(fails(perform, j, 3, lose, "a process of the group cannot be reached"));
}

/* One of the ranks has too little memory. */
static void poor(ranks *r, const ad_group *group, void *with)
{
	const job *j = with;
	program g = program_on(AD_F64, j->batch);
	map(&g);
	ad_prog *p = g.p = ad_compile(g.t, g.nout, g.out, (ad_options){ .threads = 1, .group = group, .memory = group->rank == 1 ? 60000 : 0 });
	if (!p) {
		fprintf(stderr, "%s\n", ad_error(g.t));
		abort();
	}
	for (int64_t n = 100; n <= j->batch; n += j->batch - 100) {
		ad_set_batch(p, n);
		ad_bind(p, g.in[0], g.data[0]);
		if ((ad_run(p, 0) != 0) != (n > 100))
			abort();
	}
	ranks_put(r, ad_run_error(p), strlen(ad_run_error(p)));
	program_free(&g);
}

static void memory(void **state)
{
	(void)state;
	ranks_free(fails(poor, (job){ .batch = 2100 }, 3, -1, "2100 samples need"));
}

/* --- Training ------------------------------------------------------------------------------------------------------------------ */

static const flow_model_row *model;

static ad_var loss(nn c, int n, const ad_var batch[], void *user)
{
	(void)n;
	return flow_nll(user, c, batch[0], NULL);
}

/* Three steps, with values from the data, dropout and what else the model brings; hands back losses, norms and weights. */
static void train(ranks *r, const ad_group *group, void *with)
{
	enum { ROWS = 150, DIM = 3 };
	(void)with;
	char why[160];
	flow_model_opt o = { .layers = 2, .width = 12, .nodes = 8, .dropout = 0.1, .steps = 4 };
	flow_mem *m = flow_mem_new();
	flow_density d = { flow_model(m, model->name, DIM, o, why), flow_normal() };
	nn_store *s = nn_store_new(AD_F64, 5);
	nn_trainer *tr = nn_trainer_new(s, (nn_trainer_opt){
		.inputs = 1, .shape = { AD_SHAPE(AD_BATCH, DIM) }, .dtype = { AD_F64 }, .tasks = 1, .task = { { .loss = loss, .user = &d } },
		.run = { .threads = 2, .tile = 32, .group = group } });
	double *x = numbers(ROWS * DIM * 3, -2, 2, 3);
	for (int i = 0; tr && i < 3; i++) {
		double v[2] = { nn_train_step(tr, 0, i == 2 ? 61 : ROWS, (const void *[]){ x + i * ROWS * DIM }) };
		v[1] = nn_grad_norm(tr, 0);
		ranks_put(r, v, sizeof v);
	}
	if (nn_error(s))
		fprintf(stderr, "%s: %s\n", model->name, nn_error(s));
	for (int i = 0; i < nn_count(s); i++)
		ranks_put(r, nn_at(s, i).value, (size_t)nn_at(s, i).numel * sizeof(double));
	if (!tr || nn_error(s))
		r->used[ranks_me] = 0;
	free(x);
	nn_trainer_free(tr);
	nn_store_free(s);
	flow_mem_free(m);
}

static void models(void **state)
{
	(void)state;
	for (model = flow_models; model->name; model++) {
		ranks *alone = ranks_run(1, -1, train, NULL), *two = ranks_run(2, -1, train, NULL);
		assert_non_null(alone);
		assert_non_null(two);
		assert_true(alone->used[0] > 64);
		for (int i = 0; i < 2; i++)
			if (two->used[i] != alone->used[0] || memcmp(two->result[i], alone->result[0], alone->used[0]))
				fail_msg("%s: rank %d of 2 differs from one alone", model->name, i);
		ranks_free(alone);
		ranks_free(two);
	}
}

int main(int argc, char **argv)
{
	(void)argc;
	/* Threads that wait shall not keep others from working; the library reads this when it is loaded. */
	if (!getenv("OMP_WAIT_POLICY") && !setenv("OMP_WAIT_POLICY", "passive", 1))
		execv("/proc/self/exe", argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums), cmocka_unit_test(graphs), cmocka_unit_test(errors), cmocka_unit_test(memory), cmocka_unit_test(models),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
