/* test_random_graphs.c - random graphs of every kind of op, run in every way there is: fused or not, any tile, threads,
 * order, batch and instruction set, against the same graph on fixed extents and against differences.
 * With an argument: how many graphs, and the number of the first. */
#include "program.h"
#include "random_graph.h"

static uint64_t first_graph = 1, graphs = 25;

enum { LOSS, GX, GW, GV, GS, JVP, HX, HW, HV, HS, KEPT, SAME, INPUT, CONSTANT, VIEW, TAIL, OUTPUTS = TAIL + 4, LARGEST = 64 };

typedef struct {
	graph g;
	ad_var out[OUTPUTS];
	bool b[OUTPUTS];
	ad_var in[9];
	ad_prog *p;
	int64_t samples, first; /* samples first .. first + samples - 1 of the data */
} model;

/* Inputs of up to LARGEST samples, and a direction for each. */
static double x0[LARGEST * 5], w0[20], v0[5], s0, xd[LARGEST * 5], wd[20], vd[5], sd;
static int32_t index0[LARGEST * 3];

static void set(double *a, int64_t n, uint64_t stream)
{
	for (int64_t i = 0; i < n; i++)
		a[i] = 2 * ad_noise_uniform(9, 0, stream, (uint64_t)i) - 1;
}

static void set_inputs(void)
{
	set(x0, LARGEST * 5, 1);
	set(w0, 20, 2);
	set(v0, 5, 3);
	set(&s0, 1, 4);
	set(xd, LARGEST * 5, 5);
	set(wd, 20, 6);
	set(vd, 5, 7);
	set(&sd, 1, 8);
	for (int i = 0; i < LARGEST * 3; i++)
		index0[i] = (int32_t)(3 * ad_noise_uniform(9, 0, 9, (uint64_t)i));
}

static model trace(uint64_t seed, ad_dtype real, int64_t batch, int64_t samples)
{
	model m = { .g = random_graph(seed, real, batch, 24), .samples = samples };
	graph *g = &m.g;
	ad_var in[] = { g->x.v, g->w.v, g->v.v, g->s.v }, loss = ad_const(g->t, 0), gx[4], hx[4], along[4], dot = loss;
	ad_var dx = ad_input(g->t, real, AD_SHAPE(batch, 5), "dx"), dw = ad_input(g->t, real, AD_SHAPE(4, 5), "dw");
	ad_var dv = ad_input(g->t, real, AD_SHAPE(5), "dv"), ds = ad_input(g->t, real, AD_SCALAR, "ds");
	for (int i = g->n > 8 ? g->n - 8 : 0; i < g->n; i++)
		loss = ad_add(loss, ad_mean(ad_sin(g->pool[i].v), AD_ALL));
	ad_vjp(1, &loss, NULL, 4, in, gx);
	m.b[GX] = m.b[HX] = true;
	memcpy(along, (ad_var[]){ dx, dw, dv, ds }, sizeof along);
	for (int i = 0; i < 4; i++)
		dot = ad_add(dot, ad_sum(ad_mul(gx[i], along[i]), AD_ALL));
	ad_vjp(1, &dot, NULL, 4, in, hx);
	m.out[LOSS] = loss;
	ad_jvp(1, &loss, 4, in, along, &m.out[JVP]);
	for (int i = 0; i < 4; i++) {
		m.out[GX + i] = gx[i];
		m.out[HX + i] = hx[i];
	}
	val some[] = { [KEPT] = g->pool[g->n / 2], [SAME] = g->pool[g->n / 2], [INPUT] = g->x, [CONSTANT] = { random_array(g, AD_SHAPE(2, 3)), false },
		       [VIEW] = { ad_flip(g->x.v, 1), true }, g->pool[g->n - 1], g->pool[g->n - 2], g->pool[g->n - 3], g->pool[g->n - 4] };
	memcpy(m.in, (ad_var[]){ g->x.v, g->w.v, g->v.v, g->s.v, g->index.v, dx, dw, dv, ds }, sizeof m.in);
	for (int i = KEPT; i < OUTPUTS; i++) {
		m.out[i] = some[i].v;
		m.b[i] = some[i].b;
	}
	return m;
}

/* In the dtype of the tape; the halves of the step are h along the direction. */
static void bind(model *m)
{
	static double *const data[] = { x0, w0, v0, &s0, NULL, xd, wd, vd, &sd };
	static float single[9][LARGEST * 5];
	for (int i = 0; i < 9; i++) {
		if (i == 4) {
			ad_bind(m->p, m->in[i], index0 + 3 * m->first);
			continue;
		}
		const double *d = data[i] + (i % 5 == 0 ? 5 * m->first : 0);
		int64_t n = ad_numel(ad_shape_of(m->in[i])) * (ad_batched(m->in[i]) ? m->samples : 1);
		for (int64_t j = 0; j < n; j++)
			single[i][j] = (float)d[j];
		ad_bind(m->p, m->in[i], ad_real(m->g.t) == AD_F64 ? (const void *)d : single[i]);
	}
}

