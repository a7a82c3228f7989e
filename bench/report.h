/* report.h - what the suite measured: lines for people on standard output, a row a figure in a CSV file. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stdio.h>

typedef struct {
	FILE *csv; /* or NULL */
	const char *workload;
} report;

/* csv NULL: none; "-": standard output, and then nothing for people.  false: it cannot be written, told on stderr. */
bool report_open(report *r, const char *csv);
int report_close(report *r); /* 0, or -1 with the reason on stderr */
/* Columns workload, work ("train", .., "all"), threads, figure, value. */
void report_row(const report *r, const char *work, int threads, const char *figure, double value);
void report_say(const report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
