/* Events as rows, and sums over them. */
#include "base.h"

ad_var flow__flat(ad_var z)
{
	return ad_rank(z) == 2 ? z : ad_reshape(z, AD_SHAPE(AD_BATCH, ad_numel(ad_shape_of(z))));
}

ad_var flow__like(ad_var flat, ad_shape s)
{
	return s.rank == 2 ? flat : ad_reshape(flat, s);
}

ad_var flow__rows(ad_var each)
{
	return ad_sum(each, AD_EVENT);
}
