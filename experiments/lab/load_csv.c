/* load_csv.c - text tables: comma, semicolon, tab or blanks; header recognised; '#' starts a comment line */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "load.h"

typedef struct {
	const char *s, *end; /* without blanks around it and quotes */
	bool quoted, open;   /* open: the closing quote is missing */
} field;

typedef struct {
	const char *p, *end; /* what is left */
	int64_t line;        /* number of the line last read */
} reader;

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f'; }

/* The next line that is neither blank nor a comment; false at the end. */
static bool next_line(reader *r, const char **s, const char **end)
{
	while (r->p < r->end) {
		const char *a = r->p, *b = a;
		while (b < r->end && *b != '\n' && *b != '\r')
			b++;
		r->p = b + (b < r->end) + (b + 1 < r->end && b[0] == '\r' && b[1] == '\n');
		r->line++;
		while (b > a && blank(b[-1]))
			b--;
		const char *c = a;
		while (c < b && blank(*c))
			c++;
		if (c < b && *c != '#') {
			*s = a;
			*end = b;
			return true;
		}
	}
	return false;
}

/* The field at *p; *p moves behind its separator, or to NULL after the last field. */
static field next_field(const char **p, const char *end, char sep)
{
	const char *s = *p;
	field f = { 0 };
	while (s < end && blank(*s) && (*s != sep || sep == ' '))
		s++;
	if (s < end && *s == '"') {
		f.quoted = f.open = true;
		f.s = ++s;
		for (; s < end; s++)
			if (*s == '"') {
				if (s + 1 < end && s[1] == '"') {
					s++;
					continue;
				}
				f.open = false;
				break;
			}
		f.end = s;
		s += s < end;
		while (s < end && *s != sep)
			s++;
	} else {
		f.s = s;
		while (s < end && *s != sep)
			s++;
		f.end = s;
	}
	while (f.s < f.end && blank(f.end[-1]))
		f.end--;
	while (f.s < f.end && blank(*f.s))
		f.s++;
	if (sep == ' ')
		while (s + 1 < end && blank(s[1]))
			s++;
	*p = s < end ? s + 1 : NULL;
	return f;
}

static char separator_of(const char *s, const char *end)
{
	bool seen[3] = { false }, quoted = false;
	static const char sep[3] = ";\t,";
	for (; s < end; s++) {
		quoted ^= *s == '"';
		for (int k = 0; k < 3; k++)
			seen[k] |= !quoted && *s == sep[k];
	}
	for (int k = 0; k < 3; k++)
		if (seen[k])
			return sep[k];
	return ' ';
}

static bool is_any(field f, const char *const words[])
{
	size_t n = (size_t)(f.end - f.s);
	for (int k = 0; words[k]; k++)
		if (strlen(words[k]) == n && !strncasecmp(f.s, words[k], n))
			return true;
	return false;
}

static const char *const missing[] = { "", "na", "n/a", "null", "none", "?", ".", "-", NULL };
static const char *const special[] = { "nan", "+nan", "-nan", "inf", "+inf", "-inf", "infinity", "+infinity",
	                               "-infinity", NULL };

static bool number(field f, double *x)
{
	char *stop;
	if (f.s == f.end || f.open)
		return false;
	*x = strtod(f.s, &stop);
	return stop == f.end;
}

/* Text fields and no bare number: names like "x" or quoted years, but never a row with a typo in it. */
static bool is_header(const char *s, const char *end, char sep, int64_t *fields)
{
	int64_t text = 0, bare = 0;
	double x;
	*fields = 0;
	for (const char *p = s; p; ++*fields) {
		field f = next_field(&p, end, sep);
		if (number(f, &x))
			bare += isfinite(x) && !f.quoted;
		else
			text += !is_any(f, missing) && !is_any(f, special);
	}
	return text > 0 && bare == 0;
}

