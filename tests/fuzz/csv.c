/* csv.c - fuzzes text tables. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	lab_err err = { "" };
	unsigned char *p = fuzz_copy(data, n);
	fuzz_table(lab__load_csv((lab__bytes){ "f.csv", NULL, p, n, &err }), &err, "f.csv", n);
	free(p);
	return 0;
}

void fuzz_seeds(fuzz_put *put)
{
	static const char *const text[] = {
		"a,b\n1,2\n3,4\n", "1;2\r\n3;4\r\n", "1\t2\r3\t4\r", "  1   2 \n\n 3 4\n\n", "# from a tool\n1 2\n# more\n3 -4e-3\n",
		"\xef\xbb\xbfx , y\n +1 , 2\n 3 , .5\n", "\"x; the first\",\"2020\"\n\"1\",\"2\"\n\"3\",4\n", "my value\n1\n2\n3\n",
		"1,nan\n2,inf\n", "1,NA\n3,?\n", "1,2\n3\n", "\"a\"\"b\",\"c\n1,2\n", "0x1p3,1e-320\n1e308,-0\n", "1,2\n3,1e999\n",
	};
	for (size_t k = 0; k < sizeof text / sizeof *text; k++)
		put(text[k], strlen(text[k]));
}
