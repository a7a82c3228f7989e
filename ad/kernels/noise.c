/* noise.c - runs of random numbers, in doubles whatever real is: rounds of Philox4x32-10 in lanes, the normal quantile with its
 * tails apart.  Without contraction, and with one logarithm for all, every instruction set gives the same bits. */
#include <math.h>
#include <stdint.h>

#include "real.h"

#ifdef ISA_plain
enum { LANES = 1 };
typedef uint64_t words;
typedef double doubles;
#define PRODUCT(a, m) ((uint64_t)(uint32_t)(a) * (m))
#define FIRST(a, b)   (a)
#define SECOND(a, b)  (b)
#else
enum { LANES = VBYTES / 8 };
typedef uint64_t words __attribute__((vector_size(VBYTES)));
typedef double doubles __attribute__((vector_size(VBYTES)));
/* Of the lower halves of 64 bits; and a's and b's lanes in turn, the first half of them and the second. */
#if defined ISA_v4
#define PRODUCT(a, m) ((words)_mm512_mul_epu32((__m512i)(a), _mm512_set1_epi64(m)))
#define FIRST(a, b)   __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define SECOND(a, b)  __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#elif defined ISA_v3
#define PRODUCT(a, m) ((words)_mm256_mul_epu32((__m256i)(a), _mm256_set1_epi64x(m)))
#define FIRST(a, b)   __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define SECOND(a, b)  __builtin_shufflevector(a, b, 2, 6, 3, 7)
#else
#define PRODUCT(a, m) ((words)_mm_mul_epu32((__m128i)(a), _mm_set1_epi64x(m)))
#define FIRST(a, b)   __builtin_shufflevector(a, b, 0, 2)
#define SECOND(a, b)  __builtin_shufflevector(a, b, 1, 3)
#endif
#endif

enum { BLOCKS = 16, RUN = 128 };

/* Midpoints of 2^52 cells: never 0 or 1.  The cell's number becomes the digits of a number from 2^52 on. */
static inline doubles unit(words high, words low)
{
	union {
		words i;
		doubles d;
	} v = { .i = ((high << 32 | (low & 0xFFFFFFFF)) >> 12) | 0x4330000000000000 };
	return (v.d - 0x1p52 + 0.5) * 0x1p-52;
}

/* Blocks first .. first + BLOCKS - 1 of four words, for two elements each.  What stands above a lane's lower half plays no part. */
static void blocks(uint64_t first, uint64_t place, uint64_t seed, double u[2 * BLOCKS])
{
	uint64_t number[BLOCKS];
	for (int i = 0; i < BLOCKS; i++)
		number[i] = first + (uint64_t)i;
	for (int i = 0; i < BLOCKS; i += LANES) {
		uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
		words c0, c1, c2 = (words){ 0 } + (uint32_t)place, c3 = (words){ 0 } + (place >> 32);
		memcpy(&c0, &number[i], sizeof c0);
		c1 = c0 >> 32;
		for (int r = 0; r < 10; r++, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
			words p = PRODUCT(c0, 0xD2511F53), q = PRODUCT(c2, 0xCD9E8D57);
			c0 = (q >> 32) ^ c1 ^ k0;
			c2 = (p >> 32) ^ c3 ^ k1;
			c1 = q;
			c3 = p;
		}
		doubles even = unit(c0, c1), odd = unit(c2, c3), a = FIRST(even, odd), b = SECOND(even, odd);
		memcpy(u + 2 * i, &a, sizeof a);
		memcpy(u + 2 * i + LANES, &b, sizeof b);
	}
}

void K(noise_uniform)(uint64_t seed, uint64_t place, uint64_t first, int64_t n, double *u)
{
	double v[2 * BLOCKS];
	for (int64_t i = -(int64_t)(first % 2); i < n; i += 2 * BLOCKS) {
		uint64_t block = (first + (uint64_t)i) / 2;
		if (i >= 0 && n - i >= 2 * BLOCKS) {
			blocks(block, place, seed, u + i);
			continue;
		}
		blocks(block, place, seed, v);
		for (int64_t k = i < 0 ? -i : 0; k < 2 * BLOCKS && i + k < n; k++)
			u[i + k] = v[k];
	}
}

static inline double ratio(const double p[8], const double q[8], double r)
{
	double a = p[7], b = q[7];
	for (int i = 6; i >= 0; i--) {
		a = a * r + p[i];
		b = b * r + q[i];
	}
	return a / b;
}

static const double far_p[8] = { 6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
	                         2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
	                         2.71155556874348757815e-5, 2.01033439929228813265e-7 };
static const double far_q[8] = { 1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
	                         7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
	                         2.04426310338993978564e-15 };

/* Of n tails: |z| from the probability beyond it. */
static void tails(int n, double *v)
{
	static const double c[8] = { 1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
		                     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
		                     2.27238449892691845833e-2, 7.74545014278341407640e-4 };
	static const double d[8] = { 1, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
		                     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
		                     1.05075007164441684324e-9 };
	double r[RUN];
	for (int i = 0; i < n; i++)
		r[i] = sqrt(-log(v[i]));
	for (int i = 0; i < n; i++)
		v[i] = ratio(c, d, r[i] - 1.6);
	for (int i = 0; i < n; i++)
		if (r[i] > 5)
			v[i] = ratio(far_p, far_q, r[i] - 5);
}

/* Wichura (1988), algorithm AS 241: relative accuracy about 1e-16. */
void K(noise_quantile)(int64_t n, double *u)
{
	static const double a[8] = { 3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3,
		                     1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
		                     3.3430575583588128105e+4, 2.5090809287301226727e+3 };
	static const double b[8] = { 1, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
		                     2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4,
		                     5.2264952788528545610e+3 };
	for (; n > 0; n -= RUN, u += RUN) {
		int m = n < RUN ? (int)n : RUN, ntail = 0, at[RUN];
		double z[RUN], least[RUN], beyond[RUN];
		for (int i = 0; i < m; i++) {
			double q = u[i] - 0.5, rest = 1 - u[i];
			z[i] = q * ratio(a, b, 0.180625 - q * q);
			least[i] = u[i] < rest ? u[i] : rest;
		}
		for (int i = 0; i < m; i++) {
			at[ntail] = i;
			beyond[ntail] = least[i];
			ntail += fabs(u[i] - 0.5) > 0.425;
		}
		tails(ntail, beyond);
		for (int k = 0; k < ntail; k++)
			z[at[k]] = u[at[k]] < 0.5 ? -beyond[k] : beyond[k];
		memcpy(u, z, (size_t)m * sizeof *u);
	}
}
