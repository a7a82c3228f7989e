/* rerun.c - a run's options and data again, from its log. */
#include "rerun.h"

#include <stdio.h>
#include <string.h>

#include "config.h"
#include "run_private.h"

bool lab_rerun_options(const lab_log *l, lab_run_opt *o, lab_err *err)
{
	static const lab_args nothing;
	static const lab_cli tabular = { .option = lab_run_options, .setting = lab_run_settings };
	char why[400];
	*o = (lab_run_opt){ 0 };
	if (!lab_config_restore(l, &tabular, o, &nothing, why, sizeof why)) {
		lab_fail(err, "%s", why);
		return false;
	}
	if (!lab_model_restore(l, &o->net, err))
		return false;
	if (o->data && o->model)
		return true;
	lab_fail(err, "the log does not say which data and model the run had");
	return false;
}

lab_dataset *lab_rerun_data(const lab_log *l, lab_err *err)
{
	lab_run_opt o;
	if (!lab_rerun_options(l, &o, err))
		return NULL;
	lab_dataset *d = lab__open_data(&o, err);
	char hash[32];
	snprintf(hash, sizeof hash, "%016llx", d ? (unsigned long long)d->test_hash : 0);
	if (!d || !strcmp(hash, lab_log_get_text(l, "data/test_hash", "")))
		return d;
	lab_fail(err, "the data in %s have changed since the run: its test rows were others", o.data);
	lab_dataset_free(d);
	return NULL;
}
