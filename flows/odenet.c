/* odenet.c - nets of time-dependent layers (Grathwohl et al. 2019), as fields of continuous flows. */
#include "odenet.h"

#include <string.h>

/* Time beside features: rank 0 as it is, [B] as [B, 1]. */
static ad_var column(ad_var t)
{
	return ad_batched(t) ? ad_reshape(t, AD_SHAPE(AD_BATCH, 1)) : t;
}

/* A linear map of time alone, [out] or [B, out]. */
static ad_var of_time(nn c, ad_var t, int64_t out, bool bias)
{
	ad_var w = nn_param(c, "weight", AD_SHAPE(out, 1), (nn_fill){ NN_FAN_IN, 1 });
	ad_var v = ad_mul(column(t), ad_reshape(w, AD_SHAPE(out)));
	return bias ? ad_add(v, nn_param(c, "bias", AD_SHAPE(out), (nn_fill){ NN_FAN_IN, 1 })) : v;
}

static ad_var plain(nn c, ad_var x, int64_t out, bool zero)
{
	return nn_linear_with(c, x, out, (nn_linear_opt){ .zero = zero });
}

static ad_var weight_of(nn c, ad_var x, int64_t out)
{
	return nn_param(c, "weight", AD_SHAPE(out, ad_dim(x, -1)), (nn_fill){ 0 });
}

static ad_var ignore(const flow_field *f, nn c, ad_var t, ad_var x, int64_t out, bool zero, flow__map *m)
{
	nn at = nn_in(c, "main");
	ad_var y = plain(at, x, out, zero);
	(void)f, (void)t;
	m->weight = weight_of(at, x, out);
	return y;
}

static ad_var concat(const flow_field *f, nn c, ad_var t, ad_var x, int64_t out, bool zero, flow__map *m)
{
	int64_t in = ad_dim(x, -1);
	nn at = nn_in(c, "main");
	nn_fill fill = zero ? (nn_fill){ NN_ZEROS, 0 } : (nn_fill){ NN_FAN_IN, 1 };
	ad_var w = nn_param(at, "weight", AD_SHAPE(out, in + 1), fill), b = nn_param(at, "bias", AD_SHAPE(out), fill);
	/* The first column times t belongs to the bias. */
	ad_var shift = ad_add(ad_mul(column(t), ad_reshape(ad_slice(w, 1, 0, 1), AD_SHAPE(out))), b);
	w = m->weight = ad_slice(w, 1, 1, in + 1);
	(void)f;
	return ad_batched(shift) ? ad_add(ad_linear(x, w, NULL), shift) : ad_linear(x, w, shift);
}

static ad_var squash(const flow_field *f, nn c, ad_var t, ad_var x, int64_t out, bool zero, flow__map *m)
{
	ad_var y = ignore(f, c, t, x, out, zero, m);
	m->gate = ad_sigmoid(of_time(nn_in(c, "hyper"), t, out, true));
	return ad_mul(y, m->gate);
}

static ad_var concatsquash(const flow_field *f, nn c, ad_var t, ad_var x, int64_t out, bool zero, flow__map *m)
{
	m->gate = ad_sigmoid(of_time(nn_in(c, "hyper_gate"), t, out, true));
	return ad_add(ad_mul(ignore(f, c, t, x, out, zero, m), m->gate),
		      of_time(nn_in(c, "hyper_bias"), t, out, false));
}

static ad_var blend(const flow_field *f, nn c, ad_var t, ad_var x, int64_t out, bool zero, flow__map *m)
{
	ad_var a = plain(nn_in(c, "main_0"), x, out, zero), b = plain(nn_in(c, "main_1"), x, out, zero);
	(void)f, (void)m;
	return ad_add(a, ad_mul(column(t), ad_sub(b, a)));
}

