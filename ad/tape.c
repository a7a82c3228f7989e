/* Tapes: nodes, memory, shapes and the first failure. */
#include "tape.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct ad__chunk {
	ad__chunk *next;
	size_t used, size;
};

enum { FIRST_CHUNK = 1 << 12, CHUNK = 1 << 20 };

enum { LINE = 64, HUGE_PAGE = 2 << 20 };

void *ad_memory(size_t bytes)
{
	size_t align = bytes >= HUGE_PAGE ? HUGE_PAGE : LINE, size = (bytes + align - 1) / align * align;
	void *p = aligned_alloc(align, size ? size : LINE);
	if (!p) {
		fprintf(stderr, "flowtape: out of memory for %zu bytes\n", bytes);
		abort();
	}
#ifdef MADV_HUGEPAGE
	/* A page fault for 2 MiB instead of 512; advice that may be ignored. */
	if (align == HUGE_PAGE)
		(void)madvise(p, size, MADV_HUGEPAGE);
#endif
	return p;
}

void *ad__malloc(size_t bytes)
{
	return memset(ad_memory(bytes), 0, bytes);
}

void *ad__alloc(ad_tape *t, size_t bytes)
{
	bytes = (bytes + 63) / 64 * 64;
	if (!t->memory || t->memory->used + bytes > t->memory->size) {
		size_t size = !t->memory ? FIRST_CHUNK : t->memory->size < CHUNK / 2 ? 2 * t->memory->size : CHUNK;
		size = bytes + 64 > size ? bytes + 64 : size;
		ad__chunk *c = ad__malloc(size);
		*c = (ad__chunk){ t->memory, 64, size };
		t->memory = c;
	}
	void *p = (char *)t->memory + t->memory->used;
	t->memory->used += bytes;
	return p;
}

static char *copy_string(ad_tape *t, const char *s)
{
	size_t n = strlen(s) + 1;
	return memcpy(ad__alloc(t, n), s, n);
}

ad_tape *ad_tape_new(ad_dtype real)
{
	static _Atomic uint64_t count;
	ad_tape *t = ad__malloc(sizeof *t);
	t->real = real;
	t->serial = ++count;
	t->path = "";
	t->dud = ad_const(t, 0);
	return t;
}