static void run(model *m, ad_options o)
{
	if (m->p)
		ad_prog_free(m->p);
	m->p = ad_error(m->g.t) ? NULL : ad_compile(m->g.t, OUTPUTS, m->out, o);
	if (!m->p)
		fail_msg("%s", ad_error(m->g.t));
	ad_set_batch(m->p, m->samples);
	bind(m);
	if (ad_run(m->p, 0))
		fail_msg("%s", ad_run_error(m->p));
}

static void drop(model *m)
{
	ad_prog_free(m->p);
	ad_tape_free(m->g.t);
}

static int64_t count(const model *m, int i) { return ad_numel(ad_shape_of(m->out[i])) * (ad_batched(m->out[i]) ? m->samples : 1); }

static double at(const model *m, int i, int64_t j)
{
	const void *r = ad_result(m->p, i);
	return ad_dtype_of(m->out[i]) == AD_F64 ? ((const double *)r)[j] : (double)((const float *)r)[j];
}

typedef struct {
	double *v[OUTPUTS];
} kept;

static kept keep(const model *m)
{
	kept k;
	for (int i = 0; i < OUTPUTS; i++) {
		k.v[i] = malloc((size_t)count(m, i) * sizeof(double));
		for (int64_t j = 0; j < count(m, i); j++)
			k.v[i][j] = at(m, i, j);
	}
	return k;
}

static void forget(kept *k)
{
	for (int i = 0; i < OUTPUTS; i++)
		free(k->v[i]);
}

/* tolerance 0: the same bits; relative to the largest element of an output. */
static void compare(const model *m, const kept *k, double tolerance, uint64_t seed, const char *what)
{
	for (int i = 0; i < OUTPUTS; i++) {
		double top = 1;
		for (int64_t j = 0; j < count(m, i); j++)
			top = fmax(top, fabs(k->v[i][j]));
		for (int64_t j = 0; j < count(m, i); j++) {
			double a = k->v[i][j], b = at(m, i, j);
			if (!isfinite(a) || (tolerance == 0 ? memcmp(&a, &b, sizeof a) != 0 : !(fabs(a - b) <= tolerance * top)))
				fail_msg("graph %llu, %s: output %d[%lld] is %.17g, not %.17g", (unsigned long long)seed, what, i, (long long)j, b, a);
		}
	}
}

static void ways_to_run(uint64_t seed, int64_t samples)
{
	static const int64_t tiles[] = { 0, 16, 32, 48 };
	static const ad_options ways[] = { { .threads = 2 }, { .threads = 3, .reverse_tiles = true }, { .threads = 5 },
		                           { .threads = 1, .no_fusion = true }, { .threads = 1, .reverse_tiles = true } };
	model m = trace(seed, AD_F64, AD_BATCH, samples);
	run(&m, (ad_options){ .threads = 1 });
	kept k = keep(&m);
	for (int t = 0; t < 4; t++) {
		run(&m, (ad_options){ .threads = 1, .tile = tiles[t] });
		kept same = keep(&m);
		compare(&m, &k, t ? 1e-11 : 0, seed, "another tile");
		for (size_t w = seed % 2; w < sizeof ways / sizeof *ways; w += 2) {
			ad_options o = ways[w];
			o.tile = tiles[t];
			run(&m, o);
			compare(&m, &same, 0, seed, "threads, order of tiles, fusion");
		}
		forget(&same);
	}
	for (int i = 0; i < 4; i++) {
		static const char *const isas[] = { "plain", "base", "v3", "v4" };
		ad_prog *p = ad_compile(m.g.t, OUTPUTS, m.out, (ad_options){ .isa = isas[i], .threads = 1 });
		if (!p)
			break; /* this machine has no better one; the tape has failed */
		ad_prog_free(m.p);
		m.p = p;
		ad_set_batch(p, samples);
		bind(&m);
		assert_int_equal(ad_run(p, 0), 0);
		compare(&m, &k, 1e-9, seed, isas[i]);
	}
	drop(&m);
	m = trace(seed, AD_F32, AD_BATCH, samples);
	run(&m, (ad_options){ .threads = 2 });
	compare(&m, &k, 2e-3, seed, "f32");
	drop(&m);
	m = trace(seed, AD_F64, samples, samples);
	run(&m, (ad_options){ .threads = 2 });
	compare(&m, &k, 1e-10, seed, "fixed extents");
	drop(&m);
	forget(&k);
}

static void batches(uint64_t seed)
{
	static const int64_t sizes[] = { 5, 64, 1, 33, 33, 16 };
	double bound[LARGEST * 64];
	model m = trace(seed, AD_F64, AD_BATCH, 7);
	run(&m, (ad_options){ .threads = 2, .tile = 16 });
	for (int i = 0; i < 6; i++) {
		model fresh = trace(seed, AD_F64, AD_BATCH, sizes[i]);
		run(&fresh, (ad_options){ .threads = 1, .tile = 16 });
		kept k = keep(&fresh);
		m.samples = sizes[i];
		ad_bind_output(m.p, TAIL, i % 2 ? bound : NULL);
		ad_bind_output(m.p, GW, i % 3 ? bound + LARGEST * 63 : NULL);
		ad_set_batch(m.p, m.samples);
		bind(&m);
		for (int again = 0; again < 2; again++) {
			assert_int_equal(ad_run(m.p, 0), 0);
			compare(&m, &k, 0, seed, "another batch after others");
		}
		if (i % 2)
			assert_memory_equal(bound, k.v[TAIL], (size_t)count(&m, TAIL) * sizeof *bound);
		forget(&k);
		drop(&fresh);
	}
	drop(&m);
}

