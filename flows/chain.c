/* chain.c - flows one after another. */
#include "private.h"

#include <string.h>

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	flow_out r = { x, ad_const(c.tape, 0) };
	for (int k = 0; k < f->nchild; k++) {
		int i = dir == FLOW_FORWARD ? k : f->nchild - 1 - k;
		flow_out o = flow_apply(f->child[i], flow__in(c, f->child, i), r.x, cond, dir);
		r.x = o.x;
		r.logdet = k ? flow_add_logdet(r.logdet, o.logdet) : o.logdet;
	}
	return r;
}

bool flow__is_chain(const flow *f)
{
	return f->apply == apply;
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	ad_shape s = *in, next;
	for (int i = 0; i < f->nchild; i++, s = next)
		if (!flow_shape(f->child[i], &s, &next, why))
			return false;
	*out = s;
	return true;
}

static bool unshape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	ad_shape s = *in, before;
	for (int i = f->nchild - 1; i >= 0; i--, s = before)
		if (!flow_unshape(f->child[i], &s, &before, why))
			return false;
	*out = s;
	return true;
}

flow *flow_chain(flow_mem *m, int n, flow *const f[])
{
	flow **child = flow_alloc(m, (size_t)n * sizeof *child);
	int k = 0;
	for (int i = 0; i < n; i++)
		if (f[i])
			child[k++] = f[i];
	for (int i = 0; i < k; i++)
		if (flow__nx(child[i], FLOW_FORWARD) != 1 || flow__ny(child[i], FLOW_FORWARD) != 1)
			return flow_refuse(m, "chain", "%s has several inputs or outputs and needs a graph",
					   child[i]->kind);
	flow c = { .kind = "chain",
		   .apply = apply,
		   .shape = shape,
		   .unshape = unshape,
		   .caps = flow_weakest(k, child),
		   .nchild = k,
		   .child = child };
	return flow_copy(m, &c, sizeof c);
}
