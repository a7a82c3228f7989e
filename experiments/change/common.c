/* common.c - running tapes, histograms against formulas, and the plane's map */
#include "change.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/lab/file.h"
#include "experiments/lab/memory.h"
#include "experiments/lab/profile.h"

const double change_node[NODES] = { -0.86113631159405258, -0.33998104358485626, 0.33998104358485626, 0.86113631159405258 };
const double change_weight[NODES] = { 0.17392742256872693, 0.32607257743127307, 0.32607257743127307, 0.17392742256872693 };

double *change_array(int64_t n) { return lab_alloc((size_t)n, sizeof(double)); }

void change_evaluate(const change_run *r, ad_tape *t, int64_t batch, int nin, const ad_var in[], const double *const data[], int nout,
                     const ad_var out[], double *const result[])
{
	ad_prog *p = ad_compile(t, nout, out, (ad_options){ .threads = (int)r->threads });
	if (!p) {
		fprintf(stderr, "change_of_variables: %s\n", ad_error(t));
		exit(1);
	}
	ad_set_seed(p, r->seed);
	ad_set_batch(p, batch);
	for (int i = 0; i < nin; i++)
		ad_bind(p, in[i], data[i]);
	for (int i = 0; i < nout; i++)
		ad_bind_output(p, i, result[i]);
	lab_profile(p);
	if (ad_run(p, 0)) {
		fprintf(stderr, "change_of_variables: %s\n", ad_run_error(p));
		exit(1);
	}
	lab_profile_print(p, "a program of this chapter");
	ad_prog_free(p);
	ad_tape_free(t);
}

void change_judge(change_run *r, const char *what, double value, double limit)
{
	bool ok = value <= limit;
	printf("  %-62s %9.3g  %s %g\n", what, value, ok ? "<=" : "WRONG, >", limit);
	r->wrong += !ok;
}

const char *change_path(const change_run *r, const char *name)
{
	static char path[4096];
	return lab_path(path, sizeof path, r->out, name);
}

void change_figure(const change_run *r, int rc, const char *name, const lab_err *err)
{
	if (rc)
		fprintf(stderr, "change_of_variables: %s\n", err->text);
	else if (lab_figures_available())
		printf("  figure: %s\n", change_path(r, name));
}

void change_bins_init(change_bins *b, double lo, double hi)
{
	*b = (change_bins){ .lo = lo, .hi = hi, .width = (hi - lo) / BINS };
	for (int k = 0; k < BINS; k++) {
		b->middle[k] = lo + (k + 0.5) * b->width;
		for (int i = 0; i < NODES; i++)
			b->node[k * NODES + i] = b->middle[k] + 0.5 * b->width * change_node[i];
	}
}

static double standard_errors(double count, double p, int64_t n)
{
	double want = p * (double)n;
	if (p <= 1e-12)
		return count == 0 ? 0 : INFINITY;
	return want < ENOUGH ? NAN : (count - want) / sqrt(want * fmax(1 - p, 1e-12));
}

void change_bins_fill(change_bins *b, int64_t n, const double *x)
{
	double outside = 0, rest = 1;
	for (int64_t i = 0; i < n; i++) {
		double at = floor((x[i] - b->lo) / b->width);
		if (at >= 0 && at < BINS)
			b->seen[(int)at]++;
		else
			outside++;
	}
	for (int k = 0; k < BINS; k++) {
		double p = 0;
		for (int i = 0; i < NODES; i++)
			p += change_weight[i] * b->width * b->density[k * NODES + i];
		b->deviation[k] = standard_errors(b->seen[k], p, n);
		b->worst = fmax(b->worst, fabs(b->deviation[k]));
		b->formula[k] = p / b->width;
		b->seen[k] /= (double)n * b->width;
		rest -= p;
	}
	b->worst = fmax(b->worst, fabs(standard_errors(outside, fabs(rest) < 1e-9 ? 0 : rest, n)));
}

void change_bins_print(const change_bins *b, const char *variable)
{
	printf("  %10s %12s %12s %16s\n", variable, "formula", "histogram", "standard errors");
	for (int k = 2; k < BINS; k += 5) {
		printf("  %10.3f %12.5f %12.5f ", b->middle[k], b->formula[k], b->seen[k]);
		if (isnan(b->deviation[k]))
			printf("%16s\n", "too few points");
		else
			printf("%16.2f\n", b->deviation[k]);
	}
}

lab_panel change_bins_panel(const change_bins *b, const char *title, const char *xlabel, lab_curve curve[2])
{
	curve[0] = (lab_curve){ "histogram", BINS, b->middle, b->seen, LAB_BOXES };
	curve[1] = (lab_curve){ "formula", BINS * NODES, b->node, b->density, LAB_LINE };
	return (lab_panel){ .title = title, .xlabel = xlabel, .ylabel = "density", .n = 2, .curve = curve };
}

static ad_var log_scale(ad_var a, int k) { return ad_scale(ad_sin(ad_shift(ad_scale(a, 1.3), k)), 0.6); }
static ad_var shift(ad_var a, int k) { return ad_scale(ad_cos(ad_shift(ad_scale(a, 0.9), 2 * k)), 0.8); }

void change_map(ad_var z[2], ad_var log_det[LAYERS])
{
	for (int k = 0; k < LAYERS; k++) {
		ad_var a = z[k % 2], *b = &z[1 - k % 2];
		log_det[k] = log_scale(a, k);
		*b = ad_add(ad_mul(*b, ad_exp(log_det[k])), shift(a, k));
	}
}

void change_map_back(ad_var x[2], ad_var log_det[LAYERS])
{
	for (int k = LAYERS - 1; k >= 0; k--) {
		ad_var a = x[k % 2], *b = &x[1 - k % 2];
		log_det[k] = ad_neg(log_scale(a, k));
		*b = ad_mul(ad_sub(*b, shift(a, k)), ad_exp(log_det[k]));
	}
}
