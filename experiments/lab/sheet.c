/* sheet.c - a table in five styles. */
#include "sheet.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

typedef struct {
	char *text;
	int n;
	double v[4];
} sheet_cell;

struct lab_sheet {
	int columns, cells, room;
	const lab_heading *column;
	sheet_cell *cell;
};

lab_sheet *lab_sheet_new(int columns, const lab_heading *column)
{
	lab_sheet *s = lab_alloc(1, sizeof *s);
	s->columns = columns;
	s->column = column;
	return s;
}

void lab_sheet_free(lab_sheet *s)
{
	for (int i = 0; s && i < s->cells; i++)
		free(s->cell[i].text);
	if (s)
		free(s->cell);
	free(s);
}

void lab_sheet_cell(lab_sheet *s, int n, const double *v, const char *fmt, ...)
{
	char text[512];
	va_list a;
	va_start(a, fmt);
	vsnprintf(text, sizeof text, fmt, a);
	va_end(a);
	if (s->cells == s->room)
		s->cell = lab_realloc(s->cell, (size_t)(s->room = 2 * s->room + 64) * sizeof *s->cell);
	sheet_cell *c = &s->cell[s->cells++];
	*c = (sheet_cell){ .text = lab_strdup(text), .n = n };
	if (n)
		memcpy(c->v, v, (size_t)n * sizeof *v);
}

static const sheet_cell *at(const lab_sheet *s, int row, int column)
{
	return &s->cell[row * s->columns + column];
}

static bool shown(const lab_sheet *s, int column)
{
	bool any = false;
	for (int r = 0; r < s->cells / s->columns && !any; r++)
		any = strcmp(at(s, r, column)->text, "-") != 0;
	return s->column[column].title && any;
}

static void csv(const lab_sheet *s, FILE *f)
{
	bool first = true;
	for (int c = 0; c < s->columns; c++)
		if (s->column[c].csv) {
			fprintf(f, first ? "%s" : ",%s", s->column[c].csv);
			first = false;
		}
	fputc('\n', f);
	for (int r = 0; r < s->cells / s->columns; r++) {
		first = true;
		for (int c = 0; c < s->columns; c++) {
			const sheet_cell *p = at(s, r, c);
			if (!s->column[c].csv)
				continue;
			if (!p->n) {
				fputs(first ? "\"" : ",\"", f);
				for (const char *t = p->text; *t; t++)
					fprintf(f, *t == '"' ? "\"\"" : "%c", *t);
				fputc('"', f);
				first = false;
			}
			for (int k = 0; k < p->n; k++) {
				fputs(first ? "" : ",", f);
				fprintf(f, isnan(p->v[k]) ? "" : "%.17g", p->v[k]);
				first = false;
			}
		}
		fputc('\n', f);
	}
}

void lab_html_text(FILE *f, const char *s)
{
	for (; *s; s++)
		switch (*s) {
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		default: /* control characters are not allowed in a page */
			fputc((unsigned char)*s < 32 && *s != '\n' && *s != '\t' ? '?' : *s, f);
		}
}

/* A minus, where a number begins. */
static bool minus(const char *s, const char *begin)
{
	return *s == '-' && s[1] >= '0' && s[1] <= '9' && (s == begin || s[-1] == ' ' || s[-1] == '[');
}

/* As lab_html_text, with the signs that print has. */
static void html_number(FILE *f, const char *s)
{
	for (const char *p = s; *p; p++)
		if (p[0] == '+' && p[1] == '-') {
			fputs("&#177;", f);
			p++;
		} else if (minus(p, s)) {
			fputs("&#8722;", f);
		} else {
			lab_html_text(f, (char[]){ *p, 0 });
		}
}

static void latex_text(FILE *f, const char *s)
{
	for (const char *begin = s; *s; s++)
		if (s[0] == '+' && s[1] == '-') {
			fputs("$\\pm$", f);
			s++;
		} else if (minus(s, begin)) {
			fputs("$-$", f);
		} else if (strchr("<>|", *s)) {
			fprintf(f, "$%c$", *s);
		} else if (strchr("\\~^", *s)) {
			fputs(*s == '^'	  ? "\\textasciicircum{}"
			      : *s == '~' ? "\\textasciitilde{}"
					  : "\\textbackslash{}",
			      f);
		} else {
			fprintf(f, strchr("_%&#${}", *s) ? "\\%c" : "%c", *s);
		}
}

