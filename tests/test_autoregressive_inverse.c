/* test_autoregressive_inverse.c - solved row by row, by sweeps, and by sweeps written out as an ordinary graph: the same values,
 * and the same derivatives at orders 1 and 2. */
#include "flow_help.h"
#include "flows/autoregressive.h"
#include "flows/neural.h"

#include <math.h>

enum { N = 21, COND = 2 };

typedef struct {
	flow_map map;
	nn_net net;
	int64_t dim;
	const int *order;
	int64_t cond;
} subject;

typedef enum { ROWS, SWEEPS, JACOBI, WRITTEN_OUT } way;

static flow *make(flow_mem *m, const subject *s, flow_solver how)
{
	return flow_autoregressive_with(m, s->map, s->net, s->dim, s->order, how);
}

/* D sweeps as nodes of the tape, differentiated by the ordinary rules. */
static flow_out written_out(const subject *s, nn c, ad_var z, ad_var cond)
{
	nn_net net = s->net;
	net.degree = s->order;
	flow_out o = { ad_full_like(z, 0), NULL };
	for (int64_t d = 0; d <= s->dim; d++) {
		ad_var p = nn_apply(&net, nn_in(c, "conditioner"), o.x, cond, s->dim * s->map.nparam);
		flow_out next = s->map.apply(&s->map, c, z, flow_map_params(&s->map, p), FLOW_INVERSE);
		/* The last one is for the log-determinant alone. */
		o.x = d < s->dim ? next.x : o.x;
		o.logdet = ad_sum(next.logdet, AD_EVENT);
	}
	return o;
}

static void disturb(nn_store *s)
{
	for (int i = 0; i < nn_count(s); i++) {
		nn_entry e = nn_at(s, i);
		for (int64_t k = 0; e.trained && k < e.numel; k++)
			((double *)e.value)[k] += 0.2 * ad_noise_normal(3, 0, ad_hash(0, e.name), (uint64_t)k);
	}
}

typedef struct {
	double *v;
	int64_t n, values; /* all numbers; of these, x and the log-determinant */
	int64_t exact, one_pass;
} results;

/* With first and second derivatives, of a program that trains by the inverse direction. */
static results run(const subject *u, nn_store *s, way how)
{
	flow_mem *m = flow_mem_new();
	ad_tape *t = ad_tape_new(AD_F64);
	nn c = nn_begin(t, s, NN_EVAL);
	ad_var z = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, u->dim), "z"), cond = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, COND), "cond");
	flow_solver solver = { how == ROWS ? FLOW_ROWS : FLOW_SWEEPS, how == JACOBI ? 1e-13 : 0 };
	flow *f = make(m, u, solver);
	flow_out o = how == WRITTEN_OUT ? written_out(u, c, z, u->cond ? cond : NULL)
					: flow_apply(f, c, z, u->cond ? cond : NULL, FLOW_INVERSE);
	ad_var loss = ad_add(ad_sum(ad_square(ad_shift(o.x, 0.3)), AD_ALL), ad_sum(ad_sin(ad_add(o.logdet, ad_sum(z, AD_EVENT))), AD_ALL));
	ad_var by[24], g[24], gg[24], out[64], norm = NULL;
	int n = 0;
	by[n++] = z;
	if (u->cond)
		by[n++] = cond;
	for (int i = 0; i < nn_count(s) && n < 24; i++)
		if (nn_at(s, i).trained) {
			nn at = c;
			const char *name = strrchr(nn_at(s, i).name, '/');
			snprintf(at.path, sizeof at.path, "%.*s", (int)(name - nn_at(s, i).name), nn_at(s, i).name);
			by[n++] = nn_param(at, name + 1, nn_at(s, i).shape, (nn_fill){ NN_ZEROS, 0 });
		}
	ad_vjp(1, &loss, NULL, n, by, g);
	for (int i = 0; i < n; i++) {
		ad_var q = ad_sum(ad_square(g[i]), AD_ALL);
		norm = norm ? ad_add(norm, q) : q;
	}
	ad_vjp(1, &norm, NULL, n, by, gg);
	out[0] = o.x;
	out[1] = ad_add(o.logdet, ad_scale(ad_sum(z, AD_EVENT), 0)); /* [B], constant or not */
	memcpy(out + 2, g, (size_t)n * sizeof *g);
	memcpy(out + 2 + n, gg, (size_t)n * sizeof *gg);
	ad_prog *p = ad_compile(t, 2 + 2 * n, out, (ad_options){ .threads = 2, .tile = 16 });
	if (!p)
		fail_msg("%s", ad_error(t));
	double data[N * 64], given[N * COND];
	/* Splines in a box take (0, 1). */
	for (int64_t i = 0; i < N * u->dim; i++)
		data[i] = u->map.box ? 0.02 + 0.96 * ad_noise_uniform(1, 0, 1, (uint64_t)i) : ad_noise_normal(1, 0, 1, (uint64_t)i);
	ad_noise_normals(1, 0, 2, 0, N * COND, given);
	nn_bind(s, t, p);
	ad_set_batch(p, N);
	ad_bind(p, z, data);
	ad_bind(p, cond, given);
	if (ad_run(p, 0))
		fail_msg("%s", ad_run_error(p));
	ad_summary sum = ad_prog_summary(p);
	results r = { .exact = sum.exact_solves, .one_pass = sum.one_pass };
	for (int i = 0; i < 2 + 2 * n; i++) {
		int64_t k = ad_numel(ad_shape_of(out[i])) * (ad_batched(out[i]) ? N : 1);
		r.v = realloc(r.v, (size_t)(r.n + k) * sizeof *r.v);
		assert_non_null(r.v);
		memcpy(r.v + r.n, ad_result(p, i), (size_t)k * sizeof *r.v);
		r.n += k;
		r.values = i < 2 ? r.n : r.values;
	}
	ad_prog_free(p);
	nn_release(s, t);
	ad_tape_free(t);
	flow_mem_free(m);
	return r;
}

