/* test_products.c - contractions, linear algebra and convolutions: values against plain loops, batched in tiles
 * against unbatched, fp32 near fp64, derivatives of order 1 and 2 against central differences, and mistakes.
 */
#include "program.h"

#define SAMPLES 37 /* not a multiple of a tile */
#define ROWS	2  /* samples of the difference quotients */
#define B	AD_BATCH

typedef struct law law;
struct law {
	const char *name;
	ad_var (*f)(const law *l, const ad_var x[]);
	ad_shape x[3];
	const char *spec;								  /* einsum */
	bool (*want)(const law *, int64_t n[][AD_MAXRANK], double *const x[], double *y); /* plain loops */
	ad_conv_opt o;
	int64_t extra[2];
};

/* --- Contractions --- */

static ad_var einsum(const law *l, const ad_var x[])
{
	return ad_einsum(l->spec, x[0], x[1]);
}

/* Value of the odometer's letters in the array that has these labels. */
static int64_t place(const char *labels, int n, const int64_t dim[], const int64_t at[])
{
	int64_t p = 0;
	for (int i = 0; i < n; i++)
		p = p * dim[i] + at[(int)labels[i]];
	return p;
}

static bool einsum_loops(const law *l, int64_t n[][AD_MAXRANK], double *const x[], double *y)
{
	const char *a = l->spec, *b = strchr(a, ',') + 1, *o = strstr(b, "->") + 2;
	int na = (int)(b - a) - 1, nb = (int)(o - b) - 2, no = (int)strlen(o), nl = 0;
	int64_t extent[128] = { 0 }, at[128] = { 0 }, dim[AD_MAXRANK], total = 1;
	char letter[32];
	for (int i = 0; i < na; i++)
		extent[(int)a[i]] = n[0][i];
	for (int i = 0; i < nb; i++)
		extent[(int)b[i]] = n[1][i];
	for (int k = 0; k < 128; k++)
		if (extent[k])
			letter[nl++] = (char)k;
	for (int i = 0; i < no; i++)
		total *= dim[i] = extent[(int)o[i]];
	memset(y, 0, (size_t)total * sizeof *y);
	for (int k = 0; k < nl;) {
		y[place(o, no, dim, at)] += x[0][place(a, na, n[0], at)] * x[1][place(b, nb, n[1], at)];
		for (k = 0; k < nl && ++at[(int)letter[k]] == extent[(int)letter[k]]; k++)
			at[(int)letter[k]] = 0;
	}
	return true;
}

static ad_var linear(const law *l, const ad_var x[])
{
	(void)l;
	return ad_linear(x[0], x[1], x[2]);
}

static bool linear_loops(const law *l, int64_t n[][AD_MAXRANK], double *const x[], double *y)
{
	int rank = l->x[0].rank;
	int64_t out = n[1][0], in = n[1][1], rows = 1;
	for (int i = 0; i + 1 < rank; i++)
		rows *= n[0][i];
	for (int64_t q = 0; q < rows * out; q++) {
		y[q] = x[2][q % out];
		for (int64_t p = 0; p < in; p++)
			y[q] += x[0][q / out * in + p] * x[1][q % out * in + p];
	}
	return true;
}

#define OP(name, expression)                                                                                           \
	static ad_var name(const law *l, const ad_var x[])                                                             \
	{                                                                                                              \
		(void)l;                                                                                               \
		return expression;                                                                                     \
	}

/* Diagonally dominant, so that nothing is ill-conditioned. */
static ad_var safe(ad_var a)
{
	int64_t n = ad_dim(a, -1);
	return ad_add(a, ad_diag(ad_full(ad_tape_of(a), AD_SHAPE(n), 4)));
}

static ad_var mm(ad_var a, ad_var b)
{
	return ad_matmul(a, b, false, false);
}

OP(matmul, mm(x[0], x[1]))
OP(matmul_t, ad_matmul(x[0], x[1], true, false))
OP(matmul_tt, ad_matmul(x[0], x[1], true, true))
OP(matmul_views, mm(ad_flip(ad_transpose(x[0]), -1), ad_slice_step(x[1], -1, 0, ad_dim(x[1], -1), 2)))
OP(matmul_spread, mm(ad_broadcast(x[1], AD_SHAPE(ad_dim(x[0], 0), ad_dim(x[1], 0), ad_dim(x[1], 1))), x[0]))
OP(solve, ad_solve(safe(x[0]), x[1]))
OP(solve_vector, ad_batched(x[1]) || ad_rank(x[1]) == 1 ? ad_solve(safe(x[0]), x[1])
							: ad_squeeze(ad_solve(safe(x[0]), ad_expand(x[1], -1)), -1))
