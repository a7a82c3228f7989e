/* test_continuous.c - continuous flows: the laws of every flow, samples that do not see each other,
 * flow matching. */
#include "flow_help.h"

#include "flows/continuous.h"

#include <math.h>

static int checked(const char *name, flow_field f, flow_cnf_opt o, flow_check_opt c)
{
	flow_mem *m = flow_mem_new();
	if (!o.solver.steps && !o.solver.rtol)
		o.solver = (ad_ode_opt){ .method = AD_RK4, .steps = 16 };
	c.tolerance = 1e-5;
	c.samples = 5;
	int broken = check_one(name, flow_cnf(m, &f, o), c);
	flow_mem_free(m);
	return broken;
}

static void laws_of_nets(void **state)
{
	int broken = 0;
	(void)state;
	broken += checked("concat", flow_odenet(FLOW_T_CONCAT, 5, 1, "softplus"),
			  (flow_cnf_opt){ .train_end_time = true, .end_time = 0.5 },
			  (flow_check_opt){ .event = AD_SHAPE(2), .no_quadrature = true });
	broken +=
		checked("concatsquash", flow_odenet(FLOW_T_CONCATSQUASH, 5, 1, NULL), (flow_cnf_opt){ .end_time = 0.7 },
			(flow_check_opt){ .event = AD_SHAPE(2), .cond = 2, .no_quadrature = true });
	assert_int_equal(broken, 0);
}

static void laws_of_a_density(void **state)
{
	int broken = 0;
	(void)state;
	broken += checked("squash, quadrature", flow_odenet(FLOW_T_SQUASH, 4, 1, NULL),
			  (flow_cnf_opt){ .end_time = 0.7 }, (flow_check_opt){ .event = AD_SHAPE(1) });
	assert_int_equal(broken, 0);
}

static void laws_of_potentials(void **state)
{
	int broken = 0;
	(void)state;
	broken += checked("potential", flow_potential(4, 3), (flow_cnf_opt){ .end_time = 0.3 },
			  (flow_check_opt){ .event = AD_SHAPE(2), .cond = 1, .no_quadrature = true });
	assert_int_equal(broken, 0);
}

/* log p(x) of each sample alone and among others, bit for bit, with steps chosen sample by sample. */
static void neighbours(void **state)
{
	enum { N = 21 };
	flow_mem *m = flow_mem_new();
	flow_field f = flow_odenet(FLOW_T_CONCATSQUASH, 8, 2, NULL);
	flow_density d = { flow_cnf(m, &f,
				    (flow_cnf_opt){ .solver = { .method = AD_DOPRI5, .rtol = 1e-4, .atol = 1e-4 },
						    .end_time = 3 }),
			   flow_normal() };
	nn_store *s = nn_store_new(AD_F64, 3);
	ad_tape *t = ad_tape_new(AD_F64);
	double x[2 * N], all[N];
	(void)state;
	for (int i = 0; i < 2 * N; i++)
		x[i] = 3 * sin(2.3 * i);
	ad_var in = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 2), "x"),
	       out = flow_log_prob(&d, nn_begin(t, s, NN_EVAL), in, NULL);
	ad_prog *p = ad_compile(t, 1, &out, (ad_options){ .threads = 1 });
	if (!p)
		fail_msg("%s", ad_error(t));
	nn_bind(s, t, p);
	ad_set_batch(p, N);
	ad_bind(p, in, x);
	assert_int_equal(ad_run(p, 0), 0);
	memcpy(all, ad_result(p, 0), sizeof all);
	ad_set_batch(p, 1);
	for (int i = 0; i < N; i++) {
		ad_bind(p, in, x + 2 * i);
		assert_int_equal(ad_run(p, 0), 0);
		assert_true(*(const double *)ad_result(p, 0) == all[i]);
	}
	ad_prog_free(p);
	nn_release(s, t);
	ad_tape_free(t);
	nn_store_free(s);
	flow_mem_free(m);
}

