/* nn.h - layers are functions of a context; parameters live in a named store.
 *
 * There are no layer objects: nn_linear(nn_in(c, "out"), x, n) creates, or finds, the parameters
 * "<path of c>/out/weight" and ".../bias" in the store.  The path is the parameter's name, its place in HDF5
 * files and its random stream, so equal paths share weights and a new layer changes no other layer's start.
 *
 * Shapes: axis 0 is the batch; vectors are [B, D], images [B, C, H, W], signals [B, C, T].
 * Errors: a store remembers its first failure (nn_error); mistakes while tracing go to the tape (ad_error).
 */
#ifndef NN_H
#define NN_H

#include "ad/ad.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nn_store nn_store;

/* NN_TRAIN: dropout and batch statistics are on.  NN_EVAL: the deterministic density.  NN_INIT: as NN_TRAIN,
 * but a parameter declared by nn_param_from that has no value yet *is* its data-dependent initial value. */
typedef enum { NN_TRAIN, NN_EVAL, NN_INIT } nn_phase;

/* Passed by value: a scope is just a longer path. */
typedef struct {
	ad_tape *tape;
	nn_store *store;
	nn_phase phase;
	char path[192];
	bool quiet; /* nn_quiet */
} nn;

/* --- Store ---------------------------------------------------------------------------------------------- */

/* Values, gradients and optimiser slots of trained parameters in contiguous blocks of dtype d, and untrained
 * state (running statistics, permutations, power-iteration vectors, averages).  seed draws initial values. */
