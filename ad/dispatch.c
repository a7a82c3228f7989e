/* The instruction set is chosen once, by what the processor says. */
#include "ad.h"
#include "kernels/kernels.h"

#include <stdlib.h>
#include <string.h>
#if defined __x86_64__
#include <sleef.h>
#endif

char *openblas_get_corename(void);
char *openblas_get_config(void);

const ad__kernels *ad__k_table_plain_32(void);
const ad__kernels *ad__k_table_plain_64(void);
#if defined __x86_64__
const ad__kernels *ad__k_table_base_32(void);
const ad__kernels *ad__k_table_base_64(void);
const ad__kernels *ad__k_table_v3_32(void);
const ad__kernels *ad__k_table_v3_64(void);
const ad__kernels *ad__k_table_v4_32(void);
const ad__kernels *ad__k_table_v4_64(void);

static int has_v3(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}

static int has_v4(void)
{
	return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

static int always(void) { return 1; }

/* Best first; plain C serves where nothing else does, or on demand. */
static const struct {
	const char *name;
	int (*present)(void);
	const ad__kernels *(*table[2])(void);
} isas[] = {
#if defined __x86_64__
	{ "v4", has_v4, { ad__k_table_v4_32, ad__k_table_v4_64 } },
	{ "v3", has_v3, { ad__k_table_v3_32, ad__k_table_v3_64 } },
	{ "base", always, { ad__k_table_base_32, ad__k_table_base_64 } },
#endif
	{ "plain", always, { ad__k_table_plain_32, ad__k_table_plain_64 } },
};

const ad__kernels *ad__kernels_for(int bits, const char *isa)
{
	if (!isa)
		isa = getenv("FLOWTAPE_ISA");
	for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
		if ((!isa || !*isa || !strcmp(isa, isas[i].name)) && isas[i].present())
			return isas[i].table[bits == 64]();
	return NULL;
}

const char *ad_isa(void)
{
	const ad__kernels *k = ad__kernels_for(64, NULL);
	return k ? k->isa : "none";
}

const char *ad_blas(void) { return openblas_get_corename(); }

const char *ad_blas_build(void) { return openblas_get_config(); }

const char *ad_sleef(void)
{
#define TEXT(x) #x
#define VERSION(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)
#ifdef SLEEF_VERSION_MAJOR
	return VERSION(SLEEF_VERSION_MAJOR, SLEEF_VERSION_MINOR, SLEEF_VERSION_PATCHLEVEL);
#else
	return "none";
#endif
}
