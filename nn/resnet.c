/* resnet.c - a residual net of pre-activation blocks, gated by the condition. */
#include "internal.h"

static ad_var block(const nn_net *n, nn c, ad_var h, ad_var cond)
{
	/* Small last weights: a block starts near the identity. */
	nn_fill small = { NN_UNIFORM, 1e-3 };
	ad_var t = nn__act(n, nn__net_norm(n, nn_in(c, "batch_norm_0"), h));
	t = nn_linear(nn_in(c, "linear_0"), t, n->width);
	t = nn__act(n, nn__net_norm(n, nn_in(c, "batch_norm_1"), t));
	t = nn_dropout(c, t, n->dropout);
	t = nn_linear_with(nn_in(c, "linear_1"), t, n->width, (nn_linear_opt){ .weight = small, .bias = small });
	if (cond)
		t = ad_mul(t, ad_sigmoid(nn_linear(nn_in(c, "context"), cond, n->width)));
	return ad_add(h, t);
}

static ad_var apply(const nn_net *n, nn c, ad_var x, ad_var cond, int64_t out)
{
	ad_var u = cond ? ad_concat(-1, 2, (const ad_var[]){ x, cond }) : x;
	ad_var h = nn_linear(nn_in(c, "initial"), u, n->width);
	for (int b = 0; b < n->depth; b++)
		h = block(n, nn_in(c, "blocks/%d", b), h, cond);
	return nn_linear_with(nn_in(c, "final"), h, out, (nn_linear_opt){ .zero = n->zero_last });
}

nn_net nn_resnet(int64_t width, int depth)
{
	return (nn_net){ .kind = "resnet", .apply = apply, .width = width, .depth = depth };
}