void ad_tape_free(ad_tape *t)
{
	if (!t)
		return;
	for (int i = 0; i < t->nfn; i++)
		ad_tape_free(t->fn[i]->tape);
	for (ad__chunk *c = t->memory, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(t->node);
	free(t->fn);
	free(t->outside);
	free(t->inside);
	free(t->capture_at);
	free(t->error);
	free(t);
}

ad_dtype ad_real(const ad_tape *t) { return t->real; }
uint64_t ad_serial(const ad_tape *t) { return t->serial; }

ad_tape *ad_root(ad_tape *t)
{
	while (t->parent)
		t = t->parent;
	return t;
}

const char *ad_error(const ad_tape *t) { return ad_root((ad_tape *)t)->error; }

static void record(ad_tape *t, const char *message)
{
	t = ad_root(t);
	if (!t->error)
		t->error = strdup(message);
}

void ad_fail(ad_tape *t, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (*t->path && strlen(text) + strlen(t->path) + 8 < sizeof text)
		sprintf(text + strlen(text), ", in \"%s\"", t->path);
	record(t, text);
}

void ad__fail(ad_var r, const char *fmt, ...)
{
	char text[1024], message[512], shape[128];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	int n = snprintf(text, sizeof text, "ad_%s: %s", r->op->name, message);
	for (int i = 0; i < r->nin && n < 700; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "%s%s", i ? ", " : r->nin > 1 ? "; inputs " : "; input ",
		              ad__shape_str(r->in[i]->shape, shape, sizeof shape));
	if (*r->path && n < 700)
		snprintf(text + n, sizeof text - (size_t)n, ", in \"%s\"", r->path);
	record(r->tape, text);
}

const char *ad_set_path(ad_tape *t, const char *path)
{
	const char *old = t->path;
	if (strcmp(old, path))
		t->path = copy_string(t, path);
	return old;
}

ad_tape *ad_tape_of(ad_var x) { return x->tape; }
ad_shape ad_shape_of(ad_var x) { return x->shape; }
ad_dtype ad_dtype_of(ad_var x) { return x->dtype; }
int ad_rank(ad_var x) { return x->shape.rank; }
bool ad_batched(ad_var x) { return x->shape.rank > 0 && x->shape.dim[0] == AD_BATCH; }

int64_t ad_dim(ad_var x, int axis)
{
	if (axis < 0)
		axis += x->shape.rank;
	if (axis < 0 || axis >= x->shape.rank) {
		ad_fail(x->tape, "ad_dim: axis %d of a rank %d array", axis, x->shape.rank);
		return 1;
	}
	return x->shape.dim[axis];
}

int64_t ad_numel(ad_shape s)
{
	int64_t n = 1;
	for (int i = 0; i < s.rank; i++)
		if (s.dim[i] != AD_BATCH)
			n *= s.dim[i];
	return n;
}

int64_t ad__rows(ad_var x) { return ad_numel(x->shape); }

bool ad_shape_eq(ad_shape a, ad_shape b)
{
	if (a.rank != b.rank)
		return false;
	for (int i = 0; i < a.rank; i++)
		if (a.dim[i] != b.dim[i])
			return false;
	return true;
}

const char *ad__shape_str(ad_shape s, char *buf, size_t n)
{
	size_t at = 0;
	at += (size_t)snprintf(buf + at, n - at, "[");
	for (int i = 0; i < s.rank && at < n; i++)
		at += (size_t)(s.dim[i] == AD_BATCH ? snprintf(buf + at, n - at, i ? ",B" : "B")
		                                     : snprintf(buf + at, n - at, i ? ",%lld" : "%lld", (long long)s.dim[i]));
	if (at < n)
		snprintf(buf + at, n - at, "]");
	return buf;
}

bool ad__shape_ok(ad_tape *t, ad_shape s, const char *op)
{
	double n = 1;
	if (s.rank < 0 || s.rank > AD_MAXRANK) {
		ad_fail(t, "ad_%s: rank %d, not 0 to %d", op, s.rank, AD_MAXRANK);
		return false;
	}
	for (int i = 0; i < s.rank; i++) {
		if (i == 0 && s.dim[i] == AD_BATCH)
			continue;
		if (s.dim[i] < 1) {
			ad_fail(t, "ad_%s: extent %lld on axis %d", op, (long long)s.dim[i], i);
			return false;
		}
		n *= (double)s.dim[i];
	}
	if (n > 0x1p40)
		ad_fail(t, "ad_%s: an array of %.3g elements", op, n);
	return n <= 0x1p40;
}

size_t ad__size(ad_dtype d) { return d == AD_F64 ? 8 : 4; }

int ad__axis(ad_var x, int axis, const char *op)
{
	int a = axis < 0 ? axis + x->shape.rank : axis;
	if (a >= 0 && a < x->shape.rank)
		return a;
	ad_fail(x->tape, "ad_%s: axis %d of a rank %d array", op, axis, x->shape.rank);
	return -1;
}

bool ad__not_batch_axis(ad_var x, int axis, const char *op)
{
	if (axis != 0 || !ad_batched(x))
		return true;
	ad_fail(x->tape, "ad_%s: axis 0 is the batch; nothing but sums may look across samples", op);
	return false;
}

bool ad__broadcast_shapes(ad_shape a, ad_shape b, ad_shape *out)
{
	ad_shape s = { .rank = a.rank > b.rank ? a.rank : b.rank };
	for (int i = 1; i <= s.rank; i++) {
		int64_t x = i <= a.rank ? a.dim[a.rank - i] : 1, y = i <= b.rank ? b.dim[b.rank - i] : 1;
		if (x != y && x != 1 && y != 1)
			return false;
		s.dim[s.rank - i] = x == 1 ? y : x;
		if (s.dim[s.rank - i] == AD_BATCH && i != s.rank)
			return false;
	}
	*out = s;
	return true;
}

void ad__split(ad_var x, int axis, int64_t width, int64_t *outer, int64_t *n, int64_t *inner)
{
	*outer = 1;
	*inner = ad_batched(x) ? width : 1;
	*n = x->shape.dim[axis];
	for (int i = ad_batched(x); i < axis; i++)
		*outer *= x->shape.dim[i];
	for (int i = axis + 1; i < x->shape.rank; i++)
		*inner *= x->shape.dim[i];
}

static void append(ad_tape *t, ad_var r)
{
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 32;
		t->node = realloc(t->node, (size_t)t->cap * sizeof *t->node);
		if (!t->node)
			abort();
	}
	r->id = t->n;
	t->node[t->n++] = r;
}

