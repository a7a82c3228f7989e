/* progress.h - how far a long loop is: a bar with rate and remaining time on a terminal, else a line now and then. */
#ifndef LAB_PROGRESS_H
#define LAB_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
	const char *label;
	int64_t first, total; /* steps done before the start, steps in all */
	double seconds;       /* the loop also ends after that long; 0: no */
	double start, shown;
	int tenth;
	bool terminal, silent, drawn;
} lab_progress;

double lab_clock(void); /* seconds, monotonic */
/* Idle OpenMP threads spin for milliseconds unless told otherwise before the process starts, which makes everything
 * several times slower on busy cores.  Starts the program over with a short spin, unless the environment already says
 * something; returns otherwise. */
void lab_share_cores(char **argv);
lab_progress lab_progress_start(const char *label, int64_t first, int64_t total, double seconds, bool silent);
/* at: steps done; note: a few words, "loss 1.23". */
void lab_progress_step(lab_progress *p, int64_t at, const char *note);
void lab_progress_end(lab_progress *p); /* leaves the line clean for other output */

#endif
