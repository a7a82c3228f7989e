/* sheet.h - a table for people, papers, pages and programs: one description, five styles. */
#ifndef LAB_SHEET_H
#define LAB_SHEET_H

#include <stdbool.h>
#include <stdio.h>

typedef enum { LAB_PLAIN, LAB_MARKDOWN, LAB_LATEX, LAB_CSV, LAB_HTML } lab_style;

typedef struct {
	const char *title; /* NULL: in CSV only */
	const char *csv;   /* names of its numbers, "mean,standard_error"; NULL: not in CSV */
} lab_heading;

typedef struct lab_sheet lab_sheet;
/* The columns are borrowed.  The first holds names and is set to the left, the others to the right. */
lab_sheet *lab_sheet_new(int columns, const lab_heading *column);
void lab_sheet_free(lab_sheet *s);
/* The next cell, row by row: n numbers (at most 4; NaN: none), and the text that stands for them.  Of a text cell n is
 * 0. In the HTML style the first number is what the table sorts by.  A column whose texts are all "-" is not shown. */
void lab_sheet_cell(lab_sheet *s, int n, const double *v, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void lab_sheet_put(const lab_sheet *s, lab_style how, FILE *f);

/* Text with what HTML gives a meaning replaced. */
void lab_html_text(FILE *f, const char *s);

#endif
