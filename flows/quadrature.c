/* quadrature.c - nodes and weights on [-1, 1]: Gauss-Legendre by Newton's method, Clenshaw-Curtis by its cosine sums.
 */
#include "neural.h"

#include <math.h>

#define PI 3.14159265358979323846

static void gauss_legendre(int n, double node[], double weight[])
{
	for (int i = 0; i < n; i++) {
		double x = -cos(PI * (i + 0.75) / (n + 0.5)), slope = 1;
		for (int k = 0; k < 20; k++) {
			double p = 1, before = 0;
			for (int j = 1; j <= n; j++) {
				double next = ((2 * j - 1) * x * p - (j - 1) * before) / j;
				before = p;
				p = next;
			}
			slope = n * (x * p - before) / (x * x - 1);
			double step = p / slope;
			x -= step;
			if (fabs(step) < 1e-16)
				break;
		}
		node[i] = x;
		weight[i] = 2 / ((1 - x * x) * slope * slope);
	}
}

/* Clenshaw & Curtis 1960; nodes in increasing order */
static void clenshaw_curtis(int n, double node[], double weight[])
{
	int N = n - 1;
	for (int j = 0; j <= N; j++) {
		double t = PI * j / N, sum = 1;
		for (int k = 2; k <= N; k += 2)
			sum += (k == N ? 1 : 2) * cos(k * t) / (1 - (double)k * k);
		node[j] = -cos(t);
		weight[j] = (j == 0 || j == N ? 1 : 2) * sum / N;
	}
}

void flow_quadrature_rule(flow_quadrature rule, int n, double node[], double weight[])
{
	if (rule == FLOW_GAUSS_LEGENDRE)
		gauss_legendre(n, node, weight);
	else
		clenshaw_curtis(n, node, weight);
}
