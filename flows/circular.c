/* circular.c - flows of periodic data: splines of the circle (Rezende et al. 2020), turns, wrapping, sines and cosines
 * for nets, and the way from the circle to the line. */
#include "monotone.h"
#include "neural.h"
#include "neural_variants.h"
#include "parts.h"
#include "spline.h"

#include <math.h>

/* d: slopes at all knots, before softplus */
static flow_out through(const flow_map *m, ad_var u, ad_var p, ad_var d, flow_dir dir)
{
	int K = m->bins;
	ad_var w = flow__spline_widths(flow__part(p, 0, K), m->width_divisor, flow__or(m->min_width, 1e-3));
	ad_var h = flow__spline_widths(flow__part(p, K, 2 * K), m->height_divisor, flow__or(m->min_height, 1e-3));
	flow__rq_bin b = flow__rq_bin_at(flow__knots_of_widths(w), flow__knots_of_widths(h), d, u, dir);
	b.d0 = ad_shift(ad_softplus(b.d0), m->min_derivative);
	b.d1 = ad_shift(ad_softplus(b.d1), m->min_derivative);
	return flow__rq(b, u, dir);
}

static flow_out core(const flow_map *m, ad_var u, ad_var p, flow_dir dir)
{
	int K = m->bins;
	ad_var d = ad_concat(-1, 2, (ad_var[]){ flow__part(p, 2 * K, 3 * K), flow__part(p, 2 * K, 2 * K + 1) });
	return through(m, u, p, d, dir);
}

static flow_out spline(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__spline(m, c, x, p, dir, core);
}

flow_map flow_circular_spline(flow_mem *m, int bins, double bound)
{
	if (bins < 2 || !(bound > 0))
		return flow__bad_map(m, "circular_spline", "%d bins, bound %g", bins, bound);
	flow_map s = flow__spline_map("circular_spline", 3 * bins, bins, bound);
	double *start = flow_alloc(m, (size_t)s.nparam * sizeof *start);
	for (int i = 2 * bins; i < 3 * bins; i++)
		start[i] = log(expm1(1 - s.min_derivative));
	s.start = start;
	s.apply = spline;
	return s;
}

typedef struct {
	int64_t n;
	const double *flag;
} mixed;

/* At the ends: the first slope where the feature is circular, else 1. */
static flow_out mixed_core(const flow_map *m, ad_var u, ad_var p, flow_dir dir)
{
	const mixed *k = m->data;
	int K = m->bins;
	ad_tape *t = ad_tape_of(u);
	if (ad_dim(p, -2) != k->n) {
		ad_fail(t, "circular_spline_mixed: made for %lld features", (long long)k->n);
		return (flow_out){ u, u };
	}
	ad_var circular = ad_array(ad_root(t), AD_SHAPE(k->n, 1), k->flag), first = flow__part(p, 2 * K, 2 * K + 1);
	ad_var end = ad_where(circular, first, ad_full_like(first, log(expm1(1 - m->min_derivative))));
	return through(m, u, p, ad_concat(-1, 3, (ad_var[]){ end, flow__part(p, 2 * K + 1, 3 * K), end }), dir);
}

static flow_out mixed_spline(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__spline(m, c, x, p, dir, mixed_core);
}

flow_map flow_circular_spline_mixed(flow_mem *m, int bins, double bound, int64_t n, const int *flag)
{
	if (bins < 2 || !(bound > 0) || n < 1)
		return flow__bad_map(m, "circular_spline_mixed", "%d bins, bound %g, %lld features", bins, bound,
				     (long long)n);
	double *v = flow_alloc(m, (size_t)n * sizeof *v);
	for (int64_t i = 0; i < n; i++)
		v[i] = flag[i] != 0;
	flow_map s = flow__spline_map("circular_spline_mixed", 3 * bins + 1, bins, bound);
	s.data = flow_copy(m, &(mixed){ n, v }, sizeof(mixed));
	s.apply = mixed_spline;
	return s;
}

typedef struct {
	flow f;
	int64_t dim;
	double bound;
} circle;

/* The representative in [-bound, bound); rounding must not leave it. */
static ad_var wrapped(ad_var x, double bound)
{
	ad_var turns = ad_floor(ad_scale(ad_shift(x, bound), 0.5 / bound));
	ad_var y = ad_sub(x, ad_scale(turns, 2 * bound));
	return ad_add(y, ad_stop(ad_sub(ad_clamp(y, -bound, bound), y)));
}

static flow_out turn(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const circle *k = (const circle *)f;
	ad_var angle = nn_param(c, "angle", AD_SHAPE(k->dim), (nn_fill){ NN_ZEROS });
	ad_var in = ad_within(x, -k->bound, k->bound), u = ad_where(in, x, ad_full_like(x, 0));
	u = wrapped(dir == FLOW_FORWARD ? ad_add(u, angle) : ad_sub(u, angle), k->bound);
	(void)cond;
	return (flow_out){ ad_where(in, u, x), ad_const(c.tape, 0) };
}

static flow_out wrap(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const circle *k = (const circle *)f;
	(void)cond;
	return (flow_out){ dir == FLOW_FORWARD ? wrapped(x, k->bound) : x, ad_const(c.tape, 0) };
}

static flow_out probit(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const circle *k = (const circle *)f;
	double edge = ad_dtype_of(x) == AD_F32 ? 1 - 0x1p-23 : 1 - 0x1p-52,
	       scale = 0.5 * log(8 * atan(1)) - log(2 * k->bound);
	ad_var z = x;
	(void)c, (void)cond;
	if (dir == FLOW_FORWARD)
		z = ad_scale(ad_erfinv(ad_clamp(ad_scale(x, 1 / k->bound), -edge, edge)), sqrt(2));
	ad_var logdet = ad_sum(ad_shift(ad_scale(ad_square(z), 0.5), scale), AD_EVENT);
	if (dir == FLOW_FORWARD)
		return (flow_out){ z, logdet };
	return (flow_out){ ad_scale(ad_erf(ad_scale(x, sqrt(0.5))), k->bound), ad_neg(logdet) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const circle *)f)->dim, in, out, why);
}

static flow *circle_new(flow_mem *m, const char *kind, int64_t dim, double bound,
			flow_out (*apply)(const flow *, nn, ad_var, ad_var, flow_dir))
{
	if (dim < 1 || !(bound > 0))
		return flow_refuse(m, kind, "%lld features, bound %g", (long long)dim, bound);
	circle k = { { .kind = kind, .apply = apply, .shape = shape, .unshape = shape }, dim, bound };
	return flow_copy(m, &k, sizeof k);
}

flow *flow_rotate_circle(flow_mem *m, int64_t dim, double bound)
{
	return circle_new(m, "rotate_circle", dim, bound, turn);
}

flow *flow_wrap(flow_mem *m, int64_t dim, double bound)
{
	return circle_new(m, "wrap", dim, bound, wrap);
}

flow *flow_probit(flow_mem *m, int64_t dim, double bound)
{
	return circle_new(m, "probit", dim, bound, probit);
}
