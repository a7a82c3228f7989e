/* place.c - where a run is kept: opened, resumed, taken, ended. */
#include "place.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "ranks.h"

int lab_place_refuse(lab_place *p, const char *what)
{
	return lab_cli_wrong(p->cli, "%s%s%s", what, *what ? ": " : "", p->err.text);
}

int lab_place_open(lab_place *p, bool resume, void *values)
{
	char why[400];
	lab_path(p->log_path, sizeof p->log_path, p->dir, "run.h5");
	lab_path(p->checkpoint_path, sizeof p->checkpoint_path, p->dir, "checkpoint.h5");
	bool log = !access(p->log_path, F_OK), checkpoint = !access(p->checkpoint_path, F_OK);
	if (!resume) {
		if (!log && !checkpoint)
			return -1;
		lab_fail(&p->err, "%s exists: --resume continues that run, --out DIR puts this one elsewhere",
		         log ? p->log_path : p->checkpoint_path);
		return lab_place_refuse(p, "");
	}
	if (checkpoint) {
		if (lab_checkpoint_open(&p->from, p->checkpoint_path, &p->err))
			return lab_place_refuse(p, "cannot resume");
		p->old = p->from.log;
		p->resumed = true;
	} else if (log && !(p->old = lab_log_read(p->log_path, &p->err))) {
		return lab_place_refuse(p, "cannot resume");
	}
	if (!p->old || lab_config_restore(p->old, p->cli, values, p->args, why, sizeof why))
		return -1;
	lab_fail(&p->err, "%s: %s", p->dir, why);
	return lab_place_refuse(p, "cannot resume");
}

bool lab_place_over(const lab_place *p, const char *result)
{
	lab_err err;
	lab_log *l = p->old ? lab_log_read(p->log_path, &err) : NULL;
	const char *status = l ? lab_log_get_text(l, "status", "") : "";
	bool over = l && lab_log_find(l, result) && (!strcmp(status, "finished") || !strcmp(status, "stopped-early"));
	lab_log_free(l);
	return over;
}

int lab_place_take(lab_place *p)
{
	if (lab_rank())
		return -1;
	if (lab_dir_make(p->dir, &p->err) || lab_dir_lock(p->dir, &p->err))
		return lab_place_refuse(p, "");
	if (p->old || (access(p->log_path, F_OK) && access(p->checkpoint_path, F_OK)))
		return -1;
	lab_fail(&p->err, "another process made %s meanwhile", p->log_path);
	return lab_place_refuse(p, "");
}

int lab_place_begin(lab_place *p, void (*describe)(void *run), void *run)
{
	if (p->resumed) {
		p->log = p->old;
		p->state = p->from.state;
	} else {
		p->log = lab_log_new();
		p->state.best_nll = INFINITY;
		describe(run);
	}
	if (!lab_ranks_bad(lab_log_write(p->log, p->log_path, &p->err), &p->err))
		return -1;
	lab_place_refuse(p, "");
	return LAB_FAILED;
}

void lab_place_close(lab_place *p)
{
	if (p->resumed)
		lab_checkpoint_close(&p->from);
	if (p->log != p->old)
		lab_log_free(p->log);
	lab_log_free(p->old);
}

int lab_place_failed(lab_place *p)
{
	lab_err second;
	lab_log_text(p->log, "status", "failed");
	lab_log_text(p->log, "status_reason", p->err.text);
	lab_cli_wrong(p->cli, "training failed: %s", p->err.text);
	lab_log_write(p->log, p->log_path, &second);
	return LAB_FAILED;
}

int lab_place_interrupted(lab_place *p, int64_t steps)
{
	lab_log_text(p->log, "status", lab_outcome_name[LAB_INTERRUPTED]);
	int bad = lab_log_write(p->log, p->log_path, &p->err);
	lab_cli_wrong(p->cli, "interrupted at step %lld of %lld; --resume --out %s goes on", (long long)p->state.step,
	              (long long)steps, p->dir);
	return bad ? LAB_FAILED : 128 + lab_signal;
}

int lab_place_finished(lab_place *p)
{
	lab_log_text(p->log, "status", lab_outcome_name[p->outcome]);
	if (!lab_log_write(p->log, p->log_path, &p->err))
		return 0;
	lab_cli_wrong(p->cli, "%s", p->err.text);
	return LAB_FAILED;
}
