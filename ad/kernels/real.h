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
/* Lane k of the result is lane m[k] of a and b behind each other. */
static inline __attribute__((always_inline)) vec vshuffle(vec a, vec b, vmask m)
{
#ifdef __clang__
	vec r;
	for (int k = 0; k < VL; k++)
		r[k] = m[k] < VL ? a[m[k]] : b[m[k] - VL];
	return r;
#else
	return __builtin_shuffle(a, b, m);
#endif
}
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

/* exp and the tanh of doubles inline, to 2 ulp: with n the integer nearest to x / ln 2, which adding 1.5 2^(digits) leaves in the last
 * bits, 2^n times the series of exp(x - n ln 2). */
#if REAL_BITS == 32
#define EXP_LEAST -87.0f
#define EXP_MAGIC 12582912.0f
#define EXP_LN2_HI 0.693145751953125f
#define EXP_LN2_LO 1.428606765330187e-06f
#define EXP_DIGITS 23
#define EXP_SERIES 1 / 5040.0f, 1 / 720.0f, 1 / 120.0f, 1 / 24.0f, 1 / 6.0f, 0.5f, 1
#else
#define EXP_LEAST -708
#define EXP_MAGIC 6755399441055744.0
#define EXP_LN2_HI 0.693147180369123816490
#define EXP_LN2_LO 1.90821492927058770002e-10
#define EXP_DIGITS 52
#define EXP_SERIES                                                                                                     \
	1 / 6227020800.0, 1 / 479001600.0, 1 / 39916800.0, 1 / 3628800.0, 1 / 362880.0, 1 / 40320.0, 1 / 5040.0, 1 / 720.0, \
		1 / 120.0, 1 / 24.0, 1 / 6.0, 0.5, 1
#endif

/* exp(x) - 1 = scale p + (scale - 1), for x within the range of normal numbers */
static inline vec vexp_parts(vec x, vec *scale)
{
	static const real c[] = { EXP_SERIES };
	vec k = x * vset((real)1.44269504088896340736) + vset(EXP_MAGIC), n = k - vset(EXP_MAGIC);
	vec r = vfma(n, vset(-EXP_LN2_LO), vfma(n, vset(-EXP_LN2_HI), x)), y = vset(c[0]);
	for (size_t i = 1; i < sizeof c / sizeof *c; i++)
		y = vfma(y, r, vset(c[i]));
	union {
		vec v;
		vbits i;
	} two = { .v = k }, one = { .v = vset(1) };
	two.i = (two.i << EXP_DIGITS) + one.i;
	*scale = two.v;
	return y * r;
}

/* For x <= 0; 0 for what is below the least normal number. */
static inline vec vexp_below(vec x)
{
	vec scale, p = vexp_parts(x, &scale);
	return vsel(VCMP(x, <, vset(EXP_LEAST)), vset(0), vfma(scale, p, scale));
}

#ifdef ISA_plain
VFN(vexp, exp, )
VFN(vtanh, tanh, )
#else
/* Scaled in two steps, so that results may be infinite or below the normal numbers. */
static inline vec vexp(vec x)
{
	vec lo = vset(EXP_LEAST * (real)1.2), hi = vset(-EXP_LEAST * (real)1.1), scale;
	x = vsel(VCMP(x, <, lo), lo, vsel(VCMP(x, >, hi), hi, x));
	vec p = vexp_parts(x, &scale);
	union {
		vec v;
		vbits i;
	} all = { .v = scale }, one = { .v = vset(1) }, half, rest;
	vmask n = (vmask)(all.i - one.i) >> EXP_DIGITS, h = n >> 1;
	half.i = ((vbits)h << EXP_DIGITS) + one.i;
	rest.i = ((vbits)(n - h) << EXP_DIGITS) + one.i;
	return (vset(1) + p) * half.v * rest.v;
}

#if REAL_BITS == 32
/* Between lo and hi; NaN stays. */
static inline vec vwithin(vec x, real lo, real hi)
{
#if defined ISA_v4
	return (vec)_mm512_min_ps((__m512)vset(hi), _mm512_max_ps((__m512)vset(lo), (__m512)x));
#elif defined ISA_v3
	return (vec)_mm256_min_ps((__m256)vset(hi), _mm256_max_ps((__m256)vset(lo), (__m256)x));
#else
	return (vec)_mm_min_ps((__m128)vset(hi), _mm_max_ps((__m128)vset(lo), (__m128)x));
#endif
}

/* x p(x^2) / q(x^2), of the least relative error (2.3e-8) up to 9, from where on tanh is 1. */
static inline vec vtanh(vec x)
{
	static const real c[] = { 1.34279388e-8f, 2.06641635e-5f, 3.49904038e-3f, 0.133839771f, 1 },
			  d[] = { 7.80719461e-7f, 3.29120288e-4f, 0.025890246f, 0.46717298f, 1 };
	x = vwithin(x, -9, 9);
	vec u = x * x, p = vset(c[0]), q = vset(d[0]);
	for (size_t i = 1; i < sizeof c / sizeof *c; i++) {
		p = vfma(p, u, vset(c[i]));
		q = vfma(q, u, vset(d[i]));
	}
	return vwithin(x * p / q, -1, 1);
}
#else
/* (1 - e) / (1 + e),  e = exp(-2 |x|) */
static inline vec vtanh(vec x)
{
	vec a = vabs(x) * vset(-2), scale, p = vexp_parts(a, &scale);
	vec m = vsel(VCMP(a, <, vset(EXP_LEAST)), vset(-1), vfma(scale, p, scale - vset(1)));
	return (vec)((vmask)vabs(m / (vset(2) + m)) | ((vmask)x & ((vmask){ 0 } + SIGN_BIT)));
}
#endif
#endif

/* log(1 + e) for e in [0, 1]: 2 artanh(f) with f = e / (2 + e), or log 2 + that of the half of 1 + e. */
static inline vec vlog1p_unit(vec e)
{
#if REAL_BITS == 32
	static const real c[] = { 2 / 11.0f, 2 / 9.0f, 2 / 7.0f, 2 / 5.0f, 2 / 3.0f };
#else
	static const real c[] = { 2 / 21.0, 2 / 19.0, 2 / 17.0, 2 / 15.0, 2 / 13.0, 2 / 11.0, 2 / 9.0, 2 / 7.0, 2 / 5.0, 2 / 3.0 };
#endif
	vmask high = VCMP(e, >, vset((real)0.41421356237309504880));
	vec f = vsel(high, e - vset(1), e) / (e + vsel(high, vset(3), vset(2))), q = f * f, y = vset(c[0]);
	for (size_t i = 1; i < sizeof c / sizeof *c; i++)
		y = vfma(y, q, vset(c[i]));
	y = vfma(f * q, y, f + f);
	return vsel(high, y + vset((real)0.69314718055994530942), y);
}

static inline vec vsigmoid(vec x)
{
	vec e = vexp_below(-vabs(x)), p = vset(1) / (vset(1) + e);
	return vsel(VCMP(x, >=, vset(0)), p, e * p);
}

static inline vec vsoftplus(vec x) { return vmax(x, vset(0)) + vlog1p_unit(vexp_below(-vabs(x))); }

#endif
