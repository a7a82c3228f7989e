/* noise.c - Philox4x32-10 and the numbers made of it.  The counter is half the element's number (64
 * bits) and a hash of step and stream (64 bits); the key is the seed.  A block of four words serves
 * two elements. */
#include "noise.h"
#include "ad.h"
#include "kernels/kernels.h"

/* The finaliser of splitmix64 (Steele, Lea and Flood 2014). */
static uint64_t mix(uint64_t z)
{
	z += 0x9E3779B97F4A7C15;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
	return z ^ (z >> 31);
}

static const ad__kernels *kernels(void)
{
	const ad__kernels *k = ad__kernels_for(64, NULL);
	return k ? k : ad__kernels_for(64, "plain");
}

void ad__noise_uniform(
	uint64_t seed, uint64_t step, uint64_t stream, uint64_t first, int64_t n, double *u)
{
	kernels()->noise_uniform(seed, mix(mix(stream) + step), first, n, u);
}

void ad__noise_quantile(int64_t n, double *u) { kernels()->noise_quantile(n, u); }

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
