/* einsum.c - contractions of two arrays: einsum, matmul, linear. */
#include "contract.h"
#include "masked.h"
#include <string.h>

/* Labels stand in the attribute, eight letters a word: inputs 0 and 1, then the result. */
static const char *labels(ad_var r, int k, char buf[AD_MAXRANK + 1])
{
	memcpy(buf, &r->attr.i[k], AD_MAXRANK);
	buf[AD_MAXRANK] = 0;
	return buf;
}

static ad_attr attr_of(const char *a, const char *b, const char *out)
{
	ad_attr t = { 0 };
	memcpy(&t.i[0], a, strlen(a));
	memcpy(&t.i[1], b, strlen(b));
	memcpy(&t.i[2], out, strlen(out));
	return t;
}

/* Extent of label l in operand k, or 0 if it isn't there. */
static bool has(ad_var r, int k, char l, int64_t *extent)
{
	char s[AD_MAXRANK + 1];
	const char *at = strchr(labels(r, k, s), l);
	if (at && k < 2)
		*extent = r->in[k]->shape.dim[at - s];
	return at;
}

static bool check_operand(ad_var r, int k)
{
	char s[AD_MAXRANK + 1], spec[3][AD_MAXRANK + 1];
	labels(r, k, s);
	for (int i = 0; i < 3; i++)
		labels(r, i, spec[i]);
	if (k < 2 && (int)strlen(s) != r->in[k]->shape.rank) {
		ad__fail(r, "\"%s,%s->%s\" has %d labels for operand %d", spec[0], spec[1], spec[2], (int)strlen(s), k);
		return false;
	}
	for (const char *l = s; *l; l++) {
		int64_t x = 0, y = 0;
		bool a = has(r, 0, *l, &x), b = has(r, 1, *l, &y), o = has(r, 2, *l, NULL);
		if (strchr(l + 1, *l))
			ad__fail(r, "label %c stands twice in one operand of \"%s,%s->%s\"", *l, spec[0], spec[1],
				 spec[2]);
		else if (a + b + o < 2)
			ad__fail(r, "label %c stands only once in \"%s,%s->%s\"", *l, spec[0], spec[1], spec[2]);
		else if (a && b && x != y)
			ad__fail(r, "extents of label %c disagree in \"%s,%s->%s\"", *l, spec[0], spec[1], spec[2]);
		else if (o && (a ? x : y) == AD_BATCH && spec[2][0] != *l)
			ad__fail(r, "the batch (label %c) must be the first axis of the result of \"%s,%s->%s\"", *l,
				 spec[0], spec[1], spec[2]);
		else
			continue;
		return false;
	}
	return true;
}

static void infer(ad_var r)
{
	char s[AD_MAXRANK + 1];
	if (!ad__wants_real(r))
		return;
	for (int i = 1; i < r->nin; i++)
		if (r->in[i]->dtype != r->dtype) {
			ad__fail(r, "operands of different types");
			return;
		}
	for (int k = 0; k < 3; k++)
		if (!check_operand(r, k))
			return;
	labels(r, 2, s);
	r->shape.rank = (int)strlen(s);
	for (int i = 0; s[i]; i++)
		if (!has(r, 0, s[i], &r->shape.dim[i]))
			has(r, 1, s[i], &r->shape.dim[i]);
	if (r->nin == 3 && !ad_shape_eq(r->in[2]->shape, AD_SHAPE(r->shape.dim[r->shape.rank - 1])))
		ad__fail(r, "the bias is not one number per output");
}

static const ad_op op;

/* x, of labels s, with axes of extent 1 for those of out that it lacks; NULL: they stand in another order. */
static ad_var spread(ad_var x, const char *s, const char *out)
{
	ad_shape to = { 0 };
	int k = 0;
	for (; *out; out++)
		to.dim[to.rank++] = s[k] == *out ? x->shape.dim[k++] : 1;
	return s[k] ? NULL : ad_reshape(x, to);
}

/* A product that sums over nothing is elementwise. */
static ad_var product(ad_var a, const char *la, ad_var b, const char *lb, const char *out)
{
	ad_var x = spread(a, la, out), y = x ? spread(b, lb, out) : NULL;
	return y ? ad_mul(x, y) : ad__push(NULL, &op, 2, (ad_var[]){ a, b }, attr_of(la, lb, out));
}

static void vjp(ad_var r, ad_var g, ad_var gin[])
{
	char a[AD_MAXRANK + 1], b[AD_MAXRANK + 1], o[AD_MAXRANK + 1];
	labels(r, 0, a);
	labels(r, 1, b);
	labels(r, 2, o);
	gin[0] = product(g, o, r->in[1], b, a);
	gin[1] = product(g, o, r->in[0], a, b);
	if (r->nin == 3)
		gin[2] = g;
}

static void eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	char s[3][AD_MAXRANK + 1];
	bool batched[3] = { ad_batched(r->in[0]), ad_batched(r->in[1]), ad_batched(r) };
	for (int k = 0; k < 3; k++)
		labels(r, k, s[k]);
	ad__contract(r->dtype, s[0] + batched[0], &in[0], s[1] + batched[1], &in[1], s[2] + batched[2], out,
		     r->nin == 3 ? &in[2] : NULL, batched[0] || batched[1], batched[2], c);
}

