/* check.h - what the laws of flow_check share. */
#ifndef FLOWS_CHECK_H
#define FLOWS_CHECK_H

#include "private.h"

typedef struct {
	const flow *f;
	flow_check_opt o;
	const char *law; /* being checked */
	int broken;
	int samples;
	int64_t nx, ny;	  /* numbers in an event before and after the flow */
	ad_shape latent;  /* [ny] */
	nn_store *store;  /* fp64, parameters made ordinary by noise */
	double *x, *cond; /* [samples, nx], [samples, cond]; floats' values */
	double *z;	  /* [samples, ny] */
} flow__check;

/* A traced program: inputs x (or z, flattened) and cond, outputs read as doubles. */
enum { FLOW__OUT = 80 };
typedef struct {
	const flow__check *k;
	ad_tape *tape;
	nn_store *store;
	nn c;
	ad_var in, cond;
	ad_var out[FLOW__OUT];
	int nout;
	ad_prog *prog;
	void *held[2]; /* bound data */
} flow__sheet;
flow__sheet flow__sheet_new(const flow__check *k, nn_store *s, flow_dir dir);
void flow__sheet_free(flow__sheet *s);
int flow__wants(flow__sheet *s, ad_var v); /* number of the output */
/* The flow on the sheet; z and x are flat, [B, n]; logdet is [B]. */
flow_out flow__on_sheet(flow__sheet *s, ad_var in, flow_dir dir);
/* false after a failure, which counts as a broken law. */
bool flow__sheet_run(flow__check *k, flow__sheet *s, ad_options o, int64_t samples, const double *in,
		     const double *cond);
double flow__value(const flow__sheet *s, int out, int64_t i);
int64_t flow__sheet_bytes(const flow__sheet *s, int out, int64_t samples);

void flow__break(flow__check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void flow__report(const flow__check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
double flow__normal_noise(const flow__check *k, const char *purpose, int64_t i);
double flow__log_abs_det(double *a, int64_t n); /* overwrites a */
bool flow__has(const flow__check *k, flow_dir dir);

/* Laws */
void flow__law_jacobian(flow__check *k);
void flow__law_inverse(flow__check *k);
void flow__law_gradients(flow__check *k);
void flow__law_extremes(flow__check *k);
void flow__law_integral(flow__check *k);
void flow__law_single(flow__check *k);
void flow__law_bits(flow__check *k);
void flow__law_neighbours(flow__check *k);

#endif