static double worst(const double *a, const double *b, int64_t n)
{
	double most = 0, size = 1;
	for (int64_t i = 0; i < n; i++)
		size = fmax(size, fabs(a[i]));
	for (int64_t i = 0; i < n; i++)
		most = fmax(most, fabs(a[i] - b[i]) / fmax(1, fmax(fabs(a[i]), 1e-6 * size)));
	return most;
}

static void same(const char *name, const subject *u)
{
	nn_store *s = nn_store_new(AD_F64, 4);
	ad_tape *t = ad_tape_new(AD_F64);
	flow_mem *m = flow_mem_new();
	(void)flow_apply(make(m, u, (flow_solver){ 0 }), nn_begin(t, s, NN_EVAL),
			 ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, u->dim), "z"),
			 u->cond ? ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, u->cond), "cond") : NULL, FLOW_FORWARD);
	if (ad_error(t))
		fail_msg("%s: %s", name, ad_error(t));
	nn_release(s, t);
	ad_tape_free(t);
	flow_mem_free(m);
	disturb(s);
	results r[4];
	for (int how = 0; how < 4; how++)
		r[how] = run(u, s, (way)how);
	static const char *const names[] = { "row by row", "by sweeps", "by sweeps to 1e-13" };
	/* A map that is inverted by iteration is no one row's work; of alike ones, features are solved one by one. */
	bool iterated = u->map.caps.inverse != FLOW_ANALYTIC;
	if (r[ROWS].exact < 2 || (!u->map.alike && r[ROWS].one_pass != r[ROWS].exact - iterated))
		fail_msg("%s: %d of %d solutions in one pass", name, (int)r[ROWS].one_pass, (int)r[ROWS].exact);
	assert_int_equal(r[SWEEPS].one_pass, 0);
	for (int how = 0; how < WRITTEN_OUT; how++) {
		double values = worst(r[WRITTEN_OUT].v, r[how].v, r[how].values), all = worst(r[WRITTEN_OUT].v, r[how].v, r[how].n);
		if (!(values <= 1e-12 && all <= 1e-9))
			fail_msg("%s, %s: values differ by %g, derivatives by %g", name, names[how], values, all);
	}
	for (int how = 0; how < 4; how++)
		free(r[how].v);
	nn_store_free(s);
}

static flow_map divided(flow_map map)
{
	map.width_divisor = map.height_divisor = 3;
	return map;
}

static nn_net with_act(nn_net net, const char *act)
{
	net.act = nn_act_named(act);
	return net;
}

