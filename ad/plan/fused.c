/* A fused run of elementwise ops: block by block, temporaries in block registers that stay in L1. */
#include "plan.h"

#include <string.h>

size_t plan_fused_scratch(const plan_step *s)
{
	return (size_t)(s->nreg + s->nin) * PLAN_BLOCK * sizeof(double);
}

/* An input whose elements do not lie as the result's do: extents joined, lanes last. */
typedef struct {
	int rank;
	int64_t dim[AD_MAXRANK + 1], stride[AD_MAXRANK + 1];
} layout;

static layout join(const ad__arr *a, int64_t width)
{
	layout l = { 0 };
	for (int i = 0; i <= a->rank; i++) {
		int64_t n = i < a->rank ? a->dim[i] : width, st = i < a->rank ? a->stride[i] : a->lane;
		if (n == 1)
			continue;
		if (l.rank && l.stride[l.rank - 1] == n * st) {
			l.dim[l.rank - 1] *= n;
			l.stride[l.rank - 1] = st;
		} else {
			l.dim[l.rank] = n;
			l.stride[l.rank++] = st;
		}
	}
	if (!l.rank) {
		l.rank = 1;
		l.dim[0] = 1;
	}
	return l;
}

/* How an input is read: its elements lie as the result's do; all are one number; otherwise. */
enum { DENSE, ONE, STRIDED };

void plan_fused_how(plan_step *s)
{
	s->how = ad__malloc((size_t)s->nin);
	for (int i = 0; i < s->nin; i++) {
		const ad__arr *a = &s->arg[s->nout + i].a;
		bool still = true;
		for (int k = 0; k < a->rank; k++)
			still &= a->dim[k] == 1 || a->stride[k] == 0;
		s->how[i] = plan_contiguous(a) && a->lane == s->batched ? DENSE : still && !a->lane ? ONE : STRIDED;
	}
}

#define EXPAND(type)                                                                             \
	static void expand_##type(type *out, const type *p, const layout *l, int64_t lo, int64_t n) \
	{                                                                                        \
		int64_t at[AD_MAXRANK + 1], off = 0;                                             \
		int last = l->rank - 1;                                                          \
		for (int i = last; i >= 0; i--) {                                                \
			at[i] = lo % l->dim[i];                                                  \
			lo /= l->dim[i];                                                         \
			off += at[i] * l->stride[i];                                             \
		}                                                                                \
		const int64_t st = l->stride[last];                                              \
		while (n > 0) {                                                                  \
			int64_t m = l->dim[last] - at[last];                                     \
			if (m > n)                                                               \
				m = n;                                                           \
			const type *s = p + off;                                                 \
			if (st == 1) {                                                           \
				memcpy(out, s, (size_t)m * sizeof *out);                         \
			} else if (st == 0) {                                                    \
				type v = *s;                                                     \
				for (int64_t i = 0; i < m; i++)                                  \
					out[i] = v;                                              \
			} else {                                                                 \
				for (int64_t i = 0; i < m; i++)                                  \
					out[i] = s[i * st];                                      \
			}                                                                        \
			out += m;                                                                \
			n -= m;                                                                  \
			off -= at[last] * st;                                                    \
			at[last] = 0;                                                            \
			for (int i = last - 1; i >= 0; i--) {                                    \
				off += l->stride[i];                                             \
				if (++at[i] < l->dim[i])                                         \
					break;                                                   \
				off -= l->dim[i] * l->stride[i];                                 \
				at[i] = 0;                                                       \
			}                                                                        \
		}                                                                                \
	}
EXPAND(uint32_t)
EXPAND(uint64_t)

