/* contract.h - executes one contraction of two operands.  Private to ad/. */
#ifndef AD_CONTRACT_H
#define AD_CONTRACT_H

#include "ad/op.h"

/* out = sum a b, each with one letter per axis of a sample; shared letters are the same axis, those missing in
 * out are summed over.  Lanes: of out if out_batched, else summed over if in_batched.  bias may be NULL: added,
 * along out's last axis. */
void ad__contract(ad_dtype d, const char *la, const ad__arr *a, const char *lb, const ad__arr *b, const char *lo,
		  const ad__arr *out, const ad__arr *bias, bool in_batched, bool out_batched, ad__ctx *c);

#endif
