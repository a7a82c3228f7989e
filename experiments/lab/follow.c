/* follow.c - a run while it goes on. */
#include "follow.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "memory.h"

static bool read_now(lab_follow *f, lab_err *err)
{
	struct stat before; /* the reading: a file put in place meanwhile is read the next time */
	bool known = f->path[0] && !stat(f->path, &before);
	lab_log *l = lab_log_of_run(f->name, f->path, err);
	if (!l)
		return false;
	if (known)
		f->seen = before;
	lab_log_free(f->log);
	f->log = l;
	return true;
}

bool lab_follow_begin(lab_follow *f, const char *run, lab_err *err)
{
	*f = (lab_follow){ .name = run };
	return read_now(f, err) && read_now(f, err); /* the first finds the path */
}

bool lab_follow_again(lab_follow *f)
{
	struct stat now;
	lab_err before = f->trouble;
	f->trouble.text[0] = 0;
	if (stat(f->path, &now))
		lab_fail(&f->trouble, "cannot read %s: %s", f->path, strerror(errno));
	else if (now.st_ino != f->seen.st_ino || now.st_mtim.tv_sec != f->seen.st_mtim.tv_sec ||
		 now.st_mtim.tv_nsec != f->seen.st_mtim.tv_nsec || now.st_size != f->seen.st_size || *before.text)
		return read_now(f, &f->trouble) || strcmp(before.text, f->trouble.text);
	return strcmp(before.text, f->trouble.text) != 0;
}

void lab_follow_end(lab_follow *f)
{
	lab_log_free(f->log);
	f->log = NULL;
}

int64_t lab_follow_series(const lab_log *l, const char *name, double **x, double **y)
{
	bool rate = !strcmp(name, "rate");
	const lab_log_entry *e = lab_log_series(l, rate ? "time/seconds" : name);
	int64_t n = e ? e->n : 0, m = 0, stride = rate ? n / 50 + 1 : 1;
	*x = lab_alloc((size_t)n + 1, sizeof **x);
	*y = lab_alloc((size_t)n + 1, sizeof **y);
	for (int64_t i = 0; i < n; i += stride) {
		int64_t k = i + stride < n ? i + stride - 1 : n - 1;
		double ds = (double)e->step[k] - (i ? (double)e->step[i - 1] : 0),
		       dt = e->value[k] - (i ? e->value[i - 1] : 0);
		if (rate && !(dt > 0 && ds > 0))
			continue;
		(*x)[m] = (double)e->step[k];
		(*y)[m++] = rate ? ds / dt : e->value[k];
	}
	return m;
}

void lab_follow_seconds(const lab_log *l, int64_t n, double *step)
{
	const lab_log_entry *t = lab_log_series(l, "time/seconds");
	int64_t at = 0;
	for (int64_t i = 0; i < n; i++) {
		while (t && at < t->n - 1 && (double)t->step[at] < step[i])
			at++;
		step[i] = t && t->n ? t->value[at] : NAN;
	}
}

/* Steps per second over the last tenth of what was logged, at least four points. */
static double recent_rate(const lab_log_entry *e)
{
	if (!e || e->n < 2)
		return NAN;
	int64_t back = e->n / 10 > 4 ? e->n / 10 : 4, i = e->n - 1, j = i > back ? i - back : 0;
	double dt = e->value[i] - e->value[j];
	return dt > 0 ? ((double)e->step[i] - (double)e->step[j]) / dt : NAN;
}

lab_standing lab_follow_standing(const lab_follow *f)
{
	const lab_log *l = f->log;
	const lab_log_entry *t = lab_log_series(l, "time/seconds"), *val = lab_log_series(l, "val/nll");
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	lab_standing s = { .status = lab_log_get_text(l, "status", "unknown"),
			   .steps = lab_log_get_int(l, "config/steps", 0),
			   .rate = recent_rate(t),
			   .left = NAN,
			   .best = NAN };
	s.over = strcmp(s.status, "running") != 0;
	s.step = lab_log_get_int(l, "final/steps", t && t->n ? t->step[t->n - 1] : 0);
	for (int64_t i = 0; val && i < val->n; i++)
		if (!(val->value[i] >= s.best)) {
			s.best = val->value[i];
			s.best_step = val->step[i];
		}
	if (s.steps > 0 && s.rate > 0)
		s.left = ((double)s.steps - (double)s.step) / s.rate;
	double budget = lab_log_get_real(l, "config/seconds", 0);
	if (budget > 0 && t && t->n)
		s.left = fmin(isnan(s.left) ? INFINITY : s.left, fmax(budget - t->value[t->n - 1], 0));
	s.silent = difftime(now.tv_sec, f->seen.st_mtim.tv_sec);
	return s;
}
