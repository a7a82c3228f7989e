/* report.c - what the suite measured, for people and as CSV. */
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

bool report_open(report *r, const char *csv)
{
	*r = (report){ NULL, "" };
	if (!csv)
		return true;
	r->csv = strcmp(csv, "-") ? fopen(csv, "w") : stdout;
	if (!r->csv) {
		fprintf(stderr, "suite: %s: %s\n", csv, strerror(errno));
		return false;
	}
	fprintf(r->csv, "workload,work,threads,figure,value\n");
	return true;
}

int report_close(report *r)
{
	bool bad = fflush(stdout) || (r->csv && (fflush(r->csv) || ferror(r->csv)));
	if (r->csv && r->csv != stdout)
		bad |= fclose(r->csv) != 0;
	if (bad)
		fprintf(stderr, "suite: the results could not be written whole\n");
	return bad ? -1 : 0;
}

void report_row(const report *r, const char *work, int threads, const char *figure, double value)
{
	if (!r->csv)
		return;
	fprintf(r->csv, "\"%s\",%s,%d,%s,%.6g\n", r->workload, work, threads, figure, value);
	fflush(r->csv);
}

void report_say(const report *r, const char *fmt, ...)
{
	va_list a;
	if (r->csv == stdout)
		return;
	va_start(a, fmt);
	vprintf(fmt, a);
	va_end(a);
	fflush(stdout);
}
