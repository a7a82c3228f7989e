/* expansion.c - in n dimensions |det df/dz| is the local growth of volume: the best linear map at a point, over the
 * true map's image of a small grid */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "change.h"

#define SIDE 1000 /* points along a side of the cell */
#define HALVINGS 6
#define LINES 13 /* of a drawn grid, each way */
#define LINE 81  /* points along one */

static const double centre[2] = { 0.5, -0.4 };

/* f at n points (x, y apart); with J not NULL also its columns df/dz1, df/dz2, by ad_jvp. */
static void map_points(const change_run *r, int64_t n, const double *z[2], double *x[2], double *J[4])
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_shape s = AD_SHAPE(AD_BATCH);
	ad_var in[2] = { ad_input(t, AD_F64, s, "z1"), ad_input(t, AD_F64, s, "z2") }, out[6] = { in[0], in[1] };
	ad_var log_det[LAYERS], one = ad_full(t, s, 1), zero = ad_full(t, s, 0);
	change_map(out, log_det);
	if (J) {
		ad_jvp(2, out, 2, in, (ad_var[]){ one, zero }, out + 2);
		ad_jvp(2, out, 2, in, (ad_var[]){ zero, one }, out + 4);
	}
	double *result[6] = { x[0], x[1], J ? J[0] : NULL, J ? J[1] : NULL, J ? J[2] : NULL, J ? J[3] : NULL };
	change_evaluate(r, t, n, 2, in, z, J ? 6 : 2, out, result);
}

/* The boundary of the square of side h about the centre, 4 SIDE points. */
static void boundary(double h, double *x, double *y)
{
	static const double corner[5][2] = { { -1, -1 }, { 1, -1 }, { 1, 1 }, { -1, 1 }, { -1, -1 } };
	for (int k = 0; k < 4 * SIDE; k++) {
		int e = k / SIDE;
		double w = (double)(k % SIDE) / SIDE;
		x[k] = centre[0] + 0.5 * h * ((1 - w) * corner[e][0] + w * corner[e + 1][0]);
		y[k] = centre[1] + 0.5 * h * ((1 - w) * corner[e][1] + w * corner[e + 1][1]);
	}
}

static double area(int n, const double *x, const double *y)
{
	double a = 0;
	for (int i = 0; i < n; i++) {
		int j = (i + 1) % n;
		a += (x[i] - x[0]) * (y[j] - y[0]) - (x[j] - x[0]) * (y[i] - y[0]);
	}
	return fabs(a) / 2;
}

static void table(change_run *r, const double x0[2], const double J[4], double det)
{
	static double z[2][4 * SIDE], x[2][4 * SIDE];
	double h = 1.6, before[2] = { 0, 0 }, miss = 0, off = 0, order[2] = { 0, 0 };
	printf("  %8s %14s %12s %14s %18s\n", "side h", "image area/h²", "|det J|", "relative miss", "map off the linear");
	for (int k = 0; k < HALVINGS; k++, h /= 2) {
		boundary(h, z[0], z[1]);
		map_points(r, 4 * SIDE, (const double *[]){ z[0], z[1] }, (double *[]){ x[0], x[1] }, NULL);
		double ratio = area(4 * SIDE, x[0], x[1]) / (h * h);
		miss = fabs(ratio / fabs(det) - 1);
		off = 0;
		for (int i = 0; i < 4 * SIDE; i++) {
			double d0 = z[0][i] - centre[0], d1 = z[1][i] - centre[1];
			off = fmax(off, hypot(x[0][i] - x0[0] - J[0] * d0 - J[2] * d1, x[1][i] - x0[1] - J[1] * d0 - J[3] * d1));
		}
		printf("  %8.4f %14.6f %12.6f %14.2e %18.2e\n", h, ratio, fabs(det), miss, off);
		order[0] = log2(before[0] / miss);
		order[1] = log2(before[1] / off);
		before[0] = miss;
		before[1] = off;
	}
	printf("  orders in h, from the last two rows: area %.2f, linear map %.2f (both 2 in theory)\n", order[0], order[1]);
	change_judge(r, "relative miss of |det J| at the smallest side", miss, 2e-3);
	change_judge(r, "distance of the orders from 2", fmax(fabs(order[0] - 2), fabs(order[1] - 2)), 0.2);
}

/* Lines of a grid of this half width about the centre, separated by NaN; (LINE + 1) * LINES * 2 points. */
static int grid(double half, double *x, double *y)
{
	int n = 0;
	for (int way = 0; way < 2; way++)
		for (int l = 0; l < LINES; l++) {
			for (int i = 0; i < LINE; i++, n++) {
				double a = half * (2.0 * i / (LINE - 1) - 1), b = half * (2.0 * l / (LINES - 1) - 1);
				x[n] = centre[0] + (way ? b : a);
				y[n] = centre[1] + (way ? a : b);
			}
			x[n] = y[n] = NAN;
			n++;
		}
	return n;
}

static void draw(const change_run *r, const double x0[2], const double J[4])
{
	enum { N = (LINE + 1) * LINES * 2 };
	static double z[2][N], x[2][2][N], linear[2][2][N];
	static const double half[2] = { 1.5, 0.25 };
	static const char *const title[2] = { "the map bends space", "near a point it is linear" };
	lab_curve curve[2][2];
	lab_panel panel[2];
	lab_err err;
	for (int k = 0; k < 2; k++) {
		int n = grid(half[k], z[0], z[1]);
		map_points(r, n, (const double *[]){ z[0], z[1] }, (double *[]){ x[k][0], x[k][1] }, NULL);
		n = grid(0.25, z[0], z[1]);
		for (int i = 0; i < n; i++) {
			double d0 = z[0][i] - centre[0], d1 = z[1][i] - centre[1];
			linear[k][0][i] = x0[0] + J[0] * d0 + J[2] * d1;
			linear[k][1][i] = x0[1] + J[1] * d0 + J[3] * d1;
		}
		curve[k][0] = (lab_curve){ "image of a square grid", n, x[k][0], x[k][1], LAB_THIN };
		curve[k][1] = (lab_curve){ "best linear map, small grid", n, linear[k][0], linear[k][1], LAB_THIN };
		panel[k] = (lab_panel){ title[k], "x₁", "x₂", false, false, 2, curve[k], true };
	}
	change_figure(r, lab_figure_panels(change_path(r, "expansion.png"), "The determinant as local expansion", 2, 2, panel, &err),
	              "expansion.png", &err);
}

void change_expansion(change_run *r)
{
	double x0[2], J[4];
	printf("\n3. The plane: |det J| is how much the map x = f(z) enlarges a small cell about z = (%g, %g)\n\n", centre[0], centre[1]);
	map_points(r, 1, (const double *[]){ centre, centre + 1 }, (double *[]){ x0, x0 + 1 },
	           (double *[]){ J, J + 1, J + 2, J + 3 });
	double det = J[0] * J[3] - J[2] * J[1];
	printf("  J = [%.5f %.5f; %.5f %.5f] by two jvps, det J = %.6f\n", J[0], J[2], J[1], J[3], det);
	table(r, x0, J, det);
	draw(r, x0, J);
}