/* Elements lo to lo + n - 1, where they lie one after the other, or NULL. */
static const char *run_at(const char *p, const layout *l, int64_t lo, int64_t n, size_t size)
{
	int last = l->rank - 1;
	int64_t at = lo % l->dim[last], off = at * l->stride[last], rest = lo / l->dim[last];
	if (l->stride[last] != 1 || at + n > l->dim[last])
		return NULL;
	for (int i = last; i-- > 0; rest /= l->dim[i])
		off += rest % l->dim[i] * l->stride[i];
	return p + (size_t)off * size;
}

/* All blocks from lo on have the same elements. */
static bool recurs(const layout *l, int64_t lo)
{
	for (int i = 0; i + 1 < l->rank; i++)
		if (l->stride[i])
			return false;
	return PLAN_BLOCK % l->dim[l->rank - 1] == 0 && lo % l->dim[l->rank - 1] == 0;
}

static void expand(char *room, const char *p, const layout *l, int64_t lo, int64_t n, size_t size)
{
	if (size == 4)
		expand_uint32_t((uint32_t *)room, (const uint32_t *)p, l, lo, n);
	else
		expand_uint64_t((uint64_t *)room, (const uint64_t *)p, l, lo, n);
}

static void fill(char *to, const char *one, size_t size, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		if (size == 4)
			((uint32_t *)to)[i] = *(const uint32_t *)one;
		else
			((uint64_t *)to)[i] = *(const uint64_t *)one;
}

void plan_fused(const plan_step *s, const ad__arr arg[], ad__ctx *c, int64_t lo, int64_t hi)
{
	const ad_dtype d = arg[0].dtype;
	const size_t size = ad__size(d);
	const int64_t width = s->batched ? c->width : 1;
	const ad__kernels *k = c->k[d];
	char *reg = c->scratch, *loaded = reg + (size_t)s->nreg * PLAN_BLOCK * size;
	layout lay[s->nin + 1];
	bool ready[s->nin + 1]; /* in its room */
	const char *from[s->nout + s->nin];
	for (int i = 0; i < s->nin; i++) {
		const ad__arr *a = &arg[s->nout + i];
		char *room = loaded + (size_t)i * PLAN_BLOCK * size;
		int64_t n = hi - lo < PLAN_BLOCK ? hi - lo : PLAN_BLOCK;
		from[s->nout + i] = room;
		ready[i] = s->how[i] == ONE;
		if (s->how[i] == ONE)
			fill(room, a->p, size, n);
		if (s->how[i] != STRIDED)
			continue;
		lay[i] = join(a, width);
		ready[i] = recurs(&lay[i], lo);
		if (ready[i])
			expand(room, a->p, &lay[i], lo, n, size);
	}
	for (int64_t at = lo; at < hi; at += PLAN_BLOCK) {
		int64_t n = hi - at < PLAN_BLOCK ? hi - at : PLAN_BLOCK;
		for (int i = 0; i < s->nout; i++)
			from[i] = arg[i].p + (size_t)at * size;
		for (int i = 0; i < s->nin; i++) {
			const char *p = arg[s->nout + i].p;
			char *room = loaded + (size_t)i * PLAN_BLOCK * size;
			if (s->how[i] == DENSE)
				from[s->nout + i] = p + (size_t)at * size;
			if (s->how[i] == DENSE || ready[i])
				continue;
			from[s->nout + i] = run_at(p, &lay[i], at, n, size);
			if (from[s->nout + i])
				continue;
			from[s->nout + i] = room;
			expand(room, p, &lay[i], at, n, size);
		}
		for (int i = 0; i < s->nmicro; i++) {
			const plan_micro *m = &s->micro[i];
			const void *in[3] = { 0 };
			for (int j = 0; j < 3 && m->src[j] != INT32_MIN; j++)
				in[j] = m->src[j] >= 0 ? reg + (size_t)m->src[j] * PLAN_BLOCK * size : from[~m->src[j]];
			void *out = m->dst >= 0 ? reg + (size_t)m->dst * PLAN_BLOCK * size : (char *)from[~m->dst];
			k->ew[m->ew](n, out, in, m->a, m->b);
		}
	}
}
