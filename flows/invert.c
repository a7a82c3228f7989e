/* invert.c - a flow run backwards. */
#include "private.h"

#include <string.h>

static ad_var apply_n(const flow *f, nn c, const ad_var x[], ad_var cond, flow_dir dir, ad_var y[])
{
	return flow_apply_n(f->child[0], c, x, cond, dir == FLOW_FORWARD ? FLOW_INVERSE : FLOW_FORWARD, y);
}

bool flow__is_inverse(const flow *f)
{
	return f->apply_n == apply_n;
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow_unshape(f->child[0], in, out, why);
}

static bool unshape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow_shape(f->child[0], in, out, why);
}

flow *flow_invert(flow_mem *m, flow *f)
{
	if (f->apply_n == apply_n)
		return f->child[0];
	char kind[64];
	snprintf(kind, sizeof kind, "inverse_%.50s", f->kind);
	flow v = { .kind = flow_copy(m, kind, strlen(kind) + 1),
		   .name = f->name,
		   .apply_n = apply_n,
		   .shape = shape,
		   .unshape = unshape,
		   .caps = f->caps,
		   .nin = f->nout,
		   .nout = f->nin,
		   .nchild = 1,
		   .child = flow_copy(m, &f, sizeof f) };
	v.caps.inverse = f->caps.forward;
	v.caps.forward = f->caps.inverse;
	return flow_copy(m, &v, sizeof v);
}
