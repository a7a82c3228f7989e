/* load_idx.c - the idx format of MNIST: 0 0 type rank, big-endian extents, values */
#include <inttypes.h>

#include "load.h"

static const struct {
	unsigned char code;
	char kind;
	int size;
} types[] = { { 0x08, 'u', 1 }, { 0x09, 'i', 1 }, { 0x0b, 'i', 2 }, { 0x0c, 'i', 4 }, { 0x0d, 'f', 4 }, { 0x0e, 'f', 8 } };

lab_table *lab__load_idx(lab__bytes b)
{
	if (b.n < 4 || b.p[0] || b.p[1])
		return lab__fail(b.err, b.path, b.n < 4 ? "truncated in the idx header" : "not an idx file");
	char kind = 0;
	int size = 0, rank = b.p[3];
	for (size_t k = 0; k < sizeof types / sizeof *types; k++)
		if (types[k].code == b.p[2]) {
			kind = types[k].kind;
			size = types[k].size;
		}
	lab__get *get = lab__getter(kind, size);
	if (!get)
		return lab__fail(b.err, b.path, "unknown idx type 0x%02x", b.p[2]);
	if (rank > LAB__MAXRANK)
		return lab__fail(b.err, b.path, "idx rank %d is too large", rank);
	size_t lead = 4 + 4 * (size_t)rank;
	if (b.n < lead)
		return lab__fail(b.err, b.path, "truncated in the idx header");
	uint64_t dim[LAB__MAXRANK];
	for (int k = 0; k < rank; k++) {
		const unsigned char *q = b.p + 4 + 4 * k;
		dim[k] = (uint64_t)q[0] << 24 | (uint64_t)q[1] << 16 | (uint64_t)q[2] << 8 | q[3];
	}
	int64_t rows, cols;
	if (!lab__flatten(b.path, rank, dim, &rows, &cols, b.err))
		return NULL;
	size_t have = b.n - lead, want = (size_t)rows * (size_t)cols * (size_t)size;
	if (have != want)
		return lab__fail(b.err, b.path, "%s: %zu bytes of values where %" PRId64 " x %" PRId64 " need %zu",
		                 have < want ? "truncated" : "too long", have, rows, cols, want);
	lab_table *t = lab__table(b.path, rows, cols, b.err);
	if (!t)
		return NULL;
	for (int64_t i = 0; i < rows * cols; i++)
		t->x[i] = get(b.p + lead + (size_t)i * (size_t)size, true);
	return lab__checked(t, b.err);
}
