/* test_follow.c - curves and standing of runs from logs whose numbers are as extreme as a file can hold. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "experiments/lab/canvas.h"
#include "experiments/lab/follow.h"
#include "experiments/lab/svg_plot.h"

static void steps(void **state)
{
	(void)state;
	double *x, *y;
	lab_log *l = lab_log_new();
	for (int i = 0; i < 4; i++)
		lab_log_point(l, "time/seconds", "s", i % 2 ? INT64_MAX : INT64_MIN, i);
	lab_log_int(l, "config/steps", INT64_MAX, NULL);
	lab_log_int(l, "final/steps", INT64_MIN, NULL);
	lab_standing s = lab_follow_standing(&(lab_follow){ .log = l });
	assert_true(s.rate > 0 && fabs(s.rate * 3 / 0x1p64 - 1) < 1e-12);
	assert_true(fabs(s.left - 3) < 1e-12);
	assert_int_equal(lab_follow_series(l, "rate", &x, &y), 2);
	assert_true(y[0] == 0x1p64 && x[1] == 0x1p63);
	free(x);
	free(y);
	lab_log_free(l);
}

/* Lines of a plot of these points in 40 columns. */
static char *drawn(int64_t n, const double *x, const double *y)
{
	char *text = NULL;
	size_t bytes;
	lab_canvas c = lab_canvas_new(40, 8, true, false);
	lab_canvas_plot(&c, 0, 0, 40, 8, "title", 1, &(lab_curve){ .n = n, .x = x, .y = y }, (int[]){ 0 });
	FILE *f = open_memstream(&text, &bytes);
	lab_canvas_put(&c, f, false);
	lab_canvas_free(&c);
	lab_svg_plot(f, &(lab_plot){ .title = "t", .xlabel = "x", .ylabel = "y", .n = 1, .level = NAN,
	                             .curve = &(lab_curve){ .n = n, .x = x, .y = y }, .which = (int[]){ 0 } });
	fclose(f);
	return text;
}

static void extremes(void **state)
{
	(void)state;
	static const struct {
		int marks; /* at least; 0: nothing is drawn */
		double x[3], y[3];
	} row[] = {
		{ 3, { 1, 2, 3 }, { 5, 6, 7 } },
		{ 1, { 0x1p63, 0x1p63, 0x1p63 }, { 1, 1, 1 } },
		{ 2, { -0x1p63, 0, 0x1p63 }, { -1e300, 1e300, 0 } },
		{ 1, { 1, 2, 3 }, { 1e308, 2, -1e308 } },
		{ 1, { 1, 2, 3 }, { 1, NAN, INFINITY } },
		{ 1, { -1e308, 1e308, 3 }, { 1, 2, 3 } },
		{ 0, { 1, 2, 3 }, { 1.7e308, -1.7e308, NAN } },
		{ 3, { 1, 2, 3 }, { 5e-324, 0, -5e-324 } },
	};
	for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
		char *text = drawn(3, row[k].x, row[k].y);
		int marks = 0;
		for (const char *c = text; *c && *c != '<'; c++)
			marks += *c == '*';
		assert_true(row[k].marks ? marks >= row[k].marks : marks == 0 && strstr(text, "nothing yet"));
		assert_null(strstr(text, "nan"));
		assert_null(strstr(text, "inf"));
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest test[] = { cmocka_unit_test(steps), cmocka_unit_test(extremes) };
	return cmocka_run_group_tests(test, NULL, NULL);
}