OP(unsafe_solve, ad_solve(x[0], x[1]))
OP(unsafe_logabsdet, ad_logabsdet(x[0]))
OP(solve_lower, ad_solve_triangular(safe(x[0]), x[1], false, false, false))
OP(solve_upper, ad_solve_triangular(safe(x[0]), x[1], true, false, false))
OP(solve_lower_t, ad_solve_triangular(safe(x[0]), x[1], false, true, false))
OP(solve_upper_t, ad_solve_triangular(safe(x[0]), x[1], true, true, false))
OP(solve_unit, ad_solve_triangular(x[0], x[1], false, false, true))
OP(solve_unit_t, ad_solve_triangular(x[0], x[1], true, true, true))
OP(inverse, ad_inverse(safe(x[0])))
OP(logabsdet, ad_logabsdet(safe(x[0])))
OP(det, ad_mul(ad_det_sign(x[0]), ad_exp(ad_logabsdet(x[0]))))
OP(cholesky, ad_cholesky(safe(x[0])))
OP(gram, ad_cholesky(safe(ad_matmul(x[0], x[0], false, true))))

/* Zero by definition. */
OP(solved, ad_sub(mm(safe(x[0]), ad_solve(safe(x[0]), x[1])), x[1]))
OP(solved_tri, ad_sub(ad_matmul(ad_triu(safe(x[0]), 0), solve_upper_t(l, x), true, false), x[1]))
OP(solved_unit, ad_sub(mm(ad_add(ad_tril(x[0], -1), ad_diag(ad_full(ad_tape_of(x[0]), AD_SHAPE(ad_dim(x[0], -1)), 1))),
			  solve_unit(l, x)),
		       x[1]))
OP(inverted, ad_sub(mm(ad_sub(ad_inverse(safe(x[0])), ad_full_like(x[0], 0)), safe(x[0])),
		    ad_diag(ad_full(ad_tape_of(x[0]), AD_SHAPE(ad_dim(x[0], -1)), 1))))
OP(rooted, ad_sub(ad_matmul(cholesky(l, x), cholesky(l, x), false, true),
		  ad_scale(ad_add(safe(x[0]), ad_transpose(safe(x[0]))), 0.5)))
static bool zeros(const law *l, int64_t n[][AD_MAXRANK], double *const x[], double *y)
{
	(void)l, (void)n, (void)x, (void)y;
	return false;
}

/* --- Convolutions --- */

static ad_var conv(const law *l, const ad_var x[])
{
	return ad_conv(x[0], x[1], l->o);
}
static ad_var conv_t(const law *l, const ad_var x[])
{
	return ad_conv_transposed(x[0], x[1], l->o, l->extra);
}

static int64_t or1(int64_t v)
{
	return v ? v : 1;
}

/* Scatters or gathers over every pair of a pixel of the smaller side and a tap. */
static bool conv_loops(const law *l, int64_t n[][AD_MAXRANK], double *const x[], double *y)
{
	bool turned = l->f == conv_t, flat = l->x[0].rank == 3;
	int64_t s[2], p[2], d[2], k[2] = { 1, n[1][2] }, in[2] = { 1, n[0][2] }, out[2], groups = or1(l->o.groups);
	for (int i = 0; i < 2; i++) {
		int q = flat ? 0 : i;
		bool used = !flat || i;
		s[i] = used ? or1(l->o.stride[q]) : 1;
		p[i] = used ? l->o.pad[q] : 0;
		d[i] = used ? or1(l->o.dilation[q]) : 1;
		if (!flat) {
			k[i] = n[1][2 + i];
			in[i] = n[0][2 + i];
		}
		out[i] = turned ? (in[i] - 1) * s[i] - 2 * p[i] + (k[i] - 1) * d[i] + 1 + (used ? l->extra[q] : 0)
				: (in[i] + 2 * p[i] - (k[i] - 1) * d[i] - 1) / s[i] + 1;
	}
	int64_t ci = n[0][1], co = turned ? n[1][1] * groups : n[1][0], gi = ci / groups, go = co / groups;
	const int64_t *small = turned ? in : out, *large = turned ? out : in;
	memset(y, 0, (size_t)(n[0][0] * co * out[0] * out[1]) * sizeof *y);
	for (int64_t b = 0; b < n[0][0]; b++)
		for (int64_t q = 0; q < groups * gi * go * k[0] * k[1] * small[0] * small[1]; q++) {
			int64_t t = q, w = t % small[1], h = (t /= small[1]) % small[0], kw = (t /= small[0]) % k[1];
			int64_t kh = (t /= k[1]) % k[0], o = (t /= k[0]) % go, c = (t /= go) % gi, g = t / gi;
			int64_t H = h * s[0] - p[0] + kh * d[0], W = w * s[1] - p[1] + kw * d[1];
			if (H < 0 || H >= large[0] || W < 0 || W >= large[1])
				continue;
			int64_t tap = kh * k[1] + kw, ai = b * ci + g * gi + c, ao = b * co + g * go + o;
			if (turned)
				y[(ao * out[0] + H) * out[1] + W] += x[1][((g * gi + c) * go + o) * k[0] * k[1] + tap] *
								     x[0][(ai * in[0] + h) * in[1] + w];
			else
				y[(ao * out[0] + h) * out[1] + w] += x[1][((g * go + o) * gi + c) * k[0] * k[1] + tap] *
								     x[0][(ai * in[0] + H) * in[1] + W];
		}
	return true;
}

