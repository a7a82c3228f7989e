/* Strided copies and fills, elements of any size. */
#include "plan.h"

#include <string.h>

bool plan_contiguous(const ad__arr *a)
{
	int64_t n = 1;
	for (int i = a->rank; i-- > 0;) {
		if (a->dim[i] != 1 && a->stride[i] != n)
			return false;
		n *= a->dim[i];
	}
	return true;
}

typedef struct {
	int rank;
	int64_t dim[AD_MAXRANK + 1], to[AD_MAXRANK + 1], from[AD_MAXRANK + 1];
} loops;

/* Extents with the lanes last, neighbours joined where both sides allow. */
static loops collapse(const ad__arr *dst, const ad__arr *src, int64_t width)
{
	loops l = { 0 };
	for (int i = 0; i <= dst->rank; i++) {
		bool lane = i == dst->rank;
		int64_t n = lane ? (dst->lane ? width : 1) : dst->dim[i];
		int64_t to = lane ? dst->lane : dst->stride[i], from = lane ? src->lane : src->stride[i];
		if (n == 1)
			continue;
		if (l.rank && l.to[l.rank - 1] == n * to && l.from[l.rank - 1] == n * from) {
			l.dim[l.rank - 1] *= n;
			l.to[l.rank - 1] = to;
			l.from[l.rank - 1] = from;
			continue;
		}
		l.dim[l.rank] = n;
		l.to[l.rank] = to;
		l.from[l.rank++] = from;
	}
	if (!l.rank) {
		l.rank = 1;
		l.dim[0] = l.to[0] = l.from[0] = 1;
	}
	return l;
}

#define ROW(type)                                                      \
	static void row_##type(type *d, int64_t ds, const type *s, int64_t ss, int64_t n) \
	{                                                              \
		if (ds == 1 && ss == 1) {                              \
			memcpy(d, s, (size_t)n * sizeof *d);           \
		} else if (ss == 0) {                                  \
			type v = *s;                                   \
			for (int64_t i = 0; i < n; i++)                \
				d[i * ds] = v;                         \
		} else {                                               \
			for (int64_t i = 0; i < n; i++)                \
				d[i * ds] = s[i * ss];                 \
		}                                                      \
	}
ROW(uint32_t)
ROW(uint64_t)

static void walk(const loops *l, int k, char *d, const char *s, size_t size)
{
	if (k == l->rank - 1) {
		if (size == 4)
			row_uint32_t((uint32_t *)d, l->to[k], (const uint32_t *)s, l->from[k], l->dim[k]);
		else
			row_uint64_t((uint64_t *)d, l->to[k], (const uint64_t *)s, l->from[k], l->dim[k]);
		return;
	}
	for (int64_t i = 0; i < l->dim[k]; i++)
		walk(l, k + 1, d + i * l->to[k] * (int64_t)size, s + i * l->from[k] * (int64_t)size, size);
}

void ad__copy(const ad__arr *dst, const ad__arr *src, int64_t width)
{
	loops l = collapse(dst, src, width);
	walk(&l, 0, dst->p, src->p, ad__size(dst->dtype));
}

void ad__fill(const ad__arr *dst, double v, int64_t width)
{
	union {
		float f;
		double d;
		int32_t i;
	} u;
	if (dst->dtype == AD_F64)
		u.d = v;
	else if (dst->dtype == AD_F32)
		u.f = (float)v;
	else
		u.i = (int32_t)v;
	ad__arr src = *dst;
	src.p = (char *)&u;
	src.lane = 0;
	memset(src.stride, 0, sizeof src.stride);
	ad__copy(dst, &src, width);
}
