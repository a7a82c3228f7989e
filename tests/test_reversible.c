/* test_reversible.c - chains that rebuild their activations: the gradients of the stored chain at orders 1 and 2, in memory
 * that does not grow with depth and graphs that grow linearly. */
#include "flow_help.h"
#include "flows/reversible.h"

#include <math.h>

enum { D = 4, COND = 3, N = 37 };

static flow *coupling(flow_mem *m, flow_map map, nn_net net, int i)
{
	return flow_coupling(m, map, net, D, flow_mask_alternate(m, D, i % 2), NULL);
}

static flow *couplings(flow_mem *m, int n)
{
	flow *f[256];
	nn_net net = nn_mlp(9, 1);
	net.act = nn_act_named("tanh");
	for (int i = 0; i < n; i++)
		f[i] = coupling(m, flow_affine(FLOW_TANH_EXP, 0), net, i);
	return flow_chain(m, n, f);
}

/* Every layer that can rebuild, a chain in a chain, an inverse, shapes that change. */
static flow *mixture(flow_mem *m, int n)
{
	flow *f[256];
	int k = 0;
	nn_net made = nn_res_made(10, 1), res = nn_resnet(8, 1);
	made.act = res.act = nn_act_named("silu");
	for (int i = 0; i < n; i++) {
		f[k++] = flow_actnorm(m);
		f[k++] = flow_permutation(m, D, NULL);
		f[k++] = flow_linear(m, i % 2 ? FLOW_LU : FLOW_HOUSEHOLDER, D, 0);
		f[k++] = flow_autoregressive(m, flow_affine(FLOW_TANH_EXP, 1), made, D, NULL);
		f[k++] = flow_chain(m, 3, (flow *[]){ coupling(m, flow_affine(FLOW_SOFTCLIP_EXP, 0), res, i),
						      flow_reshape(m, AD_SHAPE(D), AD_SHAPE(2, 2)),
						      flow_reshape(m, AD_SHAPE(2, 2), AD_SHAPE(D)) });
		f[k++] = flow_invert(m, couplings(m, 2));
		f[k++] = coupling(m, flow_additive(), res, i);
	}
	return flow_chain(m, k, f);
}

static flow *repeated(flow_mem *m, int n)
{
	return flow_repeat(m, n, flow_chain(m, 2, (flow *[]){ couplings(m, 2), flow_linear(m, FLOW_LU, D, 0) }));
}

static flow *splines(flow_mem *m, int n)
{
	flow *f[256];
	nn_net res = nn_resnet(8, 1), made = nn_made(8, 2);
	res.act = made.act = nn_act_named("tanh");
	for (int i = 0; i < n; i++) {
		f[2 * i] = coupling(m, flow_rq_spline(5, 3), res, i);
		f[2 * i + 1] = flow_autoregressive(m, flow_rq_spline(4, 3), made, D, (int[]){ 3, 1, 4, 2 });
	}
	return flow_chain(m, 2 * n, f);
}

static flow *additive_only(flow_mem *m, int n)
{
	flow *f[256];
	nn_net net = nn_mlp(7, 1);
	net.act = nn_act_named("tanh");
	for (int i = 0; i < n; i++)
		f[i] = coupling(m, flow_additive(), net, i);
	return flow_chain(m, n, f);
}

static flow *dropped(flow_mem *m, int n)
{
	flow *f[256];
	nn_net net = nn_resnet(8, 1);
	net.act = nn_act_named("tanh");
	net.dropout = 0.3;
	for (int i = 0; i < n; i++)
		f[i] = i % 3 == 2 ? flow_autoregressive(m, flow_affine(FLOW_TANH_EXP, 0),
							(nn_net){ .kind = "made", .apply = nn_made(8, 2).apply, .width = 8, .depth = 2,
								  .autoregressive = true, .dropout = 0.3, .act = net.act },
							D, NULL)
				  : coupling(m, flow_affine(FLOW_TANH_EXP, 0), net, i);
	return flow_chain(m, n, f);
}

/* --- Gradients --------------------------------------------------------------------------------------- */

typedef struct {
	double *v;
	int64_t n;
} results;

static void keep(results *r, const double *v, int64_t n)
{
	r->v = realloc(r->v, (size_t)(r->n + n) * sizeof *r->v);
	assert_non_null(r->v);
	memcpy(r->v + r->n, v, (size_t)n * sizeof *v);
	r->n += n;
}

