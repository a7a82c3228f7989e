/* densities.c - 2-D densities with exact generators and known entropies
 *
 * Point number index of a seed is a function of the two alone.  Shapes follow the toy sets that the literature on
 * flows draws (FFJORD, Residual Flows, Neural Spline Flows); the entropies are those of 2e8 points counted on a grid
 * of 0.02, with the bias of counting (Miller-Madow) and of the cell size (Richardson) taken off. */
#include <math.h>
#include <string.h>

#include "ad/ad.h"
#include "data.h"

#define PI 3.14159265358979323846
#define STREAM 0x6c61622f64656e73u

typedef struct {
	uint64_t seed, index, uniforms, normals;
} source;

static double uniform(source *s) { return ad_noise_uniform(s->seed, s->index, STREAM, s->uniforms++); }
static double normal(source *s) { return ad_noise_normal(s->seed, s->index, STREAM + 1, s->normals++); }
static int below(source *s, int n) { return (int)fmin(uniform(s) * n, n - 1); }

static void spread(source *s, double x[2], double sd)
{
	x[0] += sd * normal(s);
	x[1] += sd * normal(s);
}

static void gaussians8(uint64_t seed, uint64_t index, double x[2])
{
	source s = { seed, index, 0, 0 };
	double a = below(&s, 8) * PI / 4;
	x[0] = 4 * cos(a);
	x[1] = 4 * sin(a);
	spread(&s, x, 0.5);
	x[0] /= 1.414;
	x[1] /= 1.414;
}

static void checkerboard(uint64_t seed, uint64_t index, double x[2])
{
	source s = { seed, index, 0, 0 };
	double a = 4 * uniform(&s) - 2, b = uniform(&s) - 2 * below(&s, 2);
	x[0] = 2 * a;
	x[1] = 2 * (b + ((int)floor(a) & 1));
}

static void spirals2(uint64_t seed, uint64_t index, double x[2])
{
	source s = { seed, index, 0, 0 };
	double n = sqrt(uniform(&s)) * 540 * 2 * PI / 360, sign = below(&s, 2) ? 1 : -1;
	x[0] = sign * (-cos(n) * n + 0.5 * uniform(&s)) / 3;
	x[1] = sign * (sin(n) * n + 0.5 * uniform(&s)) / 3;
	spread(&s, x, 0.1);
}

static void pinwheel(uint64_t seed, uint64_t index, double x[2])
{
	source s = { seed, index, 0, 0 };
	double arm = 2 * PI * below(&s, 5) / 5, f = 1 + 0.3 * normal(&s), g = 0.1 * normal(&s);
	double a = arm + 0.25 * exp(f);
	x[0] = 2 * (f * cos(a) + g * sin(a));
	x[1] = 2 * (-f * sin(a) + g * cos(a));
}

static void swissroll(uint64_t seed, uint64_t index, double x[2])
{
	source s = { seed, index, 0, 0 };
	double t = 1.5 * PI * (1 + 2 * uniform(&s));
	x[0] = t * cos(t);
	x[1] = t * sin(t);
	spread(&s, x, 1);
	x[0] /= 5;
	x[1] /= 5;
}

static void circles(uint64_t seed, uint64_t index, double x[2])
{
	source s = { seed, index, 0, 0 };
	double r = below(&s, 2) ? 1 : 0.5, a = 2 * PI * uniform(&s);
	x[0] = r * cos(a);
	x[1] = r * sin(a);
	spread(&s, x, 0.08);
	x[0] *= 3;
	x[1] *= 3;
}

static void rings(uint64_t seed, uint64_t index, double x[2])
{
	source s = { seed, index, 0, 0 };
	double r = 0.75 * (1 + below(&s, 4)), a = 2 * PI * uniform(&s);
	x[0] = r * cos(a);
	x[1] = r * sin(a);
	spread(&s, x, 0.08);
}

static void moons(uint64_t seed, uint64_t index, double x[2])
{
	source s = { seed, index, 0, 0 };
	int lower = below(&s, 2);
	double t = PI * uniform(&s);
	x[0] = lower ? 1 - cos(t) : cos(t);
	x[1] = lower ? 0.5 - sin(t) : sin(t);
	spread(&s, x, 0.1);
	x[0] = 2 * x[0] - 1;
	x[1] = 2 * x[1] - 0.2;
}

const lab_density lab_densities[] = {
	{ "8gaussians", 2.832, 1e-3, gaussians8, "eight Gaussians on a circle" },
	{ "checkerboard", 3.4657359027997265, 0, checkerboard, "uniform on eight squares; entropy exactly ln 32" },
	{ "2spirals", 2.645, 1e-3, spirals2, "two interleaved spirals" },
	{ "pinwheel", 2.318, 1e-3, pinwheel, "five bent arms" },
	{ "swissroll", 2.670, 1e-3, swissroll, "one noisy spiral" },
	{ "circles", 3.268, 1e-3, circles, "two concentric circles" },
	{ "rings", 2.623, 1e-3, rings, "four concentric circles" },
	{ "moons", 2.394, 1e-3, moons, "two interleaved half circles" },
	{ 0 },
};

const lab_density *lab_density_named(const char *name)
{
	for (const lab_density *d = lab_densities; d->name; d++)
		if (!strcmp(d->name, name))
			return d;
	return NULL;
}