/* A field of one's own: x M^T + tanh(x) / 4, M with 1/2 on the diagonal and 1/5 elsewhere. */
static flow_slope own_slope(const flow_field *f, nn c, ad_var t, ad_var x, ad_var cond, bool trace)
{
	ad_var sum = ad_sum_keep(x, AD_AXIS(1));
	(void)f, (void)c, (void)t, (void)cond, (void)trace;
	return (flow_slope){ .x = ad_add(ad_add(ad_scale(x, 0.3), ad_scale(sum, 0.2)), ad_scale(ad_tanh(x), 0.25)) };
}

/* The slope of own_slope; counts the traces asked for. */
static flow_slope counting_slope(const flow_field *f, nn c, ad_var t, ad_var x, ad_var cond, bool trace)
{
	*(int *)f->data += trace;
	return own_slope(f, c, t, x, cond, trace);
}

/* A net without its trace in closed form. */
static flow_slope traceless(const flow_field *f, nn c, ad_var t, ad_var x, ad_var cond, bool trace)
{
	const flow_field *net = f->data;
	(void)trace;
	return (flow_slope){ .x = net->slope(net, c, t, x, cond, false).x };
}

/* The trace of a net in closed form against that of its columns, and their gradients by x, by time and by a weight. */
static void same_trace(flow_field f, int64_t dim, bool cond, bool lanes, bool closed)
{
	enum { N = 5, MOST = N * 9 };
	nn_store *s = nn_store_new(AD_F64, 7);
	ad_tape *t = ad_tape_new(AD_F64);
	nn c = nn_begin(t, s, NN_EVAL);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, dim), "x"),
	       time = ad_input(t, AD_F64, lanes ? AD_SHAPE(AD_BATCH) : AD_SCALAR, "t"),
	       more = cond ? ad_stop(ad_cos(ad_slice(x, 1, 0, 1))) : NULL, out[8];
	flow_field columns = { .kind = "columns", .slope = traceless, .data = &f };
	out[0] = f.slope(&f, c, time, x, more, true).trace;
	if ((out[0] != NULL) != closed)
		fail_msg("%s, depth %d, %s, %d dimensions: %s form of the trace", f.kind, f.depth, f.act ? f.act : "tanh", (int)dim,
			 closed ? "no closed" : "a closed");
	out[0] = flow_divergence(&f, c, time, x, more, NULL);
	out[4] = flow_divergence(&columns, c, time, x, more, NULL);
	const char *path = f.layer == FLOW_T_BLEND   ? "odenet/0/main_1"
			   : f.layer == FLOW_T_HYPER ? "odenet/0/hypernet/linear_0"
						     : "odenet/0/main";
	int64_t wide = f.layer == FLOW_T_HYPER ? 8 : f.width;
	ad_var b = nn_param(nn_in(c, "%s", path), "bias", AD_SHAPE(wide), (nn_fill){ 0 });
	for (int k = 0; k < 8; k += 4) {
		ad_var sum = ad_sum(ad_mul(out[k], ad_cos(ad_sum(x, AD_AXIS(1)))), AD_ALL), by[3] = { x, time, b };
		ad_vjp(1, &sum, NULL, 3, by, out + k + 1);
	}
	ad_prog *p = ad_compile(t, 8, out, (ad_options){ .threads = 1 });
	if (!p)
		fail_msg("%s", ad_error(t));
	nn_bind(s, t, p);
	double at[MOST], when[N];
	for (int i = 0; i < MOST; i++)
		at[i] = sin(1.7 * i);
	for (int i = 0; i < N; i++)
		when[i] = 0.3 + 0.1 * i;
	ad_set_batch(p, N);
	ad_bind(p, x, at);
	ad_bind(p, time, when);
	assert_int_equal(ad_run(p, 0), 0);
	for (int k = 0; k < 4; k++) {
		int64_t n = k == 0 ? N : k == 1 ? N * dim : k == 2 ? (lanes ? N : 1) : wide;
		const double *a = ad_result(p, k), *e = ad_result(p, 4 + k);
		for (int64_t i = 0; i < n; i++)
			if (!(fabs(a[i] - e[i]) <= 1e-12 * (1 + fabs(e[i]))))
				fail_msg("%s, depth %d, %s, %d dimensions: result %d is %.17g, by columns %.17g", f.kind, f.depth,
					 f.act ? f.act : "tanh", (int)dim, k, a[i], e[i]);
	}
	ad_prog_free(p);
	nn_release(s, t);
	ad_tape_free(t);
	nn_store_free(s);
}

