/* spline.c - the rational-quadratic spline of one element for all lanes: value and log-slope, and their derivatives. */
#include "kernels.h"
#include "real.h"

#define AD_KERNEL(name, args) void K(name) args;
#include "kernels.def"
#undef AD_KERNEL
#define INLINE static inline __attribute__((always_inline))

/* The raw numbers of up to VL lanes.  dense: the lanes lie side by side, and all VL are there. */
typedef struct {
	const real *p;
	int64_t step, lane, n;
	int count;
	bool dense;
} numbers;

INLINE vec fetch(const real *p, int64_t lane, int64_t n)
{
	if (lane && n >= VL)
		return vload(p);
	real v[VL];
	for (int i = 0; i < VL; i++)
		v[i] = p[lane * (i < n ? i : n - 1)];
	return vload(v);
}

INLINE void put(real *p, vec v, int64_t n)
{
	if (n >= VL) {
		vstore(p, v);
		return;
	}
	real t[VL];
	vstore(t, v);
	for (int64_t i = 0; i < n; i++)
		p[i] = t[i];
}

INLINE numbers numbers_of(const ad__rq *o, const real *p, int64_t step, int64_t lane, int64_t n)
{
	return (numbers){ p, step, lane, n, 3 * o->bins + (o->ends ? 1 : -1), lane && n >= VL };
}

INLINE vec number(const numbers *r, int k)
{
	const real *p = r->p + k * r->step;
	return r->dense ? vload(p) : fetch(p, r->lane, r->n);
}

/* The numbers of the next element lie behind those of this one, too far apart for the processor to see it. */
INLINE vec first_number(const numbers *r, int k)
{
	__builtin_prefetch(r->p + (k + r->count) * r->step);
	return number(r, k);
}

/* A softmax of K numbers: its terms e, which `norm` makes add up to 1; sizes are least + norm spread e. */
typedef struct {
	vec *e, norm, spread, least;
	real scale;
} sizes;

INLINE sizes sizes_of(const numbers *r, int first, int K, double scale, double least, vec *e)
{
	sizes s = { .e = e, .least = vset((real)least), .spread = vset((real)(1 - least * K)), .scale = (real)scale };
	vec top = first_number(r, first), sum = vset(0), f = vset(s.scale);
	e[0] = top;
	for (int k = 1; k < K; k++) {
		e[k] = first_number(r, first + k);
		top = vmax(e[k], top);
	}
	for (int k = 0; k < K; k++) {
		e[k] = vexp_below((e[k] - top) * f);
		sum = sum + e[k];
	}
	s.norm = vset(1) / sum;
	return s;
}

INLINE vec size(const sizes *s, int k) { return s->least + s->spread * (s->e[k] * s->norm); }

/* The ends of the bin.  below[k]: inner knot k is at or below u; found here, or given. */
INLINE void ends_of(const sizes *s, int K, bool search, vec u, vmask *below, vec *lo, vec *hi)
{
	vec c = size(s, 0);
	*lo = vset(0);
	*hi = c;
	for (int k = 1; k < K; k++) {
		if (search)
			below[k] = VCMP(u, >=, c);
		*lo = vsel(below[k], c, *lo);
		c = k == K - 1 ? vset(1) : c + size(s, k);
		*hi = vsel(below[k], c, *hi);
	}
}

/* Everything about the bin; r0, r1: raw slopes, d0, d1: slopes. */
typedef struct {
	sizes w, h;
	vmask in, *below;
	vec u, x0, y0, w1, iw, h1, s, r0, r1, d0, d1, t;
} bin;

INLINE vec raw_slope(const ad__rq *o, int K, const numbers *r, int k, vec outer)
{
	if (o->ends)
		return first_number(r, 2 * K + k);
	return k == 0 || k == K ? outer : first_number(r, 2 * K + k - 1);
}

/* The root of a t^2 + b t = s u in the form that does not cancel; see flows/spline_rq.c. */
INLINE vec root(const bin *b, vec u, vec v)
{
	vec two = vset(2), su = b->s * u * two, g = b->d0 * v - b->d1 * u, lin = g + su;
	vec d = vsqrt(g * g + b->s * b->s * (u * v) * vset(4));
	vmask pos = VCMP(lin, >, vset(0));
	return vsel(pos, su, d - lin) / vsel(pos, lin + d, (b->h1 * b->s - lin) * two);
}

