/* test_ode.c - solvers of ordinary differential equations: orders, tolerances, derivatives of orders 1 and 2 by three
 * routes, samples that do not see each other, errors. */
#include "program.h"

#include "ad/ode.h"

enum { B = 19 };

/* --- Values ----------------------------------------------------------------------------------------------------------
 */

/* y' = -y^2 cos t: y = 1 / (1 / y0 + sin t - sin t0). */
static ad_var known_slope(ad_var t, ad_var y)
{
	return ad_neg(ad_mul(ad_square(y), ad_cos(ad_batched(t) ? ad_reshape(t, AD_SHAPE(AD_BATCH, 1)) : t)));
}

static double known(double y0, double t0, double t)
{
	return 1 / (1 / y0 + sin(t) - sin(t0));
}

typedef struct {
	program g;
	double y0[3 * B], t[4];
	ad_var y[3];
	ad_ode_stats stats;
} knowns;

/* Three numbers a sample (batched), or three in all; to each of times - 1 times. */
static void trace_known(knowns *k, ad_ode_opt o, bool batched, int times, const double *t)
{
	k->g = program_on(AD_F64, B);
	for (int i = 0; i < 3 * B; i++)
		k->y0[i] = 0.2 + 0.005 * i;
	ad_var y0 = program_in(&k->g, AD_F64, batched ? AD_SHAPE(AD_BATCH, 3) : AD_SHAPE(3), k->y0), at[4];
	ad_fn *f = ad_fn_begin(k->g.t);
	ad_var time = ad_fn_arg(f, AD_F64, ad_ode_time_shape(o, batched, false)),
	       y = ad_fn_arg(f, AD_F64, ad_shape_of(y0));
	ad_var dy = known_slope(time, y);
	ad_fn_end(f, 1, &dy);
	for (int i = 0; i < times; i++) {
		k->t[i] = t[i];
		at[i] = ad_const(k->g.t, t[i]);
	}
	ad_ode(f, 1, &y0, times, at, o, k->y, &k->stats);
	for (int i = 0; i + 1 < times; i++)
		program_out(&k->g, k->y[i]);
	program_out(&k->g, k->stats.evaluations);
}

static double worst(knowns *k, bool batched, int times)
{
	double e = 0;
	program_run(&k->g, (ad_options){ .threads = 1 });
	for (int j = 0; j + 1 < times; j++)
		for (int i = 0; i < (batched ? 3 * B : 3); i++)
			e = fmax(e, fabs(program_f64(&k->g, j)[i] - known(k->y0[i], k->t[0], k->t[j + 1])));
	program_free(&k->g);
	return e;
}

static double error_of(ad_ode_opt o, bool batched, int times, const double *t)
{
	knowns k;
	trace_known(&k, o, batched, times, t);
	return worst(&k, batched, times);
}

static void orders(void **state)
{
	static const struct {
		ad_ode_method m;
		double order;
		int steps;
	} row[] = { { AD_EULER, 1, 64 },	 { AD_MIDPOINT, 2, 32 },   { AD_HEUN2, 2, 32 },
		    { AD_HEUN3, 3, 24 },	 { AD_RK4, 4, 16 },	   { AD_RK4_38, 4, 16 },
		    { AD_BOSH3, 3, 24 },	 { AD_TSIT5, 5, 5 },	   { AD_DOPRI5, 5, 9 },
		    { AD_DOPRI8, 8, 2 },	 { AD_HEUN_EULER, 2, 32 }, { AD_ADAMS_EXPLICIT, 4, 40 },
		    { AD_ADAMS_IMPLICIT, 5, 40 } };
	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		for (int backwards = 0; backwards < 2; backwards++) {
			double t[2] = { backwards ? 1.3 : 0.1, backwards ? 0.1 : 1.3 }, e[2];
			for (int fine = 0; fine < 2; fine++)
				e[fine] = error_of((ad_ode_opt){ .method = row[i].m,
								 .steps = row[i].steps << fine,
								 .rtol = 1e-13,
								 .atol = 1e-13,
								 .corrections = 20 },
						   i % 2, 2, t);
			double order = log2(e[0] / e[1]);
			if (!(order > 0.9 * row[i].order - 0.2 && order < row[i].order + 1.3))
				fail_msg("method %d %s: order %.2f, not %.0f (errors %.3g, %.3g)", (int)row[i].m,
					 backwards ? "backwards" : "forwards", order, row[i].order, e[0], e[1]);
		}
}

