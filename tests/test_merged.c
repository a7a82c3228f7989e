/* test_merged.c - every row of merged.def: two ops become one, with the bits of the two, on every instruction set and in both
 * precisions. */
#include "program.h"

enum { WIDE = 7, SAMPLES = 70 };

typedef ad_var expression(ad_var x, ad_var y, ad_var z);

static ad_var mul_slope(ad_var x, ad_var y, ad_var z) { return (void)z, ad_mul(x, ad_one_minus_square(y)); }
static ad_var slope_mul(ad_var x, ad_var y, ad_var z) { return (void)z, ad_mul(ad_one_minus_square(y), x); }
static ad_var scale_mul(ad_var x, ad_var y, ad_var z) { return (void)z, ad_scale(ad_mul(x, y), -1.7); }
static ad_var add_scale(ad_var x, ad_var y, ad_var z) { return (void)z, ad_add(x, ad_scale(y, 0.3)); }
static ad_var scale_add(ad_var x, ad_var y, ad_var z) { return (void)z, ad_add(ad_scale(y, 0.3), x); }
static ad_var add_scale_mul(ad_var x, ad_var y, ad_var z) { return ad_add(x, ad_scale(ad_mul(y, z), -2.1)); }
static ad_var tanh_back(ad_var x, ad_var y, ad_var z)
{
	return ad_mul(ad_add(y, ad_scale(ad_mul(z, x), -2.1)), ad_one_minus_square(x));
}
static ad_var tanh_back_turned(ad_var x, ad_var y, ad_var z)
{
	return ad_mul(ad_one_minus_square(x), ad_add(ad_scale(ad_mul(x, z), -2.1), y));
}
static ad_var add_slope(ad_var x, ad_var y, ad_var z) { return ad_mul(ad_add(y, z), ad_one_minus_square(x)); }
static ad_var add_mul(ad_var x, ad_var y, ad_var z) { return ad_add(x, ad_mul(y, z)); }
static ad_var sub_mul(ad_var x, ad_var y, ad_var z) { return ad_sub(x, ad_mul(y, z)); }
static ad_var mul_add(ad_var x, ad_var y, ad_var z) { return ad_mul(x, ad_add(y, z)); }
static ad_var mul_mul(ad_var x, ad_var y, ad_var z) { return ad_mul(ad_mul(z, x), y); }
static ad_var add_add(ad_var x, ad_var y, ad_var z) { return ad_add(ad_add(x, y), z); }
/* What is left of these is more than one op: the difference the other way round, a factor that is another one, what is read
 * twice, and more than two in a row. */
static ad_var mul_sub(ad_var x, ad_var y, ad_var z) { return ad_sub(ad_mul(y, z), x); }
static ad_var other_slope(ad_var x, ad_var y, ad_var z)
{
	return ad_mul(ad_add(x, ad_scale(ad_mul(y, z), -2.1)), ad_one_minus_square(x));
}
static ad_var twice(ad_var x, ad_var y, ad_var z)
{
	ad_var m = ad_mul(y, z);
	return ad_sub(ad_add(x, m), m);
}
static ad_var four(ad_var x, ad_var y, ad_var z) { return ad_mul(ad_mul(x, y), ad_mul(z, x)); }

typedef struct {
	const char *row; /* of merged.def, or NULL */
	expression *make;
	int left; /* ops */
} merger;

static const merger mergers[] = {
	{ "mul_slope", mul_slope, 1 },         { "mul_slope", slope_mul, 1 },
	{ "scale_mul", scale_mul, 1 },         { "add_scale", add_scale, 1 },
	{ "add_scale", scale_add, 1 },         { "add_scale_mul", add_scale_mul, 1 },
	{ "tanh_back", tanh_back, 1 },         { "tanh_back", tanh_back_turned, 1 },
	{ "add_slope", add_slope, 1 },         { "add_mul", add_mul, 1 },
	{ "sub_mul", sub_mul, 1 },             { "mul_add", mul_add, 1 },
	{ "mul_mul", mul_mul, 1 },             { "add_add", add_add, 1 },
	{ NULL, mul_sub, 2 },                  { NULL, other_slope, 2 },
	{ NULL, twice, 3 },                    { NULL, four, 2 },
};
#define MERGERS (int)(sizeof mergers / sizeof *mergers)

static void every_row(void **state)
{
	static const char *const rows[] = {
#define AD_MERGED2(name, ...) #name,
#define AD_MERGED3 AD_MERGED2
#include "ad/merged.def"
#undef AD_MERGED2
#undef AD_MERGED3
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bool here = false;
		for (int k = 0; k < MERGERS; k++)
			here |= mergers[k].row && !strcmp(mergers[k].row, rows[i]);
		if (!here)
			fail_msg("%s is not tested", rows[i]);
	}
}

static void has_ops(const program *g, int n, int which)
{
	char *text = NULL, want[32];
	size_t size;
	FILE *f = open_memstream(&text, &size);
	ad_prog_print(g->p, f);
	fclose(f);
	snprintf(want, sizeof want, "fused x%d ", n);
	if (!strstr(text, want))
		fail_msg("expression %d: not %d ops in\n%s", which, n, text);
	free(text);
}

static program program_of(const merger *m, ad_dtype d, void *const v[3], ad_options o)
{
	program g = program_on(d, SAMPLES);
	for (int i = 0; i < 3; i++)
		program_in(&g, d, AD_SHAPE(AD_BATCH, WIDE), v[i]);
	program_out(&g, m->make(g.in[0], g.in[1], g.in[2]));
	program_run(&g, o);
	return g;
}

static void same_bits_with(const char *isa, ad_dtype d)
{
	void *v[3];
	for (int i = 0; i < 3; i++) {
		double *x = numbers(SAMPLES * WIDE, -1.5, 1.5, (uint64_t)i + 1);
		v[i] = x;
		if (d == AD_F64)
			continue;
		float *narrow = malloc(SAMPLES * WIDE * sizeof *narrow);
		for (int k = 0; k < SAMPLES * WIDE; k++)
			narrow[k] = (float)x[k];
		free(x);
		v[i] = narrow;
	}
	for (int k = 0; k < MERGERS; k++) {
		program one = program_of(&mergers[k], d, v, (ad_options){ .threads = 1, .isa = isa });
		program apart = program_of(&mergers[k], d, v, (ad_options){ .threads = 1, .isa = isa, .no_fusion = true });
		has_ops(&one, mergers[k].left, k);
		assert_memory_equal(ad_result(one.p, 0), ad_result(apart.p, 0), SAMPLES * WIDE * (d == AD_F64 ? 8 : 4));
		program_free(&one);
		program_free(&apart);
	}
	for (int i = 0; i < 3; i++)
		free(v[i]);
}

static void same_bits(void **state)
{
	(void)state;
	static const char *const isas[] = { "plain", "base", "v3", "v4" };
	for (int i = 0; i < 4; i++)
		if (machine_has(isas[i])) {
			same_bits_with(isas[i], AD_F64);
			same_bits_with(isas[i], AD_F32);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_row), cmocka_unit_test(same_bits) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
