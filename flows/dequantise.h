/* dequantise.h - discrete data under a density: points within cells, drawn by a flow, and the bounds that they give. */
#ifndef FLOW_DEQUANTISE_H
#define FLOW_DEQUANTISE_H

#include "flow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Variational dequantisation (Ho et al. 2019, section 3.1).  A discrete feature stands for the middle of a cell of some width; the
 * probability of a row is the integral of a density p over its cells, the others' coordinates held,
 *     P(x) = E over u ~ q(u | x) of p(x + width (u - 1/2)) times the widths / q(u | x),  u in (0, 1),
 * so that E log of that is a lower bound of log P (Theis et al. 2016 with uniform q), and the logarithm of its mean over K draws a
 * tighter one (Burda et al. 2016).  q starts as uniform. */
typedef struct flow_dequantiser flow_dequantiser;
/* Of n of the dim features, feature[n] (counted from 0), with cells of these widths; both copied.  NULL if they make no sense. */
flow_dequantiser *flow_dequantise_new(flow_mem *m, int64_t dim, int64_t n, const int64_t feature[], const double width[]);
/* x [B, dim] with discrete features in the middle of their cells, to points within them; *log_q [B], nats, is the density of u.
 * Parameters under "dequantisation"; cond may be NULL. */
ad_var flow_dequantise(const flow_dequantiser *q, nn c, ad_var x, ad_var cond, ad_var *log_q);
/* The density of given u [B, n], each in (0, 1), [B]. */
ad_var flow_dequantise_log_prob(const flow_dequantiser *q, nn c, ad_var x, ad_var cond, ad_var u);

#ifdef __cplusplus
}
#endif

#endif
