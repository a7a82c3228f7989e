/* work.h - a workload made runnable: its model, its fixed batch, and the programs that train it, evaluate its density
 * and sample from it.  Each is made when first asked for. */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include "workload.h"

typedef enum { WORK_TRAIN, WORK_DENSITY, WORK_SAMPLE, WORK_KINDS } work_kind;
extern const char *const work_names[WORK_KINDS]; /* train, density, sample */

typedef struct work work;
work *work_new(const workload *w, int threads);
void work_free(work *k);
/* What went wrong, or NULL; from then on nothing works. */
const char *work_error(const work *k);
int64_t work_parameters(work *k);
/* n steps on the batch, n evaluations of it, or n batches drawn.  Gives the last loss, minus the mean log-density, or
 * the mean of the last sample; NAN on failure. */
double work_do(work *k, work_kind kind, int64_t n);
/* The same as a job of timing_rounds: run is work_task_run, what a work_task. */
typedef struct {
	work *k;
	work_kind kind;
} work_task;
bool work_task_run(void *what, int64_t n);
/* The program behind, NULL on failure: for summaries and profiles. */
ad_prog *work_prog(work *k, work_kind kind);

#endif
