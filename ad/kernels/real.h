/* real.h - the arithmetic that kernels are written in: included by every file compiled per REAL_BITS and ISA. */
#ifndef AD_REAL_H
#define AD_REAL_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)
#define K(name) CAT(CAT(CAT(ad__k_, name), CAT(_, ISA)), CAT(_, REAL_BITS))

#if REAL_BITS == 32
typedef float real;
typedef int32_t ireal;
typedef uint32_t ureal;
#define SIGN_BIT INT32_MIN
#else
typedef double real;
typedef int64_t ireal;
typedef uint64_t ureal;
#define SIGN_BIT INT64_MIN
#endif

#ifdef ISA_plain

#define VL 1
typedef real vec;
typedef ireal vmask;
typedef ureal vbits;
#if REAL_BITS == 32
#define M1(name) name##f
#else
#define M1(name) name
#endif
static inline vec vsel(vmask m, vec a, vec b) { return m ? a : b; }
static inline vec vabs(vec x) { return M1(fabs)(x); }
#define VCMP(a, op, b) ((vmask)((a)op(b)))
#define VFN(v, name, ulp) static inline vec v(vec x) { return M1(name)(x); }
#define VFN2(v, name, ulp) static inline vec v(vec x, vec y) { return M1(name)(x, y); }
#define VROUND(v, name) VFN(v, name, )

#else

#include <immintrin.h>
#include <sleef.h>
#if defined ISA_v4
#define VBYTES 64
#define VSUF avx512f
#elif defined ISA_v3
#define VBYTES 32
#define VSUF avx2
#else
#define VBYTES 16
#define VSUF sse2
#endif
#define VL (VBYTES / (int)sizeof(real))
typedef real vec __attribute__((vector_size(VBYTES)));
typedef ireal vmask __attribute__((vector_size(VBYTES)));
typedef ureal vbits __attribute__((vector_size(VBYTES)));
#if REAL_BITS == 32
#define VTAG CAT(f, CAT(VLF_, VSUF))
#else
#define VTAG CAT(d, CAT(VLD_, VSUF))
#endif
#define VLF_avx512f 16
#define VLF_avx2 8
#define VLF_sse2 4
#define VLD_avx512f 8
#define VLD_avx2 4
#define VLD_sse2 2
#define SLEEF(name, ulp) CAT(CAT(CAT(Sleef_, name), VTAG), CAT(CAT(_, ulp), VSUF))
static inline vec vsel(vmask m, vec a, vec b) { return (vec)(((vmask)a & m) | ((vmask)b & ~m)); }
static inline vec vabs(vec x) { return (vec)((vmask)x & ~((vmask){ 0 } + SIGN_BIT)); }
#define VCMP(a, op, b) ((vmask)((a)op(b)))
#define VFN(v, name, ulp) static inline vec v(vec x) { return (vec)SLEEF(name, ulp)(x); }
#define VFN2(v, name, ulp) static inline vec v(vec x, vec y) { return (vec)SLEEF(name, ulp)(x, y); }
#define VROUND(v, name) VFN(v, name, )

#endif

static inline vec vset(real c)
{
#ifdef ISA_plain
	return c;
#else
	return (vec){ 0 } + c;
#endif
}

static inline vec vload(const real *p)
{
	vec v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline void vstore(real *p, vec v) { memcpy(p, &v, sizeof v); }

/* NaN in either argument gives y for max and min as x86 does; the ops restore NaN where it matters. */
static inline vec vmax(vec x, vec y) { return vsel(VCMP(x, >, y), x, y); }
static inline vec vmin(vec x, vec y) { return vsel(VCMP(x, <, y), x, y); }

/* One scalar function per lane, in double. */
static inline vec vmap(double f(double), vec x)
{
	real v[VL];
	vstore(v, x);
	for (int i = 0; i < VL; i++)
		v[i] = (real)f((double)v[i]);
	return vload(v);
}

VFN(vexp, exp, u10)
VFN(vexpm1, expm1, u10)
VFN(vlog, log, u10)
VFN(vlog1p, log1p, u10)
VFN(vsin, sin, u10)
VFN(vcos, cos, u10)
VFN(vtan, tan, u10)
VFN(vasin, asin, u10)
VFN(vacos, acos, u10)
VFN(vatan, atan, u10)
VFN(vsinh, sinh, u10)
VFN(vcosh, cosh, u10)
VFN(vtanh, tanh, u10)
VFN(vasinh, asinh, u10)
VFN(vacosh, acosh, u10)
VFN(vatanh, atanh, u10)
VFN(verf, erf, u10)
VFN(verfc, erfc, u15)
VFN(vsqrt, sqrt, u05)
VFN2(vpow, pow, u10)
VFN2(vatan2, atan2, u10)
VROUND(vfloor, floor)
VROUND(vceil, ceil)
VROUND(vrint, rint)

/* a b + c, rounded once where the instruction set can. */
static inline vec vfma(vec a, vec b, vec c)
{
#if defined ISA_v4 && REAL_BITS == 32
	return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined ISA_v4
	return (vec)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined ISA_v3 && REAL_BITS == 32
	return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined ISA_v3
	return (vec)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
	return a * b + c;
#endif
}

/* exp(x) for x <= 0, inline, to 2 ulp; what is below the least normal number becomes that or less.  With n the integer
 * nearest to x / ln 2, which adding 1.5 2^(digits) leaves in the last bits, 2^n times the series of exp(x - n ln 2). */
static inline vec vexp_inline(vec x)
{
#if REAL_BITS == 32
	static const real least = -87.0f, magic = 12582912.0f, hi = 0.693145751953125f, lo = 1.428606765330187e-06f;
	static const real c[] = { 1 / 5040.0f, 1 / 720.0f, 1 / 120.0f, 1 / 24.0f, 1 / 6.0f, 0.5f, 1, 1 };
	enum { DIGITS = 23 };
#else
	static const real least = -708, magic = 6755399441055744.0, hi = 0.693147180369123816490, lo = 1.90821492927058770002e-10;
	static const real c[] = { 1 / 6227020800.0, 1 / 479001600.0, 1 / 39916800.0, 1 / 3628800.0, 1 / 362880.0, 1 / 40320.0,
		                      1 / 5040.0, 1 / 720.0, 1 / 120.0, 1 / 24.0, 1 / 6.0, 0.5, 1, 1 };
	enum { DIGITS = 52 };
#endif
	x = vsel(VCMP(x, <, vset(least)), vset(least), x);
	vec k = x * vset((real)1.44269504088896340736) + vset(magic), n = k - vset(magic);
	vec r = vfma(n, vset(-lo), vfma(n, vset(-hi), x)), y = vset(c[0]);
	for (size_t i = 1; i < sizeof c / sizeof *c; i++)
		y = vfma(y, r, vset(c[i]));
	union {
		vec v;
		vbits i;
	} two = { .v = k }, one = { .v = vset(1) };
	two.i = (two.i << DIGITS) + one.i;
	return y * two.v;
}

static inline vec vsigmoid(vec x)
{
	vec e = vexp(-vabs(x)), p = vset(1) / (vset(1) + e);
	return vsel(VCMP(x, >=, vset(0)), p, e * p);
}

static inline vec vsoftplus(vec x) { return vmax(x, vset(0)) + vlog1p(vexp(-vabs(x))); }

#endif
