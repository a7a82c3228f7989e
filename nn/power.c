/* power.c - power iteration for the norm of a matrix or a convolution between p-norms. */
#include "power.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double dot(int64_t n, const double *x, const double *y)
{
	double s[8] = { 0 };
	int64_t i = 0;
	for (; i + 8 <= n; i += 8)
		for (int q = 0; q < 8; q++)
			s[q] += x[i + q] * y[i + q];
	for (; i < n; i++)
		s[0] += x[i] * y[i];
	return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
}

static double largest(int64_t n, const double *x, int64_t *at)
{
	double m = 0;
	*at = 0;
	for (int64_t i = 0; i < n; i++)
		if (fabs(x[i]) > m) {
			m = fabs(x[i]);
			*at = i;
		}
	return m;
}

static void unit(int64_t n, double *x, int64_t at)
{
	memset(x, 0, (size_t)n * sizeof *x);
	x[at] = 1;
}

/* x = sign(x) q / |q|_r, q = (|x| / max|x|)^power; r INFINITY: no division. */
static void spread(int64_t n, double *x, double max, double power, double r)
{
	double sum = 0;
	for (int64_t i = 0; i < n; i++) {
		double q = pow(fabs(x[i]) / max, power);
		sum += isinf(r) ? 0 : pow(q, r);
		x[i] = x[i] < 0 ? -q : q;
	}
	for (int64_t i = 0; i < n && !isinf(r); i++)
		x[i] /= pow(sum, 1 / r);
}

static void normalise(int64_t n, double *x)
{
	double norm = sqrt(dot(n, x, x));
	for (int64_t i = 0; i < n; i++)
		x[i] /= norm;
}

/* The x of |x|_d = 1 that makes <x, given> largest. */
static void dual_of_domain(int64_t n, double *x, double max, int64_t at, double d)
{
	if (d == 2)
		normalise(n, x);
	else if (d == 1)
		unit(n, x, at);
	else
		spread(n, x, max, isinf(d) ? 0 : 1 / (d - 1), d);
}

/* The u with |given|_p = <u, given>, of unit norm in the dual space. */
static void dual_of_codomain(int64_t n, double *x, double max, int64_t at, double p)
{
	if (p == 2)
		normalise(n, x);
	else if (isinf(p))
		unit(n, x, at);
	else
		spread(n, x, max, p - 1, p == 1 ? INFINITY : p / (p - 1));
}

/* y += W x, or back: x += W^T y. */
static void convolve(const nn__map *m, double *x, double *y, bool back)
{
	const double *w = m->w;
	for (int64_t f = 0; f < m->f; f++)
		for (int64_t c = 0; c < m->c; c++)
			for (int64_t a = 0; a < m->kernel[0]; a++)
				for (int64_t b = 0; b < m->kernel[1]; b++, w++)
					for (int64_t i = 0; i < m->oh; i++) {
						int64_t r = i * m->stride[0] - m->pad[0] + a;
						if (r < 0 || r >= m->h)
							continue;
						double *xr = x + (c * m->h + r) * m->width,
						       *yr = y + (f * m->oh + i) * m->ow;
						for (int64_t j = 0; j < m->ow; j++) {
							int64_t q = j * m->stride[1] - m->pad[1] + b;
							if (q < 0 || q >= m->width)
								continue;
							if (back)
								xr[q] += *w * yr[j];
							else
								yr[j] += *w * xr[q];
						}
					}
}

static void forth(const nn__map *m, double *v, double *y)
{
	memset(y, 0, (size_t)m->out * sizeof *y);
	if (m->f)
		convolve(m, v, y, false);
	for (int64_t i = 0; !m->f && i < m->out; i++)
		y[i] = dot(m->in, m->w + i * m->in, v);
}

static void back(const nn__map *m, double *u, double *x)
{
	memset(x, 0, (size_t)m->in * sizeof *x);
	if (m->f)
		convolve(m, x, u, true);
	for (int64_t i = 0; !m->f && i < m->out; i++)
		for (int64_t j = 0; u[i] != 0 && j < m->in; j++)
			x[j] += u[i] * m->w[i * m->in + j];
}

enum { MOST = 200 };

double nn__induced_norm(const nn__map *m, double *u, double *v, nn_induced o)
{
	double p = o.codomain == 0 ? 2 : o.codomain, d = o.domain == 0 ? 2 : o.domain,
	       tol = o.tolerance == 0 ? 1e-4 : o.tolerance;
	double *y = malloc((size_t)(m->out + 2 * m->in) * sizeof *y), sigma = 0;
	if (!y)
		abort();
	double *x = y + m->out, *dual = x + m->in;
	for (int k = 0; k < (o.iterations > 0 ? o.iterations : MOST); k++) {
		double max, before = sigma;
		int64_t at;
		forth(m, v, y);
		if ((max = largest(m->out, y, &at)) > 0) { /* of a zero vector nothing can be said: u stays */
			dual_of_codomain(m->out, y, max, at, p);
			memcpy(u, y, (size_t)m->out * sizeof *u);
		}
		back(m, u, x);
		if ((max = largest(m->in, x, &at)) > 0) {
			memcpy(dual, x, (size_t)m->in * sizeof *x);
			dual_of_domain(m->in, dual, max, at, d);
			memcpy(v, dual, (size_t)m->in * sizeof *v);
		}
		sigma = dot(m->in, x, v);
		if (o.iterations <= 0 && k && fabs(sigma - before) <= tol * fabs(sigma))
			break;
	}
	free(y);
	return sigma;
}

double nn_induced_norm(int64_t out, int64_t in, const double *w, double *u, double *v, nn_induced o)
{
	return nn__induced_norm(&(nn__map){ .out = out, .in = in, .w = w }, u, v, o);
}