INLINE bin bin_of(const ad__rq *o, int K, const numbers *r, vec x, vec *room)
{
	bin b;
	real lo = (real)o->lo, side = (real)o->side;
	b.in = VCMP(x, >=, vset(lo)) & VCMP(x, <=, vset((real)(o->lo + o->side)));
	b.u = vsel(b.in, (x - vset(lo)) * vset((real)(1 / (double)side)), vset((real)0.5));
	b.below = (vmask *)(room + 2 * K);
	b.w = sizes_of(r, 0, K, o->width_scale, o->min_width, room);
	b.h = sizes_of(r, K, K, o->height_scale, o->min_height, room + K);
	vec x1, y1;
	if (o->inverse) {
		ends_of(&b.h, K, true, b.u, b.below, &b.y0, &y1);
		ends_of(&b.w, K, false, b.u, b.below, &b.x0, &x1);
	} else {
		ends_of(&b.w, K, true, b.u, b.below, &b.x0, &x1);
		ends_of(&b.h, K, false, b.u, b.below, &b.y0, &y1);
	}
	vec outer = vset((real)o->outer), least = vset((real)o->min_derivative), next = raw_slope(o, K, r, 1, outer);
	b.r0 = raw_slope(o, K, r, 0, outer);
	b.r1 = next;
	for (int k = 1; k < K; k++) {
		b.r0 = vsel(b.below[k], next, b.r0);
		next = raw_slope(o, K, r, k + 1, outer);
		b.r1 = vsel(b.below[k], next, b.r1);
	}
	b.d0 = vsoftplus(b.r0) + least;
	b.d1 = vsoftplus(b.r1) + least;
	b.w1 = x1 - b.x0;
	b.h1 = y1 - b.y0;
	b.iw = vset(1) / b.w1;
	b.s = b.h1 * b.iw;
	b.t = o->inverse ? root(&b, b.u - b.y0, y1 - b.u) : (b.u - b.x0) * b.iw;
	return b;
}

/* y = y0 + h (s t^2 + d0 q) / den and slope = S (s / den)^2,  q = t (1 - t),  den = s + (d0 + d1 - 2s) q,
 * S = d1 t^2 + 2 s q + d0 (1 - t)^2 */
typedef struct {
	vec q, r, e, num, iden, S;
} quadratic;

INLINE quadratic quadratic_of(const bin *b)
{
	quadratic f;
	vec two = vset(2);
	f.r = vset(1) - b->t;
	f.q = b->t * f.r;
	f.e = (b->d0 + b->d1) - b->s * two;
	f.iden = vset(1) / (b->s + f.e * f.q);
	f.num = b->s * (b->t * b->t) + b->d0 * f.q;
	f.S = (b->d1 * (b->t * b->t) + b->s * f.q * two) + b->d0 * (f.r * f.r);
	return f;
}

INLINE vec slope(const bin *b, const quadratic *f)
{
	vec k = b->s * f->iden;
	return f->S * k * k;
}

INLINE void value(const ad__rq *o, int K, const numbers *r, vec x, real *y, real *logslope, vec *room)
{
	bin b = bin_of(o, K, r, x, room);
	quadratic f = quadratic_of(&b);
	vec v = o->inverse ? b.x0 + b.t * b.w1 : b.y0 + b.h1 * (f.num * f.iden);
	/* Rounding must not leave the box, where the next layer has another slope. */
	v = vsel(VCMP(v, <, vset(0)), vset(0), vsel(VCMP(v, >, vset(1)), vset(1), v));
	vec l = vlog(slope(&b, &f));
	put(y, vsel(b.in, v * vset((real)o->side) + vset((real)o->lo), x), r->n);
	put(logslope, vsel(b.in, o->inverse ? -l : l, vset(0)), r->n);
}

/* Most splines have 8 bins: with their number known, what belongs to them stays in registers. */
enum { USUAL = 8 };

void K(rq_spline)(const ad__rq *o, int64_t lanes, const real *x, int64_t xlane, const real *p, int64_t step, int64_t plane,
                  real *y, real *logslope, void *scratch)
{
	for (int64_t l = 0; l < lanes; l += VL) {
		numbers r = numbers_of(o, p + l * plane, step, plane, lanes - l);
		vec at = fetch(x + l * xlane, xlane, lanes - l), room[3 * USUAL];
		if (r.dense && o->bins == USUAL)
			value(o, USUAL, &r, at, y + l, logslope + l, room);
		else
			value(o, o->bins, &r, at, y + l, logslope + l, scratch);
	}
}

/* Cotangents of the bin's quantities. */
typedef struct {
	vec t, s, h, y0, d0, d1;
} pull;

/* From those of y (in the unit box) and of the log-slope, both forward. */
INLINE pull pull_of(const bin *b, const quadratic *f, vec gy, vec gl)
{
	vec two = vset(2), F = f->num * f->iden, turn = vset(1) - b->t * two;
	vec gnum = gy * b->h1 * f->iden, gden = -(gnum * F) - gl * two * f->iden;
	vec gS = gl / f->S, gs = gl / b->s;
	vec gq = (gnum * b->d0 + gden * f->e) + gS * b->s * two, ge = gden * f->q, tt = b->t * b->t;
	return (pull){
		.y0 = gy,
		.h = gy * F,
		.s = ((gnum * tt + gden) - ge * two) + (gS * f->q * two + gs * two),
		.d0 = (gnum * f->q + ge) + gS * (f->r * f->r),
		.d1 = ge + gS * tt,
		.t = (gnum * b->s * b->t * two + gq * turn) + (gS * b->d1 * b->t - gS * b->d0 * f->r) * two,
	};
}

