/* contest.h - runs on the same test rows, compared point by point. */
#ifndef LAB_CONTEST_H
#define LAB_CONTEST_H

#include "cli.h"
#include "log.h"

/* Runs that differ in their seed only, as one. */
typedef struct {
	char label[200];  /* the model, and what tells this row from others of that model */
	int runs;
	int *run;         /* their numbers */
	double *ll;       /* [points] nats, the mean over the runs */
	double mean, se;  /* over points; se: standard error */
	double sd_runs;   /* standard deviation of the runs' means; NaN for one run */
	double *each;     /* [runs] the runs' means over points */
	double diff, lo, hi; /* mean of ll minus the best row's, with its 95 % interval over points; 0 for the best itself */
	double seeds_lo, seeds_hi; /* its interval when seeds are drawn anew too (lab_interval_seeds); NaN without two of each */
	double parameters, seconds, steps; /* means over the runs */
} lab_contestant;

typedef struct {
	int n;
	lab_contestant *row; /* best first */
	int64_t points, columns;
	double entropy;      /* nats; NaN if not known */
	const char *source;  /* borrowed from a log */
} lab_contest;

/* Fails with one line if a run has no test result, if test rows differ, or if two runs are the same one.  path: for
 * messages. */
lab_contest *lab_contest_new(int n, lab_log *const log[], char *const path[], lab_err *err);
void lab_contest_free(lab_contest *c);

/* The same from runs on a command line: the logs of those that have a result, and where each is. */
typedef struct {
	int n, odd; /* odd: runs that were left out, or have results that are not numbers */
	lab_log **log;
	char (*path)[4200];
	lab_contest *contest;
} lab_entrants;
/* 0, or -1 and err, also if no run has a result.  Those that have none, and what is not finite, get a line on stderr.
 * Close it in either case. */
int lab_entrants_open(lab_entrants *e, const lab_cli *c, int n, char *const run[], lab_err *err);
void lab_entrants_close(lab_entrants *e);
/* Does not make two runs of one model different contestants: seed, threads, .. */
bool lab_contest_incidental(const char *option);

#endif
