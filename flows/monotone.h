/* monotone.h - what scalar maps without an inverse formula share.  Private to flows/. */
#ifndef FLOW_MONOTONE_H
#define FLOW_MONOTONE_H

#include "flow.h"

/* y and log dy/dx of an increasing map. */
typedef flow_out flow__curve(const flow_map *m, nn c, ad_var x, ad_var p);
/* Either direction of a map given by its curve: the inverse is the root, from a bracket of +-8. */
flow_out flow__by_root(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir, flow__curve *curve);
/* Root of f, which has y's shape, to rounding. */
ad_var flow__root(ad_fn *f, ad_var y);
/* y + 1e-6 x: maps that can be flat between two far components keep an inverse, and it a derivative. */
flow_out flow__sloped(flow_out o, ad_var x);
/* A curve whose slope is found by differentiation. */
typedef ad_var flow__value_fn(const flow_map *m, nn c, ad_var x, ad_var p);
flow_out flow__differentiated(const flow_map *m, nn c, ad_var x, ad_var p, flow__value_fn *value);
/* Value and slope. */
void flow__slope(const flow_map *m, nn c, ad_var x, ad_var p, flow__value_fn *value, ad_var out[2]);

ad_var flow__number(ad_var p, int64_t k);	   /* p[.., k], the axis dropped */
ad_var flow__bounded(ad_var raw, double bound);	   /* bound tanh(raw / bound) */
ad_var flow__log_width(ad_var raw);		   /* between -7 and 2, smooth, slope 1 at 0 */
ad_var flow__softplus_one(ad_var raw, double min); /* min + softplus(raw + c), which is 1 at raw = 0 */
/* A map of this kind that is refused when traced. */
flow_map flow__bad_map(flow_mem *m, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* For one more axis after x's, [.., 1]. */
#define flow__last(x) ad_expand(x, -1)

/* log Phi(u), and the inverse of y -> log Phi(y) - log Phi(-y). */
ad_var flow__log_phi(ad_var u);
ad_var flow__probit_of_logit(ad_var l);

#endif