/* Through the softmax: g0 and g1 are the cotangents of the bin's lower and upper end, that is of the sums of the sizes up to
 * them; the last upper end is fixed. */
INLINE void put_sizes(const sizes *s, int K, const vmask *below, vec g0, vec g1, real *out, int64_t step, int64_t n)
{
	vec last = K > 1 ? vsel(below[K - 1], vset(0), g1) : vset(0), all = g0 + last, mean = vset(0);
	vec f = vset(s->scale) * s->spread;
	/* Bins below have both, the bin itself the upper end's. */
	for (int k = 0; k < K; k++) {
		vec g = last;
		if (k + 1 < K)
			g = vsel(below[k + 1], all, g);
		if (k > 0)
			g = vsel(below[k], g, vset(0));
		s->e[k] = s->e[k] * s->norm;
		mean = mean + g * s->e[k];
	}
	for (int k = 0; k < K; k++) {
		vec g = last;
		if (k + 1 < K)
			g = vsel(below[k + 1], all, g);
		if (k > 0)
			g = vsel(below[k], g, vset(0));
		put(out + k * step, s->e[k] * (g - mean) * f, n);
	}
}

INLINE void put_slopes(const ad__rq *o, int K, const bin *b, vec g0, vec g1, real *out, int64_t step, int64_t n)
{
	int first = o->ends ? 0 : 1;
	g0 = g0 * vsigmoid(b->r0);
	g1 = g1 * vsigmoid(b->r1);
	for (int k = first; k <= K - first; k++) {
		/* knot k is the lower end of bin k, the upper one of bin k - 1 */
		vec lower = k < K ? g0 : vset(0), upper = k > 0 ? g1 : vset(0), g;
		if (k > 0 && k < K)
			g = vsel(b->below[k], lower, upper);
		else
			g = k ? upper : lower;
		if (k > 1)
			g = vsel(b->below[k - 1], g, vset(0));
		if (k + 1 < K)
			g = vsel(b->below[k + 1], vset(0), g);
		put(out + (k - first) * step, g, n);
	}
}

INLINE void derivative(const ad__rq *o, int K, const numbers *r, vec x, vec gy, vec gl, real *gx, real *gp, int64_t step,
                       vec *room)
{
	bin b = bin_of(o, K, r, x, room);
	quadratic f = quadratic_of(&b);
	vec side = vset((real)o->side), gv = vsel(b.in, gy * side, vset(0)), gm = vsel(b.in, gl, vset(0)), gx0, gw, gu;
	pull g;
	if (o->inverse) {
		/* t solves y(t) = u, so that dt = (du - dy) / y'(t) */
		vec turn = vset(1) - b.t * vset(2);
		vec lt = (b.d1 * b.t - b.d0 * f.r + b.s * turn) * vset(2) / f.S - f.e * turn * vset(2) * f.iden;
		gu = (gv * b.w1 - gm * lt) / (b.w1 * slope(&b, &f));
		g = pull_of(&b, &f, -gu, -gm);
		gx0 = gv;
		gw = gv * b.t;
	} else {
		g = pull_of(&b, &f, gv, gm);
		gu = g.t * b.iw;
		gx0 = -gu;
		gw = -(gu * b.t);
	}
	vec gs = g.s * b.iw, gh = g.h + gs;
	gw = gw - gs * b.s;
	put(gx, vsel(b.in, gu * vset((real)(1 / o->side)), gy), r->n);
	put_sizes(&b.w, K, b.below, gx0 - gw, gw, gp, step, r->n);
	put_sizes(&b.h, K, b.below, g.y0 - gh, gh, gp + K * step, step, r->n);
	put_slopes(o, K, &b, g.d0, g.d1, gp + 2 * K * step, step, r->n);
}

void K(rq_spline_vjp)(const ad__rq *o, int64_t lanes, const real *x, int64_t xlane, const real *p, int64_t step, int64_t plane,
                      const real *gy, const real *gl, int64_t glane, real *gx, real *gp, int64_t gstep, void *scratch)
{
	for (int64_t l = 0; l < lanes; l += VL) {
		int64_t n = lanes - l;
		numbers r = numbers_of(o, p + l * plane, step, plane, n);
		vec at = fetch(x + l * xlane, xlane, n), a = fetch(gy + l * glane, glane, n), b = fetch(gl + l * glane, glane, n);
		vec room[3 * USUAL];
		if (r.dense && o->bins == USUAL)
			derivative(o, USUAL, &r, at, a, b, gx + l, gp + l, gstep, room);
		else
			derivative(o, o->bins, &r, at, a, b, gx + l, gp + l, gstep, scratch);
	}
}
