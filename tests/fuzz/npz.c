/* npz.c - fuzzes zip archives of arrays: as bytes, and as a sound archive with members, sizes and checksums of any kind. */
#include <zlib.h>

#include "fuzz.h"

typedef struct {
	unsigned char *p;
	size_t n;
} archive;

static void add(archive *a, const void *data, size_t n)
{
	a->p = realloc(a->p, a->n + n + 1);
	if (n)
		memcpy(a->p + a->n, data, n);
	a->n += n;
}

static void number(archive *a, uint64_t v, int size)
{
	unsigned char b[8];
	for (int k = 0; k < size; k++, v >>= 8)
		b[k] = (unsigned char)v;
	add(a, b, (size_t)size);
}

static void zeros(archive *a, size_t n)
{
	static const unsigned char zero[24];
	add(a, zero, n);
}

static void array(archive *a, fuzz_bytes *in)
{
	static const char *const shape[] = { "(2, 2)", "(3,)", "(1, 2)", "(2, 9)" };
	char head[100];
	int n = snprintf(head, sizeof head, "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }", shape[fuzz_take(in, 1) & 3]);
	fuzz_bytes values = fuzz_part(in, fuzz_take(in, 1) & 31);
	add(a, "\x93NUMPY\1\0", 8);
	number(a, (uint64_t)n, 2);
	add(a, head, (size_t)n);
	add(a, values.p, values.n);
}

enum { WRONG_CRC = 1, DEFLATED = 2, WIDE = 4, LIES = 8, RAW = 16, ENCRYPTED = 32, NAMED = 64, CUT = 128 };

/* A member and its entry in the directory. */
static void member(archive *a, archive *directory, fuzz_bytes *in)
{
	static const char *const names[] = { "X.npy", "y.npy", "a", "X" };
	unsigned how = (unsigned)fuzz_take(in, 1);
	const char *name = names[fuzz_take(in, 1) & 3];
	archive data = { 0 };
	fuzz_bytes raw = fuzz_part(in, how & RAW ? fuzz_take(in, 1) : 0);
	if (how & RAW)
		add(&data, raw.p, raw.n);
	else
		array(&data, in);
	z_stream z = { 0 };
	deflateInit2(&z, 6, Z_DEFLATED, -9, 1, Z_DEFAULT_STRATEGY); /* with little memory, which is soon ready */
	uLong m = deflateBound(&z, data.n);
	unsigned char *packed = malloc(m);
	z.next_in = data.p, z.avail_in = (uInt)data.n, z.next_out = packed, z.avail_out = (uInt)m;
	deflate(&z, Z_FINISH);
	m = z.total_out;
	deflateEnd(&z);
	uint64_t crc = crc32(0, data.p, (uInt)data.n) ^ (how & WRONG_CRC), method = how & DEFLATED ? 8 : 0, at = a->n;
	uint64_t size = data.n, stored = how & DEFLATED ? m : data.n;
	uint64_t says = how & LIES ? fuzz_take(in, 4) : size, holds = how & LIES ? fuzz_take(in, 4) : stored;
	unsigned named = how & NAMED ? (unsigned)fuzz_take(in, 2) : (unsigned)strlen(name), extra = how & WIDE ? 28 : 0;
	add(a, "PK\3\4\24\0", 6);
	zeros(a, 20);
	number(a, strlen(name), 2);
	number(a, 0, 2);
	add(a, name, strlen(name));
	add(a, how & DEFLATED ? packed : data.p, how & CUT ? (size_t)stored / 2 : (size_t)stored);
	add(directory, "PK\1\2\24\0\24\0", 8);
	number(directory, how & ENCRYPTED ? 1 : 0, 2);
	number(directory, method, 2);
	number(directory, 0, 4);
	number(directory, crc, 4);
	number(directory, how & WIDE ? 0xffffffff : holds, 4);
	number(directory, how & WIDE ? 0xffffffff : says, 4);
	number(directory, named, 2);
	number(directory, extra, 2);
	zeros(directory, 10);
	number(directory, how & WIDE ? 0xffffffff : at, 4);
	add(directory, name, strlen(name));
	if (how & WIDE) {
		number(directory, 1, 2);
		number(directory, 24, 2);
		number(directory, says, 8);
		number(directory, holds, 8);
		number(directory, how & LIES ? fuzz_take(in, 8) : at, 8);
	}
	free(packed);
	free(data.p);
}

static archive archive_of(fuzz_bytes in)
{
	archive a = { 0 }, directory = { 0 };
	unsigned how = (unsigned)fuzz_take(&in, 1), count = how & 3;
	for (unsigned k = 0; k < count; k++)
		member(&a, &directory, &in);
	uint64_t at = a.n;
	add(&a, directory.p, directory.n);
	if (how & 4) {
		uint64_t wide = a.n;
		add(&a, "PK\6\6", 4);
		number(&a, 44, 8);
		zeros(&a, 20);
		number(&a, how & 8 ? fuzz_take(&in, 8) : count, 8);
		number(&a, how & 16 ? fuzz_take(&in, 8) : directory.n, 8);
		number(&a, how & 32 ? fuzz_take(&in, 8) : at, 8);
		add(&a, "PK\6\7", 4);
		number(&a, 0, 4);
		number(&a, how & 64 ? fuzz_take(&in, 8) : wide, 8);
		number(&a, 1, 4);
	}
	add(&a, "PK\5\6", 4);
	number(&a, 0, 6);
	number(&a, how & 4 ? 0xffff : how & 8 ? fuzz_take(&in, 2) : count, 2);
	number(&a, how & 16 ? fuzz_take(&in, 4) : directory.n, 4);
	number(&a, how & 32 ? fuzz_take(&in, 4) : at, 4);
	number(&a, 0, 2);
	free(directory.p);
	return a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	lab_err err = { "" };
	if (!n)
		return 0;
	archive a = *data & 1 ? archive_of((fuzz_bytes){ data + 1, n - 1 }) : (archive){ 0 };
	size_t m = *data & 1 ? a.n : n - 1;
	unsigned char *p = fuzz_copy(*data & 1 ? a.p : data + 1, m);
	const char *name = *data & 2 ? *data & 4 ? "y" : "none" : NULL;
	fuzz_table(lab__load_npz((lab__bytes){ "f.npz", name, p, m, &err }), &err, "f.npz", m);
	free(p);
	free(a.p);
	return 0;
}

void fuzz_seeds(fuzz_put *put)
{
	/* how to read it, archive, then members: how, name, shape, number of bytes, bytes */
	unsigned char b[80] = { 1, 1, 0, 0, 0, 16, 0, 0, 0x80, 0x3f };
	for (unsigned how = 0; how < 8; how++) {
		b[2] = (unsigned char)(2 * how);
		b[1] = how & 4 ? 5 : 1;
		put(b, 22);
		archive a = archive_of((fuzz_bytes){ b + 1, 21 });
		a.p = realloc(a.p, a.n + 1);
		memmove(a.p + 1, a.p, a.n);
		a.p[0] = 0;
		put(a.p, a.n + 1);
		free(a.p);
	}
	unsigned char far[38] = { 1, 1, WIDE | LIES, 0, 0, 16 }; /* a member at the end of the address space; once formed a pointer there */
	memset(far + 22, 0xff, 16);
	put(far, sizeof far);
	memmove(b + 22, b + 2, 20);
	b[0] = 7;
	b[1] = 2;
	b[23] = 1;
	put(b, 42);
}
