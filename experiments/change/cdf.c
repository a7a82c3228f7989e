/* cdf.c - a data density pushed through its own CDF to the uniform, and back through the inverse CDF */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "change.h"

/* The data: 0.6 N(-1, 0.5^2) + 0.4 N(1.5, 0.8^2). */
static const struct {
	double weight, mean, sd;
} part[2] = { { 0.6, -1, 0.5 }, { 0.4, 1.5, 0.8 } };

static ad_var normal_cdf(ad_var x, int k)
{
	ad_var z = ad_scale(ad_shift(x, -part[k].mean), 1 / (part[k].sd * sqrt(2)));
	return ad_scale(ad_shift(ad_erf(z), 1), 0.5 * part[k].weight);
}

static ad_var cdf(ad_var x) { return ad_add(normal_cdf(x, 0), normal_cdf(x, 1)); }

static ad_var normal_density(ad_var x, int k)
{
	ad_var z = ad_scale(ad_shift(x, -part[k].mean), 1 / part[k].sd);
	return ad_scale(ad_exp(ad_scale(ad_square(z), -0.5)), part[k].weight * 0.3989422804014327 / part[k].sd);
}

static ad_var density(ad_var x) { return ad_add(normal_density(x, 0), normal_density(x, 1)); }

/* x from the data, u = F(x), and log p(u) = log p(x) - log |du/dx|, which is 0 everywhere. */
static void to_uniform(const change_run *r, double *x, double *u, double *log_pu)
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_shape s = AD_SHAPE(AD_BATCH);
	ad_var n = ad_normal(t, s, ad_hash(0, "cdf/normal")), c = ad_uniform(t, s, ad_hash(0, "cdf/part"));
	ad_var vx = ad_where(ad_lt(c, ad_const(t, part[0].weight)), ad_shift(ad_scale(n, part[0].sd), part[0].mean),
	                     ad_shift(ad_scale(n, part[1].sd), part[1].mean));
	ad_var vu = cdf(vx), dudx = ad_grad(vu, vx);
	ad_var out[] = { vx, vu, ad_sub(ad_log(density(vx)), ad_log(ad_abs(dudx))) };
	change_evaluate(r, t, SAMPLES, 0, NULL, NULL, 3, out, (double *[]){ x, u, log_pu });
}

static ad_var inverse_cdf(ad_tape *t, ad_var u)
{
	ad_shape s = AD_SHAPE(AD_BATCH);
	ad_fn *f = ad_fn_begin(t);
	ad_var y = ad_fn_arg(f, AD_F64, s), difference = ad_sub(cdf(y), u);
	ad_fn_end(f, 1, &difference);
	return ad_bisect(f, s, -8, 8, 0);
}

/* v uniform, y = F^-1(v); also F(y) - v. */
static void from_uniform(const change_run *r, double *y, double *miss)
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var v = ad_uniform(t, AD_SHAPE(AD_BATCH), ad_hash(0, "cdf/back")), vy = inverse_cdf(t, v);
	ad_var out[] = { vy, ad_sub(cdf(vy), v) };
	change_evaluate(r, t, SAMPLES, 0, NULL, NULL, 2, out, (double *[]){ y, miss });
}

/* p(y) = 1 |dv/dy| with v = F(y). */
static void formula(const change_run *r, change_bins *b)
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var y = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH), "y"), py = ad_abs(ad_grad(cdf(y), y));
	change_evaluate(r, t, BINS * NODES, 1, &y, (const double *[]){ b->node }, 1, &py, (double *[]){ b->density });
}

static double largest(int64_t n, const double *x)
{
	double m = 0;
	for (int64_t i = 0; i < n; i++)
		m = fabs(x[i]) > m || isnan(x[i]) ? fabs(x[i]) : m;
	return m;
}

void change_cdf(change_run *r)
{
	static change_bins b[3];
	double *x = change_array(SAMPLES), *u = change_array(SAMPLES), *e = change_array(SAMPLES);
	static const char *const title[] = { "data x", "u = F(x)", "x = inverse of F at uniform u" };
	lab_curve curve[3][2];
	lab_panel panel[3];
	lab_err err;
	printf("\n2. A density through its own CDF: u = F(x) is uniform, x = F^-1(u) is the data again\n\n");
	change_bins_init(&b[0], -3.5, 4.5);
	change_bins_init(&b[1], 0, 1);
	change_bins_init(&b[2], -3.5, 4.5);
	to_uniform(r, x, u, e);
	change_judge(r, "largest |log p(u)| = |log p(x) - log |du/dx||, nats", largest(SAMPLES, e), 1e-9);
	formula(r, &b[0]);
	change_bins_fill(&b[0], SAMPLES, x);
	change_judge(r, "data against |dF/dx|: largest deviation, standard errors", b[0].worst, LIMIT);
	for (int k = 0; k < BINS * NODES; k++)
		b[1].density[k] = 1;
	change_bins_fill(&b[1], SAMPLES, u);
	change_bins_print(&b[1], "u");
	change_judge(r, "u against the uniform: largest deviation, standard errors", b[1].worst, LIMIT);
	from_uniform(r, x, e);
	change_judge(r, "largest |F(F^-1(u)) - u|", largest(SAMPLES, e), 1e-12);
	formula(r, &b[2]);
	change_bins_fill(&b[2], SAMPLES, x);
	change_bins_print(&b[2], "x");
	change_judge(r, "back again, against the data density: standard errors", b[2].worst, LIMIT);
	for (int k = 0; k < 3; k++)
		panel[k] = change_bins_panel(&b[k], title[k], k == 1 ? "u" : "x", curve[k]);
	change_figure(r, lab_figure_panels(change_path(r, "cdf.png"), "To the uniform and back", 3, 3, panel, &err), "cdf.png", &err);
	free(x);
	free(u);
	free(e);
}
