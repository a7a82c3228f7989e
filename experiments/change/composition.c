/* composition.c - a composition's determinant is the product of its parts', so log-determinants add; and the density that
 * follows, against a histogram in the plane */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "change.h"

#define CELLS 52 /* each way */
#define FINE 160 /* of the picture */
#define HALF 5.2

/* x = f(z) for z ~ N(0, I); log |det J| from the whole Jacobian (jvp columns, ad_logabsdet) and as a sum over layers. */
static void sample(const change_run *r, double *x[2], double *dense, double *layer[LAYERS])
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_shape s = AD_SHAPE(AD_BATCH);
	ad_var z[2] = { ad_normal(t, s, ad_hash(0, "plane/1")), ad_normal(t, s, ad_hash(0, "plane/2")) };
	ad_var out[3 + LAYERS] = { z[0], z[1] }, column[2][2], stacked[2];
	change_map(out, out + 3);
	for (int k = 0; k < 2; k++) {
		ad_var v[2] = { ad_full(t, s, k == 0), ad_full(t, s, k == 1) };
		ad_jvp(2, out, 2, z, v, column[k]);
		stacked[k] = ad_stack(1, 2, column[k]); /* [B, 2] */
	}
	out[2] = ad_logabsdet(ad_stack(1, 2, stacked)); /* of the transposed Jacobian, [B, 2, 2] */
	double *result[3 + LAYERS] = { x[0], x[1], dense };
	for (int k = 0; k < LAYERS; k++)
		result[3 + k] = layer[k];
	change_evaluate(r, t, SAMPLES, 0, NULL, NULL, 3 + LAYERS, out, result);
}

/* p(x) = p(z) exp(sum of the inverse layers' log-determinants), z the inverse of x. */
static void formula(const change_run *r, int64_t n, const double *x[2], double *p)
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_shape s = AD_SHAPE(AD_BATCH);
	ad_var in[2] = { ad_input(t, AD_F64, s, "x1"), ad_input(t, AD_F64, s, "x2") }, z[2] = { in[0], in[1] }, ld[LAYERS];
	change_map_back(z, ld);
	ad_var log_p = ad_shift(ad_scale(ad_add(ad_square(z[0]), ad_square(z[1])), -0.5), -log(2 * 3.14159265358979323846));
	for (int k = 0; k < LAYERS; k++)
		log_p = ad_add(log_p, ld[k]);
	ad_var out = ad_exp(log_p);
	change_evaluate(r, t, n, 2, in, x, 1, &out, &p);
}

static void determinants(change_run *r, const double *dense, double *const layer[LAYERS])
{
	double worst = 0;
	printf("  %10s", "sample");
	for (int k = 0; k < LAYERS; k++)
		printf("   |det J%d|", k + 1);
	printf(" %12s %14s\n", "product", "|det J|");
	for (int64_t i = 0; i < SAMPLES; i++) {
		double sum = 0;
		for (int k = 0; k < LAYERS; k++)
			sum += layer[k][i];
		double e = fabs(sum - dense[i]);
		worst = e > worst || isnan(e) ? e : worst;
		if (i >= 5)
			continue;
		printf("  %10d", (int)i);
		for (int k = 0; k < LAYERS; k++)
			printf(" %10.6f", exp(layer[k][i]));
		printf(" %12.8f %14.8f\n", exp(sum), exp(dense[i]));
	}
	change_judge(r, "largest |sum of log-determinants - log |det J||, nats", worst, 1e-12);
}

/* Probabilities of the cells by the formula, p[iy * CELLS + ix]. */
static void probabilities(const change_run *r, double *p)
{
	enum { N = CELLS * CELLS * NODES * NODES };
	double *x = change_array(N), *y = change_array(N), *q = change_array(N), w = 2 * HALF / CELLS;
	for (int i = 0; i < N; i++) {
		int c = i / (NODES * NODES), k = i % (NODES * NODES);
		x[i] = -HALF + w * (c % CELLS + 0.5 + 0.5 * change_node[k % NODES]);
		y[i] = -HALF + w * (c / CELLS + 0.5 + 0.5 * change_node[k / NODES]);
	}
	formula(r, N, (const double *[]){ x, y }, q);
	for (int i = 0; i < N; i++) {
		int k = i % (NODES * NODES);
		p[i / (NODES * NODES)] += q[i] * w * w * change_weight[k % NODES] * change_weight[k / NODES];
	}
	free(x);
	free(y);
	free(q);
}

static void histogram(change_run *r, double *const x[2], const double *p)
{
	static double count[CELLS * CELLS];
	double worst = 0, mass = 0, w = 2 * HALF / CELLS;
	int judged = 0;
	lab_err err;
	for (int64_t i = 0; i < SAMPLES; i++) {
		double a = floor((x[0][i] + HALF) / w), b = floor((x[1][i] + HALF) / w);
		if (a >= 0 && a < CELLS && b >= 0 && b < CELLS)
			count[(int)b * CELLS + (int)a]++;
	}
	for (int c = 0; c < CELLS * CELLS; c++) {
		double want = p[c] * SAMPLES;
		mass += p[c];
		if (want >= ENOUGH) {
			judged++;
			worst = fmax(worst, fabs(count[c] - want) / sqrt(want * (1 - p[c])));
		}
		count[c] /= SAMPLES * w * w;
	}
	printf("  the formula puts %.6f of the mass on [%g, %g]²; %d of %d cells expect %d points or more\n", mass, -HALF, HALF,
	       judged, CELLS * CELLS, ENOUGH);
	change_judge(r, "largest deviation of a cell, standard errors", worst, LIMIT);
	change_figure(r, lab_figure_density(change_path(r, "plane-histogram.png"), "Histogram of x = f(z)", CELLS, count, -HALF, HALF,
	                                    -HALF, HALF, &err), "plane-histogram.png", &err);
}

static void picture(const change_run *r)
{
	double *x = change_array(FINE * FINE), *y = change_array(FINE * FINE), *p = change_array(FINE * FINE);
	lab_err err;
	for (int i = 0; i < FINE * FINE; i++) {
		x[i] = HALF * ((2.0 * (i % FINE) + 1) / FINE - 1);
		y[i] = HALF * ((2.0 * (i / FINE) + 1) / FINE - 1);
	}
	formula(r, FINE * FINE, (const double *[]){ x, y }, p);
	change_figure(r, lab_figure_density(change_path(r, "plane-formula.png"), "p(x) = p(z) |det dz/dx|", FINE, p, -HALF, HALF, -HALF,
	                                    HALF, &err), "plane-formula.png", &err);
	free(x);
	free(y);
	free(p);
}

void change_composition(change_run *r)
{
	double *a[3 + LAYERS], *p = change_array(CELLS * CELLS);
	for (int k = 0; k < 3 + LAYERS; k++)
		a[k] = change_array(SAMPLES);
	printf("\n4. Composition: %d layers, whose determinants multiply\n\n", LAYERS);
	sample(r, a, a[2], a + 3);
	determinants(r, a[2], a + 3);
	probabilities(r, p);
	histogram(r, a, p);
	picture(r);
	for (int k = 0; k < 3 + LAYERS; k++)
		free(a[k]);
	free(p);
}