static void traces_of_nets(void **state)
{
	static const struct {
		const char *act;
		bool each; /* acts on numbers one by one */
	} acts[] = { { NULL, true }, { "softplus", true }, { "swish_beta", true }, { "square", true }, { "glu", false } };
	(void)state;
	for (int kind = FLOW_T_IGNORE; kind <= FLOW_T_HYPER; kind++)
		for (int depth = 1; depth <= 4; depth++)
			for (int i = 0; i < 3; i++) {
				int64_t dim = i == 2 ? 9 : 1 + i;
				int act = (kind + depth + i) % 5;
				bool gated = kind == FLOW_T_SQUASH || kind == FLOW_T_CONCATSQUASH;
				bool known = kind <= FLOW_T_CONCATSQUASH && acts[act].each;
				bool closed = known && (dim <= 8 || depth == 1 || (depth == 2 && !gated));
				same_trace(flow_odenet((flow_time_layer)kind, 4, depth, acts[act].act), dim, depth % 2,
					   (kind + i) % 2, closed);
			}
	same_trace(flow_odenet(FLOW_T_CONCATSQUASH, 130, 3, NULL), 2, true, false, true); /* large weights */
}

/* Samples alone solve for no log-determinant, and are the samples that have one. */
static void samples_alone(void **state)
{
	enum { N = 21 };
	(void)state;
	for (int kinetic = 0; kinetic < 2; kinetic++) {
		int traces = 0;
		flow_field f = { .kind = "own", .slope = counting_slope, .data = &traces };
		flow_cnf_opt o = { .solver = { .method = AD_RK4, .steps = 4 } };
		o.weight[FLOW_REG_KINETIC] = kinetic;
		flow_mem *m = flow_mem_new();
		flow_density d = { flow_cnf(m, &f, o), flow_normal() };
		nn_store *s = nn_store_new(AD_F64, 3);
		ad_tape *t = ad_tape_new(AD_F64);
		nn c = nn_begin(t, s, kinetic ? NN_TRAIN : NN_EVAL);
		ad_var out[3] = { flow_sample(&d, c, AD_SHAPE(3), NULL, 1) };
		assert_int_equal(traces, 0);
		c = nn_begin(t, s, NN_EVAL);
		ad_var z = d.base.sample(&d.base, nn_in(c, "base"), AD_SHAPE(AD_BATCH, 3), NULL, 1);
		flow_out with = flow_apply(d.f, nn_in(c, "flow"), z, NULL, FLOW_INVERSE);
		assert_true(traces > 0);
		out[1] = with.x;
		out[2] = with.logdet;
		ad_prog *p = ad_compile(t, 3, out, (ad_options){ .threads = 1 });
		if (!p)
			fail_msg("%s", ad_error(t));
		ad_set_batch(p, N);
		assert_int_equal(ad_run(p, 0), 0);
		assert_memory_equal(ad_result(p, 0), ad_result(p, 1), 3 * N * sizeof(double));
		for (int i = 0; i < N; i++)
			assert_true(isfinite(((const double *)ad_result(p, 2))[i]));
		ad_prog_free(p);
		nn_release(s, t);
		ad_tape_free(t);
		nn_store_free(s);
		flow_mem_free(m);
	}
}

