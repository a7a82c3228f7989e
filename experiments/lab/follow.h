/* follow.h - a run while it goes on: what its log says now, and how far it is. */
#ifndef LAB_FOLLOW_H
#define LAB_FOLLOW_H

#include <sys/stat.h>

#include "log.h"

typedef struct {
	const char *name; /* as given */
	char path[4200];
	lab_log *log;	  /* the last one that could be read */
	lab_err trouble;  /* why the file cannot be read now; "" if it can */
	struct stat seen; /* of the file as read */
} lab_follow;

/* Reads the log; false with the reason in err. */
bool lab_follow_begin(lab_follow *f, const char *run, lab_err *err);
bool lab_follow_again(lab_follow *f); /* reads it again if the file is another one; true if anything changed */
void lab_follow_end(lab_follow *f);

typedef struct {
	const char *status;
	bool over; /* nothing more will come */
	int64_t step, steps;
	double rate; /* steps per second lately; NaN: not known */
	double left; /* seconds; NaN */
	double best; /* of the validations; NaN */
	int64_t best_step;
	double silent; /* seconds since the file was written */
} lab_standing;
lab_standing lab_follow_standing(const lab_follow *f);

/* The points of a series, x being steps; "rate" is steps per second, at most about 50 means.  Their number; x and y are
 * the caller's to free. */
int64_t lab_follow_series(const lab_log *l, const char *name, double **x, double **y);
/* Puts seconds of training, from the log's clock, in the place of n steps. */
void lab_follow_seconds(const lab_log *l, int64_t n, double *step);

#endif
