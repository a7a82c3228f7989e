/* bnaf.c - block neural autoregressive flow (De Cao et al. 2019).
 *
 * Hidden units stand in dim blocks; block d of a layer sees block d of the one below through positive weights, so that
 * output d increases with x_d, and earlier blocks through any.  What the earlier blocks give to block d ("offsets")
 * does not depend on x_d: for given offsets every output is a function of its own x_d alone, a small net whose root is
 * found by bisection.  The inverse is the autoregressive one with the offsets as parameters. */
#include "monotone.h"
#include "neural.h"
#include "parts.h"

#include <string.h>

typedef struct {
	flow f;
	int64_t dim;
	int linears;
	const int64_t *block; /* units of a block after linear i */
	flow_bnaf_residual residual;
} bnaf;

/* The weight of linear i: whole [out, in], and its diagonal blocks [dim, out, in]. */
typedef struct {
	ad_var whole, diagonal, bias;
} linear;

static linear linear_at(const bnaf *f, nn c, int i)
{
	int64_t D = f->dim, o = f->block[i], k = i ? f->block[i - 1] : 1;
	ad_shape blocks = AD_SHAPE(D, o, D, k);
	ad_var W = nn_param(c, "weight", AD_SHAPE(D * o, D * k), (nn_fill){ NN_XAVIER, 1 });
	ad_var s = nn_param(c, "log_scale", AD_SHAPE(D * o, 1), (nn_fill){ NN_ZEROS });
	ad_var own = flow__eye(ad_root(c.tape), D), low = ad_tril(ad_full(ad_root(c.tape), AD_SHAPE(D, D), 1), -1);
	ad_var own4 = ad_reshape(own, AD_SHAPE(D, 1, D, 1)), low4 = ad_reshape(low, AD_SHAPE(D, 1, D, 1));
	ad_var W4 = ad_reshape(W, blocks);
	ad_var w = ad_reshape(ad_add(ad_mul(ad_exp(W4), own4), ad_mul(W4, low4)), AD_SHAPE(D * o, D * k));
	ad_var norm = ad_sum_keep(ad_square(w), AD_AXIS(1));
	ad_var V = ad_mul(w, ad_mul(ad_exp(s), ad_rsqrt(norm)));
	ad_var d = ad_diagonal(ad_permute(ad_reshape(V, blocks), (int[]){ 1, 3, 0, 2 })); /* [o, k, D] */
	return (linear){ V, ad_permute(d, (int[]){ 2, 0, 1 }),
			 nn_param(c, "bias", AD_SHAPE(D * o), (nn_fill){ NN_FAN_IN, 1 }) };
}

/* Earlier blocks and bias: [B, dim, o] */
static ad_var offset(const bnaf *f, const linear *l, int i, ad_var h)
{
	int64_t D = f->dim, o = f->block[i], k = i ? f->block[i - 1] : 1, lo[D * o], hi[D * o];
	for (int64_t r = 0; r < D * o; r++) {
		lo[r] = 0;
		hi[r] = r / o * k;
	}
	ad_var flat = ad_reshape(h, AD_SHAPE(AD_BATCH, D * k));
	return ad_reshape(ad_linear_masked(flat, l->whole, l->bias, lo, hi), AD_SHAPE(AD_BATCH, D, o));
}

static ad_var own(const linear *l, ad_var h)
{
	return ad_einsum("bdk,dok->bdo", h, l->diagonal);
}

/* log sum_k V_ok exp g_k: no slope is lost however small */
static ad_var log_own(const linear *l, ad_var g)
{
	ad_var top = ad_stop(ad_maxof_keep(g, AD_AXIS(2)));
	return ad_add(ad_log(own(l, ad_exp(ad_sub(g, top)))), top);
}

/* log(1 - tanh(t)^2) */
static ad_var log_slope(ad_var t)
{
	ad_var a = ad_abs(t);
	return ad_shift(ad_scale(ad_add(a, ad_softplus(ad_scale(a, -2))), -2), 1.3862943611198906188);
}

