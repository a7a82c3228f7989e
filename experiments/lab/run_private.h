/* run_private.h - the parts of a run; for run*.c only. */
#ifndef LAB_RUN_PRIVATE_H
#define LAB_RUN_PRIVATE_H

#include "run.h"

typedef struct {
	const lab_cli *cli;
	const lab_args *args;
	lab_run_opt *o;
	char dir[4000], log_path[4100], checkpoint_path[4100];
	lab_dataset *data;
	lab_model *model;
	lab_log *log, *old; /* old: whose texts o borrows, on resuming */
	lab_checkpoint from;
	bool resumed; /* from is open */
	lab_state state;
	lab_outcome outcome;
	lab_err err;
} lab__run;

lab_dataset *lab__open_data(const lab_run_opt *o, lab_err *err);
void lab__net_from_log(flow_model_opt *n, const lab_log *l);
void lab__describe(lab__run *r); /* fills the log of a run that begins */
int lab__finish(lab__run *r);    /* tests, writes the log, tells, draws; the exit status */
int lab__interrupted(lab__run *r);

#endif
