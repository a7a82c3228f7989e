/* power.h - what the norm is taken of.  Private to nn/. */
#ifndef NN_POWER_H
#define NN_POWER_H

#include "lipschitz.h"

/* A matrix w [out, in], or (f > 0) the convolution of an image [c, h, width] with w [f, c, kernel..] to [f, oh, ow]. */
typedef struct {
	int64_t out, in; /* numbers in a result and in an argument */
	const double *w;
	int64_t f, c, h, width, oh, ow, kernel[2], stride[2], pad[2];
} nn__map;
double nn__induced_norm(const nn__map *m, double *u, double *v, nn_induced o);

#endif
