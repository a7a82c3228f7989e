/* number.c - stored numbers of every size, kind and byte order as doubles */
#include <math.h>
#include <string.h>

#include "load.h"

static uint64_t bits(const unsigned char *p, int size, bool big)
{
	uint64_t v = 0;
	for (int k = 0; k < size; k++)
		v = v << 8 | p[big ? k : size - 1 - k];
	return v;
}

static double half(uint64_t v)
{
	int e = (int)(v >> 10 & 31), m = (int)(v & 1023);
	double x = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
	return v >> 15 ? -x : x;
}

static double get_f2(const unsigned char *p, bool big) { return half(bits(p, 2, big)); }

static double get_f4(const unsigned char *p, bool big)
{
	uint32_t v = (uint32_t)bits(p, 4, big);
	float x;
	memcpy(&x, &v, sizeof x);
	return x;
}

static double get_f8(const unsigned char *p, bool big)
{
	uint64_t v = bits(p, 8, big);
	double x;
	memcpy(&x, &v, sizeof x);
	return x;
}

static double get_i1(const unsigned char *p, bool big) { return (int8_t)bits(p, 1, big); }
static double get_i2(const unsigned char *p, bool big) { return (int16_t)bits(p, 2, big); }
static double get_i4(const unsigned char *p, bool big) { return (int32_t)bits(p, 4, big); }
static double get_i8(const unsigned char *p, bool big) { return (double)(int64_t)bits(p, 8, big); }
static double get_u1(const unsigned char *p, bool big) { return (double)bits(p, 1, big); }
static double get_u2(const unsigned char *p, bool big) { return (double)bits(p, 2, big); }
static double get_u4(const unsigned char *p, bool big) { return (double)bits(p, 4, big); }
static double get_u8(const unsigned char *p, bool big) { return (double)bits(p, 8, big); }
static double get_b1(const unsigned char *p, bool big) { return bits(p, 1, big) != 0; }

static const struct {
	char kind;
	int size;
	lab__get *get;
} getters[] = {
	{ 'f', 2, get_f2 }, { 'f', 4, get_f4 }, { 'f', 8, get_f8 }, { 'i', 1, get_i1 }, { 'i', 2, get_i2 },
	{ 'i', 4, get_i4 }, { 'i', 8, get_i8 }, { 'u', 1, get_u1 }, { 'u', 2, get_u2 }, { 'u', 4, get_u4 },
	{ 'u', 8, get_u8 }, { 'b', 1, get_b1 },
};

lab__get *lab__getter(char kind, int size)
{
	for (size_t k = 0; k < sizeof getters / sizeof *getters; k++)
		if (getters[k].kind == kind && getters[k].size == size)
			return getters[k].get;
	return NULL;
}
