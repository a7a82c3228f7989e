/* emit.h - the planner's working state and its passes. */
#ifndef AD_EMIT_H
#define AD_EMIT_H

#include "plan.h"

typedef struct {
	int stage, value, next; /* next: number + 1 of another copy of the same node */
	bool loop, batched;
} plan_dense; /* a contiguous copy made earlier */

typedef struct {
	ad_prog *p;
	ad_tape *t;
	char *live, *cut;
	int *exec, *avail;
	int *order, *begin; /* live nodes stage by stage, and where each stage begins */
	plan_operand *at;   /* where each emitted node lies; value -1: not yet */
	int *found;         /* for which list at[] of a view holds: 2 stage + loop + 1 */
	int *copy;          /* number + 1 of the last contiguous copy of each node */
	ad_var **loaded;    /* per stage: batched inputs it uses */
	int *nloaded;
	int *load_value;    /* in the current loop, per loaded input */
	plan_dense *dense;
	int ndense, capdense, capvalue, capstep;
	int stage, list0; /* of the list being emitted */
	bool loop;
} planner;

/* Records that x is used in stage s. */
void plan_use(planner *pl, ad_var x, int s);
/* Inputs, arguments and captured variables. */
void plan_declare(planner *pl);
void plan_emit_copies(planner *pl);
void plan_emit_loads(planner *pl);
void plan_emit(planner *pl, ad_var x);
void plan_emit_outputs(planner *pl);
/* Registers, operands, lifetimes. */
void plan_finish(planner *pl);
void plan_discard(planner *pl);

int plan_new_value(planner *pl, plan_value v);
plan_step *plan_new_step(planner *pl, plan_step s);
plan_operand plan_find(planner *pl, ad_var x);
plan_operand plan_dense_of(planner *pl, ad_var x, bool batched);
void plan_step_uses(planner *pl, int step, const plan_operand *o);

/* fuse.c */
void plan_emit_elementwise(planner *pl, ad_var x);
void plan_finish_fused(planner *pl, int step);

/* merge.c: of a fused step whose sources are still values, ops that one kernel makes. */
void plan_merge(const ad_prog *p, plan_step *s);

int plan_threads(const ad_options *o);
void plan_allocate(ad_prog *p);

#endif
