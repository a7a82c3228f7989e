/* The elementwise kernels: a loop round each value expression of ops.def and merged.def. */
#include "kernels.h"
#include "real.h"
#include "special.h"

static vec vpolygamma(double n, vec x)
{
	real v[VL];
	vstore(v, x);
	for (int i = 0; i < VL; i++)
		v[i] = (real)ad__polygamma((int)n, (double)v[i]);
	return vload(v);
}

/* The last n < VL elements, padded with the last one so that no lane computes on garbage. */
static inline vec load_tail(const real *p, int64_t n)
{
	real v[VL];
	for (int i = 0; i < VL; i++)
		v[i] = p[i < n ? i : n - 1];
	return vload(v);
}

static inline void store_tail(real *p, vec y, int64_t n)
{
	real v[VL];
	vstore(v, y);
	for (int64_t i = 0; i < n; i++)
		p[i] = v[i];
}

#define EW(name, value, declare, load, tail)                                                          \
	static void name(int64_t n, void *out, const void *const in[3], double a, double b)           \
	{                                                                                             \
		real *py = out;                                                                       \
		const vec A = vset((real)a), B = vset((real)b);                                       \
		(void)A, (void)B;                                                                     \
		declare;                                                                              \
		int64_t i = 0;                                                                        \
		for (; i + VL <= n; i += VL) {                                                        \
			load;                                                                         \
			vstore(py + i, value);                                                        \
		}                                                                                     \
		if (i < n) {                                                                          \
			tail;                                                                         \
			store_tail(py + i, value, n - i);                                             \
		}                                                                                     \
	}
#define IN1 const real *p0 = in[0]
#define IN2 const real *p0 = in[0], *p1 = in[1]
#define IN3 const real *p0 = in[0], *p1 = in[1], *p2 = in[2]
#define LOAD1 vec x = vload(p0 + i)
#define LOAD2 vec x = vload(p0 + i), y = vload(p1 + i)
#define LOAD3 vec x = vload(p0 + i), y = vload(p1 + i), z = vload(p2 + i)
#define TAIL1 vec x = load_tail(p0 + i, n - i)
#define TAIL2 vec x = load_tail(p0 + i, n - i), y = load_tail(p1 + i, n - i)
#define TAIL3 vec x = load_tail(p0 + i, n - i), y = load_tail(p1 + i, n - i), z = load_tail(p2 + i, n - i)

#define AD_EW1(name, value, ...) EW(ew_##name, value, IN1, LOAD1, TAIL1)
#define AD_EW1A AD_EW1
#define AD_EW1AB AD_EW1
#define OF_2(name, value, ...) EW(ew_##name, value, IN2, LOAD2, TAIL2)
#define OF_3(name, value, ...) EW(ew_##name, value, IN3, LOAD3, TAIL3)
#define AD_EW2 OF_2
#define AD_EW3 OF_3
#include "../ops.def"
#undef AD_EW1
#undef AD_EW1A
#undef AD_EW1AB
#undef AD_EW2
#undef AD_EW3
#define AD_MERGED2 OF_2
#define AD_MERGED3 OF_3
#include "../merged.def"

void K(elementwise)(ad__ew_kernel *table[AD__EW_COUNT]);
void K(elementwise)(ad__ew_kernel *table[AD__EW_COUNT])
{
#define AD_EW1(name, ...) table[AD__EW_##name] = ew_##name;
#define AD_EW1A AD_EW1
#define AD_EW1AB AD_EW1
#define AD_EW2 AD_EW1
#define AD_EW3 AD_EW1
#include "../ops.def"
#undef AD_MERGED2
#undef AD_MERGED3
#define AD_MERGED2 AD_EW1
#define AD_MERGED3 AD_EW1
#include "../merged.def"
}
