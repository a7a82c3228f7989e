/* pictures.c - the figures of a run. */
#include "pictures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "figure.h"
#include "file.h"
#include "memory.h"

static void told(int bad, const char *png, const lab_err *err)
{
	if (bad)
		fprintf(stderr, "figure %s: %s\n", png, err->text);
	else
		printf("  %s\n", png);
}

void lab_curve_picture(const char *dir, const char *title, const char *unit, const char *const name[2], double floor,
                       const lab_log *log)
{
	char png[4200];
	lab_err err;
	lab_curve c[3];
	double *x[2], floor_x[2] = { INFINITY, 0 }, floor_y[2] = { floor, floor };
	int n = 0;
	for (int i = 0; i < 2; i++) {
		const lab_log_entry *e = lab_log_series(log, name[i]);
		if (!e || e->n < 2)
			continue;
		x[n] = lab_alloc((size_t)e->n, sizeof **x);
		for (int64_t k = 0; k < e->n; k++)
			x[n][k] = (double)e->step[k];
		c[n] = (lab_curve){ .label = i ? "validation" : "training", .n = e->n, .x = x[n], .y = e->value,
			            .style = LAB_LINE };
		floor_x[0] = fmin(floor_x[0], x[n][0]);
		floor_x[1] = fmax(floor_x[1], x[n][e->n - 1]);
		n++;
	}
	if (!n)
		return;
	int curves = n;
	if (isfinite(floor))
		c[curves++] = (lab_curve){ .label = "entropy of the density", .n = 2, .x = floor_x, .y = floor_y, .style = LAB_LINE };
	lab_path(png, sizeof png, dir, "curve.png");
	told(lab_figure_curves(png, title, "step", unit, false, false, curves, c, &err), png, &err);
	while (n)
		free(x[--n]);
}

/* A square grid over the test rows and a margin. */
static void density(const char *dir, const char *title, lab_model *m, const lab_table *t, int threads)
{
	enum { N = 200 };
	char png[4200];
	lab_err err;
	double lo[2] = { INFINITY, INFINITY }, hi[2] = { -INFINITY, -INFINITY };
	for (int64_t i = 0; i < 2 * t->rows; i++) {
		lo[i % 2] = fmin(lo[i % 2], t->x[i]);
		hi[i % 2] = fmax(hi[i % 2], t->x[i]);
	}
	for (int k = 0; k < 2; k++) {
		double margin = 0.1 * (hi[k] - lo[k]);
		lo[k] -= margin;
		hi[k] += margin;
	}
	lab_table grid = { .rows = N * N, .cols = 2, .x = lab_alloc(2 * N * N, sizeof(double)) };
	double *p = lab_alloc(N * N, sizeof *p);
	for (int64_t i = 0; i < N * N; i++) {
		grid.x[2 * i] = lo[0] + (hi[0] - lo[0]) * ((double)(i % N) + 0.5) / N;
		grid.x[2 * i + 1] = lo[1] + (hi[1] - lo[1]) * ((double)(i / N) + 0.5) / N;
	}
	lab_path(png, sizeof png, dir, "density.png");
	int bad = lab_log_density(m, &grid, threads, p, &err);
	for (int64_t i = 0; i < N * N; i++)
		p[i] = isfinite(p[i]) ? exp(p[i]) : 0;
	bad = bad || lab_figure_density(png, title, N, p, lo[0], hi[0], lo[1], hi[1], &err);
	told(bad, png, &err);
	free(grid.x);
	free(p);
}

static void samples(const char *dir, const char *title, lab_model *m, const lab_table *t, int threads)
{
	char png[4200];
	lab_err err;
	int64_t n = t->rows < 5000 ? t->rows : 5000;
	double *x = lab_alloc((size_t)(2 * n), sizeof *x);
	lab_path(png, sizeof png, dir, "samples.png");
	int bad = lab_sample(m, n, 1, 1, threads, x, &err) ||
	          lab_figure_samples(png, title, n, t->x, "test data", n, x, "samples", &err);
	told(bad, png, &err);
	free(x);
}

void lab_pictures(const char *dir, const char *title, lab_model *m, const lab_dataset *d, const lab_log *log, int threads)
{
	if (!lab_figures_available()) {
		fprintf(stderr, "figures left out: gnuplot was not found\n");
		return;
	}
	lab_curve_picture(dir, title, "negative log-likelihood, nats", (const char *const[]){ "train/loss", "val/nll" },
	                  d->entropy, log);
	if (m->dim != 2)
		return;
	density(dir, title, m, d->test, threads);
	samples(dir, title, m, d->test, threads);
}
