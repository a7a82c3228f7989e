/* run_private.h - the parts of a run; for run*.c only. */
#ifndef LAB_RUN_PRIVATE_H
#define LAB_RUN_PRIVATE_H

#include "place.h"
#include "run.h"

typedef struct {
	lab_place at;
	lab_run_opt *o;
	lab_dataset *data;
	lab_model *model;
} lab__run;

lab_dataset *lab__open_data(const lab_run_opt *o, lab_err *err);
void lab__describe(void *run); /* fills the log of a lab__run that begins */
int lab__finish(lab__run *r);  /* tests, writes the log, tells, draws; the exit status */

#endif
