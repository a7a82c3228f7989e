/* kernels.h - the tables of kernels: one per real type and instruction set, chosen once by cpuid. */
#ifndef AD_KERNELS_H
#define AD_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* n elements; a, b are the row's attributes. */
typedef void ad__ew_kernel(int64_t n, void *y, const void *const x[3], double a, double b);

enum {
#define AD_EW1(name, ...) AD__EW_##name,
#define AD_EW1A AD_EW1
#define AD_EW1AB AD_EW1
#define AD_EW2 AD_EW1
#define AD_EW3 AD_EW1
#include "../ops.def"
#undef AD_EW1
#undef AD_EW1A
#undef AD_EW1AB
#undef AD_EW2
#undef AD_EW3
#define AD_MERGED2(name, ...) AD__EW_##name,
#define AD_MERGED3 AD_MERGED2
#include "../merged.def"
#undef AD_MERGED2
#undef AD_MERGED3
	AD__EW_COUNT
};

/* What a product does with its rows as they are made: nothing, or what the op relu or gate does. */
enum { AD__AS_IT_IS = 0, AD__RELU = 4, AD__GATE = 8 };

enum { AD__GEMM_SCRATCH = 640 << 10, AD__STRIP = 6, AD__LINEAR_SCRATCH = AD__STRIP * (1024 + 64) * 8, AD__SUBSTITUTE_ROWS = 16 };
enum { AD__LINEAR_PAIRS = 16, AD__LINEAR_LANES = 512 }; /* products, and lanes of them, that a weight's panel sums at once */

/* The numbers of a rational-quadratic spline (../spline.h); outer: raw slope at the ends, if they have none of their own. */
typedef struct {
	int bins;
	bool ends, inverse;
	double lo, side, width_scale, height_scale, min_width, min_height, min_derivative, outer;
} ad__rq;
#define AD__RQ_SCRATCH(bins) ((size_t)(bins)*3 * 64)

typedef struct ad__kernels {
	const char *isa;
	ad__ew_kernel *ew[AD__EW_COUNT];
#define real void
#define AD_KERNEL(name, args) void (*name) args;
#include "kernels.def"
#undef AD_KERNEL
#undef real
} ad__kernels;

/* bits 32 or 64; isa NULL: the best this machine has (or FLOWTAPE_ISA); NULL if this machine lacks it. */
const ad__kernels *ad__kernels_for(int bits, const char *isa);

#endif