/* clang-format off */
static const law laws[] = {
#define S(...) AD_SHAPE_(__VA_ARGS__)
#define AD_SHAPE_(...) { (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), { __VA_ARGS__ } }
#define EINSUM(s, ...) { s, einsum, { __VA_ARGS__ }, s, einsum_loops, { .groups = 0 }, { 0 } }
#define LAW(f, ...) { #f, f, { __VA_ARGS__ }, NULL, NULL, { .groups = 0 }, { 0 } }
#define ZERO(f, ...) { #f, f, { __VA_ARGS__ }, NULL, zeros, { .groups = 0 }, { 0 } }
#define CONV(f, x, w, e, ...) { #f " " #__VA_ARGS__, f, { x, w }, NULL, conv_loops, { __VA_ARGS__ }, e }
#define EXTRA(a, b) { a, b }
	EINSUM("bk,kn->bn", S(B, 3), S(3, 5)),
	EINSUM("bk,nk->bn", S(B, 7), S(2, 7)),
	EINSUM("btk,nk->btn", S(B, 2, 3), S(4, 3)),
	EINSUM("bkt,nk->bnt", S(B, 3, 4), S(2, 3)),
	EINSUM("bchw,oc->bohw", S(B, 2, 2, 3), S(3, 2)),
	EINSUM("oc,bchw->bohw", S(3, 2), S(B, 2, 2, 3)),
	EINSUM("bm,bn->mn", S(B, 3), S(B, 4)),
	EINSUM("bm,bn->nm", S(B, 3), S(B, 4)),
	EINSUM("btm,btn->mn", S(B, 2, 3), S(B, 2, 4)),
	EINSUM("btm,btn->tmn", S(B, 2, 3), S(B, 2, 4)),
	EINSUM("bnk,bkm->bnm", S(B, 2, 3), S(B, 3, 2)),
	EINSUM("bnk,bk->bn", S(B, 2, 3), S(B, 3)),
	EINSUM("bi,bj->bij", S(B, 2), S(B, 3)),
	EINSUM("bi,bi->b", S(B, 4), S(B, 4)),
	EINSUM("bi,bi->bi", S(B, 4), S(B, 4)),
	EINSUM("bi,bi->i", S(B, 4), S(B, 4)),
	EINSUM("bi,bi->", S(B, 4), S(B, 4)),
	EINSUM("b,b->", S(B), S(B)),
	EINSUM("b,bi->i", S(B), S(B, 3)),
	EINSUM("b,i->bi", S(B), S(3)),
	EINSUM("bi,i->b", S(B, 3), S(3)),
	EINSUM("bhnk,bhmk->bhnm", S(B, 2, 2, 3), S(B, 2, 3, 3)),
	EINSUM("bhk,hkn->bhn", S(B, 2, 3), S(2, 3, 2)),
	EINSUM("ij,jk->ik", S(3, 4), S(4, 5)),
	EINSUM("ij,jk->ki", S(3, 4), S(4, 5)),
	EINSUM("ij,ij->j", S(3, 4), S(3, 4)),
	EINSUM("ij,ji->j", S(3, 4), S(4, 3)),
	EINSUM("gij,gjk->gik", S(2, 3, 4), S(2, 4, 2)),
	EINSUM("imk,ikn->mni", S(2, 3, 4), S(2, 4, 2)),
	EINSUM("mk,k->m", S(3, 4), S(4)),
	EINSUM("i,j->ij", S(3), S(4)),
	EINSUM("bcij,cijd->bd", S(B, 2, 3, 2), S(2, 3, 2, 2)),
	{ "linear", linear, { S(B, 3), S(5, 3), S(5) }, NULL, linear_loops, { .groups = 0 }, { 0 } },
	{ "linear one", linear, { S(B, 3), S(1, 3), S(1) }, NULL, linear_loops, { .groups = 0 }, { 0 } },
	{ "linear events", linear, { S(B, 2, 3), S(4, 3), S(4) }, NULL, linear_loops, { .groups = 0 }, { 0 } },
	{ "linear unbatched", linear, { S(6, 3), S(4, 3), S(4) }, NULL, linear_loops, { .groups = 0 }, { 0 } },
	LAW(matmul, S(B, 3), S(3, 2)),
	LAW(matmul, S(B, 2, 3), S(3, 2)),
	LAW(matmul, S(B, 2, 3), S(B, 3, 2)),
	LAW(matmul, S(B, 1, 2, 3), S(4, 3, 2)),
	LAW(matmul, S(B, 4, 2, 3), S(1, 3, 2)),
	LAW(matmul, S(B, 4, 2, 3), S(B, 1, 3, 2)),
	LAW(matmul, S(1, 2, 3), S(B, 3, 2)),
	LAW(matmul, S(2, 3), S(B, 3, 2)),
	LAW(matmul, S(3), S(B, 3, 2)),
	LAW(matmul, S(B, 2, 3), S(3)),
	LAW(matmul, S(B, 3), S(3)),
	LAW(matmul, S(3), S(3)),
	LAW(matmul_t, S(B, 3), S(B, 2)),
	LAW(matmul_t, S(B, 3), S(B)),
	LAW(matmul_tt, S(B, 3, 2), S(4, 3)),
	LAW(matmul_views, S(B, 3, 2), S(3, 5)),
	LAW(matmul_views, S(3, 2), S(B, 3, 5)),
	LAW(matmul_spread, S(B, 3, 2), S(2, 3)),
	LAW(solve, S(3, 3), S(B, 3, 2)),
	LAW(solve_vector, S(3, 3), S(B, 3)),
	LAW(solve, S(B, 3, 3), S(3, 2)),
	LAW(solve_vector, S(B, 3, 3), S(B, 3)),
	LAW(solve, S(B, 1, 3, 3), S(B, 2, 3, 1)),
	LAW(solve, S(2, 1, 3, 3), S(4, 3, 2)),
	LAW(solve_vector, S(3, 3), S(3)),
	LAW(solve_lower, S(3, 3), S(B, 3, 1)),
	LAW(solve_lower, S(B, 3, 3), S(B, 3, 2)),
	LAW(solve_upper, S(3, 3), S(B, 3, 2)),
	LAW(solve_upper, S(B, 2, 3, 3), S(3, 2)),
	LAW(solve_lower_t, S(3, 3), S(B, 3, 1)),
	LAW(solve_lower_t, S(B, 3, 3), S(B, 3, 1)),
	LAW(solve_upper_t, S(3, 3), S(B, 3, 2)),
	LAW(solve_upper_t, S(3, 3), S(3)),
	LAW(solve_unit, S(3, 3), S(B, 3, 1)),
	LAW(solve_unit, S(B, 3, 3), S(B, 3, 2)),
	LAW(solve_unit_t, S(3, 3), S(B, 3, 1)),
	LAW(inverse, S(3, 3)),
	LAW(inverse, S(B, 2, 2)),
	LAW(logabsdet, S(3, 3)),
	LAW(logabsdet, S(B, 2, 3, 3)),
	LAW(det, S(B, 3, 3)),
	LAW(cholesky, S(3, 3)),
	LAW(cholesky, S(B, 3, 3)),
	LAW(gram, S(B, 3, 3)),
	ZERO(solved, S(40, 40), S(B, 40, 3)),
	ZERO(solved, S(B, 20, 20), S(B, 20, 3)),
	ZERO(solved_tri, S(40, 40), S(B, 40, 3)),
	ZERO(solved_tri, S(B, 20, 20), S(B, 20, 3)),
	ZERO(solved_unit, S(12, 12), S(B, 12, 3)),
	ZERO(solved_unit, S(B, 6, 6), S(6, 3)),
	ZERO(inverted, S(40, 40)),
	ZERO(inverted, S(B, 9, 9)),
	ZERO(rooted, S(20, 20)),
	ZERO(rooted, S(B, 7, 7)),
	CONV(conv, S(B, 2, 5), S(3, 2, 3), EXTRA(0, 0), .groups = 0),
	CONV(conv, S(B, 2, 7), S(2, 2, 3), EXTRA(0, 0), .stride = { 2 }, .pad = { 1 }, .dilation = { 2 }),
	CONV(conv, S(B, 4, 5), S(6, 2, 2), EXTRA(0, 0), .pad = { 3 }, .groups = 2),
	CONV(conv, S(B, 2, 4, 5), S(3, 2, 3, 2), EXTRA(0, 0), .groups = 0),
	CONV(conv, S(B, 2, 3, 3), S(3, 2, 1, 1), EXTRA(0, 0), .groups = 0),
	CONV(conv, S(B, 2, 5, 4), S(2, 2, 3, 3), EXTRA(0, 0), .pad = { 1, 1 }),
	CONV(conv, S(B, 2, 5, 6), S(2, 2, 3, 2), EXTRA(0, 0), .pad = { 1, 2 }, .stride = { 2, 3 }, .dilation = { 1, 2 }),
	CONV(conv, S(B, 3, 4, 3), S(3, 1, 2, 2), EXTRA(0, 0), .groups = 3, .stride = { 1, 2 }),
	CONV(conv, S(3, 2, 4, 5), S(3, 2, 3, 2), EXTRA(0, 0), .pad = { 1, 0 }, .stride = { 1, 2 }),
	CONV(conv_t, S(B, 3, 4), S(3, 2, 3), EXTRA(0, 0), .groups = 0),
	CONV(conv_t, S(B, 2, 4), S(2, 2, 3), EXTRA(1, 0), .stride = { 2 }, .pad = { 1 }, .dilation = { 2 }),
	CONV(conv_t, S(B, 2, 3, 2), S(2, 1, 3, 2), EXTRA(1, 2), .stride = { 2, 3 }, .pad = { 1, 0 }, .groups = 2),
	CONV(conv_t, S(2, 2, 3, 2), S(2, 3, 2, 2), EXTRA(0, 0), .stride = { 1, 2 }),
};

