/* pool.c - changes of resolution of images [B, C, H, W]. */
#include "internal.h"

static bool image(const char *what, ad_var x, int64_t k)
{
	if (ad_rank(x) == 4 && k > 0)
		return true;
	ad_fail(ad_tape_of(x), "%s: the input must be [B, C, H, W] (its rank is %d) and the factor positive", what, ad_rank(x));
	return false;
}

static bool divides(const char *what, int64_t k, ad_var x, int64_t n)
{
	if (n % k == 0)
		return true;
	ad_fail(ad_tape_of(x), "%s: %lld does not divide an extent of %lld", what, (long long)k, (long long)n);
	return false;
}

ad_var nn_avg_pool(ad_var x, int64_t k)
{
	if (!image("nn_avg_pool", x, k))
		return x;
	ad_shape s = ad_shape_of(x);
	if (!divides("nn_avg_pool", k, x, s.dim[2]) || !divides("nn_avg_pool", k, x, s.dim[3]))
		return x;
	x = ad_reshape(x, AD_SHAPE(s.dim[0], s.dim[1], s.dim[2] / k, k, s.dim[3] / k, k));
	return ad_mean(x, AD_AXIS(3) | AD_AXIS(5));
}

ad_var nn_upsample(ad_var x, int64_t k)
{
	if (!image("nn_upsample", x, k))
		return x;
	ad_shape s = ad_shape_of(x);
	x = ad_reshape(x, AD_SHAPE(s.dim[0], s.dim[1], s.dim[2], 1, s.dim[3], 1));
	x = ad_broadcast(x, AD_SHAPE(s.dim[0], s.dim[1], s.dim[2], k, s.dim[3], k));
	return ad_reshape(x, AD_SHAPE(s.dim[0], s.dim[1], k * s.dim[2], k * s.dim[3]));
}

ad_var nn_pixel_shuffle(ad_var x, int64_t k)
{
	if (!image("nn_pixel_shuffle", x, k) || !divides("nn_pixel_shuffle", k * k, x, ad_dim(x, 1)))
		return x;
	ad_shape s = ad_shape_of(x);
	int64_t c = s.dim[1] / (k * k);
	x = ad_reshape(x, AD_SHAPE(s.dim[0], c, k, k, s.dim[2], s.dim[3]));
	x = ad_permute(x, (const int[]){ 0, 1, 4, 2, 5, 3 });
	return ad_reshape(x, AD_SHAPE(s.dim[0], c, k * s.dim[2], k * s.dim[3]));
}

ad_var nn_pixel_unshuffle(ad_var x, int64_t k)
{
	if (!image("nn_pixel_unshuffle", x, k))
		return x;
	ad_shape s = ad_shape_of(x);
	if (!divides("nn_pixel_unshuffle", k, x, s.dim[2]) || !divides("nn_pixel_unshuffle", k, x, s.dim[3]))
		return x;
	x = ad_reshape(x, AD_SHAPE(s.dim[0], s.dim[1], s.dim[2] / k, k, s.dim[3] / k, k));
	x = ad_permute(x, (const int[]){ 0, 1, 3, 5, 2, 4 });
	return ad_reshape(x, AD_SHAPE(s.dim[0], s.dim[1] * k * k, s.dim[2] / k, s.dim[3] / k));
}