/* A path may be broken after each slash, a short name not at all (after a hyphen stands a word joiner). */
static void breakable(FILE *f, const char *s, const char *here)
{
	bool path = strlen(s) > 12;
	for (; *s; s++) {
		lab_html_text(f, (char[]){ *s, 0 });
		fputs(*s == '/' && path ? here : *s == '-' ? "&#8288;" : "", f);
	}
}

static void html(const lab_sheet *s, FILE *f)
{
	fputs("<div class=\"wide\"><table class=\"sortable\">\n<thead><tr>", f);
	for (int c = 0; c < s->columns; c++)
		if (shown(s, c)) {
			fputs("<th scope=\"col\" data-t=\"", f); /* what is printed: browsers repeat no buttons on the next page */
			breakable(f, s->column[c].title, "&#8203;");
			fputs("\"><button type=\"button\">", f);
			breakable(f, s->column[c].title, "<wbr/>");
			fputs("</button></th>", f);
		}
	fputs("</tr></thead>\n<tbody>\n", f);
	for (int r = 0; r < s->cells / s->columns; r++) {
		fputs("<tr>", f);
		for (int c = 0; c < s->columns; c++) {
			const sheet_cell *p = at(s, r, c);
			if (!shown(s, c))
				continue;
			fputs("<td", f);
			if (p->n && isfinite(p->v[0]))
				fprintf(f, " data-v=\"%.17g\"", p->v[0]);
			fputc('>', f);
			(p->n ? html_number : lab_html_text)(f, p->text);
			fputs("</td>", f);
		}
		fputs("</tr>\n", f);
	}
	fputs("</tbody></table></div>\n", f);
}

static void line(const lab_sheet *s, lab_style how, FILE *f, int row, const int *width)
{
	bool first = true;
	for (int c = 0; c < s->columns; c++) {
		const char *text = row < 0 ? s->column[c].title : at(s, row, c)->text;
		if (!width[c])
			continue;
		if (how == LAB_LATEX) {
			fputs(first ? "" : " & ", f);
			latex_text(f, text);
		} else {
			fprintf(f, "%s%*s",
				how == LAB_MARKDOWN ? "| "
				: first		    ? ""
						    : "  ",
				c ? width[c] : -width[c], text);
			fputs(how == LAB_MARKDOWN ? " " : "", f);
		}
		first = false;
	}
	fputs(how == LAB_LATEX ? " \\\\\n" : how == LAB_MARKDOWN ? "|\n" : "\n", f);
}

static void rule(const lab_sheet *s, lab_style how, FILE *f, const int *width)
{
	if (how == LAB_LATEX)
		fputs("\\midrule\n", f);
	for (int c = 0; c < s->columns && how == LAB_MARKDOWN; c++) {
		if (!width[c])
			continue;
		fputs(c ? "|" : "|:", f);
		for (int k = c ? -1 : 0; k < width[c]; k++)
			fputc('-', f);
		fputs(c ? ":" : "-", f);
	}
	if (how == LAB_MARKDOWN)
		fputs("|\n", f);
}

void lab_sheet_put(const lab_sheet *s, lab_style how, FILE *f)
{
	if (how == LAB_CSV || how == LAB_HTML) {
		(how == LAB_CSV ? csv : html)(s, f);
		return;
	}
	int rows = s->cells / s->columns, *width = lab_alloc((size_t)s->columns, sizeof *width);
	if (how == LAB_LATEX)
		fputs("\\begin{tabular}{", f);
	for (int c = 0; c < s->columns; c++) {
		if (!shown(s, c))
			continue;
		width[c] = (int)strlen(s->column[c].title);
		for (int r = 0; r < rows; r++)
			width[c] =
				(int)strlen(at(s, r, c)->text) > width[c] ? (int)strlen(at(s, r, c)->text) : width[c];
		fputs(how == LAB_LATEX ? (c ? "r" : "l") : "", f);
	}
	if (how == LAB_LATEX)
		fputs("}\n\\toprule\n", f);
	line(s, how, f, -1, width);
	rule(s, how, f, width);
	for (int r = 0; r < rows; r++)
		line(s, how, f, r, width);
	if (how == LAB_LATEX)
		fputs("\\bottomrule\n\\end{tabular}\n", f);
	free(width);
}