/* y and log dy/dx of every x_d; offsets: given, or (NULL) computed on the way and, if wanted, left in made[]. */
static flow_out evaluate(const bnaf *f, nn c, ad_var x, ad_var cond, const ad_var given[], ad_var made[])
{
	ad_var h = ad_expand(x, -1), g = NULL;
	for (int i = 0; i < f->linears; i++) {
		linear l = linear_at(f, nn_in(c, "linear_%d", i), i);
		ad_var u = given ? given[i] : offset(f, &l, i, h);
		if (!given && !i && cond) {
			nn at = nn_in(c, "context");
			ad_var t = nn_linear_with(at, cond, f->dim * f->block[0], (nn_linear_opt){ .no_bias = true });
			u = ad_add(u, ad_reshape(t, AD_SHAPE(AD_BATCH, f->dim, f->block[0])));
		}
		if (made)
			made[i] = u;
		h = ad_add(u, own(&l, h));
		g = g ? log_own(&l, g) : ad_log(ad_reshape(l.diagonal, AD_SHAPE(f->dim, f->block[0])));
		if (i + 1 == f->linears)
			break;
		g = ad_add(g, log_slope(h));
		h = ad_tanh(h);
	}
	h = ad_squeeze(h, -1), g = ad_broadcast(ad_squeeze(g, -1), ad_shape_of(x));
	if (f->residual == FLOW_RESIDUAL_NORMAL)
		return (flow_out){ ad_add(x, h), ad_softplus(g) };
	if (f->residual == FLOW_RESIDUAL_NONE)
		return (flow_out){ h, g };
	ad_var gate = nn_param(c, "gate", AD_SHAPE(1), (nn_fill){ NN_ZEROS });
	ad_var y = ad_add(ad_mul(ad_sigmoid(gate), h), ad_mul(ad_sigmoid(ad_neg(gate)), x));
	return (flow_out){ y, ad_sub(ad_softplus(ad_add(g, gate)), ad_softplus(gate)) };
}

/* The x_d that give y_d with the offsets of `at` */
static ad_var solve(const bnaf *f, nn c, ad_var y, ad_var at, ad_var cond)
{
	ad_var offsets[f->linears];
	evaluate(f, c, at, cond, NULL, offsets);
	ad_fn *g = ad_fn_begin(c.tape);
	ad_var x = ad_fn_arg(g, ad_dtype_of(y), ad_shape_of(y));
	ad_var miss = ad_sub(evaluate(f, nn_on(c, ad_fn_tape(g)), x, cond, offsets, NULL).x, y);
	ad_fn_end(g, 1, &miss);
	return flow__root(g, y);
}

static flow_out apply(const flow *self, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const bnaf *f = (const bnaf *)self;
	ad_var at = x;
	if (dir == FLOW_INVERSE && f->residual == FLOW_RESIDUAL_NONE) {
		ad_fail(c.tape, "block_autoregressive: without a residual it is not onto and has no inverse, in \"%s\"",
			c.path);
	} else if (dir == FLOW_INVERSE) {
		ad_fn *g = ad_fn_begin(c.tape);
		ad_var y = ad_fn_arg(g, ad_dtype_of(x), ad_shape_of(x));
		ad_var next = solve(f, nn_on(c, ad_fn_tape(g)), x, y, cond);
		ad_fn_end(g, 1, &next);
		at = ad_fixpoint(g, ad_full_like(x, 0), 0, (int)f->dim, true);
	}
	flow_out o = evaluate(f, c, at, cond, NULL, NULL);
	ad_var logdet = ad_sum(o.logdet, AD_EVENT);
	return dir == FLOW_FORWARD ? (flow_out){ o.x, logdet } : (flow_out){ at, ad_neg(logdet) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const bnaf *)f)->dim, in, out, why);
}

static const char *describe(const flow *self, char *buf, size_t n)
{
	const bnaf *f = (const bnaf *)self;
	static const char *const name[] = { "gated", "normal", "no" };
	snprintf(buf, n, "%d linears, blocks of %lld, %s residual", f->linears, (long long)f->block[0],
		 name[f->residual]);
	return buf;
}

flow *flow_block_autoregressive(flow_mem *m, int64_t dim, int layers, const int64_t widths[], flow_bnaf_residual residual)
{
	if (dim < 1 || layers < 0 || dim > 65536)
		return flow_refuse(m, "block_autoregressive", "%lld features, %d hidden layers", (long long)dim,
				   layers);
	int64_t *block = flow_alloc(m, (size_t)(layers + 1) * sizeof *block);
	for (int i = 0; i < layers; i++) {
		block[i] = widths[i] / dim;
		if (block[i] < 1 || block[i] * dim != widths[i])
			return flow_refuse(m, "block_autoregressive", "width %lld is no multiple of %lld features",
					   (long long)widths[i], (long long)dim);
	}
	block[layers] = 1;
	bnaf f = { .f = { .kind = "block_autoregressive",
			  .apply = apply,
			  .shape = shape,
			  .unshape = shape,
			  .describe = describe,
			  .caps.inverse = residual == FLOW_RESIDUAL_NONE ? FLOW_ABSENT : FLOW_ITERATIVE },
		   .dim = dim,
		   .linears = layers + 1,
		   .block = block,
		   .residual = residual };
	return flow_copy(m, &f, sizeof f);
}
