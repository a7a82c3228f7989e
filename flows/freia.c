/* FrEIA's couplings: the features in two parts a and d, each moved by a net of the other (Ardizzone et al. 2019).
 * A table says for each kind which parts move, and how. */
#include "parts.h"
#include "variants.h"
#include <math.h>

typedef struct {
	const char *kind;
	const char *net[2],
		*shift[2]; /* that move a, and d: one net of (s, t), or a net of s and one of t; NULL: stays */
	bool additive, volume_preserving;
} row;
typedef struct {
	flow f;
	const row *row;
	int64_t dim, split, hidden;
	double clamp;
	flow_freia_clamp activation;
} freia;

static const row rows[] = {
	[FLOW_FREIA_NICE] = { "freia_nice", { "f", "g" }, { NULL, NULL }, true, false },
	[FLOW_FREIA_RNVP] = { "freia_rnvp", { "subnet_s2", "subnet_s1" }, { "subnet_t2", "subnet_t1" }, false, false },
	[FLOW_FREIA_GLOW] = { "freia_glow", { "subnet2", "subnet1" }, { NULL, NULL }, false, false },
	[FLOW_FREIA_GIN] = { "freia_gin", { "subnet2", "subnet1" }, { NULL, NULL }, false, true },
	[FLOW_FREIA_ONE_SIDED] = { "freia_affine_one_sided", { NULL, "subnet" }, { NULL, NULL }, false, false },
};

static ad_var subnet(const freia *f, nn c, ad_var x, int64_t out)
{
	return nn_linear(nn_in(c, "linear_1"), ad_relu(nn_linear(nn_in(c, "linear_0"), x, f->hidden)), out);
}

static ad_var clamped(const freia *f, ad_var s)
{
	if (f->activation == FLOW_CLAMP_ATAN)
		s = ad_scale(ad_atan(s), 0.636);
	else if (f->activation == FLOW_CLAMP_TANH)
		s = ad_tanh(s);
	else
		s = ad_tanh(ad_scale(s, 0.5)); /* 2 (sigmoid(s) - 1/2) */
	return ad_scale(s, f->clamp);
}

/* Part k moved by the other one; its log-determinant, NULL if it is 0. */
static ad_var move(const freia *f, int k, nn c, ad_var x, ad_var other, ad_var cond, flow_dir dir, ad_var *logdet)
{
	const row *r = f->row;
	int64_t n = ad_dim(x, 1);
	nn at = nn_in(c, "%s", r->net[k]);
	ad_var s = NULL, t, u = cond ? ad_concat(1, 2, (ad_var[]){ other, cond }) : other;
	if (r->additive) {
		t = subnet(f, at, u, n);
		return dir == FLOW_FORWARD ? ad_add(x, t) : ad_sub(x, t);
	}
	if (r->shift[k]) {
		s = subnet(f, at, u, n);
		t = subnet(f, nn_in(c, "%s", r->shift[k]), u, n);
	} else {
		ad_var both = subnet(f, at, u, 2 * n);
		s = ad_slice(both, 1, 0, n), t = ad_slice(both, 1, n, 2 * n);
	}
	s = clamped(f, s);
	if (r->volume_preserving) {
		s = ad_sub(s, ad_mean_keep(s, AD_AXIS(1)));
	} else {
		ad_var l = ad_sum(s, AD_EVENT);
		*logdet = flow_add_logdet(*logdet, dir == FLOW_FORWARD ? l : ad_neg(l));
	}
	return dir == FLOW_FORWARD ? ad_add(ad_mul(ad_exp(s), x), t) : ad_mul(ad_sub(x, t), ad_exp(ad_neg(s)));
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const freia *e = (const freia *)f;
	ad_var part[2] = { ad_slice(x, 1, 0, e->split), ad_slice(x, 1, e->split, e->dim) }, logdet = NULL;
	for (int i = 0; i < 2; i++) {
		int k = dir == FLOW_FORWARD ? i : 1 - i;
		if (e->row->net[k])
			part[k] = move(e, k, c, part[k], part[1 - k], cond, dir, &logdet);
	}
	return (flow_out){ ad_concat(1, 2, part), logdet ? logdet : ad_const(c.tape, 0) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const freia *)f)->dim, in, out, why);
}

flow *flow_freia(flow_mem *m, flow_freia_kind kind, int64_t dim, int64_t split, int64_t hidden, double clamp,
		 flow_freia_clamp activation)
{
	if ((unsigned)kind >= sizeof rows / sizeof *rows || (unsigned)activation > FLOW_CLAMP_SIGMOID)
		return flow_refuse(m, "freia", "no kind %d with clamp %d", (int)kind, (int)activation);
	if (split < 1 || split >= dim || hidden < 1 || !(fabs(clamp) < 1e3))
		return flow_refuse(m, rows[kind].kind, "%lld of %lld features, width %lld, clamp %g", (long long)split,
				   (long long)dim, (long long)hidden, clamp);
	freia *e = flow_alloc(m, sizeof *e);
	*e = (freia){
		.f = { .kind = rows[kind].kind, .apply = apply, .shape = shape, .unshape = shape },
		.row = &rows[kind],
		.dim = dim,
		.split = split,
		.hidden = hidden,
		.clamp = clamp,
		.activation = activation,
	};
	return &e->f;
}
