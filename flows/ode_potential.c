/* ode_potential.c - the potential of OT-Flow (Onken et al. 2021): gradient and trace of the Hessian in closed form. */
#include "flows/continuous.h"

/* Units log(2 cosh v): derivatives tanh v and 1 - tanh^2 v. */
static ad_var unit(ad_var v)
{
	ad_var a = ad_abs(v);
	return ad_add(a, ad_softplus(ad_scale(a, -2)));
}

static ad_var column(ad_var t)
{
	return ad_batched(t) ? ad_reshape(t, AD_SHAPE(AD_BATCH, 1)) : t;
}

enum { LAYERS = 64 };

typedef struct {
	int n;
	int64_t dim;
	double h;
	ad_var K[LAYERS], q[LAYERS], u; /* weights, arguments of the units, output of the net */
	ad_var w, A, c, c0;
	ad_var As; /* A s, [B, rank] */
	ad_var t;
} net;

/* M s for M [n, D + 1] and s = (x, t). */
static ad_var times(ad_var M, ad_var x, ad_var t)
{
	int64_t d = ad_dim(x, 1), n = ad_dim(M, 0);
	ad_var by_time = ad_mul(column(t), ad_reshape(ad_slice(M, 1, d, d + 1), AD_SHAPE(n)));
	return ad_add(ad_linear(x, ad_slice(M, 1, 0, d), NULL), by_time);
}

static net build(const flow_field *f, nn c, ad_var t, ad_var x, ad_var cond)
{
	int64_t d = ad_dim(x, 1), m = f->width, rank = f->rank ? f->rank : d + 1 < 10 ? d + 1 : 10;
	net r = { .n = f->depth, .dim = d, .h = 1.0 / (f->depth - 1), .t = t };
	if (f->depth < 2 || f->depth > LAYERS || m < 1) {
		ad_fail(c.tape, "flow_potential: %d layers of %lld, not 2 to %d, in \"%s\"", f->depth, (long long)m,
			LAYERS, c.path);
		r.n = 2;
		r.h = 1;
	}
	for (int i = 0; i < r.n; i++) {
		nn at = nn_in(c, "N/layers/%d", i);
		r.K[i] = nn_param(at, "weight", AD_SHAPE(m, i ? m : d + 1), (nn_fill){ NN_FAN_IN, 1 });
		ad_var b = nn_param(at, "bias", AD_SHAPE(m), (nn_fill){ NN_FAN_IN, 1 });
		if (i)
			r.q[i] = ad_linear(r.u, r.K[i], b);
		else
			r.q[i] = ad_add(times(r.K[i], x, t), b);
		if (!i && cond)
			r.q[i] = ad_add(r.q[i],
					nn_linear_with(nn_in(at, "cond"), cond, m, (nn_linear_opt){ .no_bias = true }));
		r.u = i ? ad_add(r.u, ad_scale(unit(r.q[i]), r.h)) : unit(r.q[i]);
	}
	r.w = nn_param(nn_in(c, "w"), "weight", AD_SHAPE(1, m),
		       f->zero_last ? (nn_fill){ NN_ZEROS, 0 } : (nn_fill){ NN_CONST, 1 });
	r.A = nn_param(c, "A", AD_SHAPE(rank, d + 1),
		       f->zero_last ? (nn_fill){ NN_UNIFORM, 1e-2 } : (nn_fill){ NN_XAVIER, 1 });
	r.c = nn_param(nn_in(c, "c"), "weight", AD_SHAPE(1, d + 1), (nn_fill){ NN_ZEROS, 0 });
	r.c0 = nn_param(nn_in(c, "c"), "bias", AD_SHAPE(1), (nn_fill){ NN_ZEROS, 0 });
	r.As = times(r.A, x, t);
	return r;
}

/* Transposed products: [B, n] M for M [n, k]. */
static ad_var back(ad_var v, ad_var M)
{
	return ad_matmul(v, M, false, false);
}

static flow_slope slope(const flow_field *f, nn c, ad_var t, ad_var x, ad_var cond, bool trace)
{
	net r = build(f, c, t, x, cond);
	int64_t d = r.dim, m = f->width;
	double scale = -1 / (f->alpha > 0 ? f->alpha : 1);
	/* z[i]: derivative of w.u_last by the output of layer i, before it is scaled by h. */
	ad_var z[LAYERS], slope[LAYERS];
	z[r.n - 1] = ad_broadcast(r.w, AD_SHAPE(AD_BATCH, m));
	for (int i = r.n; i-- > 0;) {
		slope[i] = ad_tanh(r.q[i]);
		if (i)
			z[i - 1] = ad_add(z[i], ad_scale(back(ad_mul(slope[i], z[i]), r.K[i]), r.h));
	}
	ad_var grad = ad_add(ad_add(back(ad_mul(slope[0], z[0]), r.K[0]), back(r.As, r.A)), r.c); /* [B, D + 1] */
	flow_slope s = { .x = ad_scale(ad_slice(grad, 1, 0, d), scale),
			 .time = ad_reshape(ad_slice(grad, 1, d, d + 1), AD_SHAPE(AD_BATCH)) };
	if (!trace)
		return s;
	/* Each layer adds sum_j unit''(q_j) z_j |row j of d q/d x|^2. */
	ad_var J = ad_slice(r.K[0], 1, 0, d),
	       sum = ad_mul(ad_mul(ad_one_minus_square(slope[0]), z[0]), ad_sum(ad_square(J), AD_AXIS(1)));
	ad_var U = ad_mul(ad_expand(slope[0], 2), J); /* d u/d x, [B, m, D] */
	for (int i = 1; i < r.n; i++) {
		ad_var Q = ad_matmul(r.K[i], U, false, false);
		ad_var term = ad_mul(ad_mul(ad_one_minus_square(slope[i]), z[i]), ad_sum(ad_square(Q), AD_AXIS(2)));
		sum = ad_add(sum, ad_scale(term, r.h));
		if (i + 1 < r.n)
			U = ad_add(U, ad_scale(ad_mul(ad_expand(slope[i], 2), Q), r.h));
	}
	ad_var own = ad_sum(ad_square(ad_slice(r.A, 1, 0, d)), AD_ALL);
	s.trace = ad_scale(ad_add(ad_sum(sum, AD_AXIS(1)), own), scale);
	return s;
}

ad_var flow_potential_value(const flow_field *f, nn c, ad_var t, ad_var x, ad_var cond)
{
	net r = build(f, c, t, x, cond);
	ad_var linear = ad_add(ad_add(ad_linear(r.u, r.w, NULL), times(r.c, x, t)), r.c0); /* [B, 1] */
	return ad_add(ad_reshape(linear, AD_SHAPE(AD_BATCH)), ad_scale(ad_sum(ad_square(r.As), AD_AXIS(1)), 0.5));
}

flow_field flow_potential(int64_t width, int depth)
{
	return (flow_field){ .kind = "potential", .slope = slope, .width = width, .depth = depth };
}
