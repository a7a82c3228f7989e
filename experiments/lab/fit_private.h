/* fit_private.h - the parts of a fit; for fit*.c only. */
#ifndef LAB_FIT_PRIVATE_H
#define LAB_FIT_PRIVATE_H

#include "fit.h"
#include "place.h"

typedef struct {
	lab_place at;
	lab_fit_opt *o;
	const lab_energy *energy;
	lab_model *model;
} lab__fit;

/* log q and energy of n samples, nats.  0, or -1 and err. */
int lab__fit_measure(lab__fit *f, int64_t n, uint64_t seed, double *log_q, double *energy, lab_err *err);
int lab__fit_finish(lab__fit *f); /* measures, writes the log, tells, draws; the exit status */

#endif
