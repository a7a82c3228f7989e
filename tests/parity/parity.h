/* parity.h - parity files: numbers that another implementation computed, and the check that ours agree.
 *
 * A file holds a small model: attributes "config" (JSON; config.kind chooses the checker), "tolerance",
 * "tolerance_inverse", "dtype"; groups params, buffers, inputs; and, to be reproduced, outputs, intermediates,
 * grads and grads_inverse.  A checker traces the model, declares what each traced variable must equal, and runs it.
 *
 * Whatever is wrong with a file goes through parity_bad or parity_unsupported, which do not return: everything made
 * with the functions below belongs to the parity object and is freed with it.
 */
#ifndef PARITY_H
#define PARITY_H

#include "flows/flow.h"
#include "json.h"

#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>

typedef struct {
	int rank;
	int64_t dim[AD_MAXRANK], n;
	const double *v;
} array;

typedef struct {
	const char *path;
	double abs, rel, scaled, tolerance; /* the worst; scaled: |a-b| / max(1, |b|), which decides */
	const array *recorded;
	char note[96]; /* why it misses, if not for its numbers; or what is odd */
	bool missed;
} quantity;

typedef struct parity {
	const char *file, *only; /* only: prefix of the quantities wanted, NULL: all */
	hid_t h5;
	json *config;
	const char *kind;
	ad_dtype real;
	double tolerance, tolerance_inverse;
	int paths;
	const char **path; /* of every array in the file */
	array *loaded;
	int quantities;
	quantity *quantity;
	int unsupported;
	const char **what; /* "prefix: reason" */
	bool whole;	   /* unsupported as a whole */
	int unreads;
	const char *unread[16]; /* options of the configuration that nothing asked for */
	char bad[512];
	jmp_buf escape;
	int owned;
	struct owned *own;
} parity;

/* --- The file ----------------------------------------------------------------------------------------------------- */