static void tolerances(void **state)
{
	static const ad_ode_method m[] = { AD_HEUN_EULER, AD_BOSH3, AD_TSIT5, AD_DOPRI5, AD_DOPRI8 };
	(void)state;
	for (size_t i = 0; i < sizeof m / sizeof *m; i++)
		for (int how = 0; how < 16; how++) {
			double tol = how & 1 ? 1e-5 : m[i] >= AD_TSIT5 ? 1e-10 : 1e-7;
			double t[4] = { how & 2 ? 2.0 : -0.4, how & 2 ? 1.1 : 0.3, how & 2 ? 0.3 : 1.1,
					how & 2 ? -0.4 : 2.0 };
			ad_ode_opt o = { .method = m[i],
					 .rtol = tol,
					 .atol = tol,
					 .interpolate = how & 4,
					 .integral_control = how & 8,
					 .max_steps = 4000,
					 .control = (ad_ode_control)(how % 3) };
			double e = error_of(o, how & 1, 4, t);
			/* The quartic between steps is of order 4. */
			double allowed = (how & 4 && m[i] == AD_DOPRI8 ? 2e4 : how & 4 ? 1000 : 200) * tol;
			if (!(e < allowed && e > 1e-16))
				fail_msg("method %d, tolerance %g, way %d: error %.3g", (int)m[i], tol, how, e);
		}
}

/* Steps of a size: the last is shorter; known and unknown numbers of steps give the same. */
static void sizes(void **state)
{
	(void)state;
	for (int backwards = 0; backwards < 2; backwards++) {
		double a = backwards ? 1.03 : 0.1, b = backwards ? 0.1 : 1.03, v[2][B];
		for (int known_times = 0; known_times < 2; known_times++) {
			program g = program_on(AD_F64, B);
			double *y = numbers(B, 0.1, 0.5, 3);
			ad_var y0 = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 1), y),
			       ta = program_in(&g, AD_F64, AD_SCALAR, &a);
			ad_var tb = program_in(&g, AD_F64, AD_SCALAR, &b), out;
			ad_var at[2] = { known_times ? ad_const(g.t, a) : ta, known_times ? ad_const(g.t, b) : tb };
			ad_fn *f = ad_fn_begin(g.t);
			ad_var t = ad_fn_arg(f, AD_F64, AD_SCALAR), x = ad_fn_arg(f, AD_F64, ad_shape_of(y0)),
			       dy = known_slope(t, x);
			ad_ode_stats s;
			ad_fn_end(f, 1, &dy);
			ad_ode(f, 1, &y0, 2, at, (ad_ode_opt){ .method = AD_RK4, .step_size = 0.1 }, &out, &s);
			program_out(&g, out);
			program_out(&g, s.evaluations);
			program_out(&g, ad_grad(ad_sum(out, AD_ALL), tb));
			program_run(&g, (ad_options){ 0 });
			memcpy(v[known_times], program_f64(&g, 0), sizeof v[0]);
			assert_true(program_f64(&g, 1)[0] == 40);
			double slope = 0;
			for (int i = 0; i < B; i++)
				slope -= known(y[i], a, b) * known(y[i], a, b) * cos(b);
			if (!known_times)
				assert_true(fabs(program_f64(&g, 2)[0] - slope) < 1e-4 * fabs(slope));
			program_free(&g);
			free(y);
		}
		for (int i = 0; i < B; i++)
			assert_true(fabs(v[0][i] - v[1][i]) < 1e-14);
	}
}

/* --- Derivatives
 * ------------------------------------------------------------------------------------------------------- */

typedef struct {
	program g;
	double x[2 * B], l[B], w[6], cond[2 * B], end, start;
	ad_var loss;
} model;

enum { IN_X, IN_L, IN_W, IN_COND, IN_END, IN_START, INPUTS };

