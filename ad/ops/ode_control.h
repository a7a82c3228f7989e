/* ode_control.h - the node of an adaptive solution.  Private to ad/. */
#ifndef AD_OPS_ODE_CONTROL_H
#define AD_OPS_ODE_CONTROL_H

#include "ode.h"

/* A node's numbers a sample: wanted values (or the end), accepted steps (start and size relative to the span), counts,
 * the steps in which wanted times lie, refused steps. */
typedef struct {
	ad__problem p;
	ad_fn *slope, *step;
	int ntime, nvalue;
	int64_t steps;
} ad__control_node;

static inline int64_t ad__control_at_grid(const ad__control_node *k)
{
	return k->nvalue * k->p.D;
}
static inline int64_t ad__control_at_counts(const ad__control_node *k)
{
	return ad__control_at_grid(k) + 2 * k->steps;
}
static inline int64_t ad__control_at_where(const ad__control_node *k)
{
	return ad__control_at_counts(k) + 3;
}
static inline int64_t ad__control_at_refused(const ad__control_node *k)
{
	return ad__control_at_where(k) + (k->p.o.interpolate ? k->nvalue : 0);
}
static inline int64_t ad__control_numbers(const ad__control_node *k)
{
	return ad__control_at_refused(k) + (k->p.o.keep_refused ? 2 * k->steps : 0);
}


/* ode_control_run.c */
void ad__control_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c);
size_t ad__control_scratch(ad_var r, int64_t width);

#endif