/* clang-format on */

/* --- The laws --- */

typedef struct {
	int nin;
	double *x[6]; /* inputs, then the tangents that order 2 is taken along */
	int64_t count[3];
} values;

static ad_shape sized(ad_shape s, bool batched, int64_t batch)
{
	if (!batched && s.rank && s.dim[0] == B)
		s.dim[0] = batch;
	return s;
}

/* Outputs: y; L = sum sin y; S = sum of gradients along tangents; gradients of L, then of S. */
static program traced(const law *l, ad_dtype real, bool batched, int64_t batch, void *const data[6], bool derivatives)
{
	program g = program_on(real, batch);
	ad_var x[6], d[3], e[3], s = NULL;
	int n = 0;
	for (; n < 3 && l->x[n].rank; n++)
		;
	for (int i = 0; i < (derivatives ? 2 * n : n); i++)
		x[i] = program_in(&g, real, sized(l->x[i % n], batched, batch), data[i]);
	ad_var y = l->f(l, x), loss = ad_sum(ad_sin(y), AD_ALL);
	program_out(&g, y);
	program_out(&g, loss);
	if (!derivatives)
		return g;
	ad_vjp(1, &loss, NULL, n, x, d);
	for (int i = 0; i < n; i++) {
		ad_var part = ad_sum(ad_mul(d[i], x[n + i]), AD_ALL);
		s = s ? ad_add(s, part) : part;
	}
	ad_vjp(1, &s, NULL, n, x, e);
	program_out(&g, s);
	for (int i = 0; i < n; i++)
		program_out(&g, d[i]);
	for (int i = 0; i < n; i++)
		program_out(&g, e[i]);
	return g;
}

