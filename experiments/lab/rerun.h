/* rerun.h - a run's options and data again, from its log. */
#ifndef LAB_RERUN_H
#define LAB_RERUN_H

#include "fit.h"

/* The options that the run used; texts are borrowed from l. */
bool lab_rerun_options(const lab_log *l, lab_run_opt *o, lab_err *err);
/* The same of a fit to an energy. */
bool lab_rerun_fit_options(const lab_log *l, lab_fit_opt *o, lab_err *err);
/* Its data, whose test rows have the hash in the log; NULL and err if they cannot be read or have changed. */
lab_dataset *lab_rerun_data(const lab_log *l, lab_err *err);

#endif
