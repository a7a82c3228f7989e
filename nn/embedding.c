/* embedding.c - a row of a table for each index. */
#include "internal.h"

ad_var nn_embedding(nn c, ad_var index, int64_t n, int64_t dim)
{
	const char *was = ad_set_path(c.tape, c.path);
	ad_var table = nn_param(c, "weight", AD_SHAPE(n, dim), (nn_fill){ NN_NORMAL, 1 });
	ad_var y = ad_matmul(ad_one_hot(index, n), table, false, false);
	ad_set_path(c.tape, was);
	return y;
}
