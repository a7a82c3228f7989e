/* place.h - where a run is kept: opened, resumed, taken, ended.  What run.c and fit.c have in common. */
#ifndef LAB_PLACE_H
#define LAB_PLACE_H

#include "train.h"

typedef struct {
	const lab_cli *cli;
	const lab_args *args;
	char dir[4000], log_path[4100], checkpoint_path[4100];
	lab_log *log, *old; /* old: of the run resumed, whose texts its options borrow */
	lab_checkpoint from;
	bool resumed; /* from is open, and log is old */
	lab_state state;
	lab_outcome outcome;
	lab_err err;
} lab_place;

/* These return -1 to go on, or the exit status after a line on stderr. */
int lab_place_refuse(lab_place *p, const char *what); /* "name: what: err" */
/* Looks into p->dir: with resume puts the options of the run there into values, else there must be none. */
int lab_place_open(lab_place *p, bool resume, void *values);
/* Whether the run resumed has ended, with a result: its log has this entry. */
bool lab_place_over(const lab_place *p, const char *result);
int lab_place_take(lab_place *p); /* makes the directory this run's alone */
/* The log of the run, written: of the one resumed, or a new one, which describe fills. */
int lab_place_begin(lab_place *p, void (*describe)(void *run), void *run);
void lab_place_close(lab_place *p);

/* The log's last write, by how the run came to its end; what is told on stderr and the exit status. */
int lab_place_failed(lab_place *p);
int lab_place_interrupted(lab_place *p, int64_t steps);
int lab_place_finished(lab_place *p); /* 0, or LAB_FAILED if the log cannot be written */

#endif
