/* dropout.c - elements kept with probability 1 - p and scaled by 1 / (1 - p). */
#include "internal.h"

ad_var nn_dropout(nn c, ad_var x, double p)
{
	if (c.phase == NN_EVAL || p == 0)
		return x;
	if (!(p > 0 && p < 1)) {
		ad_fail(c.tape, "nn_dropout: probability %g is not in [0, 1)", p);
		return x;
	}
	ad_var u = ad_uniform(ad_tape_of(x), ad_shape_of(x), nn__ordinal_stream(c, "dropout"));
	return ad_mul(x, ad_scale(ad_above(u, p), 1 / (1 - p)));
}
