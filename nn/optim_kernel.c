/* optim_kernel.c - one fused pass of each update rule over contiguous arrays.  Compiled per real type and instruction
 * set; without contraction all give the same bits. */
#include "internal.h"

#include <math.h>

#if REAL_BITS == 64
typedef double real;
#define SQRT sqrt
#define ABS fabs
#else
typedef float real;
#define SQRT sqrtf
#define ABS fabsf
#endif

enum { LANES = 16 };

static double square_sum(int64_t n, const void *x)
{
	const real *g = x;
	double lane[LANES] = { 0 }, sum = 0;
	int64_t whole = n / LANES * LANES;
	for (int64_t i = 0; i < whole; i += LANES)
		for (int l = 0; l < LANES; l++)
			lane[l] += (double)g[i + l] * (double)g[i + l];
	for (int64_t i = whole; i < n; i++)
		lane[i - whole] += (double)g[i] * (double)g[i];
	for (int l = 0; l < LANES; l++)
		sum += lane[l];
	return sum;
}

static void add(int64_t n, void *y0, const void *x0, double scale)
{
	real *restrict y = y0;
	const real *restrict x = x0;
	for (int64_t i = 0; i < n; i++)
		y[i] = (y[i] + x[i]) * (real)scale;
}

static void average(int64_t n, void *ema, const void *p0, double decay)
{
	real *restrict e = ema, d = (real)decay, rest = (real)(1 - decay);
	const real *restrict p = p0;
	for (int64_t i = 0; i < n; i++)
		e[i] = d * e[i] + rest * p[i];
}

/* After clipping and L2 decay. */
static inline real gradient(const nn__coef *c, real g, real p)
{
	real limit = (real)c->limit;
	g *= (real)c->scale;
	g = g > limit ? limit : g < -limit ? -limit : g;
	return g + (real)c->decay * p;
}

#define ARRAYS \
	real *restrict p = p0, *restrict s0 = slot[0], *restrict s1 = slot[1], *restrict s2 = slot[2]; \
	const real *restrict g0 = grad; \
	(void)s0, (void)s1, (void)s2

static void sgd(const nn__coef *c, int64_t n, void *p0, const void *grad, void *const slot[3])
{
	ARRAYS;
	real lr = (real)c->lr, mu = (real)c->momentum, rest = c->first ? 1 : (real)(1 - c->dampening);
	for (int64_t i = 0; i < n; i++) {
		real g = gradient(c, g0[i], p[i]), step = g;
		if (s0) {
			s0[i] = mu * s0[i] + rest * g;
			step = c->nesterov ? g + mu * s0[i] : s0[i];
		}
		p[i] -= lr * step;
	}
}

static void rmsprop(const nn__coef *c, int64_t n, void *p0, const void *grad, void *const slot[3])
{
	ARRAYS;
	real lr = (real)c->lr, mu = (real)c->momentum, a = (real)c->alpha, rest = (real)(1 - c->alpha), eps = (real)c->eps;
	for (int64_t i = 0; i < n; i++) {
		real g = gradient(c, g0[i], p[i]);
		s0[i] = a * s0[i] + rest * (g * g);
		real v = s0[i];
		if (s1) {
			s1[i] = a * s1[i] + rest * g;
			v -= s1[i] * s1[i];
			v = v > 0 ? v : 0;
		}
		real step = g / (SQRT(v) + eps);
		if (s2)
			step = s2[i] = mu * s2[i] + step;
		p[i] -= lr * step;
	}
}

static void adagrad(const nn__coef *c, int64_t n, void *p0, const void *grad, void *const slot[3])
{
	ARRAYS;
	real lr = (real)c->lr, eps = (real)c->eps;
	for (int64_t i = 0; i < n; i++) {
		real g = gradient(c, g0[i], p[i]);
		s0[i] += g * g;
		p[i] -= lr * g / (SQRT(s0[i]) + eps);
	}
}

static inline void adam_step(const nn__coef *c, int64_t n, void *p0, const void *grad, void *const slot[3], real keep)
{
	ARRAYS;
	real b1 = (real)c->beta1, r1 = (real)(1 - c->beta1), b2 = (real)c->beta2, r2 = (real)(1 - c->beta2);
	real rate = (real)(c->lr / c->correct1), root = (real)(1 / sqrt(c->correct2)), eps = (real)c->eps;
	for (int64_t i = 0; i < n; i++) {
		real g = gradient(c, g0[i], p[i]);
		s0[i] = b1 * s0[i] + r1 * g;
		s1[i] = b2 * s1[i] + r2 * (g * g);
		real v = s1[i];
		if (s2)
			v = s2[i] = s2[i] > v ? s2[i] : v;
		p[i] = keep * p[i] - rate * s0[i] / (SQRT(v) * root + eps);
	}
}

static void adam(const nn__coef *c, int64_t n, void *p, const void *grad, void *const slot[3])
{
	adam_step(c, n, p, grad, slot, 1);
}

/* Loshchilov and Hutter 2019: the decay acts on the weights, not through the gradient. */
static void adamw(const nn__coef *c, int64_t n, void *p, const void *grad, void *const slot[3])
{
	nn__coef plain = *c;
	plain.decay = 0;
	adam_step(&plain, n, p, grad, slot, (real)(1 - c->lr * c->decay));
}

static void adamax(const nn__coef *c, int64_t n, void *p0, const void *grad, void *const slot[3])
{
	ARRAYS;
	real b1 = (real)c->beta1, r1 = (real)(1 - c->beta1), b2 = (real)c->beta2, eps = (real)c->eps;
	real rate = (real)(c->lr / c->correct1);
	for (int64_t i = 0; i < n; i++) {
		real g = gradient(c, g0[i], p[i]), u = b2 * s1[i], now = ABS(g) + eps;
		s0[i] = b1 * s0[i] + r1 * g;
		s1[i] = u > now ? u : now;
		p[i] -= rate * s0[i] / s1[i];
	}
}

#define NAME_(isa, bits) nn__rules_##isa##_##bits
#define NAME(isa, bits) NAME_(isa, bits)
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const nn__rules NAME(ISA, REAL_BITS);
const nn__rules NAME(ISA, REAL_BITS) = {
	.isa = TEXT(ISA),
	.square_sum = square_sum,
	.add = add,
	.average = average,
	.rule = { [NN_SGD] = sgd,
	          [NN_RMSPROP] = rmsprop,
	          [NN_ADAGRAD] = adagrad,
	          [NN_ADAM] = adam,
	          [NN_ADAMW] = adamw,
	          [NN_ADAMAX] = adamax },
};