static ad_var make(ad_tape *t, const ad_op *op, int nin, const ad_var in[], ad_attr attr)
{
	ad_var r = ad__alloc(t, sizeof *r + (size_t)nin * sizeof *r->in);
	r->tape = t;
	r->op = op;
	r->nin = nin;
	r->in = (ad_var *)(r + 1);
	if (nin)
		memcpy(r->in, in, (size_t)nin * sizeof *in);
	r->attr = attr;
	r->path = t->path;
	r->dtype = nin ? in[0]->dtype : t->real;
	return r;
}

/* A captured variable counts as what it stands for, so that work which needs no argument is done outside. */
static ad_var outermost(ad_var x)
{
	while (x->op == &ad__op_capture)
		x = (ad_var)x->attr.data;
	return x;
}

static ad_var push(ad_tape *t, const ad_op *op, int nin, const ad_var in0[], ad_attr attr, const ad_dtype *d, const ad_shape *s)
{
	ad_var in[nin + 1];
	ad_tape *from = nin ? in0[0]->tape : t;
	if (nin)
		t = NULL;
	for (int i = 0; i < nin; i++) {
		in[i] = outermost(in0[i]);
		if (!t || in[i]->tape->depth > t->depth)
			t = in[i]->tape;
		if (in0[i]->tape->depth > from->depth)
			from = in0[i]->tape;
	}
	ad_tape *root = ad_root(t);
	if (root->error)
		return root->dud;
	for (int i = 0; i < nin; i++) {
		ad_var x = ad__see(t, in[i]);
		if (!x) {
			ad_fail(t, "ad_%s: input %d belongs to another tape", op->name, i);
			return root->dud;
		}
		in[i] = x;
	}
	ad_var r = make(t, op, nin, in, attr);
	if (from != t)
		r->path = from->path;
	if (d) {
		r->dtype = *d;
		r->shape = *s;
	} else {
		op->infer(r);
	}
	bool batched = false;
	for (int i = 0; i < nin; i++)
		batched |= ad_batched(in[i]);
	if (!root->error)
		ad__shape_ok(t, r->shape, op->name);
	if (!root->error && batched && !ad_batched(r) && !(op->flags & AD__REDUCES))
		ad__fail(r, "looks across samples; only sums may");
	if (root->error)
		return root->dud;
	append(t, r);
	return r;
}

ad_var ad__push(ad_tape *t, const ad_op *op, int nin, const ad_var in[], ad_attr attr)
{
	return push(t, op, nin, in, attr, NULL, NULL);
}

ad_var ad__push_shaped(ad_tape *t, const ad_op *op, int nin, const ad_var in[], ad_attr attr, ad_dtype d, ad_shape s)
{
	if (!nin && op != &ad__op_arg && op != &ad__op_capture)
		t = ad_root(t);
	return push(t, op, nin, in, attr, &d, &s);
}

ad_var ad__clone(ad_var x, const ad_var in[])
{
	ad_tape *t = x->nin ? in[0]->tape : x->tape;
	if (ad_error(t))
		return ad_root(t)->dud;
	for (int i = 0; i < x->nin; i++)
		if (in[i]->tape->depth > t->depth)
			t = in[i]->tape;
	const char *old = t->path;
	t->path = x->path;
	ad_var r = ad__push_shaped(t, x->op, x->nin, in, x->attr, x->dtype, x->shape);
	t->path = old;
	return r;
}
