/* The table of one real type and instruction set. */
#include "kernels.h"
#include "real.h"

void K(elementwise)(ad__ew_kernel *table[AD__EW_COUNT]);
#define AD_KERNEL(name, args) void K(name) args;
#include "kernels.def"
#undef AD_KERNEL

const ad__kernels *K(table)(void);
const ad__kernels *K(table)(void)
{
	static ad__kernels t;
	if (!t.isa) {
		K(elementwise)(t.ew);
#define STRING_(s) #s
#define STRING(s) STRING_(s)
/* Kernels are called through prototypes that differ only in real* against void*. */
#define AD_KERNEL(name, args) t.name = (__typeof__(t.name))(void (*)(void))K(name);
#include "kernels.def"
		t.isa = STRING(ISA);
	}
	return &t;
}