static void same_everywhere(void **state)
{
	(void)state;
	flow_mem *m = flow_mem_new();
	const struct {
		const char *name;
		flow_map map;
	} maps[] = {
		{ "affine, tanh exp", flow_affine(FLOW_TANH_EXP, 0) },
		{ "affine, softplus", flow_affine(FLOW_SOFTPLUS, 0.5) },
		{ "additive", flow_additive() },
		{ "linear spline", flow_linear_spline(5, 3) },
		{ "quadratic spline", flow_quadratic_spline(5, 3) },
		{ "cubic spline", flow_cubic_spline(4, 3) },
		{ "rational-quadratic spline", flow_rq_spline(6, 3) },
		{ "rational-quadratic spline in a box", flow_rq_spline(4, 0) },
		{ "rational-quadratic spline, divided", divided(flow_rq_spline(4, 2)) },
		{ "deep sigmoidal flow", flow_dsf(m, 4, 2) },
		{ "deep dense sigmoidal flow", flow_ddsf(m, 3, 2) },
		{ "sum of squares", flow_sum_of_squares(m, 2, 2, 0) },
		{ "integral of a net", flow_umnn(m, (flow_umnn_opt){ .embedding = 2, .width = 4, .nodes = 6 }) },
	};
	static const int backward[] = { 5, 4, 3, 2, 1 }, any[] = { 3, 1, 5, 2, 4 };
	static const struct {
		const char *name;
		const int *order;
	} orders[] = { { "in order", NULL }, { "backward", backward }, { "any order", any } };
	for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
		for (size_t k = 0; k < 3; k++) {
			char name[128];
			bool residual = (i + k) % 2;
			int64_t cond = (i / 2 + k) % 2 ? COND : 0;
			nn_net net = with_act(residual ? nn_res_made(11, 1) : nn_made(11, 1 + k % 2), k == 1 ? "silu" : "tanh");
			subject u = { maps[i].map, net, 5, orders[k].order, cond };
			snprintf(name, sizeof name, "%s, %s, %s%s", maps[i].name, orders[k].name, residual ? "residual" : "feed-forward",
				 cond ? ", conditional" : "");
			same(name, &u);
		}
	flow_mem_free(m);
}

/* Random degrees give masks with gaps, in which no rows are told apart: then solutions iterate, and are right too. */
static void random_degrees(void **state)
{
	(void)state;
	nn_net net = with_act(nn_made(16, 1), "tanh");
	net.random_degrees = true;
	subject u = { flow_affine(FLOW_TANH_EXP, 0), net, 5, NULL, COND };
	nn_store *s = nn_store_new(AD_F64, 4);
	results a = run(&u, s, WRITTEN_OUT), b = run(&u, s, ROWS);
	assert_true(b.exact > 0);
	assert_true(worst(a.v, b.v, a.n) <= 1e-9);
	free(a.v);
	free(b.v);
	nn_store_free(s);
}

/* A tolerance stops early, at values as near as it says in ordinary circumstances; and says what it is. */
static void tolerance(void **state)
{
	(void)state;
	flow_mem *m = flow_mem_new();
	nn_net net = nn_made(32, 2);
	char why[160];
	flow *loose = flow_autoregressive_with(m, flow_affine(FLOW_TANH_EXP, 0), net, 20, NULL, (flow_solver){ FLOW_SWEEPS, 1e-4 });
	assert_int_equal(loose->caps.inverse, FLOW_ITERATIVE);
	assert_false(loose->caps.rebuilds);
	nn_store *s = nn_store_new(AD_F64, 4);
	double x[2][N * 20], z[N * 20];
	ad_noise_normals(1, 0, 1, 0, N * 20, z);
	for (int k = 0; k < 2; k++) {
		ad_tape *t = ad_tape_new(AD_F64);
		flow *f = k ? loose : flow_autoregressive(m, flow_affine(FLOW_TANH_EXP, 0), net, 20, NULL);
		ad_var in = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 20), "z"), out;
		out = flow_apply(f, nn_begin(t, s, NN_EVAL), in, NULL, FLOW_INVERSE).x;
		ad_prog *p = ad_compile(t, 1, &out, (ad_options){ .threads = 1 });
		assert_non_null(p);
		nn_bind(s, t, p);
		ad_set_batch(p, N);
		ad_bind(p, in, z);
		assert_int_equal(ad_run(p, 0), 0);
		memcpy(x[k], ad_result(p, 0), sizeof x[k]);
		ad_prog_free(p);
		nn_release(s, t);
		ad_tape_free(t);
	}
	double off = 0;
	for (int i = 0; i < N * 20; i++)
		off = fmax(off, fabs(x[0][i] - x[1][i]));
	assert_true(off > 0 && off < 1e-2);
	ad_shape in = AD_SHAPE(3), out;
	assert_false(flow_shape(flow_autoregressive_with(m, flow_additive(), net, 3, NULL, (flow_solver){ FLOW_SWEEPS, -1 }), &in, &out,
				why));
	assert_non_null(strstr(why, "tolerance -1"));
	nn_store_free(s);
	flow_mem_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_everywhere),
		cmocka_unit_test(random_degrees),
		cmocka_unit_test(tolerance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