/* The optimal assignment against all permutations. */
static void transport(void **state)
{
	enum { N = 6, D = 2 };
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		double a[N * D], b[N * D], best = INFINITY, got = 0;
		int64_t to[N], p[N] = { 0, 1, 2, 3, 4, 5 };
		ad_noise_normals(seed, 0, 1, 0, N * D, a);
		ad_noise_normals(seed, 0, 2, 0, N * D, b);
		assert_int_equal(flow_transport(N, D, a, b, to), 0);
		for (int code = 0; code < 720; code++) {
			int rest = code;
			double cost = 0;
			for (int i = 0; i < N; i++)
				p[i] = i;
			for (int i = N; i > 1; rest /= i, i--) {
				int64_t k = p[rest % i];
				p[rest % i] = p[i - 1];
				p[i - 1] = k;
			}
			for (int i = 0; i < N; i++)
				for (int k = 0; k < D; k++)
					cost += (a[i * D + k] - b[p[i] * D + k]) * (a[i * D + k] - b[p[i] * D + k]);
			best = fmin(best, cost);
		}
		for (int i = 0; i < N; i++)
			for (int k = 0; k < D; k++)
				got += (a[i * D + k] - b[to[i] * D + k]) * (a[i * D + k] - b[to[i] * D + k]);
		assert_true(fabs(got - best) < 1e-12);
	}
}

typedef struct {
	flow_density d;
	bool matching;
} job;

static ad_var loss(nn c, int n, const ad_var batch[], void *user)
{
	const job *j = user;
	(void)n;
	return j->matching ? flow_matching_loss(j->d.f, nn_in(c, "flow"), (flow_schedule){ FLOW_PATH_OT }, batch[0],
						NULL, NULL)
			   : flow_nll(&j->d, c, batch[0], NULL);
}

/* Trained by flow matching on N(2, 1/4), the flow's likelihood comes near the entropy. */
static void matching(void **state)
{
	flow_mem *m = flow_mem_new();
	flow_field f = flow_odenet(FLOW_T_CONCAT, 24, 2, NULL);
	job j = { { flow_cnf(m, &f, (flow_cnf_opt){ .solver = { .method = AD_RK4, .steps = 8 } }), flow_normal() },
		  true };
	nn_store *s = nn_store_new(AD_F32, 3);
	nn_trainer_opt o = { .inputs = 1,
			     .shape = { AD_SHAPE(AD_BATCH, 1) },
			     .dtype = { AD_F32 },
			     .tasks = 1,
			     .task = { { .loss = loss, .user = &j, .optim = { .rule = NN_ADAM, .lr = 1e-2 } } },
			     .run = { .threads = 1 } };
	nn_trainer *tr = nn_trainer_new(s, o);
	float x[256];
	(void)state;
	for (uint64_t step = 0; step < 500; step++) {
		for (uint64_t i = 0; i < 256; i++)
			x[i] = (float)(2 + 0.5 * ad_noise_normal(5, step, 0, i));
		nn_train_step(tr, 0, 256, (const void *[]){ x });
	}
	if (nn_error(s))
		fail_msg("%s", nn_error(s));
	ad_tape *t = ad_tape_new(AD_F32);
	ad_var in = ad_input(t, AD_F32, AD_SHAPE(AD_BATCH, 1), "x"),
	       nll = flow_nll(&j.d, nn_begin(t, s, NN_EVAL), in, NULL);
	ad_prog *p = ad_compile(t, 1, &nll, (ad_options){ .threads = 1 });
	nn_bind(s, t, p);
	ad_set_batch(p, 256);
	ad_bind(p, in, x);
	assert_int_equal(ad_run(p, 0), 0);
	double entropy = 0.5 * log(2 * 3.14159265358979 * 2.718281828459045) + log(0.5), got = ad_result_scalar(p, 0);
	if (!(got < entropy + 0.15 && got > entropy - 0.15))
		fail_msg("%.4f nats, the entropy is %.4f", got, entropy);
	ad_prog_free(p);
	nn_release(s, t);
	ad_tape_free(t);
	nn_trainer_free(tr);
	nn_store_free(s);
	flow_mem_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(laws_of_nets),	      cmocka_unit_test(laws_of_a_density),
		cmocka_unit_test(laws_of_potentials), cmocka_unit_test(neighbours),
		cmocka_unit_test(samples_alone),      cmocka_unit_test(transport),
		cmocka_unit_test(matching),	      cmocka_unit_test(traces_of_nets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
