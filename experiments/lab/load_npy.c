/* load_npy.c - NumPy's .npy format, versions 1 to 3 (numpy.lib.format) */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "load.h"

typedef struct {
	char descr[16];
	bool big, fortran, has_descr, has_order, has_shape;
	int rank;
	uint64_t dim[LAB__MAXRANK];
} header;

typedef struct {
	const char *p, *end;
} cursor;

static void skip(cursor *c)
{
	while (c->p < c->end && strchr(" \t\r\n", *c->p) && *c->p)
		c->p++;
}

static bool take(cursor *c, char want)
{
	skip(c);
	bool yes = c->p < c->end && *c->p == want;
	c->p += yes;
	return yes;
}

static bool take_word(cursor *c, const char *w)
{
	skip(c);
	size_t n = strlen(w);
	bool yes = (size_t)(c->end - c->p) >= n && !memcmp(c->p, w, n);
	c->p += yes ? n : 0;
	return yes;
}

static bool take_string(cursor *c, char *out, size_t size)
{
	skip(c);
	if (c->p == c->end || (*c->p != '\'' && *c->p != '"'))
		return false;
	char quote = *c->p++;
	size_t n = 0;
	for (; c->p < c->end && *c->p != quote; c->p++)
		if (n + 1 < size)
			out[n++] = *c->p;
	out[n] = 0;
	return c->p < c->end && c->p++;
}

static bool take_shape(cursor *c, header *h)
{
	if (!take(c, '('))
		return false;
	for (h->rank = 0; !take(c, ')');) {
		uint64_t v = 0;
		const char *from = c->p;
		for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++)
			if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*c->p - '0'), &v))
				return false;
		if (c->p == from || h->rank == LAB__MAXRANK)
			return false;
		h->dim[h->rank++] = v;
		take(c, 'L');
		if (!take(c, ',') && !(c->p < c->end && *c->p == ')'))
			return false;
	}
	return true;
}

/* {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), } */
static bool parse(cursor c, header *h)
{
	char key[32];
	if (!take(&c, '{'))
		return false;
	while (!take(&c, '}')) {
		if (!take_string(&c, key, sizeof key) || !take(&c, ':'))
			return false;
		if (!strcmp(key, "descr")) {
			skip(&c);
			if (c.p < c.end && *c.p == '[') {
				strcpy(h->descr, "structured");
				return true;
			}
			h->has_descr = take_string(&c, h->descr, sizeof h->descr);
			if (!h->has_descr)
				return false;
		} else if (!strcmp(key, "fortran_order")) {
			h->fortran = take_word(&c, "True");
			h->has_order = h->fortran || take_word(&c, "False");
			if (!h->has_order)
				return false;
		} else if (!strcmp(key, "shape")) {
			h->has_shape = take_shape(&c, h);
			if (!h->has_shape)
				return false;
		} else {
			return false;
		}
		if (!take(&c, ',') && !(skip(&c), c.p < c.end && *c.p == '}'))
			return false;
	}
	return h->has_descr && h->has_order && h->has_shape;
}

static lab__get *getter_of(header *h, int *size)
{
	const char *d = h->descr;
	h->big = d[0] == '>';
	if (!d[0] || !strchr("<>|=", d[0]) || !d[1] || d[2] < '1' || d[2] > '8' || d[3])
		return NULL;
	*size = d[2] - '0';
	return lab__getter(d[1], *size);
}

/* Distance in elements from row 0's first value to its column col, for Fortran order. */
static uint64_t fortran_offset(const header *h, int64_t col)
{
	uint64_t stride = 1, offset = 0, rest = (uint64_t)col;
	for (int k = 0; k < h->rank; k++)
		stride *= h->dim[k];
	for (int k = h->rank - 1; k > 0; k--) {
		stride /= h->dim[k];
		offset += rest % h->dim[k] * stride;
		rest /= h->dim[k];
	}
	return offset;
}

lab_table *lab__load_npy(lab__bytes b)
{
	header h = { 0 };
	int size = 0;
	if (b.n < 10 || memcmp(b.p, "\x93NUMPY", 6))
		return lab__fail(b.err, b.path, b.n < 10 ? "truncated: not even a .npy header" : "not a .npy file");
	unsigned version = b.p[6];
	size_t lead = version == 1 ? 10 : 12, len;
	if (version < 1 || version > 3)
		return lab__fail(b.err, b.path, "unknown .npy version %u", version);
	if (b.n < lead)
		return lab__fail(b.err, b.path, "truncated in the .npy header");
	len = b.p[8] | (size_t)b.p[9] << 8;
	if (version > 1)
		len |= (size_t)b.p[10] << 16 | (size_t)b.p[11] << 24;
	if (len > b.n - lead)
		return lab__fail(b.err, b.path, "truncated in the .npy header (%zu of %zu bytes)", b.n - lead, len);
	if (!parse((cursor){ (const char *)b.p + lead, (const char *)b.p + lead + len }, &h))
		return lab__fail(b.err, b.path, "malformed .npy header");
	lab__get *get = getter_of(&h, &size);
	if (!get)
		return lab__fail(b.err, b.path, "dtype '%s' is not numeric", h.descr);
	int64_t rows, cols;
	if (!lab__flatten(b.path, h.rank, h.dim, &rows, &cols, b.err))
		return NULL;
	size_t have = b.n - lead - len, want = (size_t)rows * (size_t)cols * (size_t)size;
	if (have != want)
		return lab__fail(b.err, b.path, "%s: %zu bytes of values where %" PRId64 " x %" PRId64 " of type %s need %zu",
		                 have < want ? "truncated" : "too long", have, rows, cols, h.descr, want);
	lab_table *t = lab__table(b.path, rows, cols, b.err);
	if (!t)
		return NULL;
	const unsigned char *p = b.p + lead + len;
	for (int64_t c = 0; c < cols; c++) {
		uint64_t first = h.fortran ? fortran_offset(&h, c) : (uint64_t)c, step = h.fortran ? 1 : (uint64_t)cols;
		for (int64_t r = 0; r < rows; r++)
			t->x[r * cols + c] = get(p + (first + (uint64_t)r * step) * (uint64_t)size, h.big);
	}
	return lab__checked(t, b.err);
}