static size_t scratch(ad_var r, int64_t width)
{
	(void)r, (void)width;
	return AD__GEMM_SCRATCH;
}

static double flops(ad_var r)
{
	char s[2 * AD_MAXRANK + 2];
	double n = 2;
	labels(r, 0, s);
	labels(r, 1, s + strlen(s));
	for (const char *l = s; *l; l++) {
		int64_t x = 1;
		if (strchr(s, *l) == l && (has(r, 0, *l, &x) || has(r, 1, *l, &x)) && x != AD_BATCH)
			n *= (double)x;
	}
	return n;
}

#define OP(called)                                                                                                     \
	{                                                                                                              \
		.name = called, .flags = AD__STRIDED | AD__REDUCES, .infer = infer, .vjp = vjp, .eval = eval,          \
		.scratch = scratch, .flops = flops                                                                     \
	}
static const ad_op op = OP("einsum"), matmul_op = OP("matmul"), linear_op = OP("linear");

ad_var ad_einsum(const char *spec, ad_var a, ad_var b)
{
	char s[3][AD_MAXRANK + 1] = { "", "", "" };
	int k = 0, n = 0;
	for (const char *p = spec; *p; p++) {
		bool next = (k == 0 && *p == ',') || (k == 1 && p[0] == '-' && p[1] == '>');
		if (next) {
			p += k;
			k++;
			n = 0;
		} else if (((*p | 32) >= 'a' && (*p | 32) <= 'z') && n < AD_MAXRANK) {
			s[k][n++] = *p;
		} else {
			k = -1;
			break;
		}
	}
	if (k != 2) {
		ad_fail(ad_tape_of(a), "ad_einsum: \"%s\" is not like \"ab,bc->ac\", with at most %d labels each", spec,
			AD_MAXRANK);
		return a;
	}
	return ad__push(NULL, &op, 2, (ad_var[]){ a, b }, attr_of(s[0], s[1], s[2]));
}

/* x without the leading axes in drop. */
static ad_var without(ad_var x, unsigned drop)
{
	ad_shape s = { 0 };
	if (!drop)
		return x;
	for (int i = 0; i < x->shape.rank; i++)
		if (!(drop & AD_AXIS(i)))
			s.dim[s.rank++] = x->shape.dim[i];
	return ad_reshape(x, s);
}

ad_var ad_matmul(ad_var a, ad_var b, bool ta, bool tb)
{
	static const char *const matrix_a[] = { "mk", "km" }, *const matrix_b[] = { "kn", "nk" };
	char la[2 * AD_MAXRANK] = "", lb[2 * AD_MAXRANK] = "", lo[2 * AD_MAXRANK] = "";
	int ra = ad_rank(a), rb = ad_rank(b), na = 0, nb = 0, no = 0;
	if (ra == 0 || rb == 0) {
		ad_fail(ad_tape_of(a), "ad_matmul: operands of rank %d and %d", ra, rb);
		return a;
	}
	unsigned drop_a = 0, drop_b = 0;
	for (int i = ra > rb ? ra : rb; i > 2; i--) {
		int64_t x = i <= ra ? ad_dim(a, ra - i) : 1, y = i <= rb ? ad_dim(b, rb - i) : 1;
		char l = (char)('A' + i);
		lo[no++] = l;
		if (i <= ra && (i > rb || x != 1 || y == 1))
			la[na++] = l;
		else if (i <= ra)
			drop_a |= AD_AXIS(ra - i);
		if (i <= rb && (i > ra || y != 1 || x == 1))
			lb[nb++] = l;
		else if (i <= rb)
			drop_b |= AD_AXIS(rb - i);
	}
	strcat(la, ra == 1 ? "k" : matrix_a[ta]);
	strcat(lb, rb == 1 ? "k" : matrix_b[tb]);
	if (ra > 1)
		strcat(lo, "m");
	if (rb > 1)
		strcat(lo, "n");
	ad_var in[] = { without(a, drop_a), without(b, drop_b) };
	return ad__push(NULL, &matmul_op, 2, in, attr_of(la, lb, lo));
}

ad_var ad_linear(ad_var x, ad_var w, ad_var bias)
{
	char lx[AD_MAXRANK + 1] = "", lo[AD_MAXRANK + 1] = "";
	int n = ad_rank(x) - 1;
	ad_var rows = ad__linear_rows(x, w, bias);
	if (rows)
		return rows;
	for (int i = 0; i < n; i++)
		lx[i] = lo[i] = (char)('a' + i);
	if (n >= 0)
		lx[n] = 'i';
	lo[n < 0 ? 0 : n] = 'o';
	bool fused = bias && !ad_batched(bias);
	ad_var r = ad__push(NULL, &linear_op, fused ? 3 : 2, (ad_var[]){ x, w, bias }, attr_of(lx, "oi", lo));
	return bias && !fused ? ad_add(r, bias) : r;
}