static values inputs(const law *l, int64_t batch)
{
	values v = { 0 };
	for (; v.nin < 3 && l->x[v.nin].rank; v.nin++)
		v.count[v.nin] = ad_numel(l->x[v.nin]) * (l->x[v.nin].dim[0] == B ? batch : 1);
	for (int i = 0; i < 2 * v.nin; i++)
		v.x[i] = numbers(v.count[i % v.nin], -1, 1, (uint64_t)i + 5);
	return v;
}

static void drop(values *v)
{
	for (int i = 0; i < 2 * v->nin; i++)
		free(v->x[i]);
}

static void near(const law *l, const char *what, double got, double want, double tol)
{
	if (!(fabs(got - want) <= tol * (1 + fabs(want))))
		fail_msg("%s, %s: %.17g, not %.17g", l->name, what, got, want);
}

static void against_loops(const law *l, const values *v, const program *g)
{
	int64_t n[3][AD_MAXRANK], count = program_count(g, 0);
	for (int i = 0; i < v->nin; i++)
		for (int k = 0; k < l->x[i].rank; k++)
			n[i][k] = l->x[i].dim[k] == B ? SAMPLES : l->x[i].dim[k];
	double *want = calloc((size_t)count, sizeof *want);
	if (l->want)
		l->want(l, n, v->x, want);
	for (int64_t i = 0; l->want && i < count; i++)
		near(l, "value", program_f64(g, 0)[i], want[i], 1e-12);
	free(want);
}

