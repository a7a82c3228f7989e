/* ode_adjoint.c - the continuous adjoint (Pontryagin; Chen et al. 2018): a(t) = dL/dz(t) obeys a' = -(dF/dz)^T a, and
 * the derivative by what F captured is the integral of (dF/dc)^T a.  State and adjoint are solved backwards together.
 */
#include "ode.h"

#include <string.h>

/* F and its derivatives at (t, z), weighted by a: by z, and by the captured variables wanted (NULL: zero). */
typedef struct {
	ad_var f, z, t;
	ad_var cap[256];
} pulled;

static pulled pull(const ad__problem *p, int n, const int want[], ad_var t, ad_var z, ad_var a)
{
	pulled r = { 0 };
	ad_var x[2 + n], g[2 + n], at = ad__alias(z), time = ad__alias(t);
	r.f = ad__slope(p, time, at);
	x[0] = at;
	x[1] = time;
	for (int i = 0; i < n; i++)
		x[2 + i] = p->cap[want[i]];
	ad__vjp_cut(1, &r.f, &a, 2 + n, x, g);
	r.z = g[0] ? g[0] : ad_scale(z, 0);
	r.t = g[1];
	for (int i = 0; i < n; i++)
		r.cap[i] = g[2 + i];
	return r;
}

static ad_fn *begin(const ad__problem *p, int more, const ad_var also[])
{
	int n = p->F->tape->ncapture;
	ad_var on[n + more];
	for (int i = 0; i < more; i++)
		on[i] = also[i];
	memcpy(on + more, p->cap, (size_t)n * sizeof *on);
	return ad__fn_of(n + more, on);
}

/* z' = F, a' = -F_z^T a; whole: a number for time first, and the integrals of the captured variables at the end, so
 * that the control of an ordinary state sees them too. */
static ad__problem augmented(const ad__problem *p, int n, const int want[], ad_var like, bool whole)
{
	ad__problem q = *p;
	q.cap = NULL;
	q.parts = 0;
	q.D = 2 * p->D + (whole ? 1 : 0);
	if (whole)
		q.part[q.parts++] = 1;
	for (int k = 0; k < 2; k++)
		for (int i = 0; i < p->parts && q.parts < ODE_PARTS; i++)
			q.part[q.parts++] = p->part[i];
	for (int i = 0; i < n && whole; i++) {
		int64_t size = ad_numel(p->cap[want[i]]->shape);
		q.part[q.parts++] = size;
		q.D += size;
	}
	q.F = begin(p, 1, &like);
	ad_var t = ad_fn_arg(q.F, p->d, p->F->arg[0]->shape), s = ad_fn_arg(q.F, p->d, ad__state(p, q.D));
	int64_t at = whole;
	pulled r = pull(p, whole ? n : 0, want, t, ad__cut(s, at, p->D), ad__cut(s, at + p->D, p->D));
	ad_var piece[3 + n];
	int m = 0;
	if (whole)
		piece[m++] = r.t ? ad_neg(ad__flat(r.t)) : ad_scale(ad__cut(s, 0, 1), 0);
	piece[m++] = r.f;
	piece[m++] = ad_neg(r.z);
	int64_t from = 1 + 2 * p->D;
	for (int i = 0; i < n && whole; i++) {
		int64_t size = ad_numel(p->cap[want[i]]->shape);
		piece[m++] = r.cap[i] ? ad_neg(ad__flat(r.cap[i])) : ad_scale(ad__cut(s, from, size), 0);
		from += size;
	}
	ad_var slope = ad_concat(p->batched, m, piece);
	ad_fn_end(q.F, 1, &slope);
	q.o.gradient = AD_ODE_DIRECT;
	q.o.keep_refused = false;
	return q;
}

/* Batched: the steps backwards as a loop, which adds the stages' contributions to the captured variables over the
 * batch. */