/* x' = tanh(x W^T + b t) cond, l' = |x|^2 / 3: two arrays, captured weights and condition, variable times. */
static void trace_model(model *m, ad_ode_opt o, bool batched)
{
	m->g = program_on(AD_F64, B);
	program *g = &m->g;
	for (int i = 0; i < 2 * B; i++) {
		m->x[i] = sin(1.3 * i);
		m->cond[i] = 1.2 + 0.5 * cos(0.7 * i);
	}
	for (int i = 0; i < B; i++)
		m->l[i] = 0.1 * i;
	for (int i = 0; i < 6; i++)
		m->w[i] = cos(2.1 * i + 0.5);
	m->start = 0.2;
	m->end = 1.1;
	ad_shape xs = batched ? AD_SHAPE(AD_BATCH, 2) : AD_SHAPE(B, 2), ls = batched ? AD_SHAPE(AD_BATCH) : AD_SHAPE(B);
	ad_var y0[2], w, cond, end, start, y[4];
	y0[0] = program_in(g, AD_F64, xs, m->x);
	y0[1] = program_in(g, AD_F64, ls, m->l);
	w = program_in(g, AD_F64, AD_SHAPE(2, 3), m->w);
	cond = program_in(g, AD_F64, xs, m->cond);
	end = program_in(g, AD_F64, AD_SCALAR, &m->end);
	start = program_in(g, AD_F64, AD_SCALAR, &m->start);
	ad_fn *f = ad_fn_begin(g->t);
	ad_var t = ad_fn_arg(f, AD_F64, ad_ode_time_shape(o, batched, false)), x = ad_fn_arg(f, AD_F64, xs);
	ad_var time = ad_batched(t) ? ad_reshape(t, AD_SHAPE(AD_BATCH, 1)) : t, dy[2];
	ad_fn_arg(f, AD_F64, ls);
	ad_var shift = ad_mul(time, ad_reshape(ad_slice(w, 1, 2, 3), AD_SHAPE(2)));
	dy[0] = ad_mul(ad_tanh(ad_add(ad_linear(x, ad_slice(w, 1, 0, 2), NULL), shift)), cond);
	dy[1] = ad_scale(ad_sum(ad_square(x), AD_EVENT), 1.0 / 3);
	ad_fn_end(f, 2, dy);
	ad_var at[3] = { start, ad_add(ad_scale(start, 0.6), ad_scale(end, 0.4)), end };
	ad_ode(f, 2, y0, 3, at, o, y, NULL);
	m->loss = ad_add(ad_mean(ad_sin(y[0]), AD_ALL),
			 ad_mean(ad_add(y[3], ad_mul(y[1], ad_reshape(ad_slice(y[2], 1, 0, 1), ls))), AD_ALL));
}

static int64_t size_of(const model *m, int j)
{
	return ad_numel(ad_shape_of(m->g.in[j])) * (ad_batched(m->g.in[j]) ? B : 1);
}

static const double points[4] = { 1, -1, 2, -2 };

static double difference(const double v[4], double h)
{
	return (8 * (v[0] - v[1]) - (v[2] - v[3])) / (12 * h);
}

/* By input j: outputs 0 the loss, 1 its gradient, 2 the gradient of <v, gradient>, 3 the derivative along v. */
static void law_by(const char *name, ad_ode_opt o, bool batched, bool forward, double tolerance, int j)
{
	model m;
	trace_model(&m, o, batched);
	program *g = &m.g;
	int64_t n = size_of(&m, j);
	double *v = numbers(n, -1, 1, 70 + (uint64_t)j), *x = (double *)g->data[j], h = 1e-3, along = 0;
	double *first = malloc((size_t)n * 8), *second = malloc((size_t)n * 8);
	ad_var vj = program_in(g, AD_F64, ad_shape_of(g->in[j]), v), gradient = ad_grad(m.loss, g->in[j]), d = m.loss;
	program_out(g, m.loss);
	program_out(g, gradient);
	program_out(g, ad_grad(ad_sum(ad_mul(gradient, vj), AD_ALL), g->in[j]));
	if (forward)
		ad_jvp(1, &m.loss, 1, &g->in[j], &vj, &d);
	program_out(g, d);
	program_run(g, (ad_options){ .threads = 1, .tile = 16 });
	memcpy(first, program_f64(g, 1), (size_t)n * 8);
	memcpy(second, program_f64(g, 2), (size_t)n * 8);
	for (int64_t i = 0; i < n; i++)
		along += first[i] * v[i];
	if (forward && !(fabs(along - program_f64(g, 3)[0]) < 1e-9 * fmax(1, fabs(along))))
		fail_msg("%s, input %d: forward derivative %.12g, backward %.12g", name, j, program_f64(g, 3)[0],
			 along);
	for (int64_t i = 0; i < n && i < 2; i++) {
		double kept = x[i], value[4], slope[4];
		for (int s = 0; s < 4; s++) {
			x[i] = kept + points[s] * h;
			if (ad_run(g->p, 0))
				fail_msg("%s", ad_run_error(g->p));
			value[s] = program_f64(g, 0)[0];
			slope[s] = 0;
			for (int64_t k = 0; k < n; k++)
				slope[s] += program_f64(g, 1)[k] * v[k];
		}
		x[i] = kept;
		double d1 = difference(value, h), d2 = difference(slope, h);
		if (!(fabs(d1 - first[i]) <= tolerance * fmax(0.1, fabs(d1))))
			fail_msg("%s, input %d[%d]: gradient %.12g, by differences %.12g", name, j, (int)i, first[i],
				 d1);
		if (!(fabs(d2 - second[i]) <= 10 * tolerance * fmax(0.1, fabs(d2))))
			fail_msg("%s, input %d[%d]: second derivative %.12g, by differences %.12g", name, j, (int)i,
				 second[i], d2);
	}
	free(first);
	free(second);
	free(v);
	program_free(g);
}