/* A sample alone, and after others. */
static void neighbours(uint64_t seed)
{
	model m = trace(seed, AD_F64, AD_BATCH, 37);
	run(&m, (ad_options){ .threads = 2, .tile = 16 });
	kept k = keep(&m);
	m.samples = 3;
	m.first = 15;
	run(&m, (ad_options){ .threads = 1 });
	for (int i = KEPT; i < OUTPUTS && !m.g.mixes; i++) {
		int64_t rows = ad_numel(ad_shape_of(m.out[i]));
		if (ad_batched(m.out[i]))
			assert_memory_equal(ad_result(m.p, i), k.v[i] + 15 * rows, (size_t)(3 * rows) * sizeof(double));
	}
	forget(&k);
	drop(&m);
}

static void step(double h)
{
	for (int i = 0; i < LARGEST * 5; i++)
		x0[i] += h * xd[i];
	for (int i = 0; i < 20; i++)
		w0[i] += h * wd[i];
	for (int i = 0; i < 5; i++)
		v0[i] += h * vd[i];
	s0 += h * sd;
}

/* Loss and gradient along the direction against central differences. */
static void derivatives(uint64_t seed, int64_t samples)
{
	const double h = 1e-4;
	static double *const along[] = { xd, wd, vd, &sd };
	model m = trace(seed, AD_F64, AD_BATCH, samples);
	kept k[5]; /* at -2h, -h, 0, h, 2h */
	for (int i = 0; i < 5; i++) {
		set_inputs();
		step((i - 2) * h);
		run(&m, (ad_options){ .threads = 1 });
		k[i] = keep(&m);
	}
	set_inputs();
	double slope = 0, size = 1;
	for (int a = 0; a < 4; a++)
		for (int64_t j = 0; j < count(&m, GX + a); j++) {
			slope += along[a][j] * k[2].v[GX + a][j];
			size += fabs(along[a][j] * k[2].v[GX + a][j]);
		}
	double differs = (8 * (k[3].v[LOSS][0] - k[1].v[LOSS][0]) - (k[4].v[LOSS][0] - k[0].v[LOSS][0])) / (12 * h);
	if (!(fabs(slope - differs) <= 1e-8 * size) || !(fabs(slope - k[2].v[JVP][0]) <= 1e-11 * size))
		fail_msg("graph %llu: slope %.15g, by differences %.15g, by jvp %.15g", (unsigned long long)seed, slope, differs, k[2].v[JVP][0]);
	for (int a = 0; a < 4; a++) {
		double top = 1;
		for (int64_t j = 0; j < count(&m, GX + a); j++)
			top = fmax(top, fmax(fabs(k[2].v[HX + a][j]), fabs(k[2].v[GX + a][j])));
		for (int64_t j = 0; j < count(&m, GX + a); j++) {
			int o = GX + a;
			double d = (8 * (k[3].v[o][j] - k[1].v[o][j]) - (k[4].v[o][j] - k[0].v[o][j])) / (12 * h);
			if (!(fabs(d - k[2].v[HX + a][j]) <= 1e-7 * top))
				fail_msg("graph %llu: second derivative %d[%lld] is %.15g, by differences %.15g", (unsigned long long)seed, a, (long long)j,
				         k[2].v[HX + a][j], d);
		}
	}
	for (int i = 0; i < 5; i++)
		forget(&k[i]);
	drop(&m);
}

static void execution(void **state)
{
	(void)state;
	static const int64_t sizes[] = { 1, 3, 16, 17, 40, 64 };
	for (uint64_t seed = first_graph; seed < first_graph + graphs; seed++)
		ways_to_run(seed, sizes[seed % 6]);
}

static void changing_batch(void **state)
{
	(void)state;
	for (uint64_t seed = first_graph; seed < first_graph + graphs; seed++)
		batches(seed);
}

static void alone(void **state)
{
	(void)state;
	for (uint64_t seed = first_graph; seed < first_graph + graphs; seed++)
		neighbours(seed);
}

static void differences(void **state)
{
	(void)state;
	for (uint64_t seed = first_graph; seed < first_graph + graphs; seed++)
		derivatives(seed, 3 + (int64_t)(seed % 3) * 9);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(execution), cmocka_unit_test(changing_batch), cmocka_unit_test(alone),
		                            cmocka_unit_test(differences) };
	if (argc > 1)
		graphs = strtoull(argv[1], NULL, 10);
	if (argc > 2)
		first_graph = strtoull(argv[2], NULL, 10);
	set_inputs();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
