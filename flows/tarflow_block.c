/* tarflow_block.c - a block of a transformer autoregressive flow (Zhai et al. 2024). */
#include "tarflow.h"
#include "private.h"

typedef struct {
	flow f;
	flow_tarflow_opt o;
} block;

static ad_var layer(const block *b, nn c, ad_var h)
{
	nn at = nn_in(c, "attention"), mlp = nn_in(c, "mlp");
	int64_t width = b->o.width;
	ad_var qkv = nn_linear(nn_in(at, "qkv"), nn_layer_norm(nn_in(at, "norm"), h, b->o.eps), 3 * width);
	h = ad_add(h, nn_linear(nn_in(at, "proj"), nn_attend(at, qkv, (int)(width / b->o.head_dim), true), width));
	ad_var u = nn_linear(nn_in(mlp, "linear_0"), nn_layer_norm(nn_in(mlp, "norm"), h, b->o.eps),
			     b->o.expansion * width);
	return ad_add(h, nn_linear(nn_in(mlp, "linear_1"), ad_gelu(u), width));
}

typedef struct {
	ad_var log_scale, shift; /* a and b, [B, T, C] */
} affine;

static affine parameters(const block *b, nn c, ad_var x, ad_var cond)
{
	int64_t T = b->o.tokens, C = b->o.channels, width = b->o.width;
	ad_var pos = nn_param(c, "pos_embed", AD_SHAPE(T, width), (nn_fill){ NN_NORMAL, 1e-2 });
	/* Positions are those of the data, also where the sequence is turned. */
	ad_var h = ad_add(nn_linear(nn_in(c, "proj_in"), x, width), b->o.flip ? ad_flip(pos, 0) : pos);
	if (cond && b->o.classes) {
		ad_var E = nn_param(c, "class_embed", AD_SHAPE(b->o.classes, 1, width), (nn_fill){ NN_NORMAL, 1e-2 });
		h = ad_add(h, ad_expand(ad_matmul(cond, ad_squeeze(E, 1), false, false), 1));
	} else if (cond) {
		h = ad_add(h, ad_expand(nn_linear(nn_in(c, "cond"), cond, width), 1));
	}
	for (int i = 0; i < b->o.layers; i++)
		h = layer(b, nn_in(c, "layers/%d", i), h);
	h = nn_linear_with(nn_in(c, "proj_out"), h, 2 * C, (nn_linear_opt){ .zero = true });
	if (T > 1)
		h = ad_pad(ad_slice(h, 1, 0, T - 1), 1, 1, 0, 0);
	else
		h = ad_scale(h, 0);
	ad_var a = ad_slice(h, 2, 0, C);
	if (b->o.bound > 0)
		a = ad_scale(ad_tanh(ad_scale(a, 1 / b->o.bound)), b->o.bound);
	return (affine){ a, ad_slice(h, 2, C, 2 * C) };
}

static ad_var undo(affine p, ad_var z)
{
	return ad_add(ad_mul(z, ad_exp(p.log_scale)), p.shift);
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const block *b = (const block *)f;
	ad_var in = b->o.flip ? ad_flip(x, 1) : x, y = in;
	if (dir == FLOW_INVERSE) {
		ad_fn *g = ad_fn_begin(c.tape);
		ad_var at = ad_fn_arg(g, ad_dtype_of(in), ad_shape_of(in));
		ad_var next = undo(parameters(b, nn_on(c, ad_fn_tape(g)), at, cond), in);
		ad_fn_end(g, 1, &next);
		y = ad_fixpoint(g, ad_full_like(in, 0), 0, (int)b->o.tokens, true);
	}
	affine p = parameters(b, c, y, cond);
	ad_var logdet = ad_sum(p.log_scale, AD_EVENT);
	if (dir == FLOW_FORWARD)
		y = ad_mul(ad_sub(in, p.shift), ad_exp(ad_neg(p.log_scale)));
	y = b->o.flip ? ad_flip(y, 1) : y;
	return (flow_out){ y, dir == FLOW_FORWARD ? ad_neg(logdet) : logdet };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	const block *b = (const block *)f;
	char s[96];
	*out = *in;
	if (in->rank == 2 && in->dim[0] == b->o.tokens && in->dim[1] == b->o.channels)
		return true;
	snprintf(why, 160, "made for events of shape [%lld,%lld], not %s", (long long)b->o.tokens,
		 (long long)b->o.channels, flow__shape_str(*in, s));
	return false;
}

static const char *describe(const flow *f, char *buf, size_t n)
{
	const block *b = (const block *)f;
	snprintf(buf, n, "%d layers of %lld%s", b->o.layers, (long long)b->o.width, b->o.flip ? ", flipped" : "");
	return buf;
}

flow *flow_tarflow_block(flow_mem *m, flow_tarflow_opt o)
{
	o.head_dim = o.head_dim ? o.head_dim : o.width;
	o.expansion = o.expansion ? o.expansion : 4;
	o.layers = o.layers ? o.layers : 1;
	o.eps = o.eps > 0 ? o.eps : 1e-5;
	if (o.tokens < 1 || o.channels < 1 || o.width < 1 || o.head_dim < 1 || o.width % o.head_dim || o.expansion < 1 ||
	    o.layers < 1 || !(o.bound >= 0))
		return flow_refuse(m, "tarflow", "%lld tokens of %lld, %d layers of %lld in heads of %lld",
				   (long long)o.tokens, (long long)o.channels, o.layers, (long long)o.width,
				   (long long)o.head_dim);
	block *b = flow_alloc(m, sizeof *b);
	*b = (block){
		.f = { .kind = "tarflow", .apply = apply, .shape = shape, .unshape = shape, .describe = describe },
		.o = o,
	};
	return &b->f;
}
