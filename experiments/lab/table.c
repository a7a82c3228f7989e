/* table.c - tables and messages that the loaders share */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "load.h"

void *lab__fail(lab_err *err, const char *path, const char *fmt, ...)
{
	/* A long path must not push the message out of the line. */
	size_t n = strlen(path), cut = n > 240 ? n - 240 : 0;
	int k = snprintf(err->text, sizeof err->text, "%s%s: ", cut ? "..." : "", path + cut);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->text + k, sizeof err->text - (size_t)k, fmt, ap);
	va_end(ap);
	lab_one_line(err->text);
	return NULL;
}

const char *lab__count(char buf[48], int64_t n, const char *noun)
{
	snprintf(buf, 48, "%" PRId64 " %.16s%s", n, noun, n == 1 ? "" : "s");
	return buf;
}

void lab__list(char *list, size_t n, const char *name)
{
	size_t used = strlen(list), m = strlen(name);
	if (used >= 3 && !strcmp(list + used - 3, "..."))
		return;
	if (used + m + 8 > n)
		strcpy(list + used, used ? ", ..." : "...");
	else
		sprintf(list + used, "%s%s", used ? ", " : "", name);
}

lab_table *lab__table(const char *path, int64_t rows, int64_t cols, lab_err *err)
{
	lab_table *t = calloc(1, sizeof *t);
	if (t && (uint64_t)rows * (uint64_t)cols <= lab__memory() / sizeof *t->x)
		t->x = malloc((size_t)rows * (size_t)cols * sizeof *t->x);
	if (!t || !t->x) {
		free(t);
		return lab__fail(err, path, "not enough memory for %" PRId64 " x %" PRId64 " values", rows, cols);
	}
	t->rows = rows;
	t->cols = cols;
	snprintf(t->source, sizeof t->source, "%s", path);
	return t;
}

lab_table *lab__checked(lab_table *t, lab_err *err)
{
	if (t->rows < 2) {
		lab__fail(err, t->source, "has only one row; at least 2 are needed");
		lab_table_free(t);
		return NULL;
	}
	for (int64_t i = 0; i < t->rows * t->cols; i++)
		if (!isfinite(t->x[i])) {
			lab__fail(err, t->source, "%s (row %" PRId64 ", column %" PRId64 ")",
			          isnan(t->x[i]) ? "NaN" : "infinite value", i / t->cols + 1, i % t->cols + 1);
			lab_table_free(t);
			return NULL;
		}
	return t;
}

bool lab__flatten(const char *path, int rank, const uint64_t dim[], int64_t *rows, int64_t *cols, lab_err *err)
{
	uint64_t rest = 1, total = 0;
	bool over = false;
	for (int k = 0; k < rank; k++)
		if (dim[k] == 0) {
			lab__fail(err, path, "the array is empty (extent 0 on axis %d)", k);
			return false;
		}
	for (int k = 1; k < rank; k++)
		over |= __builtin_mul_overflow(rest, dim[k], &rest);
	over |= rank > 0 && __builtin_mul_overflow(rest, dim[0], &total);
	if (rank == 0 || over || total > (uint64_t)INT64_MAX / 16) {
		lab__fail(err, path, rank ? "the array's shape is too large" : "a single number, not a table");
		return false;
	}
	*rows = (int64_t)dim[0];
	*cols = (int64_t)rest;
	return true;
}

int64_t lab_column_number(const lab_table *t, int64_t c)
{
	return t->number ? t->number[c] : c + 1;
}

void lab_table_free(lab_table *t)
{
	if (!t)
		return;
	free(t->x);
	free(t->number);
	free(t);
}