static void law(const char *name, ad_ode_opt o, bool batched, bool forward, double tolerance)
{
	for (int j = 0; j < INPUTS; j++)
		law_by(name, o, batched, forward, tolerance, j);
}

static void derivatives_fixed(void **state)
{
	(void)state;
	law("rk4", (ad_ode_opt){ .method = AD_RK4, .steps = 5 }, true, true, 1e-8);
	law("rk4, ordinary", (ad_ode_opt){ .method = AD_RK4, .steps = 5 }, false, true, 1e-8);
	law("heun3 by size", (ad_ode_opt){ .method = AD_HEUN3, .step_size = 0.13, .max_steps = 12 }, true, true, 1e-8);
	law("euler, interpolated", (ad_ode_opt){ .method = AD_EULER, .steps = 7, .interpolate = true }, true, true,
	    1e-8);
	law("dopri5 by steps", (ad_ode_opt){ .method = AD_DOPRI5, .steps = 3 }, true, true, 1e-8);
}

static void derivatives_checkpointed(void **state)
{
	(void)state;
	law("midpoint, checkpoints",
	    (ad_ode_opt){ .method = AD_MIDPOINT, .steps = 11, .gradient = AD_ODE_CHECKPOINTED }, true, true, 1e-8);
	law("rk4 by size, checkpoints",
	    (ad_ode_opt){ .method = AD_RK4, .step_size = 0.11, .max_steps = 20, .gradient = AD_ODE_CHECKPOINTED },
	    false, true, 1e-8);
}

static void derivatives_adams(void **state)
{
	(void)state;
	law("explicit adams", (ad_ode_opt){ .method = AD_ADAMS_EXPLICIT, .steps = 9 }, true, true, 1e-8);
	law("implicit adams",
	    (ad_ode_opt){ .method = AD_ADAMS_IMPLICIT, .steps = 9, .rtol = 1e-13, .atol = 1e-13, .corrections = 12 },
	    true, false, 1e-8);
}

static void derivatives_adaptive(void **state)
{
	ad_ode_opt o = { .method = AD_DOPRI5, .rtol = 1e-11, .atol = 1e-11, .max_steps = 60 };
	(void)state;
	law("dopri5", o, true, true, 1e-6);
	law("dopri5, ordinary", o, false, true, 1e-6);
	o.interpolate = true;
	o.control = AD_ODE_TILE;
	law("dopri5, interpolated", o, true, true, 1e-6);
	law("bosh3, checkpoints",
	    (ad_ode_opt){
		    .method = AD_BOSH3, .rtol = 1e-7, .atol = 1e-7, .max_steps = 200, .gradient = AD_ODE_CHECKPOINTED },
	    true, false, 1e-5);
}

static void derivatives_adjoint(void **state)
{
	ad_ode_opt o = { .method = AD_RK4, .steps = 24, .gradient = AD_ODE_ADJOINT };
	(void)state;
	law("rk4, adjoint", o, true, false, 1e-5);
	law("rk4, adjoint, ordinary", o, false, false, 1e-5);
	o = (ad_ode_opt){
		.method = AD_DOPRI5, .rtol = 1e-11, .atol = 1e-11, .max_steps = 60, .gradient = AD_ODE_ADJOINT
	};
	law("dopri5, adjoint", o, true, false, 1e-6);
	law("dopri5, adjoint, ordinary", o, false, false, 1e-6);
}