/* Weights off their start, the same for both. */
static void disturb(nn_store *s)
{
	for (int i = 0; i < nn_count(s); i++) {
		nn_entry e = nn_at(s, i);
		for (int64_t k = 0; e.trained && k < e.numel; k++)
			((double *)e.value)[k] += 0.1 * ad_noise_normal(3, 0, ad_hash(0, e.name), (uint64_t)k);
	}
}

static void initialise(nn_store *s, const flow *f, ad_shape x)
{
	ad_tape *t = ad_tape_new(AD_F64);
	(void)flow_apply(f, nn_in(nn_begin(t, s, NN_INIT), "flow"), ad_input(t, AD_F64, x, "x"),
			 ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, COND), "cond"), FLOW_FORWARD);
	assert_null(ad_error(t));
	nn_release(s, t);
	ad_tape_free(t);
	for (int i = 0; i < nn_count(s); i++) {
		nn_entry e = nn_at(s, i);
		double *zero = calloc((size_t)e.numel, sizeof *zero);
		if (!e.ready)
			nn_set(s, e.name, zero, e.numel);
		free(zero);
	}
}

static ad_var parameter(nn c, nn_entry e)
{
	const char *name = strrchr(e.name, '/');
	snprintf(c.path, sizeof c.path, "%.*s", (int)(name - e.name), e.name);
	return nn_param(c, name + 1, e.shape, (nn_fill){ NN_ZEROS, 0 });
}

/* Values, log-determinants, first derivatives by x, cond and every parameter, and derivatives of the norm of those. */
static results derivatives(const flow *f, nn_store *s, flow_dir dir, bool with_cond, nn_phase phase)
{
	ad_tape *t = ad_tape_new(AD_F64);
	nn c = nn_begin(t, s, phase);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, D), "x"), cond = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, COND), "cond");
	flow_out o = flow_apply(f, nn_in(c, "flow"), x, with_cond ? cond : NULL, dir);
	ad_var weight = ad_shift(ad_sin(ad_scale(x, 3)), 2);
	ad_var loss = ad_add(ad_sum(ad_mul(weight, ad_tanh(o.x)), AD_ALL),
			     ad_sum(ad_mul(o.logdet, ad_shift(ad_tanh(ad_sum(o.x, AD_EVENT)), 1)), AD_ALL));
	ad_var by[64], g[64], gg[64], out[200], norm = NULL;
	int n = 0;
	by[n++] = x;
	if (with_cond)
		by[n++] = cond;
	assert_null(ad_error(t));
	for (int i = 0; i < nn_count(s) && n < 24; i += 1 + nn_count(s) / 20)
		if (nn_at(s, i).trained)
			by[n++] = parameter(c, nn_at(s, i));
	ad_vjp(1, &loss, NULL, n, by, g);
	for (int i = 0; i < n; i++) {
		ad_var q = ad_sum(ad_square(g[i]), AD_ALL);
		norm = norm ? ad_add(norm, q) : q;
	}
	ad_vjp(1, &norm, NULL, n, by, gg);
	out[0] = o.x;
	out[1] = ad_add(o.logdet, ad_scale(ad_sum(o.x, AD_EVENT), 0));
	memcpy(out + 2, g, (size_t)n * sizeof *g);
	memcpy(out + 2 + n, gg, (size_t)n * sizeof *gg);
	ad_prog *prog = ad_compile(t, 2 + 2 * n, out, (ad_options){ .threads = 2, .tile = 16 });
	if (!prog)
		fail_msg("%s", ad_error(t));
	double data[N * D], given[N * COND];
	ad_noise_normals(1, 0, 1, 0, N * D, data);
	ad_noise_normals(1, 0, 2, 0, N * COND, given);
	nn_bind(s, t, prog);
	ad_set_batch(prog, N);
	ad_bind(prog, x, data);
	ad_bind(prog, cond, given);
	if (ad_run(prog, 0))
		fail_msg("%s", ad_run_error(prog));
	results r = { 0 };
	for (int i = 0; i < 2 + 2 * n; i++)
		keep(&r, ad_result(prog, i), ad_numel(ad_shape_of(out[i])) * (ad_batched(out[i]) ? N : 1));
	ad_prog_free(prog);
	nn_release(s, t);
	ad_tape_free(t);
	return r;
}

