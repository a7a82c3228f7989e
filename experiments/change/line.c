/* line.c - in one dimension: p(x) = p(z) |dz/dx|, for increasing and decreasing maps */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "change.h"

static ad_var twice(ad_var z) { return ad_scale(z, 2); }
static ad_var falling(ad_var z) { return ad_exp(ad_neg(z)); }
static ad_var cubic(ad_var z) { return ad_add(z, ad_scale(ad_cube(z), 0.25)); }
static ad_var falling_normal(ad_var z) { return ad_exp(ad_scale(z, -0.5)); }

static const struct {
	const char *title, *about;
	ad_var (*map)(ad_var z);
	bool normal; /* z standard normal, else uniform on (0, 1) */
	int sign;    /* of dx/dz */
	double lo, hi;
} maps[] = {
	{ "z ~ U(0,1), x = 2z", "Twice the room, half the density: p(x) = 1/2 on (0, 2).", twice, false, 1, 0, 2 },
	{ "z ~ U(0,1), x = exp(-z)", "Decreasing: without the absolute value p(x) = 1/x would be negative.", falling, false, -1,
	  0.36787944117144233, 1 },
	{ "z ~ N(0,1), x = z + z³/4", "Increasing, steeper outside: the tails are stretched, the middle is kept.", cubic, true, 1,
	  -4, 4 },
	{ "z ~ N(0,1), x = exp(-z/2)", "Decreasing: the log-normal.", falling_normal, true, -1, 0.1, 4 },
};
#define MAPS (int)(sizeof maps / sizeof *maps)

/* The density is evaluated at x: z solves map(z) = x, and dz/dx is the derivative of that solution. */
static void formula(const change_run *r, int m, change_bins *b)
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_shape s = AD_SHAPE(AD_BATCH);
	ad_var x = ad_input(t, AD_F64, s, "x");
	ad_fn *f = ad_fn_begin(t);
	ad_var y = ad_fn_arg(f, AD_F64, s), difference = ad_scale(ad_sub(maps[m].map(y), x), maps[m].sign);
	ad_fn_end(f, 1, &difference);
	ad_var z = ad_bisect(f, s, -1, 2, 0), dzdx = ad_grad(z, x);
	ad_var pz = maps[m].normal ? ad_scale(ad_exp(ad_scale(ad_square(z), -0.5)), 0.3989422804014327) : ad_within(z, 0, 1);
	ad_var px = ad_mul(pz, ad_abs(dzdx));
	change_evaluate(r, t, BINS * NODES, 1, &x, (const double *[]){ b->node }, 1, &px, (double *[]){ b->density });
}

static void sample(const change_run *r, int m, double *x)
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_shape s = AD_SHAPE(AD_BATCH);
	uint64_t stream = ad_hash(0, maps[m].title);
	ad_var out = maps[m].map(maps[m].normal ? ad_normal(t, s, stream) : ad_uniform(t, s, stream));
	change_evaluate(r, t, SAMPLES, 0, NULL, NULL, 1, &out, &x);
}

void change_line(change_run *r)
{
	static change_bins b[MAPS];
	double *x = change_array(SAMPLES);
	lab_curve curve[MAPS][2];
	lab_panel panel[MAPS];
	lab_err err;
	printf("1. One dimension: p(x) = p(z) |dz/dx|\n");
	for (int m = 0; m < MAPS; m++) {
		printf("\n  %s.  %s\n", maps[m].title, maps[m].about);
		change_bins_init(&b[m], maps[m].lo, maps[m].hi);
		formula(r, m, &b[m]);
		sample(r, m, x);
		change_bins_fill(&b[m], SAMPLES, x);
		change_bins_print(&b[m], "x");
		change_judge(r, "largest deviation of a bin, standard errors", b[m].worst, LIMIT);
		panel[m] = change_bins_panel(&b[m], maps[m].title, "x", curve[m]);
	}
	change_figure(r, lab_figure_panels(change_path(r, "line.png"), "Change of variables on the line", 2, MAPS, panel, &err),
	              "line.png", &err);
	free(x);
}
