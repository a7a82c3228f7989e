/* columns.c - fuzzes declarations of typed columns and of columns to leave out, and what they do to values. */
#include "experiments/lab/columns.h"
#include "fuzz.h"

enum { MOST = 12, ROWS = 3 };

static char *text_of(fuzz_bytes *in)
{
	const uint8_t *zero = in->n ? memchr(in->p, 0, in->n) : NULL;
	fuzz_bytes part = fuzz_part(in, zero ? (size_t)(zero - in->p) : in->n);
	fuzz_take(in, 1);
	return (char *)fuzz_copy(part.p, part.n);
}

static double value(fuzz_bytes *in)
{
	uint64_t v = fuzz_take(in, 8);
	double x;
	memcpy(&x, &v, sizeof x);
	return isfinite(x) ? x : (double)(v & 255);
}

static void use(lab_column *c, lab_table *t)
{
	lab_err err = { "" };
	if (lab_columns_check(c, t, &err)) {
		fuzz_line(&err, "f");
		return;
	}
	lab_columns_cut(c, t);
	for (int64_t i = 0; i < t->rows * t->cols; i++) {
		double logdet = 0, x = t->x[i], y = lab_column_forward(&c[i % t->cols], x, 0.5, &logdet);
		double back = lab_column_inverse(&c[i % t->cols], y);
		fuzz_true(isfinite(y) && isfinite(logdet), "a value that can occur has a finite image and density");
		fuzz_true(isfinite(back), "and comes back finite");
		if (c[i % t->cols].kind == LAB_COLUMN_REAL)
			fuzz_true(back == x, "real columns are left as they are");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	fuzz_bytes in = { data, n };
	lab_err err = { "" };
	lab_column c[MOST] = { 0 };
	bool gone[MOST] = { false };
	double x[MOST * ROWS];
	int64_t cols = 1 + (int64_t)(fuzz_take(&in, 1) % MOST);
	char *kinds = text_of(&in), *drop = text_of(&in);
	lab_table t = { .rows = ROWS, .cols = cols, .x = x, .source = "f" };
	for (int i = 0; i < ROWS * cols; i++)
		x[i] = value(&in);
	if (!lab_columns_dropped("f", drop, cols, gone, &err))
		fuzz_line(&err, "f");
	if (lab_columns_parse("f", kinds, cols, c, &err))
		use(c, &t);
	else
		fuzz_line(&err, "f");
	free(kinds);
	free(drop);
	return 0;
}

void fuzz_seeds(fuzz_put *put)
{
	static const char *const text[] = {
		"3:bounded[0,1],5-6:positive,7:periodic[0,6.28],8:discrete", "1:bounded[-1e308,1e308]", "1:positive,2:real", "1-9:discrete[0.5]",
		"1:periodic[-1e308,-9e307]", "1:bounded[1,0]", "2:discrete[1e-320]", "13:positive", "1:positive,1:real", "3,7-9", "9-8",
	};
	for (size_t k = 0; k < sizeof text / sizeof *text; k++) {
		char b[400] = { 8 };
		int n = snprintf(b + 1, 100, "%s%c3,7-9", text[k], 0);
		double v[ROWS * 9];
		for (int i = 0; i < ROWS * 9; i++)
			v[i] = i % 2 ? 1 : 0.5;
		for (size_t i = 0; i < sizeof v; i++) /* most significant byte first */
			b[n + 2 + (int)i] = ((char *)v)[i ^ 7];
		put(b, (size_t)n + 2 + sizeof v);
	}
}
