/* normal_cdf.c - the normal distribution function in logarithms, and its quantiles from logits: exact far in the tails.
 */
#include "monotone.h"

#include <math.h>

#define CUT	     12.0 /* from here on erfc gives way to its asymptotic series */
#define HALF_LOG_2PI 0.918938533204672741780
#define SQRT_HALF    0.707106781186547524401
enum { TERMS = 10 };

/* v Phi(-v) / phi(v) = 1 - 1/v^2 + 3/v^4 - 15/v^6 + .., of q = 1/v^2, as nested factors (1 - q (1 - 3 q (1 - 5 q .. */
static ad_var series(ad_var q)
{
	ad_var s = ad_full_like(q, 1);
	for (int k = TERMS; k > 0; k--)
		s = ad_shift(ad_neg(ad_mul(ad_scale(q, 2 * k - 1), s)), 1);
	return s;
}

static double series_at(double q)
{
	double s = 1;
	for (int k = TERMS; k > 0; k--)
		s = 1 - (2 * k - 1) * q * s;
	return s;
}

/* One logarithm for both sides of the cut: of Phi itself, or of Phi exp(u^2/2). */
ad_var flow__log_phi(ad_var u)
{
	ad_var near = ad_clamp(u, -CUT, 40), far = ad_clamp(u, -INFINITY, -CUT), r = ad_neg(ad_reciprocal(far));
	ad_var is_near = ad_above(u, -CUT), mid = ad_scale(ad_erfc(ad_scale(near, -SQRT_HALF)), 0.5);
	ad_var l = ad_log(ad_where(is_near, mid, ad_mul(series(ad_square(r)), r)));
	ad_var tail = ad_shift(ad_scale(ad_square(far), -0.5), -HALF_LOG_2PI);
	return ad_add(l, ad_where(is_near, ad_full_like(u, 0), tail));
}

/* log phi(v) / Phi(-v) for v >= 0 */
static ad_var log_hazard(ad_var v)
{
	ad_var near = ad_clamp(v, 0, CUT), far = ad_clamp(v, CUT, INFINITY), r = ad_reciprocal(far),
	       is_far = ad_above(v, CUT);
	ad_var mid = ad_scale(ad_erfc(ad_scale(near, SQRT_HALF)), 0.5);
	ad_var l = ad_log(ad_where(is_far, ad_mul(series(ad_square(r)), r), mid));
	ad_var square = ad_shift(ad_scale(ad_square(near), -0.5), -HALF_LOG_2PI);
	return ad_sub(ad_where(is_far, ad_full_like(v, 0), square), l);
}

/* G(y) = log Phi(y) - log Phi(-y) for y >= 0, and its slope hazard(y) / Phi(y) */
static void log_odds(double y, double *g, double *slope)
{
	double up = log1p(-0.5 * erfc(y * SQRT_HALF));
	if (y < CUT) {
		double tail = 0.5 * erfc(y * SQRT_HALF);
		*g = up - log(tail);
		*slope = exp(-0.5 * y * y - HALF_LOG_2PI - up) / tail;
	} else {
		double s = series_at(1 / (y * y));
		*g = up + 0.5 * y * y + HALF_LOG_2PI + log(y) - log(s);
		*slope = y / s;
	}
}

/* Newton's method, until a step so small that the next would be of its square.  Where it starts: in the middle from
 * Phi(y) = sigmoid(1.5976 y + 0.07056 y^3), good to 2e-4, whose root is Cardano's; in the tails from y^2 / 2 + log(y
 * sqrt(2 pi)) = l. */
static double probit(double l, double tolerance)
{
	double a = fabs(l), y;
	if (a < 6) {
		double p = 1.5976 / (3 * 0.07056), q = a / (2 * 0.07056), t = cbrt(q + sqrt(q * q + p * p * p));
		y = t - p / t;
	} else {
		y = sqrt(2 * a);
		y = sqrt(fmax(2 * (a - log(y) - HALF_LOG_2PI), 1));
	}
	for (int i = 0; i < 60; i++) {
		double g, slope, step;
		log_odds(y, &g, &slope);
		step = (g - a) / slope;
		y = fmax(y - step, 0);
		if (!(fabs(step) > tolerance * (1 + y)))
			break;
	}
	return copysign(y, l);
}

static ad_shape shape(int nin, const ad_var in[], const void *user)
{
	(void)nin, (void)user;
	return ad_shape_of(in[0]);
}

static void eval(int nin, const ad_view in[], ad_view out, const void *user)
{
	(void)nin, (void)user;
	for (int64_t i = 0; i < out.numel * out.width; i++)
		if (out.dtype == AD_F64)
			((double *)out.data)[i] = probit(((const double *)in[0].data)[i], 1e-9);
		else
			((float *)out.data)[i] = (float)probit((double)((const float *)in[0].data)[i], 1e-4);
}

/* dl/dy = hazard(|y|) / Phi(|y|) */
static void vjp(ad_var r, ad_var g, int nin, const ad_var in[], ad_var gin[], const void *user)
{
	ad_var v = ad_abs(r);
	(void)nin, (void)in, (void)user;
	gin[0] = ad_mul(g, ad_exp(ad_sub(flow__log_phi(v), log_hazard(v))));
}

ad_var flow__probit_of_logit(ad_var l)
{
	static const ad_custom op = { .name = "probit_of_logit", .shape = shape, .eval = eval, .vjp = vjp };
	return ad_call(&op, 1, &l, NULL);
}
