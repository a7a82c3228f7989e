/* split.c - cutting an axis in two, joining two, and changing the shape of events: log-determinant zero. */
#include "private.h"

typedef struct {
	flow f;
	int axis;
	int64_t k;
} split;

static bool cut_shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	const split *s = (const split *)f;
	int e = s->axis - 1;
	if (in->rank <= e || s->k <= 0 || s->k >= in->dim[e]) {
		char a[96];
		snprintf(why, 160, "cannot cut axis %d of events of shape %s after %lld", s->axis,
			 flow__shape_str(*in, a), (long long)s->k);
		return false;
	}
	out[0] = out[1] = *in;
	out[0].dim[e] = s->k;
	out[1].dim[e] = in->dim[e] - s->k;
	return true;
}

static bool join_shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	const split *s = (const split *)f;
	int e = s->axis - 1;
	ad_shape rest = in[1];
	if (in[0].rank > e && in[1].rank > e && in[0].dim[e] == s->k) {
		rest.dim[e] = s->k;
		if (ad_shape_eq(rest, in[0])) {
			*out = in[1];
			out->dim[e] += s->k;
			return true;
		}
	}
	char a[96], b[96];
	snprintf(why, 160, "cannot join events of shapes %s and %s on axis %d, the first of extent %lld",
		 flow__shape_str(in[0], a), flow__shape_str(in[1], b), s->axis, (long long)s->k);
	return false;
}

static ad_var both(const split *s, nn c, const ad_var x[], bool cut, ad_var y[])
{
	if (cut) {
		y[0] = ad_slice(x[0], s->axis, 0, s->k);
		y[1] = ad_slice(x[0], s->axis, s->k, ad_dim(x[0], s->axis));
	} else {
		y[0] = ad_concat(s->axis, 2, x);
	}
	return ad_const(c.tape, 0);
}

static ad_var split_apply(const flow *f, nn c, const ad_var x[], ad_var cond, flow_dir dir, ad_var y[])
{
	(void)cond;
	return both((const split *)f, c, x, dir == FLOW_FORWARD, y);
}

static ad_var merge_apply(const flow *f, nn c, const ad_var x[], ad_var cond, flow_dir dir, ad_var y[])
{
	(void)cond;
	return both((const split *)f, c, x, dir == FLOW_INVERSE, y);
}

static const char *describe(const flow *f, char *buf, size_t n)
{
	const split *s = (const split *)f;
	snprintf(buf, n, "axis %d at %lld", s->axis, (long long)s->k);
	return buf;
}

flow *flow_split(flow_mem *m, int axis, int64_t k)
{
	split s = { { .kind = "split",
		      .nin = 1,
		      .nout = 2,
		      .apply_n = split_apply,
		      .shape = cut_shape,
		      .unshape = join_shape,
		      .caps = { .rebuilds = true },
		      .describe = describe },
		    axis,
		    k };
	return axis < 1 ? flow_refuse(m, "split", "axis %d: the batch cannot be cut", axis)
			: flow_copy(m, &s, sizeof s);
}

flow *flow_merge(flow_mem *m, int axis, int64_t k)
{
	split s = { { .kind = "merge",
		      .nin = 2,
		      .nout = 1,
		      .apply_n = merge_apply,
		      .shape = join_shape,
		      .unshape = cut_shape,
		      .caps = { .rebuilds = true },
		      .describe = describe },
		    axis,
		    k };
	flow *f = flow_copy(m, &s, sizeof s);
	if (axis < 1) {
		f = flow_refuse(m, "merge", "axis %d: the batch cannot be joined", axis);
		f->nin = 2;
	}
	return f;
}

typedef struct {
	flow f;
	ad_shape from, to;
} reshape;

static flow_out reshape_apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const reshape *r = (const reshape *)f;
	ad_shape s = flow__batched(dir == FLOW_FORWARD ? r->to : r->from);
	(void)cond;
	s.dim[0] = ad_dim(x, 0);
	return (flow_out){ ad_reshape(x, s), ad_const(c.tape, 0) };
}

static bool expect(ad_shape is, ad_shape want, ad_shape give, ad_shape *out, char why[160])
{
	char a[96], b[96];
	*out = give;
	if (ad_shape_eq(is, want) && ad_numel(want) == ad_numel(give))
		return true;
	snprintf(why, 160, "cannot reshape events of shape %s; %s was declared", flow__shape_str(is, a),
		 flow__shape_str(want, b));
	return false;
}

static bool reshape_shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	const reshape *r = (const reshape *)f;
	return expect(*in, r->from, r->to, out, why);
}

static bool reshape_unshape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	const reshape *r = (const reshape *)f;
	return expect(*in, r->to, r->from, out, why);
}

flow *flow_reshape(flow_mem *m, ad_shape from, ad_shape to)
{
	reshape r = { { .kind = "reshape",
			.apply = reshape_apply,
			.shape = reshape_shape,
			.unshape = reshape_unshape,
			.caps = { .rebuilds = true } },
		      from,
		      to };
	return flow_copy(m, &r, sizeof r);
}
