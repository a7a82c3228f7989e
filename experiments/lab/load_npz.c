/* load_npz.c - .npz: a zip archive of .npy members, stored or deflated (PKWARE APPNOTE 4.3 to 4.5) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef LAB_ZLIB
#include <zlib.h>
#endif

#include "load.h"

typedef struct {
	char name[200]; /* without .npy */
	unsigned method, flags;
	uint32_t crc;
	uint64_t packed, size, offset; /* offset: of the local header */
} member;

static uint64_t le(const unsigned char *p, int size)
{
	uint64_t v = 0;
	while (size--)
		v = v << 8 | p[size];
	return v;
}

/* The end-of-central-directory record, or NULL. */
static const unsigned char *find_end(lab__bytes b)
{
	size_t back = b.n < 22 + 65535 ? b.n : 22 + 65535;
	for (size_t k = 22; k <= back; k++) {
		const unsigned char *p = b.p + b.n - k;
		if (!memcmp(p, "PK\5\6", 4) && le(p + 20, 2) == k - 22)
			return p;
	}
	return NULL;
}

/* Where the directory lies and how many entries it has; 64-bit records where the short ones are full. */
static bool find_directory(lab__bytes b, uint64_t *count, uint64_t *size, uint64_t *offset)
{
	const unsigned char *e = find_end(b), *z;
	if (!e)
		return false;
	*count = le(e + 10, 2);
	*size = le(e + 12, 4);
	*offset = le(e + 16, 4);
	size_t at = (size_t)(e - b.p);
	if ((*count == 0xffff || *size == 0xffffffff || *offset == 0xffffffff) && at >= 20 && !memcmp(e - 20, "PK\6\7", 4)) {
		uint64_t o = le(e - 20 + 8, 8);
		if (at - 20 < 56 || o > at - 20 - 56 || memcmp(z = b.p + o, "PK\6\6", 4))
			return false;
		*count = le(z + 32, 8);
		*size = le(z + 40, 8);
		*offset = le(z + 48, 8);
	}
	return *offset <= at && *size <= at - *offset;
}

/* Sizes and offset that do not fit 32 bits stand in extra field 1, in this order. */
static bool read_extra(const unsigned char *x, size_t n, member *m)
{
	uint64_t *slot[] = { &m->size, &m->packed, &m->offset };
	bool need = m->size == 0xffffffff || m->packed == 0xffffffff || m->offset == 0xffffffff;
	while (need && n >= 4) {
		size_t len = (size_t)le(x + 2, 2);
		if (len > n - 4)
			return false;
		if (le(x, 2) == 1) {
			const unsigned char *q = x + 4, *stop = q + len;
			for (int k = 0; k < 3; k++)
				if (*slot[k] == 0xffffffff) {
					if (stop - q < 8)
						return false;
					*slot[k] = le(q, 8);
					q += 8;
				}
			return true;
		}
		x += 4 + len;
		n -= 4 + len;
	}
	return !need;
}

/* Reads the entry at *p (before end) and moves on; false if it is malformed. */
static bool next_member(const unsigned char **p, const unsigned char *end, member *m)
{
	const unsigned char *q = *p;
	if (end - q < 46 || memcmp(q, "PK\1\2", 4))
		return false;
	size_t name = (size_t)le(q + 28, 2), extra = (size_t)le(q + 30, 2), comment = (size_t)le(q + 32, 2);
	if ((size_t)(end - q) - 46 < name + extra + comment)
		return false;
	*m = (member){ .flags = (unsigned)le(q + 8, 2), .method = (unsigned)le(q + 10, 2), .crc = (uint32_t)le(q + 16, 4),
	               .packed = le(q + 20, 4), .size = le(q + 24, 4), .offset = le(q + 42, 4) };
	size_t n = name < sizeof m->name ? name : sizeof m->name - 1;
	memcpy(m->name, q + 46, n);
	if (n > 4 && !memcmp(m->name + n - 4, ".npy", 4))
		m->name[n - 4] = 0;
	for (char *c = m->name; *c; c++)
		if (*c < 32 || *c > 126)
			*c = '?';
	*p = q + 46 + name + extra + comment;
	return read_extra(q + 46 + name, extra, m);
}

