/* attention.c - multi-head self-attention over axis 1 (Vaswani et al. 2017). */
#include "internal.h"

#include <math.h>
#include <stdlib.h>

/* [B, T, C] -> [B, heads, T, C / heads] */
static ad_var split_heads(ad_var x, int heads)
{
	ad_shape s = ad_shape_of(x);
	ad_var y = ad_reshape(x, AD_SHAPE(s.dim[0], s.dim[1], heads, s.dim[2] / heads));
	return ad_permute(y, (const int[]){ 0, 2, 1, 3 });
}

/* Large and negative where a key comes after the query. */
static ad_var later(nn c, int64_t t)
{
	double *v = nn__alloc((size_t)(t * t) * sizeof *v);
	for (int64_t i = 0; i < t; i++)
		for (int64_t j = i + 1; j < t; j++)
			v[i * t + j] = -1e30;
	ad_var mask = ad_array(c.tape, AD_SHAPE(t, t), v);
	free(v);
	return mask;
}

ad_var nn_attend(nn c, ad_var qkv, int heads, bool causal)
{
	if (ad_rank(qkv) != 3 || heads < 1 || ad_dim(qkv, 2) % (3 * heads)) {
		ad_fail(c.tape, "nn_attention: the input must be [B, T, C] with C divisible by %d heads", heads);
		return nn__dud(c);
	}
	ad_shape s = ad_shape_of(qkv);
	int64_t width = s.dim[2] /= 3;
	ad_var part[3];
	for (int i = 0; i < 3; i++)
		part[i] = split_heads(ad_slice(qkv, 2, i * width, (i + 1) * width), heads);
	ad_var q = ad_scale(part[0], 1 / sqrt((double)width / heads));
	ad_var score = ad_matmul(q, part[1], false, true); /* [B, heads, T, T] */
	if (causal)
		score = ad_add(score, later(c, s.dim[1]));
	ad_var y = ad_matmul(ad_softmax(score, -1), part[2], false, false);
	return ad_reshape(ad_permute(y, (const int[]){ 0, 2, 1, 3 }), s);
}

static ad_var attention(nn c, ad_var x, int heads, bool causal)
{
	if (ad_rank(x) != 3) {
		ad_fail(c.tape, "nn_attention: the input must be [B, T, C] with C divisible by %d heads", heads);
		return nn__dud(c);
	}
	int64_t width = ad_dim(x, 2);
	return nn_linear(nn_in(c, "out_proj"), nn_attend(c, nn_linear(nn_in(c, "in_proj"), x, 3 * width), heads, causal), width);
}

ad_var nn_attention(nn c, ad_var x, int heads, bool causal)
{
	const char *was = ad_set_path(c.tape, c.path);
	ad_var y = attention(c, x, heads, causal);
	ad_set_path(c.tape, was);
	return y;
}
