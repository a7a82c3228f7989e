/* measure.h - the parts of the suite, each on one workload. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "report.h"
#include "timing.h"
#include "work.h"

enum { MEASURE_TEAMS = 8 };
typedef struct {
	bool quick;
	int threads[MEASURE_TEAMS], teams;  /* 1, 2, 4, .. and all cores */
	timing_job gemm[MEASURE_TEAMS];     /* the BLAS product on as many */
	char worker[4200];                  /* path of the program worker */
} measure;

/* Each prints lines and rows; false if something failed, told on stderr. */
/* Times of a training step, a density evaluation and a sampled batch beside the matrix product, by numbers of threads. */
bool measure_speed(measure *m, const report *r, const workload *w);
/* In a process of its own, a worker: from exec to the end of the first training step, beside later ones; peak memory. */
bool measure_process(const measure *m, const report *r, const workload *w, const char *name);
/* How time grows with each size: exponents. */
bool measure_growth(const measure *m, const report *r, const workload *w);
/* Reversible against stored: time of a training step, memory of a thread, of this chain and of one four times as deep. */
bool measure_reversible(const measure *m, const report *r, const workload *w);

#endif