static void values_agree(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof laws / sizeof *laws; k++) {
		const law *l = &laws[k];
		values v = inputs(l, SAMPLES);
		float *low[6];
		for (int i = 0; i < 2 * v.nin; i++) {
			low[i] = malloc((size_t)v.count[i % v.nin] * sizeof **low);
			for (int64_t q = 0; q < v.count[i % v.nin]; q++)
				low[i][q] = (float)v.x[i][q];
		}
		bool derivatives = l->want != zeros;
		program tiles = traced(l, AD_F64, true, SAMPLES, (void **)v.x, derivatives);
		program whole = traced(l, AD_F64, false, SAMPLES, (void **)v.x, derivatives);
		program single = traced(l, AD_F32, true, SAMPLES, (void **)low, derivatives);
		program_run(&tiles, (ad_options){ .tile = 16, .threads = 2 });
		program_run(&whole, (ad_options){ .threads = 1 });
		program_run(&single, (ad_options){ .tile = 32 });
		against_loops(l, &v, &tiles);
		for (int i = 0; i < tiles.nout; i++)
			for (int64_t q = 0; q < program_count(&tiles, i); q++) {
				near(l, "tiles", program_f64(&tiles, i)[q], program_f64(&whole, i)[q], 1e-10);
				near(l, "fp32", (double)((const float *)ad_result(single.p, i))[q],
				     program_f64(&whole, i)[q],
				     i == 0	   ? 5e-5
				     : l->f == det ? 2e-1
						   : 3e-3);
			}
		program_free(&tiles);
		program_free(&whole);
		program_free(&single);
		for (int i = 0; i < 2 * v.nin; i++)
			free(low[i]);
		drop(&v);
	}
}

static void derivatives_agree(void **state)
{
	(void)state;
	const double h = 1e-5;
	for (size_t k = 0; k < sizeof laws / sizeof *laws; k++) {
		const law *l = &laws[k];
		if (l->want == zeros)
			continue;
		values v = inputs(l, ROWS);
		program g = traced(l, AD_F64, true, ROWS, (void **)v.x, true);
		program f = traced(l, AD_F64, true, ROWS, (void **)v.x, true);
		f.nout = 3;
		program_run(&g, (ad_options){ 0 });
		program_run(&f, (ad_options){ .threads = 1 });
		for (int i = 0; i < v.nin; i++)
			for (int64_t q = 0; q < v.count[i]; q++) {
				double x = v.x[i][q], slope[2] = { 0, 0 };
				for (int side = -1; side <= 1; side += 2) {
					v.x[i][q] = x + side * h;
					assert_int_equal(ad_run(f.p, 0), 0);
					for (int o = 0; o < 2; o++)
						slope[o] += side * ad_result_scalar(f.p, 1 + o) / (2 * h);
				}
				v.x[i][q] = x;
				near(l, "order 1", program_f64(&g, 3 + i)[q], slope[0], 1e-6);
				near(l, "order 2", program_f64(&g, 3 + v.nin + i)[q], slope[1], 1e-5);
			}
		program_free(&g);
		program_free(&f);
		drop(&v);
	}
}