nn_store *nn_store_new(ad_dtype d, uint64_t seed);
void nn_store_free(nn_store *s);
const char *nn_error(const nn_store *s);
void nn_fail(nn_store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void nn_clear_error(nn_store *s); /* for a caller that has dealt with it */
ad_dtype nn_dtype(const nn_store *s);

typedef struct {
	const char *name; /* path */
	ad_shape shape;
	int64_t numel;
	bool trained;  /* a parameter, else state */
	bool ready;    /* has a value (false: waits for data-dependent initialisation) */
	void *value;   /* numel elements of the store's dtype; moves when entries are added */
	void *grad;    /* trained entries; NULL before a trainer exists */
} nn_entry;
int nn_count(const nn_store *s);
nn_entry nn_at(const nn_store *s, int i);
int nn_find(const nn_store *s, const char *name); /* index or -1 */
int64_t nn_parameters(const nn_store *s);         /* scalars in trained entries */
/* Copies; converts from and to double.  false (and nn_error) if absent or of another size. */
bool nn_set(nn_store *s, const char *name, const double *v, int64_t n);
bool nn_get(const nn_store *s, const char *name, double *v, int64_t n);
/* Declares an entry with a value before any tracing (loading, tests). */
bool nn_put(nn_store *s, const char *name, ad_shape shape, bool trained, const double *v);
/* A copy of all values (best weights, EMA): a snapshot can be restored or swapped in. */
typedef struct nn_snapshot nn_snapshot;
nn_snapshot *nn_snapshot_take(const nn_store *s);
void nn_snapshot_restore(nn_store *s, const nn_snapshot *k);
void nn_snapshot_free(nn_snapshot *k);

/* --- Context and parameters ------------------------------------------------------------------------------- */

nn nn_begin(ad_tape *t, nn_store *s, nn_phase phase);
nn nn_in(nn c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
nn nn_on(nn c, ad_tape *t); /* the same context on the tape of a traced function */

typedef enum {
	NN_ZEROS,
	NN_CONST,     /* a */
	NN_UNIFORM,   /* in [-a, a] */
	NN_NORMAL,    /* standard deviation a */
	NN_FAN_IN,    /* uniform in +-a / sqrt(fan-in); fan-in = numel / dim 0 */
	NN_KAIMING,   /* normal, sd a sqrt(2 / fan-in) */
	NN_XAVIER,    /* uniform, +-a sqrt(6 / (fan-in + fan-out)) */
	NN_ORTHOGONAL /* rows or columns orthonormal, times a */
} nn_fill_kind;
typedef struct {
	nn_fill_kind kind;
	double a; /* 0 means 1 */
} nn_fill;

/* Found by path, or created and filled.  A tape input, bound to the store by nn_bind. */
ad_var nn_param(nn c, const char *name, ad_shape s, nn_fill fill);
ad_var nn_param_from(nn c, const char *name, ad_var v); /* initial value: v on the first batch; v is not batched */
ad_var nn_state(nn c, const char *name, ad_shape s, nn_fill fill);       /* not trained */
ad_var nn_state_array(nn c, const char *name, ad_shape s, const double *v); /* created with these values */
/* State takes the value of v (not batched) after each training step that computes it. */
void nn_set_state(nn c, const char *name, ad_var v);
/* For layers with state that is computed from updated weights: f(c, data), which calls nn_set_state, is traced once more,
 * for a program that runs after each training step.  Once per path and f; bytes of data are copied. */
void nn_after_step(nn c, void (*f)(nn c, const void *data), const void *data, size_t bytes);
/* Brings such state of the layers traced on t up to date now: after weights were set by other means than a trainer's
 * steps.  false (and nn_error) on failure. */
bool nn_refresh(nn_store *s, ad_tape *t);
uint64_t nn_stream(nn c, const char *purpose); /* random stream of this path and purpose */
/* Layers that are traced twice to compute the same thing must meet the same noise: nn_draws says how much has been handed out
 * on this tape, and after nn_redraw(c, then) what is traced gets what came after `then` once more, in the same order. */
int nn_draws(nn c);
void nn_redraw(nn c, int then);

/* Handed up by layers: penalties are added to the loss (a scalar, or [B] averaged); counts are logged (a scalar,
 * or [B] averaged) under their path. */
void nn_penalty(nn c, const char *name, ad_var v);
void nn_metric(nn c, const char *name, ad_var v);
/* The same context for a second trace of what has been traced: penalties, metrics and new states handed up in it are dropped. */
nn nn_quiet(nn c);

/* Binds every parameter and state that the tape of p uses; again after the store grew. */
void nn_bind(nn_store *s, ad_tape *t, ad_prog *p);
/* Forgets what was traced on t.  Call before ad_tape_free when the store lives on. */
void nn_release(nn_store *s, ad_tape *t);
/* What nn_set_state recorded on t: names and values, at most max; returns how many there are.  For programs run
 * without a trainer. */
int nn_updates(const nn_store *s, ad_tape *t, const char *name[], ad_var v[], int max);

/* --- Layers ------------------------------------------------------------------------------------------------ */

typedef struct nn_act {
	const char *name; /* as nn_act_named takes it */
	ad_var (*apply)(ad_var x);
} nn_act;
extern const nn_act nn_acts[]; /* relu, relu6, leaky_relu, elu, selu, celu, gelu, gelu_tanh, silu, softplus, tanh, sigmoid,
                                  logsigmoid, mish, hardtanh, softsign, tanhshrink, concat_elu, glu, identity, softplus_beta2, swish (= silu); ends with NULL name */
const nn_act *nn_act_named(const char *name); /* NULL if unknown */

/* y = x W^T + b over the last axis; "weight" [out, in], "bias" [out]. */
typedef struct {
	bool no_bias, weight_norm; /* weight_norm: "v", "g" with w = g v / ||v|| per output */
	nn_fill weight, bias;      /* zero kind with a == 0: the default, NN_FAN_IN 1 for both; zeros: .zero */
	bool zero;                 /* weight and bias start at zero */
	const double *mask;        /* [out, in] of 0 and 1, copied; the weight counts as weight * mask */
	const int64_t *lo, *hi;    /* or, faster: row i of the weight counts from column lo[i] to hi[i] - 1 only */
	const int32_t *order;      /* [in], with lo and hi: the order in which they count columns, a permutation; NULL: 0, 1, .. */
} nn_linear_opt;
ad_var nn_linear(nn c, ad_var x, int64_t out);
ad_var nn_linear_with(nn c, ad_var x, int64_t out, nn_linear_opt o);

typedef struct {
	/* Zeros: 3, 1, 0, 1, 1; 1-D signals take entry 0.  In 2-D a zero entry 1 of kernel, stride and dilation means "as
	 * entry 0"; pad is taken as it stands. */
	int64_t kernel[2], stride[2], pad[2], dilation[2], groups;
	bool no_bias, weight_norm, transposed, zero;
} nn_conv_opt;
ad_var nn_conv(nn c, ad_var x, int64_t out, nn_conv_opt o);

ad_var nn_layer_norm(nn c, ad_var x, double eps); /* over the last axis; "weight", "bias" */
ad_var nn_group_norm(nn c, ad_var x, int groups, double eps);
/* Per channel (axis 1); batch statistics in training, running ones in NN_EVAL; "weight", "bias",
 * "running_mean", "running_var" (unbiased). */
ad_var nn_batch_norm(nn c, ad_var x, double eps, double momentum);
ad_var nn_dropout(nn c, ad_var x, double p); /* identity unless training */
ad_var nn_embedding(nn c, ad_var index, int64_t n, int64_t dim);
/* x [B, T, C]; in_proj rows query, key, value. */
ad_var nn_attention(nn c, ad_var x, int heads, bool causal);
/* Its middle, without parameters: queries, keys and values side by side [B, T, 3 C] to [B, T, C]. */
ad_var nn_attend(nn c, ad_var qkv, int heads, bool causal);
ad_var nn_avg_pool(ad_var x, int64_t k);            /* [B, C, H, W] */
ad_var nn_upsample(ad_var x, int64_t k);            /* nearest */
ad_var nn_pixel_shuffle(ad_var x, int64_t k);       /* [B, C k^2, H, W] -> [B, C, kH, kW] */
ad_var nn_pixel_unshuffle(ad_var x, int64_t k);     /* new channel = c k^2 + row k + column */

/* --- Nets: what flows take as conditioners --------------------------------------------------------------------- */

/* apply maps x [B, n] and cond ([B, m] or NULL) to [B, out].  A user's own net embeds nn_net as its first member
 * or points data at what it needs. */
typedef struct nn_net nn_net;
struct nn_net {
	const char *kind;
	ad_var (*apply)(const nn_net *n, nn c, ad_var x, ad_var cond, int64_t out);
	int64_t width;
	int depth;          /* hidden layers of an MLP; residual blocks of a residual net or MADE */
	const nn_act *act;  /* NULL: relu */
	double dropout;
	bool batch_norm;
	double batch_norm_eps;
	bool zero_last;     /* the last linear starts at zero */
	/* MADE: output j of `out` belongs to input j / (out / n); it depends on inputs of smaller degree only. */
	bool autoregressive, residual, cond_act_off;
	const int *degree;  /* [n], a permutation of 1..n (the order); NULL: 1..n.  Borrowed */
	/* Hidden degrees drawn from the path's stream (masks then are state) instead of spread evenly and in order over 1..n-1;
	 * with cond they start at 0 (j mod n), so that cond reaches the first output too. */
	bool random_degrees;
	const void *data;
	const int64_t *widths; /* MLP: [depth], hidden widths instead of width.  Borrowed */
};
/* Names: MLP "linear_0".."linear_<depth>"; residual net "initial", "blocks/<b>/linear_0", "linear_1", "context",
 * "batch_norm_0", "batch_norm_1", "final"; MADE the same and "initial_context", without residual "blocks/<b>/linear".
 * An MLP with .autoregressive set is a masked MLP (cond enters with degree 0).  A state entry "<linear>/mask" already
 * in the store replaces the mask computed from degrees. */
nn_net nn_mlp(int64_t width, int depth);
nn_net nn_resnet(int64_t width, int depth);
nn_net nn_made(int64_t width, int depth);     /* feed-forward */
nn_net nn_res_made(int64_t width, int depth); /* residual */
ad_var nn_apply(const nn_net *n, nn c, ad_var x, ad_var cond, int64_t out);
/* The mask of a masked linear [out, in] from degrees; strict: out > in, else out >= in.  Caller frees. */
double *nn_degree_mask(int64_t out, const int *out_degree, int64_t in, const int *in_degree, bool strict);

/* --- Training ------------------------------------------------------------------------------------------------------ */

typedef enum { NN_SGD, NN_RMSPROP, NN_ADAGRAD, NN_ADAM, NN_ADAMW, NN_ADAMAX } nn_rule;
typedef struct {
	nn_rule rule;
	double lr;                   /* 0: 1e-3 */
	double beta1, beta2, eps;    /* 0: the rule's customary values */
	double momentum, dampening;  /* sgd, rmsprop */
	double alpha;                /* rmsprop, 0: 0.99 */
	double weight_decay;
	bool nesterov, amsgrad, centered;
	bool zero_beta1; /* beta1 is really 0 */
	double clip_norm, clip_value; /* 0: none */
	double ema;                   /* decay of the average of weights; 0: none */
	int accumulate;               /* gradients of that many calls make a step; 0: 1 */
} nn_optim;

typedef enum { NN_CONSTANT, NN_COSINE, NN_STEP, NN_EXPONENTIAL, NN_PLATEAU } nn_schedule_kind;
typedef struct {
	nn_schedule_kind kind;
	int64_t warmup; /* steps: times min(1, (s+1)/warmup) */
	int64_t total;  /* cosine: T_max */
	double eta_min, gamma;            /* gamma 0: 0.1 for step and plateau */
	int64_t every;                    /* step */
	int patience, cooldown;           /* plateau, in reports; the rate falls by gamma, not below eta_min */
} nn_schedule;
double nn_schedule_lr(const nn_schedule *s, double lr, int64_t step); /* not NN_PLATEAU's factor */

/* The update rules on plain arrays of n reals of dtype d; the trainer uses the same.  Clipping, accumulation and the
 * average of weights included; the rate is the caller's. */
typedef struct nn_optimiser nn_optimiser;
nn_optimiser *nn_optimiser_new(nn_optim o, ad_dtype d, int64_t n);
void nn_optimiser_free(nn_optimiser *o);
/* Returns the norm of the gradient before clipping; if it is not finite nothing has changed. */
double nn_optimiser_step(nn_optimiser *o, double lr, void *value, const void *grad);
const void *nn_optimiser_ema(const nn_optimiser *o); /* [n]; NULL without .ema */

/* A loss traced on demand: once for initialisation, once for training.  batch are the tape inputs declared in the
 * trainer's options.  Returns a scalar (its penalties are added by the trainer). */
typedef ad_var nn_loss_fn(nn c, int n, const ad_var batch[], void *user);

typedef struct {
	nn_loss_fn *loss;
	void *user;
	const char *prefix; /* trains parameters whose path begins so; NULL: all.  Several: separated by commas */
	nn_optim optim;
	nn_schedule schedule;
} nn_task; /* one loss over one parameter group: a GAN has two */

typedef struct {
	int inputs;                   /* at most 4 */
	ad_shape shape[4];            /* batched */
	ad_dtype dtype[4];
	int tasks;
	nn_task task[4];
	ad_options run;
	/* Traced with NN_TRAIN and run after each step: nn_set_state there is state computed from updated weights. */
	void (*after)(nn c, void *user);
	void *after_user;
} nn_trainer_opt;

typedef struct nn_trainer nn_trainer;
/* NULL on failure, with the reason in nn_error(s).  Borrows s and each task's user; copies the rest.  Free it before s. */
nn_trainer *nn_trainer_new(nn_store *s, nn_trainer_opt o);
void nn_trainer_free(nn_trainer *tr);
/* One step of task on a batch (row-major, samples rows each).  The first call initialises data-dependent
 * parameters from it.  Returns the loss before the step; NaN and nn_error on failure, when nothing was updated. */
double nn_train_step(nn_trainer *tr, int task, int64_t samples, const void *const data[]);
double nn_grad_norm(const nn_trainer *tr, int task); /* of the last step, before clipping */
double nn_lr(const nn_trainer *tr, int task);        /* used in the last step */
int64_t nn_step_count(const nn_trainer *tr, int task);
void nn_report(nn_trainer *tr, int task, double validation_loss); /* drives NN_PLATEAU */
int nn_metrics(const nn_trainer *tr, int task, const char *name[], double value[], int max);
/* Exchanges weights and their average; state computed from weights (nn_after_step, .after) goes with them. */
void nn_ema_swap(nn_trainer *tr);
ad_prog *nn_trainer_prog(nn_trainer *tr, int task);  /* for summaries and profiles */

/* --- Files (HDF5) --------------------------------------------------------------------------------------------------- */

#include <hdf5.h>
/* Everything that the density and its training depend on: entries, slots, steps, schedules.  0, or -1 and nn_error. */
int nn_save(nn_store *s, hid_t group);
int nn_load(nn_store *s, hid_t group); /* creates entries; existing ones must agree in shape */
/* From now on the store has all its entries: asking for another is an error that names it, not a new one. */
void nn_freeze(nn_store *s);
int nn_trainer_save(nn_trainer *tr, hid_t group);
int nn_trainer_load(nn_trainer *tr, hid_t group);

#ifdef __cplusplus
}
#endif

#endif
