/* columns.c - typed columns: declaration, checks, bijections. */
#include "columns.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "memory.h"

static const double margin = 1e-6; /* A of bounded columns */

static const struct {
	const char *name;
	lab_column_kind kind;
	int least, most; /* numbers in brackets */
	double preset[2];
} kinds[] = {
	{ "bounded", LAB_COLUMN_BOUNDED, 2, 2, { 0, 0 } },
	{ "positive", LAB_COLUMN_POSITIVE, 0, 0, { 0, 0 } },
	{ "periodic", LAB_COLUMN_PERIODIC, 2, 2, { 0, 0 } },
	{ "discrete", LAB_COLUMN_DISCRETE, 0, 1, { 1, 0 } },
	{ "variational", LAB_COLUMN_VARIATIONAL, 0, 2, { 1, 16 } },
	{ "real", LAB_COLUMN_REAL, 0, 0, { 0, 0 } },
};

bool lab_column_sound(const lab_column *c)
{
	switch (c->kind) {
	case LAB_COLUMN_BOUNDED:
	case LAB_COLUMN_PERIODIC:
		return c->hi - c->lo > 1e-12 * fmax(fabs(c->lo), fabs(c->hi)) && isfinite(c->hi - c->lo);
	case LAB_COLUMN_DISCRETE:
		return c->lo > 0;
	case LAB_COLUMN_VARIATIONAL:
		return c->lo > 0 && c->hi >= 1 && c->hi <= 1e6 && c->hi == floor(c->hi);
	default:
		return true;
	}
}

/* --- Declaration --------------------------------------------------------------------------------------------------- */

/* "7" or "3-5" */
static const char *parse_range(const char *p, long long *lo, long long *hi)
{
	char *end;
	*lo = *hi = strtoll(p, &end, 10);
	if (end == p)
		return NULL;
	if (*end == '-') {
		p = end + 1;
		*hi = strtoll(p, &end, 10);
		if (end == p)
			return NULL;
	}
	return end;
}

/* "bounded[0,1]" */
static const char *parse_kind(const char *p, lab_column *c)
{
	size_t n = strcspn(p, "[,");
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		if (strlen(kinds[k].name) != n || strncmp(p, kinds[k].name, n))
			continue;
		double v[2] = { kinds[k].preset[0], kinds[k].preset[1] };
		int got = 0;
		*c = (lab_column){ .kind = kinds[k].kind };
		p += n;
		for (char *end; (got ? *p == ',' : *p == '[') && got < kinds[k].most; p = end, got++) {
			v[got] = strtod(p + 1, &end);
			if (end == p + 1 || !isfinite(v[got]))
				return NULL;
		}
		if ((got && *p++ != ']') || got < kinds[k].least)
			return NULL;
		c->lo = c->from = v[0];
		c->hi = v[1];
		return lab_column_sound(c) ? p : NULL;
	}
	return NULL;
}

bool lab_columns_parse(const char *path, const char *text, int64_t cols, lab_column *columns, lab_err *err)
{
	bool *seen = lab_alloc((size_t)cols, sizeof *seen), good = true;
	for (const char *p = text; good && *p;) {
		long long lo, hi;
		lab_column c;
		const char *q = parse_range(p, &lo, &hi);
		q = q && *q == ':' ? parse_kind(q + 1, &c) : NULL;
		good = q && (!*q || (*q == ',' && q[1]));
		if (!good)
			lab__fail(err, path,
			          "columns '%s': wanted NUMBER:KIND, such as 3:bounded[0,1],5-6:positive,7:periodic[0,6.28],8:discrete, "
			          "at '%.40s'", text, p);
		else if (lo < 1 || hi < lo || hi > cols)
			good = lab__fail(err, path, "columns '%s': there are columns 1 to %" PRId64, text, cols);
		for (; good && lo <= hi; lo++) {
			if (seen[lo - 1])
				good = lab__fail(err, path, "columns '%s': column %lld is declared twice", text, lo);
			else
				columns[lo - 1] = c;
			seen[lo - 1] = true;
		}
		p = good && *q ? q + 1 : q;
	}
	free(seen);
	return good;
}

bool lab_columns_dropped(const char *path, const char *text, int64_t cols, bool *gone, lab_err *err)
{
	for (const char *p = text; *p;) {
		long long lo, hi;
		p = parse_range(p, &lo, &hi);
		if (!p || (*p && (*p != ',' || !p[1])) || lo < 1 || hi < lo || hi > cols)
			return lab__fail(err, path, "columns to drop '%s': wanted numbers from 1 to %" PRId64 " such as 3,7-9", text, cols);
		memset(gone + lo - 1, 1, (size_t)(hi - lo + 1));
		p += *p == ',';
	}
	return true;
}

bool lab_table_drop(lab_table *t, const char *drop, lab_err *err)
{
	if (!drop || !*drop)
		return true;
	int64_t cols = t->cols, kept = 0, n = 0;
	bool *gone = lab_alloc((size_t)cols, sizeof *gone), good = lab_columns_dropped(t->source, drop, cols, gone, err);
	int64_t *number = lab_alloc((size_t)cols, sizeof *number);
	for (int64_t c = 0; good && c < cols; c++)
		if (!gone[c])
			number[kept++] = lab_column_number(t, c);
	if (good && !kept)
		good = lab__fail(err, t->source, "columns to drop '%s': none would be left", drop);
	for (int64_t i = 0; good && i < t->rows * cols; i++)
		if (!gone[i % cols])
			t->x[n++] = t->x[i];
	if (good) {
		t->cols = kept;
		free(t->number);
		t->number = number;
	} else {
		free(number);
	}
	free(gone);
	return good;
}

