/* periodic_net.c - nets that see periodic features through sines and cosines. */
#include "neural_variants.h"
#include "neural.h"

#include <stdlib.h>

typedef struct {
	nn_net inner;
	int64_t n, periodic;
	int32_t *at; /* periodic features, then the others */
	double scale;
} periodic;

static bool fits(const periodic *k, nn c, ad_var x)
{
	bool ok = ad_rank(x) == 2 && ad_dim(x, 1) == k->n;
	if (!ok)
		ad_fail(c.tape, "periodic net: made for vectors of %lld features, in \"%s\"", (long long)k->n, c.path);
	return ok;
}

static ad_var apply_net(const nn_net *net, nn c, ad_var x, ad_var cond, int64_t out)
{
	const periodic *k = net->data;
	if (!fits(k, c, x))
		return x;
	if (k->periodic) {
		ad_var sorted = ad_gather(x, 1, ad_array_i32(ad_root(c.tape), AD_SHAPE(k->n), k->at));
		ad_var u = ad_scale(ad_slice(sorted, 1, 0, k->periodic), k->scale);
		ad_var part[] = { ad_sin(u), ad_cos(u), sorted };
		if (k->periodic < k->n)
			part[2] = ad_slice(sorted, 1, k->periodic, k->n);
		x = ad_concat(1, 2 + (k->periodic < k->n), part);
	}
	return k->inner.apply(&k->inner, c, x, cond, out);
}

static ad_var refused(const nn_net *net, nn c, ad_var x, ad_var cond, int64_t out)
{
	(void)net, (void)cond, (void)out;
	ad_fail(c.tape,
		"periodic net: needs a net that is not autoregressive, inputs in order, a bound above 0; in \"%s\"",
		c.path);
	return x;
}

nn_net flow_periodic_net(flow_mem *m, nn_net net, int64_t n, const int *flag, double bound)
{
	nn_net outer = net;
	outer.apply = refused;
	if (net.autoregressive || n < 1 || !(bound > 0))
		return outer;
	periodic k = { .inner = net,
		       .n = n,
		       .scale = 3.14159265358979323846 / bound,
		       .at = flow_alloc(m, (size_t)n * sizeof(int32_t)) };
	for (int64_t i = 0; i < n; i++)
		if (!flag || flag[i])
			k.at[k.periodic++] = (int32_t)i;
	for (int64_t i = 0, at = k.periodic; i < n; i++)
		if (flag && !flag[i])
			k.at[at++] = (int32_t)i;
	outer.kind = "periodic";
	outer.apply = apply_net;
	outer.data = flow_copy(m, &k, sizeof k);
	return outer;
}

/* w_0 sin + w_1 cos in place of each periodic feature */
static ad_var apply_mixed(const nn_net *net, nn c, ad_var x, ad_var cond, int64_t out)
{
	const periodic *k = net->data;
	if (!fits(k, c, x))
		return x;
	if (k->periodic) {
		ad_var w =
			nn_param(nn_in(c, "periodic"), "weights", AD_SHAPE(k->periodic, 2), (nn_fill){ NN_CONST, 1 });
		ad_var index = ad_array_i32(ad_root(c.tape), AD_SHAPE(k->periodic), k->at),
		       old = ad_gather(x, 1, index);
		ad_var u = ad_scale(old, k->scale);
		ad_var new = ad_add(ad_mul(ad_squeeze(ad_slice(w, 1, 0, 1), 1), ad_sin(u)),
				    ad_mul(ad_squeeze(ad_slice(w, 1, 1, 2), 1), ad_cos(u)));
		double *keep = malloc((size_t)k->n * sizeof *keep);
		for (int64_t i = 0; keep && i < k->n; i++)
			keep[i] = 1;
		for (int64_t i = 0; keep && i < k->periodic; i++)
			keep[k->at[i]] = 0;
		if (keep)
			x = ad_add(ad_mul(x, ad_array(ad_root(c.tape), AD_SHAPE(k->n), keep)),
				   ad_scatter_add(new, 1, index, k->n));
		else
			ad_fail(c.tape, "periodic net: no memory, in \"%s\"", c.path);
		free(keep);
	}
	return k->inner.apply(&k->inner, c, x, cond, out);
}

nn_net flow_periodic_mixed_net(flow_mem *m, nn_net net, int64_t n, int64_t count, const int at[], double scale)
{
	nn_net outer = net;
	periodic k = { .inner = net,
		       .n = n,
		       .periodic = count,
		       .scale = scale,
		       .at = flow_alloc(m, (size_t)(count + 1) * sizeof(int32_t)) };
	bool ok = n > 0 && count >= 0 && count <= n;
	for (int64_t i = 0; ok && i < count; i++) {
		ok = at[i] >= 0 && at[i] < n && (!i || at[i] > at[i - 1]);
		k.at[i] = (int32_t)at[i];
	}
	outer.kind = "periodic";
	outer.apply = ok ? apply_mixed : refused;
	outer.data = flow_copy(m, &k, sizeof k);
	return outer;
}
