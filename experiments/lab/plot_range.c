/* plot_range.c - the range of curves to be drawn, and round numbers in it. */
#include "plot_range.h"

#include <math.h>
#include <stdlib.h>

#include "memory.h"
#include "stats.h"

/* Differences of larger ones need not be finite. */
static bool drawable(double v)
{
	return fabs(v) <= 1e300;
}

lab_range lab_range_of(int n, const lab_curve curve[])
{
	lab_range f = { .x0 = INFINITY, .x1 = -INFINITY, .y0 = INFINITY, .y1 = -INFINITY };
	int64_t all = 0, m = 0;
	for (int k = 0; k < n; k++)
		all += curve[k].n;
	double *v = lab_alloc((size_t)all + 1, sizeof *v);
	for (int k = 0; k < n; k++)
		for (int64_t i = 0; i < curve[k].n; i++)
			if (drawable(curve[k].x[i]) && drawable(curve[k].y[i])) {
				v[m++] = curve[k].y[i];
				f.x0 = fmin(f.x0, curve[k].x[i]);
				f.x1 = fmax(f.x1, curve[k].x[i]);
			}
	lab_sort(v, m);
	if (m) {
		f.y0 = v[0];
		f.y1 = v[m - 1];
		double most = lab_quantile(v, m, 0.95);
		most += 0.25 * (most - v[0]);
		f.above = m > 20 && most < v[m - 1] && most > v[0];
		if (f.above)
			f.y1 = most;
	}
	free(v);
	if (f.y0 == f.y1) {
		double room = f.y0 != 0 ? 0.1 * fabs(f.y0) : 1;
		f.y0 -= room;
		f.y1 += room;
	}
	if (f.x0 == f.x1)
		f.x1 = f.x0 + fmax(1, 1e-9 * fabs(f.x0));
	return f;
}

int lab_ticks(double lo, double hi, int want, double tick[20])
{
	static const double round[] = { 1, 2, 5, 10 };
	double raw = (hi - lo) / want, unit = pow(10, floor(log10(raw)));
	int k = 0, n = 0;
	while (k < 3 && unit * round[k] < raw)
		k++;
	double step = unit * round[k];
	for (double i = ceil(lo / step); n < 20 && i * step <= hi + 1e-9 * (hi - lo); i++)
		tick[n++] = i * step;
	return n;
}

double lab_part(double v, double lo, double hi)
{
	return (fmin(fmax(v, lo), hi) - lo) / (hi - lo);
}
