/* spline.h - what the splines share.  Private to flows/.
 *
 * A spline's core works on the unit box; flow__spline puts it into the box of the map, with the identity outside.
 * Tables have the bins (or knots) on their last axis and may lack the batch of x. */
#ifndef FLOW_SPLINE_H
#define FLOW_SPLINE_H

#include "ad/spline.h"
#include "flow.h"

typedef flow_out flow__spline_core(const flow_map *m, ad_var u, ad_var p, flow_dir dir);
flow_out flow__spline(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir, flow__spline_core *core);
/* Its two halves: false after recording a mistake; the box. */
bool flow__spline_sound(const flow_map *m, nn c, ad_var x, ad_var p);
flow_out flow__spline_boxed(const flow_map *m, ad_var x, ad_var p, flow_dir dir, flow__spline_core *core);
flow_map flow__spline_map(const char *kind, int nparam, int bins, double bound);

/* Knots of [0, 1]: the inner ones [.., K-1], and the lower and upper one of each bin [.., K]. */
typedef struct {
	ad_var inner, lo, hi;
} flow__knots;
flow__knots flow__knots_from(ad_var inner);
/* min + (1 - min K) softmax(raw / divisor); divisor 0: 1 */
ad_var flow__spline_widths(ad_var raw, double divisor, double min);
flow__knots flow__knots_of_widths(ad_var w);

ad_var flow__part(ad_var p, int64_t lo, int64_t hi); /* of the last axis */
double flow__or(double v, double otherwise);	     /* v, unless 0 */
ad_var flow__bin(ad_var inner, ad_var u);	     /* [.., 1] i32: number of inner knots <= u */
ad_var flow__pick(ad_var table, ad_var bin);	     /* table[.., bin], the last axis dropped */

/* The rational quadratic in a bin: knots, and derivatives at its ends. */
typedef struct {
	ad_var x0, x1, y0, y1, d0, d1;
} flow__rq_bin;
/* That of the bin in which u lies; d0 and d1 as the table d [.., K+1] has them, before any map of the derivatives. */
flow__rq_bin flow__rq_bin_at(flow__knots X, flow__knots Y, ad_var d, ad_var u, flow_dir dir);
flow_out flow__rq(flow__rq_bin b, ad_var u, flow_dir dir);
/* What ad_rq_spline computes, of ad ops. */
ad_var flow__rq_composed(ad_var x, ad_var p, const ad_rq *o);

#endif
