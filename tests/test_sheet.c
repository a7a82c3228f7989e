/* test_sheet.c - a table in its styles: what has a meaning in one of them is escaped there. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "experiments/lab/sheet.h"

static const lab_heading column[] = {
	{ "name", "name" }, { "value, nats", "value,error" }, { "none", NULL }, { NULL, "only" }
};

static char *printed(lab_style how)
{
	char *text = NULL;
	size_t bytes;
	lab_sheet *s = lab_sheet_new(4, column);
	lab_sheet_cell(s, 0, NULL, "a_b <\"&\"> 50 %%");
	lab_sheet_cell(s, 2, (double[]){ -0.1, NAN }, "-0.1 +- ?");
	lab_sheet_cell(s, 0, NULL, "-");
	lab_sheet_cell(s, 1, (double[]){ 7 }, "7");
	FILE *f = open_memstream(&text, &bytes);
	lab_sheet_put(s, how, f);
	fclose(f);
	lab_sheet_free(s);
	return text;
}

static void prints(lab_style how, const char *want)
{
	char *text = printed(how);
	assert_string_equal(text, want);
	free(text);
}

static void styles(void **state)
{
	(void)state;
	prints(LAB_PLAIN, "name            value, nats\na_b <\"&\"> 50 %    -0.1 +- ?\n");
	prints(LAB_MARKDOWN, "| name           | value, nats |\n|:---------------|------------:|\n| a_b <\"&\"> 50 % | "
			     "  -0.1 +- ? |\n");
	prints(LAB_LATEX, "\\begin{tabular}{lr}\n\\toprule\nname & value, nats \\\\\n\\midrule\n"
			  "a\\_b $<$\"\\&\"$>$ 50 \\% & $-$0.1 $\\pm$ ? \\\\\n\\bottomrule\n\\end{tabular}\n");
	prints(LAB_CSV, "name,value,error,only\n\"a_b <\"\"&\"\"> 50 %\",-0.10000000000000001,,7\n");
}

static void html(void **state)
{
	(void)state;
	char *text = printed(LAB_HTML);
	assert_non_null(strstr(text, ">a_b &lt;&quot;&amp;&quot;&gt; 50 %<"));
	assert_non_null(strstr(text, "data-v=\"-0.10000000000000001\""));
	assert_non_null(strstr(text, ">&#8722;0.1 &#177; ?<"));
	assert_null(strstr(text, "none"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest test[] = { cmocka_unit_test(styles), cmocka_unit_test(html) };
	return cmocka_run_group_tests(test, NULL, NULL);
}
