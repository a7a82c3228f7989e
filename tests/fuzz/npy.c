/* npy.c - fuzzes NumPy arrays: as bytes, and as a sound frame about any header. */
#include "fuzz.h"

/* Magic, version and length of the header, which is what comes before the first byte 0. */
static unsigned char *framed(const uint8_t *data, size_t n, size_t *size)
{
	const uint8_t *zero = n > 1 ? memchr(data + 1, 0, n - 1) : NULL;
	size_t head = zero ? (size_t)(zero - data) - 1 : n - 1, rest = n - 1 - head - (zero != NULL);
	unsigned char *p = calloc(n + 16, 1);
	memcpy(p, "\x93NUMPY\1\0", 8);
	p[8] = (unsigned char)head;
	p[9] = (unsigned char)(head >> 8);
	memcpy(p + 10, data + 1, head);
	if (rest)
		memcpy(p + 10 + head, zero + 1, rest);
	*size = 10 + head + rest;
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	lab_err err = { "" };
	size_t m = n;
	unsigned char *f = n && n < 60000 && *data == 'f' ? framed(data, n, &m) : NULL, *p = fuzz_copy(f ? f : data, m);
	fuzz_table(lab__load_npy((lab__bytes){ "f.npy", NULL, p, m, &err }), &err, "f.npy", m);
	free(p);
	free(f);
	return 0;
}

void fuzz_seeds(fuzz_put *put)
{
	static const struct {
		const char *type, *order, *shape;
		size_t n;
	} row[] = {
		{ "<f8", "False", "(3, 2)", 48 }, { "<f4", "True", "(2, 3)", 24 }, { ">f4", "False", "(6,)", 24 }, { "<f2", "True", "(2, 2, 2)", 16 },
		{ "|u1", "False", "(2, 2L)", 4 }, { "|b1", "False", "(4,)", 4 }, { ">i8", "False", "(2, 1)", 16 }, { "|O", "False", "(2, 2)", 32 },
		{ "<i2", "False", "(99999999999, 99999999999)", 32 }, { "<f8", "False", "()", 8 }, { "<u4", "False", "(0, 3)", 0 },
	};
	static const unsigned char value[64] = { 0, 0, 0, 0x40, 0, 0, 0xf0, 0x3f, 1, 1, 1, 0, 5, 0, 0x7f, 0x80 };
	unsigned char buf[512];
	for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
		int n = snprintf((char *)buf, sizeof buf, "f{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", row[k].type, row[k].order,
		                 row[k].shape);
		memcpy(buf + n + 1, value, row[k].n);
		put(buf, (size_t)n + 1 + row[k].n);
		size_t m;
		unsigned char *p = framed(buf, (size_t)n + 1 + row[k].n, &m);
		put(p, m);
		free(p);
	}
}
