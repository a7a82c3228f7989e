/* noise.c - Philox4x32-10 and the numbers made of it.  The counter is half the element's number (64
 * bits) and a hash of step and stream (64 bits); the key is the seed.  A block of four words serves
 * two elements. */
#include "noise.h"
#include "ad.h"
#include <math.h>

void ad__philox(uint32_t c[4], const uint32_t key[2])
{
	uint32_t k0 = key[0], k1 = key[1];
	for (int r = 0; r < 10; r++, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
		uint64_t p = (uint64_t)0xD2511F53 * c[0], q = (uint64_t)0xCD9E8D57 * c[2];
		c[0] = (uint32_t)(q >> 32) ^ c[1] ^ k0;
		c[2] = (uint32_t)(p >> 32) ^ c[3] ^ k1;
		c[1] = (uint32_t)q;
		c[3] = (uint32_t)p;
	}
}

/* The finaliser of splitmix64 (Steele, Lea and Flood 2014). */
static uint64_t mix(uint64_t z)
{
	z += 0x9E3779B97F4A7C15;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
	return z ^ (z >> 31);
}

/* Midpoints of 2^52 cells: never 0 or 1. */
static inline double unit(uint32_t high, uint32_t low)
{
	return ((double)(((uint64_t)high << 32 | low) >> 12) + 0.5) * 0x1p-52;
}

enum { BLOCKS = 8 };

/* Blocks first .. first + BLOCKS - 1 at once: the same rounds in lanes. */
static void blocks(uint64_t first, uint64_t place, const uint32_t key[2], double u[2 * BLOCKS])
{
	uint32_t c0[BLOCKS], c1[BLOCKS], c2[BLOCKS], c3[BLOCKS], k0 = key[0], k1 = key[1];
	for (int i = 0; i < BLOCKS; i++) {
		c0[i] = (uint32_t)(first + (uint64_t)i);
		c1[i] = (uint32_t)((first + (uint64_t)i) >> 32);
		c2[i] = (uint32_t)place;
		c3[i] = (uint32_t)(place >> 32);
	}
	for (int r = 0; r < 10; r++, k0 += 0x9E3779B9, k1 += 0xBB67AE85)
		for (int i = 0; i < BLOCKS; i++) {
			uint64_t p = (uint64_t)0xD2511F53 * c0[i], q = (uint64_t)0xCD9E8D57 * c2[i];
			c0[i] = (uint32_t)(q >> 32) ^ c1[i] ^ k0;
			c2[i] = (uint32_t)(p >> 32) ^ c3[i] ^ k1;
			c1[i] = (uint32_t)q;
			c3[i] = (uint32_t)p;
		}
	for (int i = 0; i < BLOCKS; i++) {
		u[2 * i] = unit(c0[i], c1[i]);
		u[2 * i + 1] = unit(c2[i], c3[i]);
	}
}

void ad__noise_uniform(
	uint64_t seed, uint64_t step, uint64_t stream, uint64_t first, int64_t n, double *u)
{
	const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
	uint64_t place = mix(mix(stream) + step);
	for (int64_t i = -(int64_t)(first % 2); i < n;) {
		uint64_t block = (first + (uint64_t)i) / 2;
		if (i >= 0 && n - i >= 2 * BLOCKS) {
			blocks(block, place, key, u + i);
			i += 2 * BLOCKS;
			continue;
		}
		uint32_t c[4] = { (uint32_t)block, (uint32_t)(block >> 32), (uint32_t)place,
			(uint32_t)(place >> 32) };
		ad__philox(c, key);
		if (i >= 0)
			u[i] = unit(c[0], c[1]);
		if (i + 1 < n)
			u[i + 1] = unit(c[2], c[3]);
		i += 2;
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

/* Wichura (1988), algorithm AS 241: relative accuracy about 1e-16. */
void ad__noise_quantile(int64_t n, double *u)
{
	static const double a[8] = { 3.3871328727963666080e0, 1.3314166789178437745e+2,
		1.9715909503065514427e+3, 1.3731693765509461125e+4, 4.5921953931549871457e+4,
		6.7265770927008700853e+4, 3.3430575583588128105e+4, 2.5090809287301226727e+3 };
	static const double b[8] = { 1, 4.2313330701600911252e+1, 6.8718700749205790830e+2,
		5.3941960214247511077e+3, 2.1213794301586595867e+4, 3.9307895800092710610e+4,
		2.8729085735721942674e+4, 5.2264952788528545610e+3 };
	static const double c[8] = { 1.42343711074968357734e0, 4.63033784615654529590e0,
		5.76949722146069140550e0, 3.64784832476320460504e0, 1.27045825245236838258e0,
		2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4 };
	static const double d[8] = { 1, 2.05319162663775882187e0, 1.67638483018380384940e0,
		6.89767334985100004550e-1, 1.48103976427480074590e-1, 1.51986665636164571966e-2,
		5.47593808499534494600e-4, 1.05075007164441684324e-9 };
	static const double e[8] = { 6.65790464350110377720e0, 5.46378491116411436990e0,
		1.78482653991729133580e0, 2.96560571828504891230e-1, 2.65321895265761230930e-2,
		1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7 };
	static const double f[8] = { 1, 5.99832206555887937690e-1, 1.36929880922735805310e-1,
		1.48753612908506148525e-2, 7.86869131145613259100e-4, 1.84631831751005468180e-5,
		1.42151175831644588870e-7, 2.04426310338993978564e-15 };
	enum { RUN = 64 };
	for (int64_t at = 0; at < n; at += RUN, u += RUN) {
		int64_t m = n - at < RUN ? n - at : RUN;
		double z[RUN];
		for (int64_t i = 0; i < m; i++) {
			double q = u[i] - 0.5;
			z[i] = q * ratio(a, b, 0.180625 - q * q);
		}
		for (int64_t i = 0; i < m; i++) {
			double v = u[i], q = v - 0.5;
			u[i] = z[i];
			if (fabs(q) <= 0.425)
				continue;
			double r = sqrt(-log(q < 0 ? v : 1 - v));
			double tail = r <= 5 ? ratio(c, d, r - 1.6) : ratio(e, f, r - 5);
			u[i] = q < 0 ? -tail : tail;
		}
	}
}

float ad__noise_f32(double u)
{
	float v = (float)u;
	return v < 1 ? v : 1 - 0x1p-24f;
}

void ad_noise_uniforms(
	uint64_t seed, uint64_t step, uint64_t stream, uint64_t first, int64_t n, double *v)
{
	ad__noise_uniform(seed, step, stream, first, n, v);
}

void ad_noise_normals(
	uint64_t seed, uint64_t step, uint64_t stream, uint64_t first, int64_t n, double *v)
{
	ad__noise_uniform(seed, step, stream, first, n, v);
	ad__noise_quantile(n, v);
}

double ad_noise_uniform(uint64_t seed, uint64_t step, uint64_t stream, uint64_t i)
{
	double u;
	ad_noise_uniforms(seed, step, stream, i, 1, &u);
	return u;
}

double ad_noise_normal(uint64_t seed, uint64_t step, uint64_t stream, uint64_t i)
{
	double z;
	ad_noise_normals(seed, step, stream, i, 1, &z);
	return z;
}

/* FNV-1a, mixed, so that ("ab", "c") and ("a", "bc") in turn give different hashes. */
uint64_t ad_hash(uint64_t h, const char *s)
{
	h ^= 0xCBF29CE484222325;
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001B3;
	return mix(h);
}
