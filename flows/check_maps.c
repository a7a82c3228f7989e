/* check_maps.c - laws of values: the inverse, the log-determinant against the Jacobian, zeros of the Jacobian, the
 * integral of the density. */
#include "check.h"

#include <math.h>
#include <stdlib.h>

/* z, logdet, and column j of the Jacobian as output 2 + j */
static bool jacobian(flow__check *k, flow__sheet *s, flow_dir dir, const double *in)
{
	flow_out r = flow__on_sheet(s, s->in, dir);
	int64_t n = ad_dim(s->in, 1);
	flow__wants(s, r.x);
	flow__wants(s, r.logdet);
	double *e = calloc((size_t)n, sizeof *e);
	for (int64_t j = 0; j < n && !ad_error(s->tape); j++) {
		e[j] = 1;
		ad_var v = ad_broadcast(ad_array(s->tape, AD_SHAPE(n), e), ad_shape_of(s->in)), d;
		ad_jvp(1, &r.x, 1, &s->in, &v, &d);
		flow__wants(s, d);
		e[j] = 0;
	}
	free(e);
	return flow__sheet_run(k, s, (ad_options){ .threads = 1 }, k->samples, in, k->cond);
}

static void compare(flow__check *k, const flow__sheet *s, int64_t n)
{
	double *a = malloc((size_t)(n * n) * sizeof *a), worst = 0, got = 0, want = 0;
	int at = 0;
	for (int b = 0; b < k->samples; b++) {
		for (int64_t i = 0; i < n; i++)
			for (int64_t j = 0; j < n; j++)
				a[i * n + j] = flow__value(s, (int)(2 + j), b * n + i);
		double ld = flow__value(s, 1, b), ref = flow__log_abs_det(a, n);
		double err = fabs(ld - ref) / fmax(1, fabs(ref));
		if (!(err <= worst)) {
			worst = err;
			at = b;
			got = ld;
			want = ref;
		}
	}
	free(a);
	if (!(worst <= k->o.tolerance))
		flow__break(k, "%.10g in sample %d, but the Jacobian has %.10g", got, at, want);
	else
		flow__report(k, "worst relative difference %.1e", worst);
}

static void triangle(flow__check *k, const flow__sheet *s, int64_t n)
{
	k->law = "triangular Jacobian";
	for (int b = 0; b < k->samples; b++)
		for (int64_t i = 0; i < n; i++)
			for (int64_t j = i + 1; j < n; j++) {
				int64_t row = k->o.perm ? k->o.perm[i] : i, col = k->o.perm ? k->o.perm[j] : j;
				double v = flow__value(s, (int)(2 + col), b * n + row);
				if (v != 0) {
					flow__break(k, "output %lld moves with input %lld (%g)", (long long)row,
						    (long long)col, v);
					return;
				}
			}
	flow__report(k, "holds");
}

void flow__law_jacobian(flow__check *k)
{
	if (k->f->caps.logdet != FLOW_EXACT || k->nx != k->ny || k->nx > FLOW__OUT - 2)
		return;
	for (flow_dir dir = FLOW_FORWARD; dir <= FLOW_INVERSE; dir++) {
		if (!flow__has(k, dir) || (dir == FLOW_INVERSE && !k->z))
			continue;
		flow__sheet s = flow__sheet_new(k, k->store, dir);
		k->law = dir == FLOW_FORWARD ? "log-determinant" : "log-determinant of the inverse";
		if (jacobian(k, &s, dir, dir == FLOW_FORWARD ? k->x : k->z)) {
			compare(k, &s, k->nx);
			if (k->o.triangular && dir == FLOW_FORWARD)
				triangle(k, &s, k->nx);
		}
		flow__sheet_free(&s);
	}
}

static double worst_of(const flow__check *k, const flow__sheet *s, int out, const double *want, int64_t n, int64_t *at)
{
	double worst = 0;
	for (int64_t i = 0; i < n * k->samples; i++) {
		double err = fabs(flow__value(s, out, i) - want[i]) / fmax(1, fabs(want[i]));
		if (!(err <= worst)) {
			worst = err;
			*at = i;
			if (isnan(err))
				break;
		}
	}
	return worst;
}

/* inverse(forward(x)) = x, and the two log-determinants cancel */
void flow__law_inverse(flow__check *k)
{
	if (!flow__has(k, FLOW_FORWARD) || !flow__has(k, FLOW_INVERSE))
		return;
	k->law = "inverse";
	flow__sheet s = flow__sheet_new(k, k->store, FLOW_FORWARD);
	flow_out z = flow__on_sheet(&s, s.in, FLOW_FORWARD), x = flow__on_sheet(&s, z.x, FLOW_INVERSE);
	flow__wants(&s, x.x);
	flow__wants(&s, ad_add(z.logdet, x.logdet));
	if (flow__sheet_run(k, &s, (ad_options){ .threads = 1 }, k->samples, k->x, k->cond)) {
		int64_t at = 0;
		double err = worst_of(k, &s, 0, k->x, k->nx, &at);
		if (!(err <= k->o.tolerance))
			flow__break(k, "element %lld of sample %lld was %.10g and comes back as %.10g",
				    (long long)(at % k->nx), (long long)(at / k->nx), k->x[at], flow__value(&s, 0, at));
		else
			flow__report(k, "worst relative difference %.1e", err);
		if (k->f->caps.logdet == FLOW_EXACT) {
			k->law = "log-determinants cancel";
			double *zero = calloc((size_t)k->samples, sizeof *zero);
			err = worst_of(k, &s, 1, zero, 1, &at);
			free(zero);
			if (!(err <= k->o.tolerance))
				flow__break(k, "they sum to %.10g in sample %lld", flow__value(&s, 1, at),
					    (long long)at);
			else
				flow__report(k, "worst sum %.1e", err);
		}
	}
	flow__sheet_free(&s);
}

