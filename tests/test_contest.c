/* test_contest.c - runs compared where the truth is known: differences, their intervals, cost; and what replay finds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "experiments/lab/agreement.h"
#include "experiments/lab/contest_sheets.h"

static void near(double got, double want, double tol)
{
	if (!(fabs(got - want) <= tol))
		fail_msg("%.15g instead of %.15g +- %g", got, want, tol);
}

/* A run that gives the points x the density of a normal distribution about mean, and shift more. */
static lab_log *run_of(const char *model, int64_t bins, int64_t seed, int n, const double *x, double mean, double shift)
{
	lab_log *l = lab_log_new();
	double *ll = malloc((size_t)n * sizeof *ll);
	for (int i = 0; i < n; i++)
		ll[i] = -0.5 * (x[i] - mean) * (x[i] - mean) - 0.5 * log(2 * acos(-1)) + shift;
	lab_log_text(l, "status", "finished");
	lab_log_text(l, "config/model", model);
	lab_log_text(l, "config/data", "points");
	lab_log_int(l, "config/bins", bins, NULL);
	lab_log_int(l, "config/seed", seed, NULL);
	lab_log_text(l, "data/test_hash", "1");
	lab_log_int(l, "data/columns", 1, NULL);
	lab_log_int(l, "model/parameters", 10 * bins, NULL);
	lab_log_real(l, "data/entropy", 0.5 * log(2 * acos(-1)) + 0.5, "nats");
	lab_log_real(l, "final/seconds", 2.0 * (double)seed, "seconds");
	lab_log_int(l, "final/steps", 100, "steps");
	lab_log_int(l, "final/best_step", 50, "steps");
	lab_log_int(l, "final/peak_memory", 3000000, "bytes");
	lab_log_array(l, "test/log_likelihood", n, ll, "nats");
	free(ll);
	return l;
}

static void normals(lab_rng *r, int n, double *x)
{
	for (int i = 0; i < n; i++)
		x[i] = lab_rng_normal(r);
}

enum { MOST = 8 };
static char *path[MOST] = { "a", "b", "c", "d", "e", "f", "g", "h" };

static lab_contest *contest(int n, lab_log **log)
{
	lab_err err = { "" };
	lab_contest *c = lab_contest_new(n, log, path, &err);
	if (!c)
		fail_msg("%s", err.text);
	return c;
}

static void end(lab_contest *c, int n, lab_log **log)
{
	lab_contest_free(c);
	for (int i = 0; i < n; i++)
		lab_log_free(log[i]);
}

/* Points of N(0, 1) under N(0, 1) and N(m, 1): the expected difference is m^2 / 2, its standard deviation a point m. */
static void two_gaussians(void **state)
{
	(void)state;
	enum { REPEATS = 300, N = 200 };
	const double m = 0.5;
	double x[N], width = 0;
	lab_rng r = { 11 };
	int held = 0;
	for (int k = 0; k < REPEATS; k++) {
		normals(&r, N, x);
		lab_log *log[] = { run_of("wrong", 1, 1, N, x, m, 0), run_of("right", 1, 1, N, x, 0, 0) };
		lab_contest *c = contest(2, log);
		const lab_contestant *b = &c->row[1];
		double mean = 0;
		for (int i = 0; i < N; i++)
			mean += x[i] / N;
		if (!strcmp(b->label, "wrong"))
			near(b->diff, -(m * m / 2 - m * mean), 1e-12);
		held += !strcmp(b->label, "wrong") && b->lo <= -m * m / 2 && -m * m / 2 <= b->hi;
		width += (b->hi - b->lo) / REPEATS;
		assert_true(isnan(b->seeds_lo));
		end(c, 2, log);
	}
	assert_in_range(held, REPEATS * 91 / 100, REPEATS * 98 / 100);
	near(width, 2 * 1.96 * m / sqrt(N), 0.05 * width); /* paired: the standard errors of the means would give 1.8 times that */
}

/* As before, and every run has a shift of its own: what is expected of other seeds lies in the second interval. */
static void seeds(void **state)
{
	(void)state;
	enum { REPEATS = 200, N = 500, SEEDS = 3 };
	const double m = 0.5, sd = 0.03;
	double x[N];
	lab_rng r = { 12 };
	int held = 0, narrow = 0;
	for (int k = 0; k < REPEATS; k++) {
		lab_log *log[2 * SEEDS];
		normals(&r, N, x);
		for (int i = 0; i < SEEDS; i++) {
			log[i] = run_of("wrong", 1, i + 1, N, x, m, sd * lab_rng_normal(&r));
			log[SEEDS + i] = run_of("right", 1, i + 1, N, x, 0, sd * lab_rng_normal(&r));
		}
		lab_contest *c = contest(2 * SEEDS, log);
		assert_int_equal(c->n, 2);
		const lab_contestant *b = &c->row[1];
		assert_int_equal(b->runs, SEEDS);
		held += !strcmp(b->label, "wrong") && b->seeds_lo <= -m * m / 2 && -m * m / 2 <= b->seeds_hi;
		narrow += b->lo <= -m * m / 2 && -m * m / 2 <= b->hi;
		end(c, 2 * SEEDS, log);
	}
	assert_in_range(held, REPEATS * 91 / 100, REPEATS);
	assert_true(narrow < REPEATS * 88 / 100); /* which the interval over points alone does not hold */
}

