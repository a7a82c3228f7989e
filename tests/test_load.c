/* test_load.c - text, .npy and idx files, and one clear line for every kind of bad input */
#include "scratch.h"

#include "experiments/lab/load.h"

static void text_tables(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t rows, cols;
		double first, last;
	} good[] = {
		{ "a,b\n1,2\n3,4\n", 2, 2, 1, 4 },
		{ "1,2\n3,4", 2, 2, 1, 4 },
		{ "1;2\r\n3;4\r\n", 2, 2, 1, 4 },
		{ "1\t2\r3\t4\r", 2, 2, 1, 4 },
		{ "  1   2 \n\n 3 4\n\n", 2, 2, 1, 4 },
		{ "# from a tool\n1 2\n# more\n3 -4e-3\n", 2, 2, 1, -4e-3 },
		{ "\xef\xbb\xbf" "x , y\n +1 , 2\n 3 , .5\n", 2, 2, 1, 0.5 },
		{ "\"x; the first\",\"2020\"\n\"1\",\"2\"\n\"3\",4\n", 2, 2, 1, 4 },
		{ "my value\n1\n2\n3\n", 3, 1, 1, 3 },
		{ "1\n2", 2, 1, 1, 2 },
	};
	for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
		put_text("t.csv", good[k].text);
		loads("t.csv", good[k].rows, good[k].cols, good[k].first, good[k].last);
	}
}

static void bad_text(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "is empty" },
		{ "\n \n# nothing\n", "no data" },
		{ "a,b\n", "no rows" },
		{ "1,2\n", "only one row" },
		{ "1,2\n3\n4\n", "ragged: 1 field where the rows before have 2 (row 2; line 2)" },
		{ "a,b\n1,2\n3,4,5\n", "ragged: 3 fields where the rows before have 2 (row 2; line 3)" },
		{ "a,b,c\n1,2\n3,4\n", "the header has 3 fields and the first row 2" },
		{ "1,2\n3,x\n", "'x' is not a number (row 2, column 2; line 2)" },
		{ "1,oops\n3,4\n", "'oops' is not a number (row 1, column 2; line 1)" },
		{ "a,b\n1,2\n3,4 5\n", "'4 5' is not a number (row 2, column 2; line 3)" },
		{ "1,2\nnan,4\n", "NaN (row 2, column 1; line 2)" },
		{ "1,2\n3,-inf\n", "infinite value (row 2, column 2; line 2)" },
		{ "1,2\n3,1e999\n", "'1e999' is too large a number (row 2, column 2" },
		{ "1,2\n3,\n", "missing value (row 2, column 2" },
		{ "1,NA\n3,4\n", "missing value (row 1, column 2" },
		{ "1,\"2\n3,4\n", "a quote is not closed (row 1, column 2" },
	};
	for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
		put_text("t.csv", bad[k].text);
		refused("t.csv", bad[k].says);
	}
	put("t.csv", "1,2\n3,\0\n", 8);
	refused("t.csv", "byte 6 is 0");
	refused("none.csv", "cannot be opened");
	refused("", "is a folder");
}

static void npy_files(void **state)
{
	(void)state;
	static const float f[6] = { 1, 2, 3, 4, 5, 6 };
	static const double d[6] = { 1, 2, 3, 4, 5, 6 };
	static const unsigned char big[] = { 0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0 }; /* 1, -2 */
	static const unsigned char i2[] = { 1, 0, 0xfe, 0xff }, u8[] = { 200, 0, 255 }, f2[] = { 0, 0x3c, 0, 0xc0 };
	static const struct {
		int version;
		const char *head;
		const void *values;
		size_t n;
		int64_t rows, cols;
		double first, last;
	} good[] = {
		{ 1, HEAD("<f4", "False", "(3, 2)"), f, 24, 3, 2, 1, 6 },
		{ 2, HEAD("<f8", "False", "(2, 3)"), d, 48, 2, 3, 1, 6 },
		{ 3, HEAD("<f8", "False", "(6,)"), d, 48, 6, 1, 1, 6 },
		{ 1, HEAD("<f8", "False", "(2, 1, 3)"), d, 48, 2, 3, 1, 6 },
		{ 1, HEAD(">f4", "False", "(2, 1)"), big, 8, 2, 1, 1, -2 },
		{ 1, HEAD("<i2", "False", "(2,)"), i2, 4, 2, 1, 1, -2 },
		{ 1, HEAD("|u1", "False", "(3,)"), u8, 3, 3, 1, 200, 255 },
		{ 1, HEAD("|i1", "False", "(3,)"), u8, 3, 3, 1, -56, -1 },
		{ 1, HEAD("|b1", "False", "(3,)"), u8, 3, 3, 1, 1, 1 },
		{ 1, HEAD("<f2", "False", "(2,)"), f2, 4, 2, 1, 1, -2 },
	};
	unsigned char buf[512];
	for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
		put("a.npy", buf, npy(buf, good[k].version, good[k].head, good[k].values, good[k].n));
		loads("a.npy", good[k].rows, good[k].cols, good[k].first, good[k].last);
	}
	put("a.npy", buf, npy(buf, 1, HEAD("<f8", "True", "(2, 3)"), d, 48));
	lab_err err;
	lab_table *t = lab_load(in_dir("a.npy"), NULL, &err);
	assert_non_null(t);
	assert_true(t->x[1] == 3 && t->x[2] == 5 && t->x[3] == 2);
	lab_table_free(t);
}