static double worst(const results *a, const results *b)
{
	double most = 0;
	assert_int_equal(a->n, b->n);
	for (int64_t i = 0; i < a->n; i++)
		most = fmax(most, fabs(a->v[i] - b->v[i]) / fmax(1, fabs(a->v[i])));
	return most;
}

static const struct {
	const char *name;
	flow *(*make)(flow_mem *m, int n);
	int n;
	int layers_each; /* of an n of 1, about */
	nn_phase phase;
} chains[] = {
	{ "couplings", couplings, 5, 1, NN_EVAL },   { "all layers", mixture, 2, 10, NN_EVAL },
	{ "repeat", repeated, 3, 2, NN_EVAL },	     { "splines", splines, 2, 2, NN_EVAL },
	{ "additive", additive_only, 4, 1, NN_EVAL }, { "dropout", dropped, 4, 1, NN_TRAIN },
};

static void same_derivatives(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof chains / sizeof *chains; i++)
		for (int way = 0; way < 4; way++) {
			flow_mem *m = flow_mem_new();
			flow *plain = chains[i].make(m, chains[i].n);
			flow *back = flow_reversible(m, plain, (flow_reversible_opt){ .every = way % 2 ? 3 : 0 });
			flow_dir dir = way < 2 ? FLOW_FORWARD : FLOW_INVERSE;
			nn_store *s = nn_store_new(AD_F64, 5);
			initialise(s, plain, AD_SHAPE(AD_BATCH, D));
			disturb(s);
			results a = derivatives(plain, s, dir, true, chains[i].phase);
			results b = derivatives(back, s, dir, true, chains[i].phase);
			if (!(worst(&a, &b) <= 1e-9))
				fail_msg("%s, direction %d: stored and rebuilt differ by %g", chains[i].name, dir, worst(&a, &b));
			free(a.v);
			free(b.v);
			nn_store_free(s);
			flow_mem_free(m);
		}
}

/* --- Size -------------------------------------------------------------------------------------------- */

/* Of the program of a training step with all parameters' gradients. */
static ad_summary training(const flow *f, nn_phase phase)
{
	nn_store *s = nn_store_new(AD_F64, 5);
	initialise(s, f, AD_SHAPE(AD_BATCH, D));
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, D), "x"), cond = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, COND), "cond");
	flow_density d = { (flow *)f, flow_normal() };
	nn c = nn_begin(t, s, phase);
	ad_var loss = flow_nll(&d, c, x, cond);
	int n = 0;
	ad_var *p = calloc((size_t)nn_count(s) + 1, sizeof *p), *g = calloc((size_t)nn_count(s) + 1, sizeof *g);
	for (int i = 0; i < nn_count(s); i++)
		if (nn_at(s, i).trained)
			p[n++] = parameter(c, nn_at(s, i));
	ad_vjp(1, &loss, NULL, n, p, g + 1);
	g[0] = loss;
	ad_prog *prog = ad_compile(t, n + 1, g, (ad_options){ .threads = 1, .tile = 16 });
	if (!prog)
		fail_msg("%s", ad_error(t));
	ad_summary sum = ad_prog_summary(prog);
	ad_prog_free(prog);
	free(p);
	free(g);
	ad_tape_free(t);
	nn_store_free(s);
	return sum;
}

/* From 10 to 100 layers the arena stays as it is, and nodes grow in proportion. */
static void flat_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
		ad_summary s[3], stored[2];
		static const int times[] = { 20, 40, 200 };
		for (int k = 0; k < 3; k++) {
			flow_mem *m = flow_mem_new();
			flow *f = chains[i].make(m, times[k] / chains[i].layers_each);
			s[k] = training(flow_reversible(m, f, (flow_reversible_opt){ 0 }), chains[i].phase);
			if (k != 1)
				stored[k / 2] = training(f, chains[i].phase);
			flow_mem_free(m);
		}
		double each = (double)(s[1].nodes - s[0].nodes) / 20, more = (double)(s[2].nodes - s[1].nodes) / 160;
		/* How the first few layers happen to pack may differ. */
		if (s[2].tile_arena != s[1].tile_arena || 4 * s[2].tile_arena > 5 * s[0].tile_arena)
			fail_msg("%s: the arena grows from %zu to %zu to %zu bytes", chains[i].name, s[0].tile_arena, s[1].tile_arena,
				 s[2].tile_arena);
		if (!(more <= 1.05 * each))
			fail_msg("%s: %g nodes a layer, then %g", chains[i].name, each, more);
		if (!(stored[1].tile_arena > stored[0].tile_arena))
			fail_msg("%s: nothing was saved", chains[i].name);
	}
}