/* The three routes give the same numbers, exactly so where they must. */
static void routes(void **state)
{
	(void)state;
	for (int adaptive = 0; adaptive < 2; adaptive++) {
		double got[3][2 * B + 6];
		for (int r = 0; r < 3; r++) {
			model m;
			ad_ode_opt o = { .method = adaptive ? AD_TSIT5 : AD_RK4,
					 .steps = adaptive ? 0 : 40,
					 .rtol = 1e-11,
					 .atol = 1e-11,
					 .max_steps = 300,
					 .gradient = (ad_ode_gradient)r };
			trace_model(&m, o, true);
			program_out(&m.g, ad_grad(m.loss, m.g.in[IN_X]));
			program_out(&m.g, ad_grad(m.loss, m.g.in[IN_W]));
			program_run(&m.g, (ad_options){ 0 });
			memcpy(got[r], program_f64(&m.g, 0), sizeof(double) * 2 * B);
			memcpy(got[r] + 2 * B, program_f64(&m.g, 1), sizeof(double) * 6);
			program_free(&m.g);
		}
		for (int i = 0; i < 2 * B + 6; i++) {
			assert_true(fabs(got[1][i] - got[0][i]) < 1e-13);
			assert_true(fabs(got[2][i] - got[0][i]) < 1e-7);
			assert_true(got[2][i] != got[0][i]);
		}
	}
}

/* Memory of the three: live nodes do not grow with steps; checkpoints keep less than all steps. */
static void memory(void **state)
{
	size_t arena[3][2];
	int64_t nodes[3][2];
	(void)state;
	for (int r = 0; r < 3; r++)
		for (int many = 0; many < 2; many++) {
			model m;
			trace_model(&m,
				    (ad_ode_opt){ .method = AD_RK4,
						  .steps = many ? 1600 : 100,
						  .gradient = (ad_ode_gradient)r },
				    true);
			program_out(&m.g, ad_grad(m.loss, m.g.in[IN_W]));
			program_run(&m.g, (ad_options){ .tile = 16 });
			ad_summary s = ad_prog_summary(m.g.p);
			arena[r][many] = s.tile_arena;
			nodes[r][many] = s.nodes;
			program_free(&m.g);
		}
	for (int r = 0; r < 3; r++)
		assert_int_equal(nodes[r][0], nodes[r][1]);
	/* 16 samples of 3 numbers a step. */
	size_t step = 16 * 3 * sizeof(double), direct = arena[0][1] - arena[0][0],
	       checkpoints = arena[1][1] - arena[1][0];
	if (!(direct >= 1500 * step && checkpoints < direct / 10))
		fail_msg("1500 steps more need %zu bytes, %zu with checkpoints", direct, checkpoints);
}

/* --- Products kept for the derivative ---------------------------------------------------------------------------------
 */

enum { WIDE = 52 };

/* y' = tanh(W y) + c tanh(W tanh(W y)), and the integral of its derivative along a fixed direction: products large enough to be
 * kept.  Outputs: gradients by y0, W, c, and of |gradient by W|^2 by W. */
static program wide(ad_ode_opt o, double *y0, double *w, double *c)
{
	program g = program_on(AD_F64, B);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, WIDE), y0), W = program_in(&g, AD_F64, AD_SHAPE(WIDE, WIDE), w),
	       C = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, WIDE), c), y[2], dy[2];
	ad_fn *f = ad_fn_begin(g.t);
	ad_fn_arg(f, AD_F64, ad_ode_time_shape(o, true, false));
	ad_var at = ad_fn_arg(f, AD_F64, AD_SHAPE(AD_BATCH, WIDE)), e = ad_full_like(at, 0.3), tangent;
	ad_fn_arg(f, AD_F64, AD_SHAPE(AD_BATCH));
	ad_var h = ad_tanh(ad_linear(at, W, NULL));
	dy[0] = ad_add(h, ad_mul(C, ad_tanh(ad_linear(h, W, NULL))));
	ad_jvp(1, &dy[0], 1, &at, &e, &tangent);
	dy[1] = ad_sum(tangent, AD_EVENT);
	ad_fn_end(f, 2, dy);
	ad_var start[2] = { x, ad_scale(ad_sum(x, AD_EVENT), 0) }, times[2] = { ad_const(g.t, 0), ad_const(g.t, 0.5) };
	ad_ode(f, 2, start, 2, times, o, y, NULL);
	ad_var loss = ad_add(ad_mean(ad_sin(y[0]), AD_ALL), ad_mean(ad_square(y[1]), AD_ALL)), by = ad_grad(loss, W);
	program_out(&g, ad_grad(loss, x));
	program_out(&g, by);
	program_out(&g, ad_grad(loss, C));
	program_out(&g, ad_grad(ad_sum(ad_square(by), AD_ALL), W));
	return g;
}

