/* repeat.c - one flow applied several times with the same weights. */
#include "private.h"

typedef struct {
	flow f;
	int times;
} repeat;

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	flow_out r = { x, ad_const(c.tape, 0) };
	for (int k = 0; k < ((const repeat *)f)->times; k++) {
		flow_out o = flow_apply(f->child[0], c, r.x, cond, dir);
		r.x = o.x;
		r.logdet = k ? flow_add_logdet(r.logdet, o.logdet) : o.logdet;
	}
	return r;
}

int flow__times(const flow *f)
{
	return f->apply == apply ? ((const repeat *)f)->times : 0;
}

static bool through(const flow *f, const ad_shape in[], ad_shape out[], char why[160],
		    bool (*one)(const flow *, const ad_shape[], ad_shape[], char[160]))
{
	ad_shape s = *in;
	*out = s;
	for (int k = 0; k < ((const repeat *)f)->times; k++, s = *out)
		if (!one(f->child[0], &s, out, why))
			return false;
	return true;
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return through(f, in, out, why, flow_shape);
}

static bool unshape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return through(f, in, out, why, flow_unshape);
}

static const char *describe(const flow *f, char *buf, size_t n)
{
	snprintf(buf, n, "%d times", ((const repeat *)f)->times);
	return buf;
}

flow *flow_repeat(flow_mem *m, int n, flow *f)
{
	if (flow__nx(f, FLOW_FORWARD) != 1 || flow__ny(f, FLOW_FORWARD) != 1)
		return flow_refuse(m, "repeat", "%s has several inputs or outputs", f->kind);
	repeat r = { { .kind = "repeat",
		       .apply = apply,
		       .shape = shape,
		       .unshape = unshape,
		       .caps = f->caps,
		       .nchild = 1,
		       .child = flow_copy(m, &f, sizeof f),
		       .describe = describe },
		     n };
	return flow_copy(m, &r, sizeof r);
}