static ad_var steps_back(const ad__problem *p, int n, const int want[], ad_var state, ad__grid g, ad_var sum[])
{
	const ad__tableau *tab = p->tab;
	ad_var flat = ad__flat(g.v), also[2] = { state, flat };
	ad_fn *f = begin(p, 2, also);
	f->sums = true;
	ad_var s = ad_fn_arg(f, p->d, ad__state(p, 2 * p->D));
	ad_var x = ad_fn_arg(f, p->d, ad_batched(flat) ? AD_SHAPE(AD_BATCH, 2) : AD_SHAPE(2));
	ad_shape ts = p->F->arg[0]->shape;
	ad_var t = ad_reshape(ad__cut(x, 0, 1), ts), h = ad_reshape(ad__cut(x, 1, 1), ts), column = ad__column(p, h);
	/* Contributions want weights h b_i, slopes none: one pass backwards with weight h serves both (0 for samples
	 * that have arrived, whose slopes do not matter). */
	ad_var safe = ad_where(ad_eq(column, ad_full_like(column, 0)), ad_full_like(column, 1), column);
	ad_var k[ODE_STAGES], part[n + 1];
	memset(part, 0, sizeof part);
	int stages = tab->stages - (tab->b[tab->stages - 1] == 0);
	const double *a = tab->a;
	for (int i = 0; i < stages; i++) {
		ad_var at = s, ti = t;
		if (i) {
			at = ad_add(s, ad_mul(column, ad__weighted(i, a, k)));
			ti = ad_add(t, ad_scale(h, tab->c[i - 1]));
			a += i;
		}
		bool counts = tab->b[i] != 0;
		ad_var adj = ad__cut(at, p->D, p->D);
		pulled r = pull(p, counts ? n : 0, want, ti, ad__cut(at, 0, p->D), counts ? ad_mul(adj, column) : adj);
		ad_var both[2] = { r.f, ad_neg(counts ? ad_div(r.z, safe) : r.z) };
		k[i] = ad_concat(1, 2, both);
		for (int j = 0; j < n && counts; j++)
			if (r.cap[j]) {
				ad_var c = ad_scale(r.cap[j], -tab->b[i]);
				part[j] = part[j] ? ad_add(part[j], c) : c;
			}
	}
	ad_var out[1 + n];
	int m = 0, nsum = 0, order[n + 1];
	out[m++] = ad_add(s, ad_mul(column, ad__weighted(stages, tab->b, k)));
	for (int kind = 0; kind < 2; kind++)
		for (int j = 0; j < n; j++)
			if (part[j] && ad_batched(p->cap[want[j]]) == !kind) {
				order[m - 1] = j;
				out[m++] = ad__flat(part[j]);
				nsum += !kind;
			}
	ad_fn_end(f, m, out);
	ad__looped l = ad__scan((ad__loop){ .body = f,
					    .n = g.n,
					    .nsource = 1,
					    .source = { { flat, 0, 2, 2 } },
					    .nsum = nsum,
					    .ntotal = m - 1 - nsum },
				state, g.count);
	int64_t used[2] = { 0 };
	for (int i = 0; i < m - 1 && !ad_error(p->F->outer); i++) {
		ad_var whole = i < nsum ? l.sums : l.totals;
		int64_t size = ad_numel(p->cap[want[order[i]]]->shape);
		sum[order[i]] = ad_reshape(ad__cut(whole, used[i >= nsum], size), p->cap[want[order[i]]]->shape);
		used[i >= nsum] += size;
	}
	return l.last;
}

static void add_to(ad_var *sum, ad_var v)
{
	if (v)
		*sum = *sum ? ad_add(*sum, v) : v;
}

/* <a, F(t, z)> by sample, or all. */
static ad_var along(const ad__problem *p, ad_var t, ad_var z, ad_var a, ad_var time)
{
	ad_var v = ad_sum(ad_mul(a, ad__slope(p, t, z)), p->batched ? AD_EVENT : AD_ALL);
	return ad_batched(v) && !ad_batched(time) ? ad_sum(v, AD_ALL) : v;
}

