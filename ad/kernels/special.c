/* Inverse error function, log-gamma and polygamma functions in double precision. */
#include "special.h"

#include <math.h>

double ad__lgamma(double x)
{
	int sign;
	return lgamma_r(x, &sign);
}

/* Starting value by Giles (2010) in single precision, then Halley steps on erfc, which keeps its relative
 * precision in the tails. */
double ad__erfinv(double x)
{
	if (!(x > -1 && x < 1))
		return x == 1 ? INFINITY : x == -1 ? -INFINITY : NAN;
	double w = -log1p(-x * x), p;
	if (w < 5) {
		static const double c[] = { 2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
			                        -0.00125372503, -0.00417768164, 0.246640727, 1.50140941 };
		w -= 2.5;
		p = c[0];
		for (int i = 1; i < 9; i++)
			p = p * w + c[i];
	} else {
		static const double c[] = { -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
			                        -0.0076224613, 0.00943887047, 1.00167406, 2.83297682 };
		w = sqrt(w) - 3;
		p = c[0];
		for (int i = 1; i < 9; i++)
			p = p * w + c[i];
	}
	double y = p * x;
	for (int i = 0; i < 3; i++) {
		double e = fabs(x) < 0.5 ? erf(y) - x : x > 0 ? (1 - x) - erfc(y) : erfc(-y) - (1 + x);
		double u = e / (1.1283791670955125739 * exp(-y * y));
		y -= u / (1 + y * u);
	}
	return y;
}

/* Recurrence up to x >= 16 + n, then the asymptotic series (Abramowitz and Stegun 6.4.11). */
static double polygamma_positive(int n, double x)
{
	static const double bernoulli[] = { 1. / 6, -1. / 30, 1. / 42, -1. / 30, 5. / 66, -691. / 2730, 7. / 6, -3617. / 510,
		                                43867. / 798, -174611. / 330 };
	double sign = n % 2 ? 1 : -1, factorial = 1, sum = 0; /* factorial: n! (0! for digamma) */
	for (int k = 2; k <= n; k++)
		factorial *= k;
	for (; x < 16 + n; x += 1)
		sum += n ? sign * factorial * pow(x, -(n + 1)) : -1 / x;
	if (n == 0) {
		double series = log(x) - 0.5 / x, z = 1 / (x * x), zk = z;
		for (int k = 1; k <= 10; k++, zk *= z)
			series -= bernoulli[k - 1] * zk / (2 * k);
		return sum + series;
	}
	double series = factorial / n * pow(x, -n) + factorial / 2 * pow(x, -n - 1);
	double ratio = 1; /* (2k + n - 1)! / ((2k)! n!) n! */
	for (int k = 1; k <= 10; k++) {
		ratio = 1;
		for (int j = 1; j < n; j++)
			ratio *= 2 * k + j;
		series += bernoulli[k - 1] * ratio * pow(x, -2 * k - n);
	}
	return sum + sign * series;
}

double ad__polygamma(int n, double x)
{
	if (x > 0)
		return polygamma_positive(n, x);
	if (x == floor(x))
		return NAN;
	if (n == 0)
		return polygamma_positive(0, 1 - x) - M_PI / tan(M_PI * x);
	double sign = n % 2 ? 1 : -1, factorial = 1;
	for (int k = 2; k <= n; k++)
		factorial *= k;
	double sum = 0;
	for (; x <= 0; x += 1)
		sum += sign * factorial * pow(x, -(n + 1));
	return sum + polygamma_positive(n, x);
}
