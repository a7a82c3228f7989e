/* energies.c - 2-D energies with known normalisers. */
#include "energies.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

static ad_var coordinate(ad_var x, int k)
{
	return ad_squeeze(ad_slice(x, 1, k, k + 1), 1);
}

/* ((v - at) / sd)^2 / 2 */
static ad_var well(ad_var v, double at, double sd)
{
	return ad_scale(ad_square(ad_scale(ad_shift(v, -at), 1 / sd)), 0.5);
}

/* -log(exp(-a) + exp(-b)) */
static ad_var either(ad_var a, ad_var b)
{
	return ad_sub(a, ad_softplus(ad_sub(a, b)));
}

static ad_var fenced(ad_var u, ad_var x)
{
	return ad_add(u, ad_sum(ad_square(ad_relu(ad_shift(ad_abs(x), -6))), AD_EVENT));
}

static ad_var wave(ad_var x)
{
	return ad_sub(coordinate(x, 1), ad_sin(ad_scale(coordinate(x, 0), PI / 2)));
}

static ad_var u1(ad_var x)
{
	ad_var ring = well(ad_norm(x, AD_AXIS(1)), 2, 0.4), x1 = coordinate(x, 0);
	return fenced(ad_add(ring, either(well(x1, 2, 0.6), well(x1, -2, 0.6))), x);
}

static ad_var u2(ad_var x)
{
	return fenced(well(wave(x), 0, 0.4), x);
}

static ad_var u3(ad_var x)
{
	ad_var bump = ad_scale(ad_exp(ad_neg(well(coordinate(x, 0), 1, 0.6))), 3), v = wave(x);
	return fenced(either(well(v, 0, 0.35), well(ad_add(v, bump), 0, 0.35)), x);
}

static ad_var u4(ad_var x)
{
	ad_var step = ad_scale(ad_sigmoid(ad_scale(ad_shift(coordinate(x, 0), -1), 1 / 0.3)), 3), v = wave(x);
	return fenced(either(well(v, 0, 0.4), well(ad_add(v, step), 0, 0.35)), x);
}

const lab_energy lab_energies[] = {
	{ "U1", "two modes on a ring", u1, 1.8775016 },
	{ "U2", "a sine wave", u2, 2.6253183 },
	{ "U3", "a sine wave that splits and joins again", u3, 3.1849341 },
	{ "U4", "a sine wave that forks", u4, 3.2539270 },
	{ 0 },
};

const lab_energy *lab_energy_named(const char *name)
{
	const lab_energy *e = lab_energies;
	while (e->name && strcmp(e->name, name))
		e++;
	return e->name ? e : NULL;
}
