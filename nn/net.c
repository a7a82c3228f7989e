/* net.c - what the nets share: activation, norms, one entry point. */
#include "internal.h"

ad_var nn__act(const nn_net *n, ad_var x) { return n->act ? n->act->apply(x) : ad_relu(x); }

ad_var nn__net_norm(const nn_net *n, nn c, ad_var x)
{
	return n->batch_norm ? nn_batch_norm(c, x, n->batch_norm_eps > 0 ? n->batch_norm_eps : 1e-3, 0.1) : x;
}

ad_var nn_apply(const nn_net *n, nn c, ad_var x, ad_var cond, int64_t out)
{
	if (!n->apply || out < 1 || ad_rank(x) < 1) {
		ad_fail(c.tape, "nn_apply: a net of kind \"%s\" for %lld outputs of an input of rank %d", n->kind ? n->kind : "?",
		        (long long)out, ad_rank(x));
		return nn__dud(c);
	}
	const char *was = ad_set_path(c.tape, c.path);
	ad_var y = n->apply(n, c, x, cond, out);
	/* Channels of images are axis 1. */
	if (!ad_error(c.tape) && ad_dim(y, -1) != out && ad_dim(y, ad_rank(y) > 1) != out)
		ad_fail(c.tape, "nn_apply: a net of kind \"%s\" returned %lld outputs, not %lld", n->kind ? n->kind : "?",
		        (long long)ad_dim(y, -1), (long long)out);
	ad_set_path(c.tape, was);
	return y;
}