/* --- What cannot be rebuilt ------------------------------------------------------------------------------ */

static flow *with_batch_norm(flow_mem *m)
{
	return flow_chain(m, 5, (flow *[]){ couplings(m, 2), flow_batch_norm(m, 1e-5, 0.1), couplings(m, 2),
					    flow_elementwise(m, flow_cubic_spline(4, 3), D), couplings(m, 1) });
}

static void refused(void **state)
{
	(void)state;
	flow_mem *m = flow_mem_new();
	nn_store *s = nn_store_new(AD_F64, 5);
	char why[160];
	flow *f = with_batch_norm(m), *back = flow_reversible(m, f, (flow_reversible_opt){ 0 });
	assert_true(flow_rebuilds(couplings(m, 3), why));
	assert_false(flow_rebuilds(f, why));
	assert_string_equal(why, "batch_norm \"batch_norm_0\" cannot rebuild its input from its output");
	initialise(s, f, AD_SHAPE(AD_BATCH, D));
	ad_tape *t = ad_tape_new(AD_F64);
	(void)flow_apply(back, nn_in(nn_begin(t, s, NN_TRAIN), "flow"), ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, D), "x"),
			 ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, COND), "cond"), FLOW_FORWARD);
	assert_non_null(ad_error(t));
	assert_non_null(strstr(ad_error(t), "flow_reversible: batch_norm \"flow/batch_norm_0\" cannot rebuild its input"));
	ad_tape_free(t);
	nn_store_free(s);
	flow_mem_free(m);
}

/* Layers that stay as they are between runs of rebuilt ones; batch statistics and their running means included. */
static void mixed(void **state)
{
	(void)state;
	for (int dir = 0; dir < 2; dir++) {
		flow_mem *m = flow_mem_new();
		flow *f = with_batch_norm(m), *back = flow_reversible(m, f, (flow_reversible_opt){ .mixed = true });
		nn_store *s = nn_store_new(AD_F64, 5);
		initialise(s, f, AD_SHAPE(AD_BATCH, D));
		disturb(s);
		nn_phase phase = dir == FLOW_FORWARD ? NN_TRAIN : NN_EVAL;
		results a = derivatives(f, s, (flow_dir)dir, true, phase), b = derivatives(back, s, (flow_dir)dir, true, phase);
		if (!(worst(&a, &b) <= 1e-9))
			fail_msg("direction %d: stored and rebuilt differ by %g", dir, worst(&a, &b));
		free(a.v);
		free(b.v);
		nn_store_free(s);
		flow_mem_free(m);
	}
}

static void models(void **state)
{
	(void)state;
	char why[160];
	int tried = 0;
	for (const flow_model_row *r = flow_models; r->name; r++) {
		if (!flow_model_takes(r->name, "reversible"))
			continue;
		flow_mem *m = flow_mem_new();
		flow_model_opt o = { .layers = 3, .width = 8, .act = "tanh" };
		nn_store *s = nn_store_new(AD_F64, 5);
		flow *f = flow_model(m, r->name, D, o, why), *back;
		o.reversible = 1;
		back = flow_model(m, r->name, D, o, why);
		assert_true(f && back);
		initialise(s, f, AD_SHAPE(AD_BATCH, D));
		disturb(s);
		results a = derivatives(f, s, FLOW_FORWARD, true, NN_EVAL), b = derivatives(back, s, FLOW_FORWARD, true, NN_EVAL);
		if (!(worst(&a, &b) <= 1e-9))
			fail_msg("%s: stored and rebuilt differ by %g", r->name, worst(&a, &b));
		if (flow_model_takes(r->name, "norm")) {
			o.norm = "batch";
			assert_null(flow_model(m, r->name, D, o, why));
			assert_non_null(strstr(why, "reversible: batch_norm \"batch_norm_0\" cannot rebuild"));
		}
		tried++;
		free(a.v);
		free(b.v);
		nn_store_free(s);
		flow_mem_free(m);
	}
	assert_true(tried >= 6);
}

