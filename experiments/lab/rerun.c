/* rerun.c - a run's options and data again, from its log. */
#include "rerun.h"

#include <stdio.h>
#include <string.h>

#include "config.h"
#include "run_private.h"

static bool restore(const lab_log *l, const lab_cli *c, void *o, flow_model_opt *net, lab_err *err)
{
	static const lab_args nothing;
	char why[400];
	if (lab_config_restore(l, c, o, &nothing, why, sizeof why))
		return lab_model_restore(l, net, err);
	lab_fail(err, "%s", why);
	return false;
}

bool lab_rerun_fit_options(const lab_log *l, lab_fit_opt *o, lab_err *err)
{
	static const lab_cli energy = { .option = lab_fit_options, .setting = lab_fit_settings };
	*o = (lab_fit_opt){ 0 };
	if (!restore(l, &energy, o, &o->net, err))
		return false;
	if (o->energy && o->model)
		return true;
	lab_fail(err, "the log does not say which energy and model the run had");
	return false;
}

bool lab_rerun_options(const lab_log *l, lab_run_opt *o, lab_err *err)
{
	static const lab_cli tabular = { .option = lab_run_options, .setting = lab_run_settings };
	*o = (lab_run_opt){ 0 };
	if (!restore(l, &tabular, o, &o->net, err))
		return false;
	o->from = lab_log_get_text(l, "machine/directory", NULL);
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