/* Where the density is: x of a grid of z, or the scale of the data. */
static bool extent(flow__check *k, double lo[2], double hi[2])
{
	enum { SIDE = 33 };
	int64_t n = k->nx == 1 ? SIDE : SIDE * SIDE;
	for (int j = 0; j < 2; j++) {
		lo[j] = k->o.shift - 12 * k->o.scale;
		hi[j] = k->o.shift + 12 * k->o.scale;
	}
	if (!flow__has(k, FLOW_INVERSE))
		return true;
	double *z = malloc((size_t)(n * k->nx) * sizeof *z), *cond = calloc((size_t)(n * k->o.cond + 1), sizeof *cond);
	for (int64_t i = 0; i < n; i++) {
		z[i * k->nx] = -7 + 14.0 / (SIDE - 1) * (double)(i % SIDE);
		if (k->nx > 1)
			z[i * k->nx + 1] = -7 + 14.0 / (SIDE - 1) * (double)(i / SIDE);
		for (int64_t c = 0; c < k->o.cond; c++)
			cond[i * k->o.cond + c] = k->cond[c];
	}
	flow__sheet s = flow__sheet_new(k, k->store, FLOW_INVERSE);
	flow__wants(&s, flow__on_sheet(&s, s.in, FLOW_INVERSE).x);
	bool ok = flow__sheet_run(k, &s, (ad_options){ .threads = 1 }, n, z, cond);
	for (int64_t j = 0; ok && j < k->nx; j++) {
		lo[j] = INFINITY;
		hi[j] = -INFINITY;
		for (int64_t i = 0; i < n; i++) {
			lo[j] = fmin(lo[j], flow__value(&s, 0, i * k->nx + j));
			hi[j] = fmax(hi[j], flow__value(&s, 0, i * k->nx + j));
		}
	}
	flow__sheet_free(&s);
	free(z);
	free(cond);
	return ok;
}

/* Midpoint rule with side cells an axis, in chunks; NaN after a failure */
static double integral(flow__check *k, flow__sheet *s, const double lo[2], const double hi[2], int side)
{
	int64_t n = k->nx == 1 ? side : (int64_t)side * side, chunk = 1 << 14;
	double *x = malloc((size_t)(chunk * k->nx) * sizeof *x),
	       *cond = calloc((size_t)(chunk * k->o.cond + 1), sizeof *cond);
	double cell = 1, sum = 0;
	for (int64_t j = 0; j < k->nx; j++)
		cell *= (hi[j] - lo[j]) / side;
	for (int64_t i = 0; i < chunk * k->o.cond; i++)
		cond[i] = k->cond[i % k->o.cond];
	for (int64_t first = 0; first < n && !isnan(sum); first += chunk) {
		int64_t m = n - first < chunk ? n - first : chunk;
		for (int64_t i = 0; i < m; i++)
			for (int64_t j = 0; j < k->nx; j++) {
				int64_t at = j ? (first + i) / side : (first + i) % side;
				x[i * k->nx + j] = lo[j] + ((double)at + 0.5) * (hi[j] - lo[j]) / side;
			}
		if (!flow__sheet_run(k, s, (ad_options){ .threads = 1 }, m, x, cond))
			sum = NAN;
		for (int64_t i = 0; i < m && !isnan(sum); i++)
			sum += exp(flow__value(s, 0, i)) * cell;
	}
	free(x);
	free(cond);
	return sum;
}

void flow__law_integral(flow__check *k)
{
	double lo[2], hi[2], sum = 0;
	int side = k->nx == 1 ? 20000 : 300, broken = k->broken;
	k->law = "integral of the density";
	if (k->o.no_quadrature || k->o.unit || k->nx != k->ny || k->nx > 2 || k->f->caps.logdet != FLOW_EXACT ||
	    !flow__has(k, FLOW_FORWARD) || !extent(k, lo, hi))
		return;
	flow__sheet s = flow__sheet_new(k, k->store, FLOW_FORWARD);
	flow_out z = flow__on_sheet(&s, s.in, FLOW_FORWARD);
	ad_var base = ad_shift(ad_scale(ad_sum(ad_square(z.x), AD_EVENT), -0.5), -0.918938533204672742 * (double)k->nx);
	flow__wants(&s, ad_add(base, z.logdet));
	for (int again = 0; again < 3; again++, side *= 2) {
		sum = integral(k, &s, lo, hi, side);
		if (isnan(sum) || fabs(sum - 1) < 1e-3)
			break;
	}
	flow__sheet_free(&s);
	if (k->broken > broken)
		return;
	if (!(fabs(sum - 1) < 1e-3))
		flow__break(k, "%.6g", sum);
	else
		flow__report(k, "%.8g", sum);
}