static void kept_products(void **state)
{
	static double y0[B * WIDE], w[WIDE * WIDE], c[B * WIDE];
	static const int64_t size[4] = { B * WIDE, WIDE * WIDE, B * WIDE, WIDE * WIDE };
	(void)state;
	ad_noise_normals(1, 0, 0, 0, B * WIDE, y0);
	ad_noise_normals(1, 0, 1, 0, WIDE * WIDE, w);
	ad_noise_normals(1, 0, 2, 0, B * WIDE, c);
	for (int i = 0; i < WIDE * WIDE; i++)
		w[i] *= 0.2;
	ad_ode_opt o = { .method = AD_RK4, .steps = 6 };
	program a = wide(o, y0, w, c), b = wide(o, y0, w, c);
	o.gradient = AD_ODE_CHECKPOINTED; /* keeps none */
	program plain = wide(o, y0, w, c);
	program_run(&a, (ad_options){ .threads = 1 });
	program_run(&b, (ad_options){ .threads = 3, .reverse_tiles = true });
	program_run(&plain, (ad_options){ .threads = 1 });
	for (int k = 0; k < 4; k++) {
		double worst = 0, most = 0;
		assert_memory_equal(program_f64(&a, k), program_f64(&b, k), (size_t)size[k] * sizeof(double));
		for (int64_t i = 0; i < size[k]; i++) {
			worst = fmax(worst, fabs(program_f64(&a, k)[i] - program_f64(&plain, k)[i]));
			most = fmax(most, fabs(program_f64(&plain, k)[i]));
		}
		if (!(worst <= 1e-12 * most))
			fail_msg("output %d differs by %.3g of %.3g", k, worst, most);
	}
	program_free(&a);
	program_free(&b);
	program_free(&plain);
}

/* Bytes of 16 samples for a gradient of so many steps. */
static double arena_of(int steps)
{
	static double y0[B * WIDE], w[WIDE * WIDE], c[B * WIDE];
	program g = wide((ad_ode_opt){ .method = AD_RK4, .steps = steps }, y0, w, c);
	g.nout = 3;
	program_run(&g, (ad_options){ .threads = 1, .tile = 16 });
	double bytes = (double)ad_prog_summary(g.p).tile_arena;
	program_free(&g);
	return bytes;
}

/* What is kept: of each stage, two hidden layers and a tangent; and none of it beyond 128 KiB a sample. */
static void memory_kept(void **state)
{
	double number = 16 * sizeof(double), kept = 4 * 3 * WIDE * number;
	(void)state;
	double few = arena_of(8) - arena_of(4), many = arena_of(100) - arena_of(50);
	if (!(few >= 4 * kept && many < 50 * kept / 2))
		fail_msg("4 steps more need %.0f bytes of %.0f, 50 more %.0f", few, 4 * kept, many);
}

/* --- Samples ---------------------------------------------------------------------------------------------------------
 */

static void neighbours(void **state)
{
	ad_ode_opt o = { .method = AD_TSIT5, .rtol = 1e-5, .atol = 1e-5 };
	double t[2] = { 0.1, 1.4 }, all[3 * B], steps[B], most = 0, least = 1e9;
	knowns k;
	(void)state;
	trace_known(&k, o, true, 2, t);
	for (int i = 0; i < B; i++)
		k.y0[3 * i] *= i % 3 ? 1 : 6;
	program_run(&k.g, (ad_options){ 0 });
	memcpy(all, program_f64(&k.g, 0), sizeof all);
	memcpy(steps, program_f64(&k.g, 1), sizeof steps);
	for (int i = 0; i < B; i++) {
		most = fmax(most, steps[i]);
		least = fmin(least, steps[i]);
	}
	assert_true(most > least);
	double own[3 * B];
	memcpy(own, k.y0, sizeof own);
	for (int i = 0; i < B; i++) {
		ad_set_batch(k.g.p, 1);
		memcpy(k.y0, own + 3 * i, 3 * sizeof(double));
		if (ad_run(k.g.p, 0))
			fail_msg("%s", ad_run_error(k.g.p));
		for (int d = 0; d < 3; d++)
			assert_true(program_f64(&k.g, 0)[d] == all[3 * i + d]);
	}
	program_free(&k.g);
}