static char *csv(lab_sheet *s)
{
	char *text = NULL;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);
	lab_sheet_put(s, LAB_CSV, f);
	fclose(f);
	lab_sheet_free(s);
	return text;
}

static void rows_and_cost(void **state)
{
	(void)state;
	enum { N = 50 };
	double x[N];
	normals(&(lab_rng){ 13 }, N, x);
	lab_log *log[] = { run_of("nsf-c", 4, 1, N, x, 0.3, 0), run_of("nsf-c", 8, 1, N, x, 0, 0), run_of("nsf-c", 4, 2, N, x, 0.3, 0),
			   run_of("maf", 8, 1, N, x, 0.6, 0) };
	for (int i = 1; i <= 20; i++) /* counts of a layer: the last tenth counts */
		lab_log_point(log[3], "metric/nfe", "1", 5 * i, i);
	lab_contest *c = contest(4, log);
	assert_int_equal(c->n, 3);
	assert_string_equal(c->row[0].label, "nsf-c bins=8");
	assert_string_equal(c->row[1].label, "nsf-c bins=4");
	assert_string_equal(c->row[2].label, "maf");
	assert_int_equal(c->row[1].runs, 2);
	near(c->row[1].seconds, 3, 1e-15);
	near(c->row[1].parameters, 40, 1e-15);
	near(c->row[1].sd_runs, 0, 1e-15);
	char *text = csv(lab_sheet_cost(c, log));
	assert_non_null(strstr(text, "metric/nfe\n"));
	assert_non_null(strstr(text, "\"nsf-c bins=4\",40,100,50,3,33.333333333333336,1.5,3000000,\n"));
	assert_non_null(strstr(text, "\"maf\",80,100,50,2,50,1,3000000,19.5\n"));
	free(text);
	text = csv(lab_sheet_differences(c, log)); /* bins are nothing to a masked autoregressive flow */
	assert_non_null(strstr(text, "\"bins\",8,4,\"-\"\n"));
	free(text);
	end(c, 4, log);
	lab_log *other[] = { run_of("a", 1, 1, N, x, 0, 0), run_of("b", 1, 1, N, x, 0, 0) };
	lab_err err;
	lab_log_text(other[1], "data/test_hash", "2");
	assert_null(lab_contest_new(2, other, path, &err));
	assert_non_null(strstr(err.text, "a and b were tested on different rows"));
	end(NULL, 2, other);
}

/* What differs, beside the numbers, is named: source, libraries, machine, data, configuration. */
static void agreement(void **state)
{
	(void)state;
	static const struct {
		const char *name, *then, *now;
		lab_part part;
	} change[] = {
		{ "source/revision", "1a2b", "3c4d-dirty", LAB_SOURCE },
		{ "libraries/blas_core", "Haswell", "SkylakeX", LAB_SOURCE },
		{ "machine/processor", "one", "another", LAB_MACHINE },
		{ "data/train_hash", "5", "6", LAB_DATA },
		{ "config/optimiser", "adam", "sgd", LAB_CONFIGURATION },
	};
	double x[] = { 0.1, 0.2, 0.3 };
	for (int k = 0; k < 5; k++) {
		lab_log *then = run_of("a", 1, 1, 3, x, 0, 0), *now = run_of("a", 1, 1, 3, x, 0, 0);
		char *lines = NULL, want[200];
		size_t bytes;
		lab_log_text(then, change[k].name, change[k].then);
		lab_log_text(now, change[k].name, change[k].now);
		lab_log_real(now, "final/seconds", 77, "seconds"); /* which may differ */
		FILE *f = open_memstream(&lines, &bytes);
		lab_agreement g = lab_agree(then, now, f);
		fclose(f);
		for (int part = 0; part < LAB_PARTS; part++)
			assert_int_equal(g.different[part], part == (int)change[k].part);
		snprintf(want, sizeof want, "  %s: \"%s\", now \"%s\"\n", change[k].name, change[k].then, change[k].now);
		assert_string_equal(lines, want);
		free(lines);
		lab_log_free(then);
		lab_log_free(now);
	}
	lab_log *then = run_of("a", 1, 1, 3, x, 0, 0), *now = run_of("a", 1, 1, 3, x, 0, 0);
	for (int i = 1; i <= 4; i++) {
		lab_log_point(then, "train/loss", "nats", 10 * i, i);
		lab_log_point(now, "train/loss", "nats", 10 * i, i == 3 ? nextafter(i, 9) : i);
	}
	lab_agreement g = lab_agree(then, now, NULL);
	assert_int_equal(g.different[LAB_RESULTS], 1);
	assert_int_equal(g.first_step, 30);
	lab_log_free(then);
	lab_log_free(now);
}

int main(void)
{
	const struct CMUnitTest test[] = {
		cmocka_unit_test(two_gaussians),
		cmocka_unit_test(seeds),
		cmocka_unit_test(rows_and_cost),
		cmocka_unit_test(agreement),
	};
	return cmocka_run_group_tests(test, NULL, NULL);
}
