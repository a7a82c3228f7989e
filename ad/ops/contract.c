/* contract.c - a contraction as loops around matrix products or lane dots. */
#include "contract.h"
#include <string.h>

enum { AXES = 3 * AD_MAXRANK + 1 };

enum kind { SUMMED, OF_A, OF_B, OF_BOTH };

typedef struct {
	enum kind kind;
	int64_t n, a, b, o, bias; /* extent and strides */
} axis;

typedef struct {
	size_t size;
	const ad__kernels *k;
	void *scratch;
	bool lanes; /* the leaf is a lane dot along cols */
	axis rows, cols, sum;
	int nloop;
	axis loop[AXES];
} job;

static const axis one = { .n = 1 };

static bool nested(axis x, axis y)
{
	return x.kind == y.kind && x.a == y.a * y.n && x.b == y.b * y.n && x.o == y.o * y.n && x.bias == y.bias * y.n;
}

static int merge(axis x[], int n)
{
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
			if (i != j && nested(x[i], x[j])) {
				x[j].n *= x[i].n;
				x[i] = x[--n];
				i = -1;
				break;
			}
	return n;
}

static int64_t stride(const char *labels, char l, const ad__arr *x)
{
	const char *at = strchr(labels, l);
	return at ? x->stride[at - labels] : 0;
}

static int64_t extent(const char *labels, char l, const ad__arr *x)
{
	const char *at = strchr(labels, l);
	return at ? x->dim[at - labels] : 0;
}

static enum kind kind_of(axis x, bool in_out)
{
	return !in_out ? SUMMED : x.a && x.b ? OF_BOTH : x.a ? OF_A : OF_B;
}

/* Takes axis i out of x. */
static axis take(axis x[], int *n, int i)
{
	axis t = i < 0 ? one : x[i];
	if (i >= 0)
		x[i] = x[--*n];
	return t;
}

static int largest(const axis x[], int n, enum kind k)
{
	int best = -1;
	for (int i = 0; i < n; i++)
		if (x[i].kind == k && (best < 0 || x[i].n > x[best].n))
			best = i;
	return best;
}

/* Products pack least if they sum along unit stride. */
static int summed(const axis x[], int n)
{
	for (int i = 0; i < n; i++)
		if (x[i].kind == SUMMED && x[i].a == 1 && x[i].n >= 16)
			return i;
	return largest(x, n, SUMMED);
}

static void leaf(const job *j, const char *a, const char *b, char *o, const char *bias, bool acc)
{
	if (j->lanes)
		j->k->lane_dot(j->sum.n, j->cols.n, a, j->sum.a, 1, b, j->sum.b, 1, o, acc);
	else
		j->k->gemm_bias(j->rows.n, j->cols.n, j->sum.n, a, j->rows.a, j->sum.a, b, j->sum.b, j->cols.b, o,
				j->rows.o, acc ? NULL : bias, acc, j->scratch);
}

static void loop(const job *j, int d, const char *a, const char *b, char *o, const char *bias, bool acc)
{
	if (d == j->nloop) {
		leaf(j, a, b, o, bias, acc);
		return;
	}
	axis x = j->loop[d];
	int64_t s = (int64_t)j->size;
	for (int64_t i = 0; i < x.n; i++) {
		loop(j, d + 1, a, b, o, bias, acc);
		acc |= x.kind == SUMMED;
		a += x.a * s;
		b += x.b * s;
		o += x.o * s;
		bias = bias ? bias + x.bias * s : NULL;
	}
}

static int cmp_loop(axis x, axis y)
{
	return (x.kind == SUMMED) - (y.kind == SUMMED);
}

/* Summed loops inside, so that what is added to stays near. */
static void sort_loops(job *j)
{
	for (int i = 1; i < j->nloop; i++)
		for (int k = i; k && cmp_loop(j->loop[k - 1], j->loop[k]) > 0; k--) {
			axis t = j->loop[k];
			j->loop[k] = j->loop[k - 1];
			j->loop[k - 1] = t;
		}
}

static void swap_operands(axis x[], int n)
{
	for (int i = 0; i < n; i++) {
		int64_t t = x[i].a;
		x[i].a = x[i].b;
		x[i].b = t;
		if (x[i].kind == OF_A || x[i].kind == OF_B)
			x[i].kind = x[i].kind == OF_A ? OF_B : OF_A;
	}
}

static void prefill(const ad__arr *out, const ad__arr *bias, int64_t width)
{
	ad__arr s = *out;
	s.p = bias->p;
	s.lane = bias->lane;
	memset(s.stride, 0, sizeof s.stride);
	s.stride[s.rank - 1] = bias->stride[0];
	ad__copy(out, &s, width);
}

void ad__contract(ad_dtype d, const char *la, const ad__arr *a, const char *lb, const ad__arr *b, const char *lo,
		  const ad__arr *out, const ad__arr *bias, bool in_batched, bool out_batched, ad__ctx *c)
{
	job j = { .size = ad__size(d), .k = c->k[d], .scratch = c->scratch };
	axis x[AXES];
	int n = 0;
	char letters[AXES] = "";
	strcat(strcat(letters, la), lb);
	for (const char *l = letters; *l; l++) {
		if (strchr(letters, *l) < l)
			continue;
		axis t = { .a = stride(la, *l, a), .b = stride(lb, *l, b), .o = stride(lo, *l, out) };
		t.n = strchr(la, *l) ? extent(la, *l, a) : extent(lb, *l, b);
		t.bias = bias && *l == lo[out->rank - 1] ? bias->stride[0] : 0;
		t.kind = kind_of(t, strchr(lo, *l));
		x[n++] = t;
	}
	if (in_batched) {
		axis t = { .n = out_batched ? c->width : c->valid, .a = a->lane, .b = b->lane, .o = out->lane };
		t.bias = bias ? bias->lane : 0;
		t.kind = kind_of(t, out_batched);
		x[n++] = t;
	}
	bool acc = c->accumulate && in_batched && !out_batched;
	for (int i = 0; i < n; i++)
		if (x[i].n == 0) {
			if (bias)
				prefill(out, bias, c->width);
			else if (!acc)
				ad__fill(out, 0, c->width);
			return;
		}
	for (int i = 0; i < n; i++)
		if (x[i].n == 1)
			x[i--] = x[--n];
	n = merge(x, n);
	int inner = -1;
	for (int i = 0; i < n; i++)
		if (x[i].kind != SUMMED && x[i].o == 1)
			inner = i;
	const ad__arr *swap = a;
	if (inner >= 0 && x[inner].kind == OF_A) {
		swap_operands(x, n);
		a = b;
		b = swap;
	}
	j.lanes = inner >= 0 && x[inner].kind == OF_BOTH && x[inner].a == 1 && x[inner].b == 1;
	bool whole = inner >= 0 && (j.lanes || x[inner].kind == OF_B);
	j.cols = take(x, &n, whole ? inner : -1);
	j.rows = take(x, &n, j.lanes ? -1 : largest(x, n, OF_A));
	j.sum = take(x, &n, summed(x, n));
	j.nloop = n;
	memcpy(j.loop, x, (size_t)n * sizeof *x);
	sort_loops(&j);
	if (bias && (j.lanes || j.cols.bias || (j.rows.n > 1 && j.rows.bias != 1))) {
		prefill(out, bias, c->width);
		bias = NULL;
		acc = true;
	}
	loop(&j, 0, a->p, b->p, out->p, bias ? bias->p : NULL, acc);
}