static void batch_in_one_tile(void **state)
{
	double t[2] = { 0.1, 1.4 };
	knowns k;
	(void)state;
	trace_known(&k, (ad_ode_opt){ .method = AD_TSIT5, .control = AD_ODE_BATCH }, true, 2, t);
	assert_int_equal(program_try(&k.g, (ad_options){ .tile = 16 }), -1);
	assert_non_null(strstr(ad_run_error(k.g.p), "one tile"));
	assert_int_equal(program_try(&k.g, (ad_options){ .tile = 32 }), 0);
	program_free(&k.g);
}

/* --- Errors ----------------------------------------------------------------------------------------------------------
 */

static void run_time_errors(void **state)
{
	static const struct {
		double y0, end;
		int max_steps;
		const char *says;
	} row[] = { { 1, 2, 0, "underflows" }, { NAN, 1, 0, "not finite" }, { 1, 0.9999, 3, "max_steps" } };
	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		for (int batched = 0; batched < 2; batched++) {
			program g = program_on(AD_F64, 2);
			ad_ode_opt o = { .method = AD_DOPRI5, .rtol = 1e-9, .max_steps = row[i].max_steps };
			double y[2] = { row[i].y0, row[i].y0 };
			ad_var y0 = program_in(&g, AD_F64, batched ? AD_SHAPE(AD_BATCH) : AD_SHAPE(2), y), out;
			ad_fn *f = ad_fn_begin(g.t);
			ad_fn_arg(f, AD_F64, ad_ode_time_shape(o, batched, false));
			ad_var x = ad_fn_arg(f, AD_F64, ad_shape_of(y0)), dy = ad_square(x);
			ad_fn_end(f, 1, &dy);
			ad_ode(f, 1, &y0, 2, (ad_var[]){ ad_const(g.t, 0), ad_const(g.t, row[i].end) }, o, &out, NULL);
			program_out(&g, out);
			assert_int_equal(program_try(&g, (ad_options){ 0 }), -1);
			if (!strstr(ad_run_error(g.p), row[i].says) || !strstr(ad_run_error(g.p), "t = "))
				fail_msg("%s", ad_run_error(g.p));
			program_free(&g);
		}
}

static void trace_errors(void **state)
{
	static const struct {
		ad_ode_opt o;
		const char *says;
	} row[] = { { { .method = AD_RK4 }, "needs steps or step_size" },
		    { { .method = AD_RK4, .steps = 3, .step_size = 0.1 }, "both" },
		    { { .method = (ad_ode_method)99 }, "no such method" },
		    { { .method = AD_ADAMS_EXPLICIT, .steps = 3, .adams_order = 13 }, "adams_order" },
		    { { .method = AD_DOPRI5, .rtol = -1 }, "negative" },
		    { { .method = AD_DOPRI5 }, "time has shape" } };
	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		ad_tape *t = ad_tape_new(AD_F64);
		ad_var y0 = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 2), "y"), out;
		ad_fn *f = ad_fn_begin(t);
		ad_fn_arg(f, AD_F64, AD_SCALAR);
		ad_var x = ad_fn_arg(f, AD_F64, ad_shape_of(y0));
		ad_fn_end(f, 1, &x);
		ad_ode(f, 1, &y0, 2, (ad_var[]){ ad_const(t, 0), ad_const(t, 1) }, row[i].o, &out, NULL);
		if (!ad_error(t) || !strstr(ad_error(t), row[i].says))
			fail_msg("row %d: %s", (int)i, ad_error(t) ? ad_error(t) : "no error");
		ad_tape_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orders),
		cmocka_unit_test(tolerances),
		cmocka_unit_test(sizes),
		cmocka_unit_test(derivatives_fixed),
		cmocka_unit_test(derivatives_checkpointed),
		cmocka_unit_test(derivatives_adams),
		cmocka_unit_test(derivatives_adaptive),
		cmocka_unit_test(derivatives_adjoint),
		cmocka_unit_test(routes),
		cmocka_unit_test(memory),
		cmocka_unit_test(kept_products),
		cmocka_unit_test(memory_kept),
		cmocka_unit_test(neighbours),
		cmocka_unit_test(batch_in_one_tile),
		cmocka_unit_test(run_time_errors),
		cmocka_unit_test(trace_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