static void bad_npy(void **state)
{
	(void)state;
	static const double d[4] = { 1, 2, 0.0 / 0.0, 4 };
	static const struct {
		const char *head;
		size_t n;
		const char *says;
	} bad[] = {
		{ HEAD("<f8", "False", "(2, 3)"), 32, "truncated: 32 bytes of values where 2 x 3 of type <f8 need 48" },
		{ HEAD("<f8", "False", "(2, 1)"), 32, "too long" },
		{ HEAD("<f8", "False", "(99999999999, 99999999999)"), 32, "shape is too large" },
		{ HEAD("<f8", "False", "(99999999999999999999, 1)"), 32, "malformed .npy header" },
		{ HEAD("<f8", "False", "(1073741824, 1048576)"), 32, "truncated" },
		{ HEAD("<f8", "False", "(0, 3)"), 0, "empty (extent 0 on axis 0)" },
		{ HEAD("<f8", "False", "()"), 8, "a single number" },
		{ HEAD("<f8", "False", "(1, 4)"), 32, "only one row" },
		{ HEAD("<f8", "False", "(2, 2)"), 32, "NaN (row 2, column 1)" },
		{ HEAD("|O", "False", "(2, 2)"), 32, "dtype '|O' is not numeric" },
		{ "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (4,), }", 32, "'structured' is not numeric" },
		{ "{'descr': '<f8'}", 32, "malformed .npy header" },
	};
	unsigned char buf[512];
	for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
		put("a.npy", buf, npy(buf, 1, bad[k].head, d, bad[k].n));
		refused("a.npy", bad[k].says);
	}
	put("a.npy", "hello", 5);
	refused("a.npy", "not a .npy file");
	npy(buf, 1, HEAD("<f8", "False", "(2, 2)"), d, 32);
	put("a.npy", buf, 40);
	refused("a.npy", "truncated in the .npy header");
	put("a.npy", "\x93NUMPY\7\0\0\0", 10);
	refused("a.npy", "version 7");
}

static void idx_files(void **state)
{
	(void)state;
	unsigned char b[] = { 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 255 };
	static const unsigned char i2[] = { 0, 0, 0x0b, 1, 0, 0, 0, 2, 1, 0, 0xff, 0xff };
	put("x-idx3-ubyte", b, sizeof b);
	loads("x-idx3-ubyte", 2, 4, 1, 255);
	put("x.idx", i2, sizeof i2);
	loads("x.idx", 2, 1, 256, -1);
	put("x.idx", b, sizeof b - 1);
	refused("x.idx", "truncated: 7 bytes of values where 2 x 4 need 8");
	put("x.idx", b, 9);
	refused("x.idx", "truncated in the idx header");
	b[2] = 7;
	put("x.idx", b, sizeof b);
	refused("x.idx", "unknown idx type 0x07");
	b[2] = 8;
	memset(b + 4, 255, 12);
	put("x.idx", b, sizeof b);
	refused("x.idx", "shape is too large");
}

/* What a path can name besides a file, and more than memory can hold. */
static void other_kinds(void **state)
{
	(void)state;
	int fd[2];
	char path[32];
	lab_err err;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], "1,2\n3,4\n", 8), 8);
	close(fd[1]);
	snprintf(path, sizeof path, "/dev/fd/%d", fd[0]);
	lab_table *t = lab_load(path, NULL, &err);
	assert_true(t && t->rows == 2 && t->x[3] == 4);
	lab_table_free(t);
	close(fd[0]);
	assert_int_equal(symlink("/dev/zero", in_dir("zero.csv")), 0);
	refused("zero.csv", "is a device, not a file");
	assert_int_equal(symlink("to", in_dir("from")), 0);
	assert_int_equal(symlink("from", in_dir("to")), 0);
	refused("from", "cannot be opened");
	put("large.csv", "1,2\n3,4\n", 8);
	if (!truncate(in_dir("large.csv"), (off_t)lab__memory() + 1)) /* all but the first bytes is a hole */
		refused("large.csv", "larger than this machine's memory allows");
	assert_null(lab__table("f", (int64_t)(lab__memory() / 16) + 1, 2, &err));
	assert_non_null(strstr(err.text, "f: not enough memory"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_tables), cmocka_unit_test(bad_text),  cmocka_unit_test(npy_files),
		cmocka_unit_test(bad_npy),     cmocka_unit_test(idx_files),   cmocka_unit_test(other_kinds),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
