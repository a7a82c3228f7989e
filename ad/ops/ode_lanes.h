/* ode_lanes.h - arithmetic of adaptive steps, each lane with its own numbers.  Private to ad/. */
#ifndef AD_OPS_ODE_LANES_H
#define AD_OPS_ODE_LANES_H

#include "ode.h"

#include <math.h>

/* sum[l] += ((x - minus) / (atol + rtol max(|a|, |b|)))^2 over rows; the value at s in a step. */
#define LOOPS(real)                                                                                                    \
	static inline void squares_##real(int64_t rows, int64_t w, const real *x, const real *minus, const real *a,    \
				   const real *b, const ad_ode_opt *o, double *sum)                                    \
	{                                                                                                              \
		for (int64_t r = 0; r < rows * w; r += w)                                                              \
			for (int64_t l = 0; l < w; l++) {                                                              \
				double u = fabs((double)a[r + l]), v = fabs((double)b[r + l]);                         \
				double e = minus ? (double)x[r + l] - (double)minus[r + l] : (double)x[r + l];         \
				e /= o->atol + o->rtol * (u > v ? u : v);                                              \
				sum[l] += e * e;                                                                       \
			}                                                                                              \
	}                                                                                                              \
	static inline void axpy_##real(int64_t rows, int64_t w, real *y, const real *x, const double *h, const real *k) \
	{                                                                                                              \
		for (int64_t r = 0; r < rows * w; r += w)                                                              \
			for (int64_t l = 0; l < w; l++)                                                                \
				y[r + l] = (real)((double)x[r + l] + h[l] * (double)k[r + l]);                         \
	}                                                                                                              \
	static inline void between_##real(int64_t rows, int64_t w, int64_t l, double s, double h, real *y, const real *z0, \
				   const real *z1, const real *k0, const real *k1, const real *mid)                    \
	{                                                                                                              \
		for (int64_t r = l; r < rows * w; r += w) {                                                            \
			double f0 = h * (double)k0[r], f1 = h * (double)k1[r], u = (double)z0[r], v = (double)z1[r];   \
			double m = (double)mid[r], a = 2 * (f1 - f0) - 8 * (v + u) + 16 * m;                           \
			double b = 5 * f0 - 3 * f1 + 18 * u + 14 * v - 32 * m,                                         \
			       c = f1 - 4 * f0 - 11 * u - 5 * v + 16 * m;                                              \
			y[r] = (real)(u + s * (f0 + s * (c + s * (b + s * a))));                                       \
		}                                                                                                      \
	}                                                                                                              \
	static inline void accept_##real(int64_t rows, int64_t w, const char *yes, real *z, const real *z1, real *k,   \
				  const real *k1)                                                                      \
	{                                                                                                              \
		for (int64_t r = 0; r < rows * w; r += w)                                                              \
			for (int64_t l = 0; l < w; l++) {                                                              \
				z[r + l] = yes[l] ? z1[r + l] : z[r + l];                                              \
				k[r + l] = yes[l] ? k1[r + l] : k[r + l];                                              \
			}                                                                                              \
	}
LOOPS(float)
LOOPS(double)

static inline double get(const void *p, ad_dtype d, int64_t i)
{
	return d == AD_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}

static inline void put(void *p, ad_dtype d, int64_t i, double v)
{
	if (d == AD_F32)
		((float *)p)[i] = (float)v;
	else
		((double *)p)[i] = v;
}

#endif
