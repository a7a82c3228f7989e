/* fit_result.c - what came of a fit: divergence, effective samples, figures. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "figure.h"
#include "file.h"
#include "fit_private.h"
#include "memory.h"
#include "pictures.h"
#include "ranks.h"

static int measure(lab__fit *f)
{
	int64_t n = f->o->samples;
	double *q = lab_alloc((size_t)(2 * n), sizeof *q), *u = q + n, count = (double)n;
	double mean = 0, var = 0, top = -INFINITY, sum = 0, square = 0;
	if (lab__fit_measure(f, n, ad_hash((uint64_t)f->o->train.seed, "test"), q, u, &f->at.err)) {
		free(q);
		return -1;
	}
	for (int64_t i = 0; i < n; i++) {
		q[i] += u[i];
		mean += q[i] / count;
		top = fmax(top, -q[i]);
	}
	for (int64_t i = 0; i < n; i++) {
		double w = exp(-q[i] - top);
		var += (q[i] - mean) * (q[i] - mean) / (count - 1);
		sum += w;
		square += w * w;
	}
	free(q);
	lab_log_real(f->at.log, "final/kl", mean + f->energy->log_z, "nats");
	lab_log_real(f->at.log, "final/kl_standard_error", sqrt(var / count), "nats");
	lab_log_real(f->at.log, "final/ess", sum * sum / square / count, "1");
	lab_log_real(f->at.log, "final/log_z", log(sum / count) + top, "nats");
	/* of the log of a mean, to first order */
	lab_log_real(f->at.log, "final/log_z_standard_error", sqrt(fmax(0, (count * square / (sum * sum) - 1) / (count - 1))), "nats");
	lab_log_int(f->at.log, "final/steps", f->at.state.step, "steps");
	lab_log_int(f->at.log, "final/best_step", f->at.state.best_step, "steps");
	lab_log_real(f->at.log, "final/seconds", f->at.state.seconds, "seconds");
	lab_log_int(f->at.log, "model/parameters", lab_model_parameters(f->model), NULL);
	if (isfinite(mean) && isfinite(var))
		return 0;
	lab_fail(&f->at.err, "log q or the energy of a sample is not finite");
	return -1;
}

static void tell(const lab__fit *f)
{
	const lab_log *l = f->at.log;
	printf("%s on %s: KL %.4f +- %.4f nats (%lld samples, loss %.4f, log Z %.4f)\n", f->o->model, f->energy->name,
	       lab_log_get_real(l, "final/kl", NAN), lab_log_get_real(l, "final/kl_standard_error", NAN),
	       (long long)f->o->samples, lab_log_get_real(l, "final/kl", NAN) - f->energy->log_z, f->energy->log_z);
	printf("  effective samples %.1f %%, log Z by importance %.4f +- %.4f nats\n",
	       100 * lab_log_get_real(l, "final/ess", NAN), lab_log_get_real(l, "final/log_z", NAN),
	       lab_log_get_real(l, "final/log_z_standard_error", NAN));
	printf("  %lld parameters, %lld steps of %lld, best at %lld, %.1f seconds\n", (long long)lab_model_parameters(f->model),
	       (long long)f->at.state.step, (long long)f->o->train.steps, (long long)f->at.state.best_step, f->at.state.seconds);
	printf("  %s\n", f->at.log_path);
}

/* --- Figures --------------------------------------------------------------------------------------------------------------- */

enum { SIDE = 200 };
static const double edge = 7;

/* Energies at the rows of the grid. */
static int energies(const lab__fit *f, const lab_table *grid, double *u)
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 2), "x"), e = f->energy->energy(x);
	ad_prog *p = ad_compile(t, 1, &e, (ad_options){ .threads = (int)f->o->train.threads });
	int bad = !p;
	if (p) {
		ad_set_batch(p, grid->rows);
		ad_bind(p, x, grid->x);
		bad = ad_run(p, 0);
		for (int64_t i = 0; i < grid->rows && !bad; i++)
			u[i] = ((const double *)ad_result(p, 0))[i];
		ad_prog_free(p);
	}
	ad_tape_free(t);
	return bad;
}

static void told(int bad, const char *png, const lab_err *err)
{
	if (bad)
		fprintf(stderr, "figure %s: %s\n", png, err->text);
	else
		printf("  %s\n", png);
}

static void draw(lab__fit *f)
{
	char png[4200], title[300];
	lab_err err = { "the energy cannot be computed" };
	if (!lab_figures_available()) {
		fprintf(stderr, "figures left out: gnuplot was not found\n");
		return;
	}
	snprintf(title, sizeof title, "%.60s on %s", f->o->model, f->energy->name);
	lab_curve_picture(f->at.dir, title, "KL divergence, nats", (const char *const[]){ "train/loss", "val/kl" }, NAN, f->at.log);
	lab_table grid = { .rows = SIDE * SIDE, .cols = 2, .x = lab_alloc(2 * SIDE * SIDE, sizeof(double)) };
	double *p = lab_alloc(SIDE * SIDE, sizeof *p), h = 2 * edge / SIDE;
	for (int64_t i = 0; i < SIDE * SIDE; i++) {
		grid.x[2 * i] = -edge + h * ((double)(i % SIDE) + 0.5);
		grid.x[2 * i + 1] = -edge + h * ((double)(i / SIDE) + 0.5);
	}
	int bad = energies(f, &grid, p);
	for (int64_t i = 0; i < SIDE * SIDE; i++)
		p[i] = exp(-p[i] - f->energy->log_z);
	lab_path(png, sizeof png, f->at.dir, "target.png");
	told(bad || lab_figure_density(png, f->energy->name, SIDE, p, -edge, edge, -edge, edge, &err), png, &err);
	bad = lab_log_density(f->model, &grid, (int)f->o->train.threads, p, &err);
	for (int64_t i = 0; i < SIDE * SIDE; i++)
		p[i] = isfinite(p[i]) ? exp(p[i]) : 0;
	lab_path(png, sizeof png, f->at.dir, "density.png");
	told(bad || lab_figure_density(png, title, SIDE, p, -edge, edge, -edge, edge, &err), png, &err);
	enum { POINTS = 5000 };
	bad = lab_sample(f->model, POINTS, 1, 1, (int)f->o->train.threads, grid.x, &err);
	lab_path(png, sizeof png, f->at.dir, "samples.png");
	told(bad || lab_figure_samples(png, title, POINTS, grid.x, "samples", 0, NULL, NULL, &err), png, &err);
	free(grid.x);
	free(p);
}

int lab__fit_finish(lab__fit *f)
{
	if (f->at.outcome == LAB_BROKEN || measure(f))
		return lab_place_failed(&f->at);
	if (lab_place_finished(&f->at))
		return LAB_FAILED;
	tell(f);
	lab_ranks_part();
	if (!f->o->no_figures && lab_rank() == 0)
		draw(f);
	return 0;
}