static const char *what_is_wrong(field f, double x, char buf[96])
{
	if (f.open)
		return "a quote is not closed";
	if (is_any(f, missing))
		return "missing value";
	if (is_any(f, special))
		return isnan(x) ? "NaN" : "infinite value";
	char shown[25];
	int n = 0;
	for (const char *c = f.s; c < f.end && n < 24; c++)
		shown[n++] = *c > 31 && *c < 127 ? *c : '?';
	shown[n] = 0;
	snprintf(buf, 96, "'%s%s' %s", shown, f.end - f.s > 24 ? "..." : "", isinf(x) ? "is too large a number" : "is not a number");
	return buf;
}

typedef struct {
	double *x;
	size_t n, cap;
} values;

static bool push(values *v, double x)
{
	if (v->n == v->cap) {
		size_t cap = v->cap ? v->cap + v->cap / 2 : 256;
		double *q = v->cap < lab__memory() / sizeof *q ? realloc(v->x, cap * sizeof *q) : NULL;
		if (!q)
			return false;
		v->x = q;
		v->cap = cap;
	}
	v->x[v->n++] = x;
	return true;
}

/* Appends a row; false with a message. */
static bool read_row(lab__bytes b, const char *s, const char *end, char sep, int64_t row, int64_t line, int64_t cols,
                     values *v)
{
	int64_t c = 0;
	for (const char *p = s; p; c++) {
		field f = next_field(&p, end, sep);
		double x = 0;
		char buf[96];
		if (cols && c == cols)
			continue; /* counted for the message */
		if (!number(f, &x) || !isfinite(x)) {
			lab__fail(b.err, b.path, "%s (row %" PRId64 ", column %" PRId64 "; line %" PRId64 ")",
			          what_is_wrong(f, x, buf), row, c + 1, line);
			return false;
		}
		if (!push(v, x)) {
			lab__fail(b.err, b.path, "not enough memory (row %" PRId64 ")", row);
			return false;
		}
	}
	if (cols && c != cols) {
		char have[48];
		lab__fail(b.err, b.path, "ragged: %s where the rows before have %" PRId64 " (row %" PRId64 "; line %" PRId64 ")",
		          lab__count(have, c, "field"), cols, row, line);
		return false;
	}
	return true;
}

static lab_table *finish(lab__bytes b, values *v, int64_t rows, int64_t cols)
{
	lab_table *t = calloc(1, sizeof *t);
	if (!t)
		return lab__fail(b.err, b.path, "not enough memory");
	t->rows = rows;
	t->cols = cols;
	t->x = v->x;
	v->x = NULL;
	snprintf(t->source, sizeof t->source, "%s", b.path);
	return lab__checked(t, b.err);
}

lab_table *lab__load_csv(lab__bytes b)
{
	const char *text = (const char *)b.p, *s, *end, *s2, *end2;
	const unsigned char *nul = memchr(b.p, 0, b.n);
	if (nul)
		return lab__fail(b.err, b.path, "neither a known binary format nor text (byte %zu is 0)", (size_t)(nul - b.p));
	reader r = { text, text + b.n, 0 };
	if (b.n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		r.p += 3;
	if (!next_line(&r, &s, &end))
		return lab__fail(b.err, b.path, "has no data, only blank or comment lines");
	reader ahead = r;
	int64_t fields, rows = 0, cols = 0;
	char sep = separator_of(s, end);
	bool header = is_header(s, end, sep, &fields), more = true;
	/* A header may hold any character, so the row behind it tells the separator. */
	if (header && next_line(&ahead, &s2, &end2) && (sep = separator_of(s2, end2)))
		is_header(s, end, sep, &fields);
	if (header && !(more = next_line(&r, &s, &end)))
		return lab__fail(b.err, b.path, "has a header but no rows (or its only row is not numeric)");
	values v = { 0 };
	lab_table *t = NULL;
	for (; more; more = next_line(&r, &s, &end)) {
		if (!read_row(b, s, end, sep, rows + 1, r.line, cols, &v))
			goto out;
		if (rows++ == 0) {
			cols = (int64_t)v.n;
			if (header && fields != cols && !(sep == ' ' && cols == 1)) {
				lab__fail(b.err, b.path, "the header has %" PRId64 " fields and the first row %" PRId64, fields, cols);
				goto out;
			}
		}
	}
	t = finish(b, &v, rows, cols);
out:
	free(v.x);
	return t;
}
