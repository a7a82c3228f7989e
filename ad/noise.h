/* noise.h - runs of the random numbers that ad.h describes.  Private to ad/. */
#ifndef AD_NOISE_H
#define AD_NOISE_H

#include <stdint.h>

/* Elements first .. first + n - 1 of (seed, step, stream), uniform in (0, 1). */
void ad__noise_uniform(
	uint64_t seed, uint64_t step, uint64_t stream, uint64_t first, int64_t n, double *u);
/* The standard normal quantile, in place. */
void ad__noise_quantile(int64_t n, double *u);
/* Rounded, but still below 1. */
float ad__noise_f32(double u);

#endif
