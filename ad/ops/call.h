/* call.h - what call ops on traced functions share. */
#ifndef AD_CALL_H
#define AD_CALL_H

#include "../tape.h"

/* A node of op on `first` inputs followed by f's captured variables; f in attr.data. */
ad_var ad__call(const ad_op *op, ad_fn *f, int first, const ad_var in[], ad_attr attr, ad_dtype d, ad_shape s);
/* r's function at alias (for its first argument) and aliases of the captured inputs: its value, and those aliases,
 * by which partial derivatives can be taken without walking back through r. */
ad_var ad__call_at(ad_var r, int first, ad_var at, ad_var cap[]);
/* gin[first ..] = the partial derivatives of y by cap[], weighted by w. */
void ad__call_pull(ad_var r, int first, ad_var y, ad_var w, const ad_var cap[], ad_var gin[]);
/* The tangent of y from those of the captured inputs; NULL if they are all zero. */
ad_var ad__call_push(ad_var r, int first, ad_var y, const ad_var cap[], const ad_var v[]);
/* Several results travel as one flat array, [B, n] if any is batched, so that a derivative runs the body once; and back. */
ad_var ad__pack(int n, const ad_var x[]);
void ad__unpack(ad_var flat, int n, const ad_shape shape[], ad_var out[]);

#endif