/* --- Mistakes --- */

static void wrong(void **state)
{
	(void)state;
	static const struct {
		const char *say;
		ad_var (*f)(const law *, const ad_var *);
		ad_shape x[2];
		const char *spec;
	} bad[] = {
		{ "label k disagree", einsum, { S(B, 3), S(4, 5) }, "bk,kn->bn" },
		{ "label j stands only once", einsum, { S(B, 3), S(4, 3) }, "bk,jk->b" },
		{ "stands twice", einsum, { S(3, 3), S(3, 3) }, "ii,ij->ij" },
		{ "2 labels for operand 0", einsum, { S(B, 3, 2), S(3, 5) }, "bk,kn->bn" },
		{ "must be the first axis", einsum, { S(B, 3), S(3, 5) }, "bk,kn->nb" },
		{ "is not like", einsum, { S(B, 3), S(3, 5) }, "bk,kn" },
		{ "ad_matmul: ", matmul, { S(B, 3), S(4, 5) }, NULL },
		{ "ad_matmul: ", matmul, { S(B, 2, 3), S(5, 3, 5) }, NULL },
		{ "square", unsafe_solve, { S(3, 4), S(B, 3) }, NULL },
		{ "right-hand side", unsafe_solve, { S(3, 3), S(B, 4) }, NULL },
		{ "square", unsafe_logabsdet, { S(B, 3), S(1) }, NULL },
		{ "channels", conv, { S(B, 3, 5), S(2, 2, 2) }, NULL },
		{ "rank 4", conv, { S(B, 3, 5, 5), S(2, 3, 2) }, NULL },
		{ "larger than the padded input", conv, { S(B, 3, 2), S(2, 3, 3) }, NULL },
		{ "batched", conv, { S(B, 3, 5), S(B, 3, 3) }, NULL },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ad_tape *t = ad_tape_new(AD_F64);
		ad_var x[3] = { ad_input(t, AD_F64, bad[i].x[0], "x"), ad_input(t, AD_F64, bad[i].x[1], "y") };
		law l = { .spec = bad[i].spec };
		bad[i].f(&l, x);
		if (!ad_error(t) || !strstr(ad_error(t), bad[i].say))
			fail_msg("\"%s\" is not in \"%s\"", bad[i].say, ad_error(t) ? ad_error(t) : "no error");
		ad_tape_free(t);
	}
}

/* Sample 20 of 37 is singular: the solvers stop and say so, the determinant is zero. */
static void singular(void **state)
{
	(void)state;
	static const char *const say[] = { "ad_solve: matrix of sample 20 is singular",
					   "ad_inverse: matrix of sample 20 is singular",
					   "ad_cholesky: matrix of sample 20 is not positive definite" };
	double *a = calloc(SAMPLES * 4, sizeof *a);
	for (int i = 0; i < SAMPLES; i++) {
		a[4 * i] = a[4 * i + 1] = a[4 * i + 2] = 1;
		a[4 * i + 3] = i == 20 ? 1 : 2;
	}
	a[4 * 20] = 1;
	for (int k = 0; k < 4; k++) {
		a[4 * 20 + 3] = k == 2 ? 0.5 : 1;
		program g = program_on(AD_F64, SAMPLES);
		ad_var x = program_in(&g, AD_F64, AD_SHAPE(B, 2, 2), a);
		program_out(&g, k == 0	 ? ad_solve(x, x)
				: k == 1 ? ad_inverse(x)
				: k == 2 ? ad_cholesky(x)
					 : ad_logabsdet(x));
		program_out(&g, ad_det_sign(x));
		assert_int_equal(program_try(&g, (ad_options){ .tile = 16, .threads = 2 }), k < 3 ? -1 : 0);
		if (k < 3 && !strstr(ad_run_error(g.p), say[k]))
			fail_msg("\"%s\" is not in \"%s\"", say[k], ad_run_error(g.p));
		for (int i = 0; k == 3 && i < SAMPLES; i++) {
			assert_true(program_f64(&g, 0)[i] == (i == 20 ? -(double)INFINITY : 0));
			assert_true(program_f64(&g, 1)[i] == (i == 20 ? 0 : 1));
		}
		program_free(&g);
	}
	free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(values_agree), cmocka_unit_test(derivatives_agree),
					    cmocka_unit_test(wrong), cmocka_unit_test(singular) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