/* The member called b.name, else X, else the only one. */
static bool choose(lab__bytes b, const char *wanted, member *m)
{
	uint64_t count, size, offset, n = 0;
	char names[160] = "";
	member e, only = { 0 };
	if (!find_directory(b, &count, &size, &offset)) {
		lab__fail(b.err, b.path, "truncated or not a zip archive (its directory, at the end, is missing)");
		return false;
	}
	const unsigned char *p = b.p + offset, *end = p + size;
	for (; n < count; n++) {
		if (!next_member(&p, end, &e)) {
			lab__fail(b.err, b.path, "malformed zip directory (entry %llu)", (unsigned long long)n + 1);
			return false;
		}
		if (!strcmp(e.name, wanted ? wanted : "X")) {
			*m = e;
			return true;
		}
		lab__list(names, sizeof names, e.name);
		only = e;
	}
	if (n == 1 && !wanted) {
		*m = only;
		return true;
	}
	if (n == 0)
		lab__fail(b.err, b.path, "empty archive");
	else if (wanted)
		lab__fail(b.err, b.path, "has no array '%s' (it has %s)", wanted, names);
	else
		lab__fail(b.err, b.path, "holds several arrays, none of them X: name one with FILE:NAME (%s)", names);
	return false;
}

/* The member's bytes, to be freed if *owned; NULL with a message. */
static const unsigned char *extract(lab__bytes b, const member *m, unsigned char **owned)
{
	const unsigned char *h;
	const char *why = NULL;
	size_t n = 0;
	*owned = NULL;
	if (b.n < 30 || m->offset > b.n - 30 || memcmp(h = b.p + m->offset, "PK\3\4", 4))
		return lab__fail(b.err, b.path, "truncated or malformed zip member '%s'", m->name);
	size_t start = (size_t)m->offset + 30 + (size_t)le(h + 26, 2) + (size_t)le(h + 28, 2);
	if (start > b.n || m->packed > b.n - start)
		return lab__fail(b.err, b.path, "truncated zip member '%s'", m->name);
	if (m->flags & 1)
		return lab__fail(b.err, b.path, "zip member '%s' is encrypted", m->name);
	if (m->method == 0 && m->packed == m->size)
		return b.p + start;
	if (m->method != 8 || m->size / LAB__RATIO > m->packed)
		return lab__fail(b.err, b.path, "zip member '%s' has %s", m->name,
		                 m->method == 8 || m->method == 0 ? "contradictory sizes" : "an unknown compression");
	if (m->size > lab__memory())
		return lab__fail(b.err, b.path, "zip member '%s' is larger than this machine's memory allows", m->name);
	*owned = lab__inflate(b.p + start, (size_t)m->packed, false, (size_t)m->size + 1, &n, &why);
	if (!*owned)
		return lab__fail(b.err, b.path, "zip member '%s': %s", m->name, why);
	if (n != m->size) {
		free(*owned);
		return lab__fail(b.err, b.path, "zip member '%s' is corrupt (wrong size)", m->name);
	}
	return *owned;
}

static bool crc_ok(const unsigned char *p, uint64_t n, uint32_t crc)
{
#ifdef LAB_ZLIB
	uLong c = crc32_z(0, p, (size_t)n);
	return c == crc;
#else
	(void)p, (void)n, (void)crc;
	return true;
#endif
}

lab_table *lab__load_npz(lab__bytes b)
{
	member m;
	unsigned char *owned;
	lab_table *t = NULL;
	char path[600];
	if (!choose(b, b.name, &m))
		return NULL;
	const unsigned char *p = extract(b, &m, &owned);
	if (!p)
		return NULL;
	snprintf(path, sizeof path, "%s:%s", b.path, m.name);
	if (!crc_ok(p, m.size, m.crc))
		lab__fail(b.err, path, "corrupt (checksum mismatch)");
	else
		t = lab__load_npy((lab__bytes){ path, NULL, p, (size_t)m.size, b.err });
	free(owned);
	return t;
}