void parity_open(parity *p);
void parity_close(parity *p);
_Noreturn void parity_bad(parity *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void parity_unsupported(parity *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Leaves out the quantities whose path begins with prefix. */
void parity_skip(parity *p, const char *prefix, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* An array by path (printf); parity_array stops with a message if it is absent, parity_find returns NULL. */
const array *parity_array(parity *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const array *parity_find(parity *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool parity_wants(const parity *p, const char *path); /* in the file and not excluded by only */
bool parity_has_below(const parity *p, const char *prefix);
bool parity_wants_below(const parity *p, const char *prefix);
bool parity_is_result(const char *path); /* not in one of the groups params, buffers and inputs */
bool parity_begins(const char *s, const char *prefix);

void *parity_alloc(parity *p, size_t bytes); /* zeroed */
void *parity_no_memory(void);		     /* ends the process with a message */
const char *parity_vtext(parity *p, const char *fmt, va_list ap);
const char *parity_text(parity *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
ad_tape *parity_tape(parity *p);
nn_store *parity_store(parity *p);
flow_mem *parity_mem(parity *p);
nn_trainer *parity_trainer(parity *p, nn_store *s, nn_trainer_opt o);

/* Members of the configuration; the required ones stop with a message. */
const json *parity_config(parity *p, const char *key, json_type type);
const json *parity_member(parity *p, const json *o, const char *key, json_type type);
int64_t parity_count(parity *p, const json *o, const char *key); /* a whole number >= 0 */

/* --- Comparison --------------------------------------------------------------------------------------------------- */

/* Compares v[n] with the recorded array; the worst over several calls counts. */
void parity_compare(parity *p, const char *path, double tolerance, int64_t n, const double *v);
void parity_compare_zero(parity *p, const char *path, const char *note, int64_t n, const double *v);

/* A traced model: inputs bound to arrays of the file, and what its variables must equal.  The store may be NULL. */
typedef struct {
	parity *p;
	ad_tape *t;
	nn_store *s;
	int inputs, outs;
	struct {
		ad_var v;
		const array *a;
		bool batched;
	} input[128];
	struct {
		ad_var v;
		const char *path, *zero; /* zero: the note of model_expect_zero */
		double tolerance;
	} * out;
	int64_t batch;
} model;

model *model_new(parity *p, nn_store *s);
/* n numbers in dtype d, kept as long as the file. */
const void *array_as(parity *p, const double *from, int64_t n, ad_dtype d);
ad_shape array_shape(const array *a, bool batched);
ad_var model_input(model *m, const array *a, bool batched);
ad_var model_index(model *m, const array *a, bool batched); /* i32 */
/* v must equal the array at path, if that is wanted. */
void model_expect(model *m, ad_var v, double tolerance, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same, but v must be zero: what the file records there is known to be wrong, for the reason in note. */
void model_expect_zero(model *m, ad_var v, const char *path, const char *note);
/* Runs it in several ways (tiles, threads, fusion) and compares. */
void model_run(model *m);

/* --- Parameters --------------------------------------------------------------------------------------------------- */

typedef struct {
	const char *file, *ours; /* path after the group; name in our store */
	const array *a;
	int64_t first, of; /* ours has `of` columns, of which the file's array is those from `first`; of 0: the whole */
} parameter;
typedef struct {
	int n;
	parameter *at;
	int known; /* entries of the store that came from the file */
} parameters;

/* Puts every array below "params/<from>" (trained) and "buffers/<from>" into the store as <to><rest>. */
parameters parameters_load(parity *p, nn_store *s, const char *from, const char *to);
/* Stops if tracing has made a parameter that the file does not have. */
void parameters_complete(parity *p, const parameters *ps, const nn_store *s);
/* Gradients of sum(loss) with respect to each, expected at <grads>/<file name>. */
void parameters_expect(model *m, const parameters *ps, ad_var loss, const char *grads, int extra, const ad_var x[],
		       const char *const path[], double tolerance);

/* --- Kinds -------------------------------------------------------------------------------------------------------- */

typedef struct {
	const char *kind;
	void (*check)(parity *p);
} parity_kind;
extern const parity_kind parity_kinds[];

void check_flow(parity *p);
void check_elementwise_spline(parity *p);
void check_ad(parity *p);
void check_nn(parity *p);
void check_optim(parity *p);
void check_train(parity *p);
void check_extreme(parity *p);
void check_base(parity *p);
void check_actnorm_init(parity *p);
void check_batch_norm(parity *p);
void check_tarflow(parity *p);
void check_ode(parity *p);
void check_odenet(parity *p);
void check_cnf(parity *p);
void check_cnf_regularised(parity *p);
void check_otflow(parity *p);
void check_otflow_potential(parity *p);
void check_flow_matching(parity *p);
void check_estimators(parity *p);
void check_induced_norm(parity *p);

/* Shared by kinds flow and train: the layers of the configuration under "flow", with the file's parameters. */
typedef struct {
	flow_mem *mem;
	nn_store *store;
	int n;
	flow **layer;
	flow *chain;
	parameters params;
	bool cond; /* takes the context */
} layered;
layered layers_build(parity *p);

/* Scalar maps named by a configuration (spline, bins, tails, floors), and the arrays of their parameters in order. */
extern const char *const spline_parameters[];
flow_map spline_map(parity *p, const json *o);
double spline_floor(const json *o, const char *key, double otherwise); /* of widths, heights or derivatives */
nn_net conditioner(parity *p, const json *o); /* the net that "conditioner" describes */
/* The configuration's optimiser and schedule. */
nn_optim optimiser(parity *p, const json *o);
nn_schedule schedule(parity *p, const json *o);
/* Does the trained store hold what the file says?  Compares each parameter with the array at <prefix>/<name>. */
void parameters_compare(parity *p, const parameters *ps, nn_store *s, const char *prefix, double tolerance);

#endif
