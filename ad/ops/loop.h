/* loop.h - a loop from inside: what its files share. */
#ifndef AD_OPS_LOOP_H
#define AD_OPS_LOOP_H

#include "scan.h"

/* Inputs of the node: carry, count (negative: none), sources, what the body captured. */
enum { LOOP_CARRY, LOOP_COUNT, LOOP_SOURCE };

const ad__loop *ad__loop_of(ad_var r);
static inline int ad__loop_captured(const ad__loop *l)
{
	return LOOP_SOURCE + l->nsource;
}
ad_shape ad__loop_flat(ad_var like, int64_t n); /* [B, n] or [n] */
ad_var ad__loop_node(const ad__loop *l, ad_var carry, const ad_var input[], ad_var count);
/* A second result of r: flat, like `like`, made by f, whose last results go there. */
ad_var ad__loop_side(ad_var r, ad_fn *f, ad_var like, int64_t n);

/* scan_grad.c: the rules. */
void ad__loop_vjp(ad_var r, ad_var g, ad_var gin[]);
void ad__loop_side_vjp(ad_var r, ad_var g, ad_var gin[]);
ad_var ad__loop_jvp(ad_var r, const ad_var v[]);

/* scan_keep.c: f is a derivative of r's body, of which node i became map[i] (or NULL).  A function like f with one more
 * argument, which is what r keeps of an iteration for it, *len numbers of *side; it makes none of that again.  NULL: nothing is
 * worth it, or there is no room. */
ad_fn *ad__loop_keep(ad_var r, ad_fn *f, const ad_var map[], ad_var *side, int64_t *len);
/* The value of a, the derivatives of b. */
ad_var ad__loop_value(ad_var a, ad_var b);

#endif
