/* progress.c - how far a long loop is. */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

double lab_clock(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void lab_share_cores(char **argv)
{
	if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT"))
		return;
	setenv("GOMP_SPINCOUNT", "10000", 1);
	execv("/proc/self/exe", argv);
}

lab_progress lab_progress_start(const char *label, int64_t first, int64_t total, double seconds, bool silent)
{
	const char *term = getenv("TERM");
	return (lab_progress){ .label = label, .first = first, .total = total, .seconds = seconds, .start = lab_clock(),
		               .terminal = isatty(2) && (!term || strcmp(term, "dumb")), .silent = silent };
}

static const char *duration(char *buf, size_t n, double s)
{
	if (!(s >= 0 && s < 3.6e6))
		snprintf(buf, n, "--:--");
	else if (s < 3600)
		snprintf(buf, n, "%d:%02d", (int)s / 60, (int)s % 60);
	else
		snprintf(buf, n, "%d:%02d:%02d", (int)s / 3600, (int)s / 60 % 60, (int)s % 60);
	return buf;
}

void lab_progress_step(lab_progress *p, int64_t at, const char *note)
{
	if (p->silent)
		return;
	double now = lab_clock(), spent = now - p->start;
	double part = p->total ? (double)at / (double)p->total : 0;
	double rate = spent > 0 ? (double)(at - p->first) / spent : 0;
	double left = rate > 0 ? (double)(p->total - at) / rate : -1;
	if (p->seconds > 0) {
		if (spent / p->seconds > part)
			part = spent / p->seconds;
		if (left < 0 || p->seconds - spent < left)
			left = p->seconds > spent ? p->seconds - spent : 0;
	}
	if (part > 1)
		part = 1;
	bool due = p->terminal ? now - p->shown > 0.1 : (int)(10 * part) > p->tenth || now - p->shown > 60;
	if (!due && at < p->total)
		return;
	if (!p->terminal && !p->shown && at < p->total && part < 0.1) {
		p->shown = now;
		return;
	}
	p->shown = now;
	p->tenth = (int)(10 * part);
	char eta[32], bar[25];
	int full = (int)(24 * part);
	memset(bar, '-', 24);
	memset(bar, '#', (size_t)full);
	bar[24] = 0;
	duration(eta, sizeof eta, left);
	if (p->terminal) {
		char line[400];
		struct winsize w = { .ws_col = 0 };
		ioctl(2, TIOCGWINSZ, &w);
		snprintf(line, sizeof line, "%s [%s] %3d%%  %lld/%lld  %.0f/s  left %s  %s", p->label, bar, (int)(100 * part),
		         (long long)at, (long long)p->total, rate, eta, note);
		fprintf(stderr, "\r%.*s\033[K", w.ws_col > 1 ? w.ws_col - 1 : 200, line);
	} else {
		fprintf(stderr, "%s %3d%%  step %lld of %lld  %.1f/s  left %s  %s\n", p->label, (int)(100 * part),
		        (long long)at, (long long)p->total, rate, eta, note);
	}
	fflush(stderr);
	p->drawn = p->terminal;
}

void lab_progress_end(lab_progress *p)
{
	if (p->drawn)
		fputc('\n', stderr);
	p->drawn = false;
}
