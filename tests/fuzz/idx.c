/* idx.c - fuzzes the format of MNIST. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	lab_err err = { "" };
	unsigned char *p = fuzz_copy(data, n);
	fuzz_table(lab__load_idx((lab__bytes){ "f.idx", NULL, p, n, &err }), &err, "f.idx", n);
	free(p);
	return 0;
}

void fuzz_seeds(fuzz_put *put)
{
	static const unsigned char type[] = { 0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e }, size[] = { 1, 1, 2, 4, 4, 8 };
	for (size_t k = 0; k < sizeof type; k++) {
		unsigned char b[128] = { 0, 0, type[k], 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 1, 0x3f, 0x80, 1, 2, 3 };
		put(b, 16 + 6u * size[k]);
		b[3] = 1;
		put(b, 8 + 2u * size[k]);
	}
}
