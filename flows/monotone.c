/* monotone.c - what scalar maps without an inverse formula share: roots, slopes by differentiation, small helpers. */
#include "monotone.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

ad_var flow__number(ad_var p, int64_t k)
{
	return ad_squeeze(ad_slice(p, -1, k, k + 1), -1);
}

ad_var flow__bounded(ad_var raw, double bound)
{
	return ad_scale(ad_tanh(ad_scale(raw, 1 / bound)), bound);
}

ad_var flow__log_width(ad_var raw)
{
	return ad_where(ad_above(raw, 0), flow__bounded(raw, 2), flow__bounded(raw, 7));
}

ad_var flow__softplus_one(ad_var raw, double min)
{
	return ad_shift(ad_softplus(ad_shift(raw, log(expm1(1 - min)))), min);
}

/* x with the batch, if the numbers have it. */
static ad_var spread(ad_var x, ad_var p)
{
	ad_shape s = ad_shape_of(p);
	s.rank--;
	return ad_batched(p) && !ad_batched(x) ? ad_broadcast(x, s) : x;
}

ad_var flow__root(ad_fn *f, ad_var y)
{
	return ad_bisect(f, ad_shape_of(y), -8, 8, ad_dtype_of(y) == AD_F32 ? 0x1p-24 : 0x1p-53);
}

flow_out flow__by_root(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir, flow__curve *curve)
{
	x = spread(x, p);
	if (dir == FLOW_FORWARD)
		return curve(m, c, x, p);
	ad_fn *f = ad_fn_begin(c.tape);
	ad_var y = ad_fn_arg(f, ad_dtype_of(x), ad_shape_of(x));
	ad_var miss = ad_sub(curve(m, nn_on(c, ad_fn_tape(f)), y, p).x, x);
	ad_fn_end(f, 1, &miss);
	ad_var root = flow__root(f, x);
	return (flow_out){ root, ad_neg(curve(m, c, root, p).logdet) };
}

flow_out flow__sloped(flow_out o, ad_var x)
{
	double eps = 1e-6, l = log(eps);
	return (flow_out){ ad_add(o.x, ad_scale(x, eps)), ad_shift(ad_softplus(ad_shift(o.logdet, -l)), l) };
}

void flow__slope(const flow_map *m, nn c, ad_var x, ad_var p, flow__value_fn *value, ad_var out[2])
{
	ad_fn *f = ad_fn_begin(c.tape);
	ad_var in = ad_fn_arg(f, ad_dtype_of(x), ad_shape_of(x));
	out[0] = value(m, nn_on(c, ad_fn_tape(f)), in, p);
	out[1] = ad_grad(out[0], in);
	ad_fn_end(f, 2, out);
	ad_fn_inline(f, &x, out);
}

flow_out flow__differentiated(const flow_map *m, nn c, ad_var x, ad_var p, flow__value_fn *value)
{
	ad_var y[2];
	flow__slope(m, c, x, p, value, y);
	return (flow_out){ y[0], ad_log(y[1]) };
}

static flow_out refused(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	(void)p, (void)dir;
	ad_fail(c.tape, "%s: %s, in \"%s\"", m->kind, (const char *)m->data, c.path);
	return (flow_out){ x, ad_full_like(x, 0) };
}

flow_map flow__bad_map(flow_mem *m, const char *kind, const char *fmt, ...)
{
	char *why = flow_alloc(m, 160);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, 160, fmt, ap);
	va_end(ap);
	return (flow_map){ .kind = kind, .nparam = 1, .apply = refused, .data = why };
}