ad_var ad__adjoint(const ad__problem *p, ad_var r, ad_var g, ad_var z0, int ntime, const ad_var time[], ad_var gin[])
{
	int all = p->F->tape->ncapture, n = 0, want[all + 1], nvalue = ad_dim(r, -1) / p->D;
	for (int i = 0; i < all && n < 200; i++)
		if (!ad__fixed(p->F->tape->outside[i]))
			want[n++] = i;
	bool multi = p->o.method == AD_ADAMS_EXPLICIT || p->o.method == AD_ADAMS_IMPLICIT;
	if (p->batched && multi) {
		ad_fail(r->tape,
			"ad_ode %s: the continuous adjoint of a batched state needs a Runge-Kutta method; "
			"AD_ODE_DIRECT works",
			p->tab->name);
		return NULL;
	}
	ad_var a = ad__cut(g, (nvalue - 1) * p->D, p->D), total[n + 1], whole = NULL;
	memset(total, 0, sizeof total);
	ad_ode_stats stats = { 0 };
	for (int j = nvalue; j > 0; j--) {
		/* The last value stands at the last time; with one value the interval may be any. */
		ad_var t1 = time[nvalue == 1 ? ntime - 1 : j], t0 = time[nvalue == 1 ? 0 : j - 1];
		ad_var z = ad__cut(r, (j - 1) * p->D, p->D), piece[4] = { 0 }, sum[n + 1], back;
		memset(sum, 0, sizeof sum);
		int at = nvalue == 1 ? ntime - 1 : j;
		if (!ad__fixed(time[at]))
			add_to(&gin[1 + at], along(p, t1, z, ad__cut(g, (j - 1) * p->D, p->D), time[at]));
		if (p->batched) {
			piece[0] = z;
			piece[1] = a;
			ad_var state = ad_concat(1, 2, piece), ends[2] = { t1, t0 };
			ad__problem q = augmented(p, n, want, state, false);
			ad__grid grid;
			if (p->adaptive) {
				q.o.interpolate = false;
				ad__controlled c = ad__control(&q, state, 2, ends);
				grid = (ad__grid){ c.grid, c.count, q.o.max_steps };
				add_to(&stats.evaluations, c.evaluations);
			} else {
				grid = ad__fixed_grid(p, t1, t0);
			}
			back = steps_back(p, n, want, state, grid, sum);
			a = ad__cut(back, p->D, p->D);
		} else {
			ad__problem q = augmented(p, n, want, a, true);
			ad_var zero = ad_scale(ad_slice(a, 0, 0, 1), 0);
			int64_t from = 1 + 2 * p->D;
			piece[0] = whole ? ad__cut(whole, 0, 1) : zero;
			if (!ad__fixed(time[at]))
				piece[0] =
					ad_sub(piece[0],
					       ad_reshape(along(p, t1, z, ad__cut(g, (j - 1) * p->D, p->D), time[at]),
							  AD_SHAPE(1)));
			piece[1] = z;
			piece[2] = a;
			if (q.D > from)
				piece[3] = whole ? ad__cut(whole, from, q.D - from)
						 : ad_broadcast(zero, AD_SHAPE(q.D - from));
			ad_var state = ad_concat(0, 3 + (q.D > from), piece), ends[2] = { t1, t0 };
			ad__solve(&q, state, 2, ends, &back, &stats);
			whole = back;
			a = ad__cut(back, 1 + p->D, p->D);
			/* The integrals go on from one interval to the next, so that their sum is what the control
			 * sees. */
			for (int i = 0; i < n && j == 1; i++) {
				int64_t size = ad_numel(p->cap[want[i]]->shape);
				sum[i] = ad_reshape(ad__cut(back, from, size), p->cap[want[i]]->shape);
				from += size;
			}
		}
		for (int i = 0; i < n; i++)
			add_to(&total[i], sum[i]);
		if (j > 1)
			a = ad_add(a, ad__cut(g, (j - 2) * p->D, p->D));
	}
	gin[0] = a;
	if (!ad__fixed(time[0]))
		add_to(&gin[1], ad_neg(along(p, time[0], z0, a, time[0])));
	for (int i = 0; i < n; i++)
		gin[1 + ntime + want[i]] = total[i];
	return stats.evaluations;
}