static ad_var hyper(const flow_field *f, nn c, ad_var t, ad_var x, int64_t out, bool zero, flow__map *m)
{
	(void)m;
	int64_t in = ad_dim(x, -1), n = out * (in + 1);
	nn at = nn_in(c, "hypernet");
	ad_var h = ad_tanh(of_time(nn_in(at, "linear_0"), t, f->hyper ? f->hyper : 8, true));
	bool each = ad_batched(h);
	ad_var p =
		nn_linear_with(nn_in(at, "linear_1"), each ? h : ad_expand(h, 0), n, (nn_linear_opt){ .zero = zero });
	ad_var b = ad_slice(p, 1, 0, out), w = ad_slice(p, 1, out, n);
	if (!each)
		return ad_linear(x, ad_reshape(w, AD_SHAPE(out, in)), ad_reshape(b, AD_SHAPE(out)));
	return ad_add(ad_einsum("bi,boi->bo", x, ad_reshape(w, AD_SHAPE(AD_BATCH, out, in))), b);
}

static const struct {
	const char *name;
	/* m: empty; its weight and gate are filled in, if there are such. */
	ad_var (*apply)(const flow_field *f, nn c, ad_var t, ad_var x, int64_t out, bool zero, flow__map *m);
} layers[] = {
	[FLOW_T_IGNORE] = { "ignore", ignore }, [FLOW_T_CONCAT] = { "concat", concat },
	[FLOW_T_SQUASH] = { "squash", squash }, [FLOW_T_CONCATSQUASH] = { "concatsquash", concatsquash },
	[FLOW_T_BLEND] = { "blend", blend },	[FLOW_T_HYPER] = { "hyper", hyper },
};

bool flow_time_layer_named(const char *name, flow_time_layer *l)
{
	for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
		if (!strcmp(layers[i].name, name)) {
			*l = (flow_time_layer)i;
			return true;
		}
	return false;
}

static ad_var act(const flow_field *f, nn c, ad_var x)
{
	const char *name = f->act ? f->act : "tanh";
	if (!strcmp(name, "square"))
		return ad_square(x);
	if (!strcmp(name, "swish_beta"))
		return ad_mul(x, ad_sigmoid(ad_mul(nn_param(c, "swish_beta", AD_SCALAR, (nn_fill){ NN_CONST, 1 }), x)));
	const nn_act *a = nn_act_named(name);
	if (a)
		return a->apply(x);
	ad_fail(c.tape, "flow_odenet: there is no activation \"%s\", in \"%s\"", name, c.path);
	return x;
}

/* The derivative of y = act(x), or NULL. */
static ad_var act_slope(ad_var x, ad_var y)
{
	if (!ad_shape_eq(ad_shape_of(x), ad_shape_of(y)))
		return NULL;
	ad_var one = ad_full_like(x, 1), d;
	ad_jvp(1, &y, 1, &x, &one, &d);
	return d;
}

static flow_slope slope(const flow_field *f, nn c, ad_var t, ad_var x, ad_var cond, bool trace)
{
	int64_t dim = ad_dim(x, -1);
	ad_var h = cond ? ad_concat(1, 2, (ad_var[]){ x, cond }) : x;
	nn in = nn_in(c, "odenet");
	flow__map m[f->depth + 1];
	memset(m, 0, sizeof m);
	for (int i = 0; i <= f->depth; i++) {
		bool last = i == f->depth;
		int64_t out = last ? dim : f->widths ? f->widths[i] : f->width;
		h = layers[f->layer].apply(f, nn_in(in, "%d", i), t, h, out, last && f->zero_last, &m[i]);
		if (last)
			break;
		ad_var y = act(f, in, h);
		if (trace)
			m[i].slope = act_slope(h, y);
		h = y;
	}
	/* In an ordinary state's adjoint what is made of weights beforehand would count in the error norm. */
	return (flow_slope){ .x = h, .trace = trace && ad_batched(x) ? flow__net_trace(f->depth + 1, m, dim) : NULL };
}

flow_field flow_odenet(flow_time_layer layer, int64_t width, int depth, const char *name)
{
	return (flow_field){
		.kind = layers[layer].name, .slope = slope, .layer = layer, .width = width, .depth = depth, .act = name
	};
}