int64_t lab_columns_count(const lab_column *columns, int64_t cols, lab_column_kind kind)
{
	int64_t n = 0;
	for (int64_t j = 0; columns && j < cols; j++)
		n += columns[j].kind == kind;
	return n;
}

static bool is_discrete(const lab_column *c)
{
	return c->kind == LAB_COLUMN_DISCRETE || c->kind == LAB_COLUMN_VARIATIONAL;
}

int64_t lab_columns_discrete(const lab_column *columns, int64_t cols)
{
	int64_t n = 0;
	for (int64_t j = 0; columns && j < cols; j++)
		n += is_discrete(&columns[j]);
	return n;
}

/* --- Bijections --------------------------------------------------------------------------------------------------------- */

static double wrapped(double x, double lo, double period)
{
	double r = fmod(x - lo, period);
	if (isnan(r)) /* x - lo overflows */
		r = fmod(fmod(x, period) - fmod(lo, period), period);
	return lo + (r < 0 ? r + period : r);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

void lab_columns_cut(lab_column *columns, const lab_table *t)
{
	double *v = lab_alloc((size_t)t->rows, sizeof *v);
	for (int64_t j = 0; j < t->cols; j++) {
		lab_column *c = &columns[j];
		if (c->kind != LAB_COLUMN_PERIODIC)
			continue;
		double period = c->hi - c->lo, widest = -1;
		for (int64_t i = 0; i < t->rows; i++)
			v[i] = wrapped(t->x[i * t->cols + j], c->from, period);
		qsort(v, (size_t)t->rows, sizeof *v, ascending);
		for (int64_t i = 0; i < t->rows; i++) {
			double next = i + 1 < t->rows ? v[i + 1] : v[0] + period;
			if (next - v[i] > widest) {
				widest = next - v[i];
				c->lo = v[i] + widest / 2;
			}
		}
		c->hi = c->lo + period;
	}
	free(v);
}

static bool can_be(const lab_column *c, double x)
{
	double k;
	switch (c->kind) {
	case LAB_COLUMN_BOUNDED:
		return x >= c->lo && x <= c->hi;
	case LAB_COLUMN_POSITIVE:
		return x > 0;
	case LAB_COLUMN_DISCRETE:
	case LAB_COLUMN_VARIATIONAL:
		k = x / c->lo;
		return fabs(k - rint(k)) <= 1e-6 * fmax(1, fabs(k) * 1e-6) && isfinite(c->lo * (fabs(k) + 1));
	default:
		return true;
	}
}

int lab_columns_check(const lab_column *columns, const lab_table *t, lab_err *err)
{
	for (int64_t i = 0; columns && i < t->rows * t->cols; i++) {
		const lab_column *c = &columns[i % t->cols];
		if (can_be(c, t->x[i]))
			continue;
		char want[100] = "positive";
		if (c->kind == LAB_COLUMN_BOUNDED)
			snprintf(want, sizeof want, "from %g to %g", c->lo, c->hi);
		else if (is_discrete(c))
			snprintf(want, sizeof want, "a multiple of %g", c->lo);
		lab__fail(err, t->source, "row %" PRId64 ", column %" PRId64 " holds %g, which is not %s, as the column is declared",
		          i / t->cols + 1, lab_column_number(t, i % t->cols), t->x[i], want);
		return -1;
	}
	return 0;
}

double lab_column_forward(const lab_column *c, double x, double u, double *logdet)
{
	double p;
	if (c->kind == LAB_COLUMN_REAL)
		return x;
	if (is_discrete(c)) { /* any value stands for the cell that it is in */
		*logdet += log(c->lo);
		return c->lo * (rint(x / c->lo) + u - 0.5);
	}
	if (c->kind == LAB_COLUMN_PERIODIC)
		x = wrapped(x, c->lo, c->hi - c->lo);
	if (!can_be(c, x)) {
		*logdet = -INFINITY;
		return 0;
	}
	if (c->kind == LAB_COLUMN_POSITIVE) {
		*logdet -= log(x);
		return log(x);
	}
	p = margin + (1 - 2 * margin) * (x - c->lo) / (c->hi - c->lo);
	*logdet += log1p(-2 * margin) - log(c->hi - c->lo) - log(p) - log1p(-p);
	return log(p) - log1p(-p);
}

double lab_column_inverse(const lab_column *c, double y)
{
	double p;
	switch (c->kind) {
	case LAB_COLUMN_POSITIVE:
		return exp(y);
	case LAB_COLUMN_DISCRETE:
	case LAB_COLUMN_VARIATIONAL:
		return c->lo * rint(y / c->lo);
	case LAB_COLUMN_REAL:
		return y;
	default:
		p = (1 / (1 + exp(-y)) - margin) / (1 - 2 * margin);
		p = c->lo + (c->hi - c->lo) * fmin(fmax(p, 0), 1);
		return c->kind == LAB_COLUMN_PERIODIC ? wrapped(p, c->from, c->hi - c->lo) : fmin(p, c->hi);
	}
}