static void steps_must_fit(void **state)
{
	(void)state;
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, D), "x"), sum;
	ad_step step;
	for (int k = 0; k < 2; k++) {
		ad_fn *f = ad_fn_begin(t);
		ad_var a = ad_fn_arg(f, AD_F64, AD_SHAPE(AD_BATCH, D)), out = k ? ad_slice(a, 1, 0, 2) : ad_exp(a);
		ad_fn_end(f, 1, &out);
		*(k ? &step.inverse : &step.f) = f;
	}
	(void)ad_reversible(1, &step, x, 0, NULL, &sum);
	assert_non_null(ad_error(t));
	assert_non_null(strstr(ad_error(t), "step 0 has an inverse of another shape"));
	ad_tape_free(t);
}

/* --- Rounding over 100 layers ------------------------------------------------------------------------------ */

/* Largest difference of the gradients of a training loss from those in double precision, by their largest number. */
static double *gradients(const flow *f, nn_store *s, ad_dtype real, int64_t *count)
{
	ad_tape *t = ad_tape_new(real);
	nn c = nn_begin(t, s, NN_EVAL);
	ad_var x = ad_input(t, real, AD_SHAPE(AD_BATCH, D), "x"), p[512], g[512];
	ad_var cond = ad_full(t, AD_SHAPE(AD_BATCH, COND), 0.5);
	flow_density d = { (flow *)f, flow_normal() };
	ad_var loss = flow_nll(&d, c, x, cond);
	int n = 0;
	for (int i = 0; i < nn_count(s); i++)
		if (nn_at(s, i).trained)
			p[n++] = parameter(c, nn_at(s, i));
	ad_vjp(1, &loss, NULL, n, p, g);
	for (int i = 0; i < n; i++)
		g[i] = ad_dtype_of(g[i]) == AD_F64 ? g[i] : ad_cast(g[i], AD_F64);
	ad_prog *prog = ad_compile(t, n, g, (ad_options){ .threads = 1 });
	if (!prog)
		fail_msg("%s", ad_error(t));
	double data[N * D];
	float single[N * D];
	ad_noise_normals(1, 0, 1, 0, N * D, data);
	for (int i = 0; i < N * D; i++)
		single[i] = (float)data[i];
	nn_bind(s, t, prog);
	ad_set_batch(prog, N);
	ad_bind(prog, x, real == AD_F64 ? (void *)data : (void *)single);
	if (ad_run(prog, 0))
		fail_msg("%s", ad_run_error(prog));
	results r = { 0 };
	for (int i = 0; i < n; i++)
		keep(&r, ad_result(prog, i), ad_numel(ad_shape_of(g[i])));
	ad_prog_free(prog);
	nn_release(s, t);
	ad_tape_free(t);
	*count = r.n;
	return r.v;
}

static double distance(const double *a, const double *b, int64_t n)
{
	double most = 0, size = 0;
	for (int64_t i = 0; i < n; i++) {
		most = fmax(most, fabs(a[i] - b[i]));
		size = fmax(size, fabs(a[i]));
	}
	return most / size;
}

static void drift(void **state)
{
	(void)state;
	flow_mem *m = flow_mem_new();
	flow *plain = couplings(m, 100);
	nn_store *s = nn_store_new(AD_F64, 5);
	int64_t n;
	initialise(s, plain, AD_SHAPE(AD_BATCH, D));
	disturb(s);
	double *want = gradients(plain, s, AD_F64, &n), error[2][2];
	for (int k = 0; k < 2; k++)
		for (int d = 0; d < 2; d++) {
			flow_reversible_opt o = { .every = k ? 10 : 0 };
			double *v = gradients(flow_reversible(m, plain, o), s, d ? AD_F64 : AD_F32, &n);
			error[k][d] = distance(want, v, n);
			free(v);
		}
	double *single = gradients(plain, s, AD_F32, &n), stored = distance(want, single, n);
	print_message("100 couplings: fp64 %.2g, kept every 10 %.2g; fp32 %.2g, kept every 10 %.2g, stored %.2g\n", error[0][1],
		      error[1][1], error[0][0], error[1][0], stored);
	assert_true(error[0][1] <= 1e-9 && error[1][1] <= 1e-9);
	assert_true(error[1][0] <= 1e-2);
	free(single);
	free(want);
	nn_store_free(s);
	flow_mem_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_derivatives),
		cmocka_unit_test(flat_memory),
		cmocka_unit_test(refused),
		cmocka_unit_test(mixed),
		cmocka_unit_test(models),
		cmocka_unit_test(steps_must_fit),
		cmocka_unit_test(drift),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
