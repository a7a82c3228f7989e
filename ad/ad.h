/* ad.h - trace array programs, differentiate them to any order, compile them once, run them often.
 *
 * A tape records operations symbolically; nothing is computed while tracing.  ad_vjp and ad_jvp append
 * ordinary nodes, so a derivative can be differentiated again.  ad_compile turns wanted outputs into a
 * program; ad_run executes it without allocating.
 *
 * Shapes.  Arrays are row-major, rank 0 to 8, without public strides.  Axis 0 of an array may have the
 * symbolic extent AD_BATCH, the number of samples, chosen at run time by ad_set_batch; such an array is
 * "batched".  Batched and ordinary arrays mix freely by broadcasting.  A sum over axis 0 of a batched
 * array (or a contraction over it) gives an ordinary array.  No other operation may look across samples:
 * it is an error, so that programs can run on tiles of the batch, one thread each.
 *
 * Broadcasting aligns trailing axes; an extent of 1, or a missing leading axis, stretches.
 *
 * Errors.  A tape remembers its first failure with op, shapes and path; later calls return harmless
 * variables.  Ask ad_error once, before compiling.  Ops never return NULL.
 *
 * Ownership.  A tape owns its variables and traced functions; a program owns its memory and borrows what
 * is bound to it; the tape must outlive it.
 */
#ifndef AD_H
#define AD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
#include <cassert>
#include <initializer_list>
extern "C" {
#endif

#define AD_MAXRANK 8
#define AD_BATCH ((int64_t)-1)

typedef enum { AD_F32, AD_F64, AD_I32 } ad_dtype;
typedef struct {
	int rank;
	int64_t dim[AD_MAXRANK];
} ad_shape;
#ifndef __cplusplus
#define AD_SHAPE(...) \
	((ad_shape){ (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), { __VA_ARGS__ } })
#define AD_SCALAR ((ad_shape){ 0, { 0 } })
#else /* which has no compound literals */
static inline ad_shape ad__shape_from(std::initializer_list<int64_t> dims)
{
	ad_shape s = {};
	for (int64_t d : dims) {
		assert(s.rank < AD_MAXRANK);
		s.dim[s.rank++] = d;
	}
	return s;
}
#define AD_SHAPE(...) ad__shape_from({ __VA_ARGS__ })
#define AD_SCALAR ad__shape_from({})
#endif

typedef struct ad_tape ad_tape;
typedef struct ad_node *ad_var; /* borrowed from its tape; never NULL */
typedef struct ad_fn ad_fn;
typedef struct ad_prog ad_prog;

/* --- Tapes ----------------------------------------------------------------------------------------- */

/* real is the dtype of constants and noise: AD_F32 or AD_F64. */
ad_tape *ad_tape_new(ad_dtype real);
void ad_tape_free(ad_tape *t);
ad_dtype ad_real(const ad_tape *t);
uint64_t ad_serial(const ad_tape *t); /* differs between any two tapes of a process, freed ones included */

/* The first failure, or NULL.  ad_fail records one (layers report model mistakes with it). */
const char *ad_error(const ad_tape *t);
void ad_fail(ad_tape *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The path (for example "flow/3/net") that variables traced from now on carry, for messages, profiles and
 * DOT; copied.  Returns the previous one, to be put back. */
const char *ad_set_path(ad_tape *t, const char *path);

ad_tape *ad_tape_of(ad_var x);
ad_tape *ad_root(ad_tape *t); /* the outermost tape around a traced function's; t itself outside functions */
ad_shape ad_shape_of(ad_var x);
ad_dtype ad_dtype_of(ad_var x);
int ad_rank(ad_var x);
int64_t ad_dim(ad_var x, int axis); /* axis < 0 counts from the end */
bool ad_batched(ad_var x);
int64_t ad_numel(ad_shape s); /* elements of one sample: the batch axis counts as 1 */
bool ad_shape_eq(ad_shape a, ad_shape b);

/* --- Leaves ---------------------------------------------------------------------------------------- */

ad_var ad_input(ad_tape *t, ad_dtype d, ad_shape s, const char *name); /* bound by ad_bind; name copied */
ad_var ad_const(ad_tape *t, double v);                                 /* rank 0, the tape's real dtype */
ad_var ad_array(ad_tape *t, ad_shape s, const double *v);              /* copied, the tape's real dtype */
ad_var ad_array_i32(ad_tape *t, ad_shape s, const int32_t *v);         /* copied */
ad_var ad_full(ad_tape *t, ad_shape s, double v);                      /* s may be batched */
ad_var ad_full_like(ad_var x, double v);
ad_var ad_iota(ad_tape *t, int64_t n); /* 0, 1, ..., n-1 as reals */
ad_var ad_batch_size(ad_tape *t);      /* number of samples, rank 0, real */

/* Noise: Philox4x32-10, key = seed of the program, counter = (element, step, stream).  The element number
 * of a batched array counts from the sample, so noise depends neither on tiles nor on threads. */
ad_var ad_normal(ad_tape *t, ad_shape s, uint64_t stream);
ad_var ad_uniform(ad_tape *t, ad_shape s, uint64_t stream);    /* in (0, 1) */
ad_var ad_rademacher(ad_tape *t, ad_shape s, uint64_t stream); /* -1 or 1 */
ad_var ad_categorical(ad_var logits, uint64_t stream);         /* over the last axis: i32, that axis dropped */

/* --- Elementwise, broadcasting; one row each in ops.def --------------------------------------------- */
/* Comparisons and logical results are reals 0 or 1.  Ties: max, min, abs and relu-like ops take the
 * derivative of their documented branch (relu'(0) = 0, abs'(0) = 0, max and min share a tie half and half). */

#define AD_EW1(name, ...) ad_var ad_##name(ad_var x);
#define AD_EW1A(name, ...) ad_var ad_##name(ad_var x, double a);
#define AD_EW1AB(name, ...) ad_var ad_##name(ad_var x, double a, double b);
#define AD_EW2(name, ...) ad_var ad_##name(ad_var x, ad_var y);
#define AD_EW3(name, ...) ad_var ad_##name(ad_var x, ad_var y, ad_var z);
#include "ops.def"
#undef AD_EW1
#undef AD_EW1A
#undef AD_EW1AB
#undef AD_EW2
#undef AD_EW3
ad_var ad_gelu(ad_var x);      /* x Phi(x) */
ad_var ad_gelu_tanh(ad_var x); /* its tanh approximation */
ad_var ad_selu(ad_var x);
ad_var ad_digamma(ad_var x);
ad_var ad_cast(ad_var x, ad_dtype d);
ad_var ad_stop(ad_var x); /* the value, with derivative zero */

/* --- Movement --------------------------------------------------------------------------------------- */
/* axis < 0 counts from the end.  The batch axis stays where it is: it can be neither moved nor cut. */

ad_var ad_reshape(ad_var x, ad_shape s); /* one extent may be 0: inferred */
ad_var ad_permute(ad_var x, const int axis[]);
ad_var ad_transpose(ad_var x); /* swaps the last two axes */
ad_var ad_broadcast(ad_var x, ad_shape s);
ad_var ad_expand(ad_var x, int axis);  /* a new axis of extent 1 at axis */
ad_var ad_squeeze(ad_var x, int axis); /* drops an axis of extent 1 */
ad_var ad_slice(ad_var x, int axis, int64_t lo, int64_t hi);
ad_var ad_slice_step(ad_var x, int axis, int64_t lo, int64_t hi, int64_t step);
ad_var ad_pad(ad_var x, int axis, int64_t before, int64_t after, double value);
ad_var ad_concat(int axis, int n, const ad_var x[]);
ad_var ad_stack(int axis, int n, const ad_var x[]);
ad_var ad_flip(ad_var x, int axis);
ad_var ad_gather(ad_var x, int axis, ad_var index); /* index: rank 1, not batched; repeats allowed */
ad_var ad_scatter_add(ad_var x, int axis, ad_var index, int64_t n); /* transpose of ad_gather */
/* index has x's rank and extents except on axis (broadcast over the batch if not batched). */
ad_var ad_take(ad_var x, int axis, ad_var index);
ad_var ad_put_add(ad_var x, int axis, ad_var index, int64_t n); /* transpose of ad_take */
ad_var ad_one_hot(ad_var index, int64_t n);                     /* adds a last axis */
/* Number of the sorted edges (last axis) that are <= x, for x of the remaining shape; i32. */
ad_var ad_searchsorted(ad_var edges, ad_var x);
ad_var ad_tril(ad_var x, int diagonal); /* keeps j - i <= diagonal of the last two axes */
ad_var ad_triu(ad_var x, int diagonal); /* keeps j - i >= diagonal */
ad_var ad_diag(ad_var x);               /* [.., n] -> [.., n, n] */
ad_var ad_diagonal(ad_var x);           /* [.., n, n] -> [.., n] */

/* --- Reductions ------------------------------------------------------------------------------------- */
/* axes is a set: AD_AXIS(1) | AD_AXIS(2).  Reduced axes are dropped; the _keep forms leave extent 1. */

#define AD_AXIS(k) (1u << (k))
#define AD_EVENT (~1u) /* every axis but the first */
#define AD_ALL (~0u)
ad_var ad_sum(ad_var x, unsigned axes);
ad_var ad_sum_keep(ad_var x, unsigned axes);
ad_var ad_mean(ad_var x, unsigned axes);
ad_var ad_mean_keep(ad_var x, unsigned axes);
ad_var ad_var_keep(ad_var x, unsigned axes, bool unbiased); /* divisor n - 1 if unbiased */
ad_var ad_maxof(ad_var x, unsigned axes);                   /* ties share the derivative equally */
ad_var ad_maxof_keep(ad_var x, unsigned axes);
ad_var ad_prod(ad_var x, int axis);
ad_var ad_cumsum(ad_var x, int axis, bool reverse); /* inclusive */
ad_var ad_logsumexp(ad_var x, int axis);            /* drops the axis */
ad_var ad_softmax(ad_var x, int axis);
ad_var ad_log_softmax(ad_var x, int axis);
ad_var ad_norm(ad_var x, unsigned axes); /* Euclidean */

/* --- Contraction and linear algebra ------------------------------------------------------------------ */

/* [.., m, k] x [.., k, n] after the optional transposes of the last two axes; leading axes broadcast.  A
 * rank-1 operand is a vector.  [B, k] x [k, n] is the product of a linear layer. */
ad_var ad_matmul(ad_var a, ad_var b, bool ta, bool tb);
/* Two-operand einsum: ad_einsum("bnk,km->bnm", a, b).  Every label stands in at least two of the three. */
ad_var ad_einsum(const char *spec, ad_var a, ad_var b);
/* x W^T + bias for x [B, .., in], W [out, in], bias [out] or NULL. */
ad_var ad_linear(ad_var x, ad_var w, ad_var bias);
/* x W^T + bias where row i of W counts from column lo[i] to hi[i] - 1 only (copied): the masked layer of an autoregressive net
 * whose units are sorted by degree.  The rest of W is not read and its derivative is zero. */
ad_var ad_linear_masked(ad_var x, ad_var w, ad_var bias, const int64_t *lo, const int64_t *hi);
/* Whether g is the derivative by such a W, and so zero outside the ranges [lo[i], hi[i]) of its rows (memory of the tape). */
bool ad_row_ranges(ad_var g, const int64_t **lo, const int64_t **hi);

/* The last two axes are the matrix; leading axes, the batch included, are independent and broadcast.  A right-hand
 * side b of rank 1, or [B, n], is a vector. */
ad_var ad_cholesky(ad_var a); /* lower factor; the derivative is that for symmetric a, symmetrised */
ad_var ad_solve(ad_var a, ad_var b);
ad_var ad_solve_triangular(ad_var a, ad_var b, bool upper, bool transposed, bool unit); /* op(a) x = b */
ad_var ad_inverse(ad_var a);
ad_var ad_logabsdet(ad_var a);
ad_var ad_det_sign(ad_var a); /* -1, 0 or 1; derivative zero */

/* Convolutions (cross-correlation).  x [B, C, H, W] or [B, C, T], w [out, C/groups, kh, kw] or [.., k].
 * 0 in stride, dilation or groups means 1; 1-D takes entry 0 of each pair. */
typedef struct {
	int64_t stride[2], pad[2], dilation[2], groups;
} ad_conv_opt;
ad_var ad_conv(ad_var x, ad_var w, ad_conv_opt o);
/* w [C, out/groups, ..]; extra[] is added to the output extent (kernel-1)*dilation+1 + (n-1)*stride - 2 pad. */
ad_var ad_conv_transposed(ad_var x, ad_var w, ad_conv_opt o, const int64_t extra[2]);

/* --- Derivatives: graph transformations that append nodes -------------------------------------------- */

/* gx[j] = sum_i gy[i]^T dy[i]/dx[j]; gy NULL means ones.  An x that no y depends on gets zeros. */
void ad_vjp(int ny, const ad_var y[], const ad_var gy[], int nx, const ad_var x[], ad_var gx[]);
/* dy[i] = sum_j dy[i]/dx[j] v[j]. */
void ad_jvp(int ny, const ad_var y[], int nx, const ad_var x[], const ad_var v[], ad_var dy[]);
ad_var ad_grad(ad_var y, ad_var x); /* of the sum of y */

/* --- Traced functions and call ops -------------------------------------------------------------------- */

/* Between begin and end, trace on ad_fn_tape(f).  Variables of outer tapes that are used inside are
 * captured: they become inputs and receive derivatives. */
ad_fn *ad_fn_begin(ad_tape *outer);
ad_tape *ad_fn_tape(ad_fn *f);
ad_var ad_fn_arg(ad_fn *f, ad_dtype d, ad_shape s);
void ad_fn_end(ad_fn *f, int n, const ad_var out[]);
/* The body with args put in, traced where the arguments and captured variables live. */
void ad_fn_inline(ad_fn *f, const ad_var arg[], ad_var out[]);

/* Solves y = g(y) by iteration from y0, sample by sample: a sample stops when
 * max |g(y) - y| <= tol (1 + max |y|), so its result does not depend on its neighbours.  Not reaching tol in
 * maxit iterations is an error at run time, unless exact: then maxit iterations are known to suffice (a
 * strictly triangular g).  The derivative is implicit, of any order.  g has one argument. */
ad_var ad_fixpoint(ad_fn *g, ad_var y0, double tol, int maxit, bool exact);
/* The same for a strictly triangular g by sweeps over all of y (Jacobi; Song et al. 2021), never row by row: at most maxit, which are
 * known to suffice; fewer for a sample whose y has changed by tol (1 + max |y|) at most, 0: not at all. */
ad_var ad_fixpoint_sweeps(ad_fn *g, ad_var y0, double tol, int maxit);
/* The same for a y that was found elsewhere and is known to solve y = g(y), g strictly triangular: the value is y's, through which no
 * derivative goes, and the derivative is implicit, in maxit sweeps.  g is not evaluated for the value. */
ad_var ad_fixpoint_given(ad_fn *g, ad_var y, int maxit);
/* Root of f(y) = 0 for f elementwise and increasing in y, between lo and hi (expanded geometrically if they
 * do not bracket), to tol (1 + |y|) or the last bit, a dozen evaluations of a smooth f; implicit derivative.  f has one argument of shape s. */
ad_var ad_bisect(ad_fn *f, ad_shape s, double lo, double hi, double tol);
/* f(arg), whose inner values are computed again in the derivative instead of being kept. */
void ad_remat(ad_fn *f, const ad_var arg[], ad_var out[]);
/* out[i] has the value of value[i] and the first derivative of result i of f(arg), which is traced, and computed, only when
 * a derivative is asked for: estimates whose derivative has an estimator of its own, values whose inner variables shall
 * not be kept.  Shapes of value[i] are those of the results; nothing flows back through value[].  Taking a derivative of
 * that derivative is an error. */
void ad_surrogate(ad_fn *f, const ad_var arg[], const ad_var value[], ad_var out[]);
/* Sums over the powers of a linear map f (one argument of v's shape [B, ..], one result of that shape):
 *     *sum = a[0] v + a[1] f(v) + .. + a[terms] f^terms(v)                      [B, ..]
 *     *dot = b[0] <v, v> + b[1] <f(v), v> + .. + b[terms] <f^terms(v), v>       [B]
 * terms is of rank 0 and known when the program runs; it counts as n - 1 if it is larger, a and b (copied) have n entries.
 * Memory does not depend on the number of terms.  The results have no derivative (ad_stop, ad_surrogate). */
void ad_power_series(ad_fn *f, ad_var v, ad_var terms, int n, const double a[], const double b[], ad_var *sum, ad_var *dot);

/* Invertible steps one after another, of which only the last result is kept: the derivative rebuilds the argument of each by its
 * inverse (Dinh et al. 2017; Gomez et al. 2017), so that the memory of its first order does not grow with n.  Right at every
 * order; what rounding the inverses add is added to the values at which derivatives are taken.
 * f maps (x, context..) to its result and, if it has a second one, to a number a sample ([B], or rank 0) that is summed over the
 * steps: a log-determinant.  inverse maps (result, context..) back to x.  Both are functions of the tape that x is on.  Batched
 * values that they capture are kept, unless made of noise alone: what is batched should come as context.
 * Gives x through all steps; *sum (not NULL) is the sum of second results, rank 0 if none depends on the arguments. */
typedef struct {
	ad_fn *f, *inverse;
} ad_step;
ad_var ad_reversible(int n, const ad_step step[], ad_var x, int contexts, const ad_var context[], ad_var *sum);

/* A user's own op.  Arrays handed to eval hold element e of sample b at data[e * width + b]; an array that
 * is not batched has width 1.  data has the dtype of the variable. */
typedef struct {
	void *data;
	int64_t numel, width; /* elements of a sample; samples in this tile, padding included */
	ad_dtype dtype;
} ad_view;
typedef struct {
	const char *name;
	/* Shape of the result, from the inputs; call ad_fail on ad_tape_of(in[0]) for a mistake. */
	ad_shape (*shape)(int nin, const ad_var in[], const void *user);
	void (*eval)(int nin, const ad_view in[], ad_view out, const void *user);
	/* Sets gin[i] (NULL stays zero); traced, so it may call other ops, custom ones included.  Absent: an error
	 * when a derivative is asked for. */
	void (*vjp)(ad_var r, ad_var g, int nin, const ad_var in[], ad_var gin[], const void *user);
	/* Derivative along tangents v[i] (NULL: zero); absent: by double vjp. */
	ad_var (*jvp)(ad_var r, int nin, const ad_var in[], const ad_var v[], const void *user);
} ad_custom;
/* op and user must outlive the tape and its programs.  If any input is batched all are made so. */
ad_var ad_call(const ad_custom *op, int nin, const ad_var in[], const void *user);

/* --- Looking -------------------------------------------------------------------------------------------- */

ad_var ad_print(ad_var x, const char *label); /* x; prints shape, range and first values when run */
void ad_write_dot(const ad_tape *t, FILE *f);

/* --- Programs --------------------------------------------------------------------------------------------- */

/* Processes that run the same programs together, each a share of the batch's tiles: ad knows no network, the caller brings
 * these two.  Both are collective (all ranks call them, in the same order), called by the thread that called ad_run, and
 * return 0, or -1 when a rank cannot be reached. */
typedef struct {
	int rank, size;
	/* Piece r of all, bytes[r] long, is rank r's; its own is in place, and the others are put in theirs. */
	int (*gather)(void *user, void *all, const size_t bytes[]);
	/* Piece r of to, to_bytes[r] long, goes to rank r; piece r of from, from_bytes[r] long, is what rank r sends. */
	int (*exchange)(void *user, const void *to, const size_t to_bytes[], void *from, const size_t from_bytes[]);
	void *user;
} ad_group;

typedef struct {
	int threads;         /* 0: all cores */
	int64_t tile;        /* samples a tile; 0: chosen from shapes */
	bool check_finite;   /* stop at the first node that makes a NaN or infinity */
	int64_t memory;      /* refuse a program that needs more bytes; 0: what the machine has */
	const char *isa;     /* "plain", "base", "v3", "v4"; NULL: the best this machine has (or FLOWTAPE_ISA) */
	bool reverse_tiles;  /* run tiles in another order; results do not change (for tests) */
	bool no_fusion;      /* one step per op (for tests) */
	/* NULL, or of size 1: this process alone.  Borrowed.  All ranks then must make the same calls for this program (threads may
	 * differ), with the same tape, batch, seed and data bound: each gets all results, with the bits that one process alone gets,
	 * or the same error.  Outputs are gathered, so that batched ones are whole everywhere. */
	const ad_group *group;
} ad_options;

/* NULL only if the tape has failed or memory is refused; the reason is then ad_error(t). */
ad_prog *ad_compile(ad_tape *t, int nout, const ad_var out[], ad_options o);
void ad_prog_free(ad_prog *p);
void ad_set_seed(ad_prog *p, uint64_t seed);
void ad_set_batch(ad_prog *p, int64_t samples); /* allocates if larger than before */
/* Data of an input, row-major, borrowed until bound again; batched: samples * numel elements.  An input that the program
 * does not use is ignored. */
void ad_bind(ad_prog *p, ad_var input, const void *data);
/* Where output number i goes, row-major; NULL: memory of the program. */
void ad_bind_output(ad_prog *p, int i, void *data);
int ad_run(ad_prog *p, uint64_t step);            /* 0, or -1 and ad_run_error */
const char *ad_run_error(const ad_prog *p);
const void *ad_result(const ad_prog *p, int i);   /* output number i, row-major, until the next run */
double ad_result_scalar(const ad_prog *p, int i); /* of a rank-0 output, any dtype */

typedef struct {
	int64_t nodes, steps, fused, phases; /* live nodes; steps after fusion; elementwise nodes inside steps */
	int64_t tile, slots;                 /* samples a tile; accumulators of sums over the batch */
	/* Bytes: of a thread, scratch included; of ordinary values; of the sums over the batch, in each slot; kept from loop to
	 * loop, per sample. */
	size_t tile_arena, invariant_bytes, reduced_bytes, cut_bytes;
	double flops_sample, flops_once;     /* multiply-adds count two */
	int64_t exact_solves, one_pass; /* fixed points of strictly triangular functions, nested ones too; of these solved row by row */
} ad_summary;
ad_summary ad_prog_summary(const ad_prog *p);
void ad_prog_print(const ad_prog *p, FILE *f);

/* Times every step of later runs, those inside of call ops too.  ad_profile_print measures what the machine can do (a fifth of
 * a second) and lists, by time: op, shape, path, calls, milliseconds a run, GFLOP/s and GB/s of a thread, and how large a part of
 * the machine's rate that is; then the same by op and by layer, and the time that no step accounts for. */
void ad_profile(ad_prog *p, bool on);
void ad_profile_print(const ad_prog *p, FILE *f);

/* Rates of one thread, measured now: a square product by the BLAS library or by ours, whichever is faster, elementwise work on arrays that stay in the cache
 * (bytes read and written), and copies between arrays that do not. */
typedef struct {
	double gflops, cache_gbytes, memory_gbytes;
} ad_rates;
ad_rates ad_machine(ad_dtype d);

/* For logs, what numbers depend on: names of the instruction set that ad_compile would choose and of the BLAS core; BLAS's
 * version and how it was built, in its own words; the version of SLEEF, or "none". */
const char *ad_isa(void);
const char *ad_blas(void);
const char *ad_blas_build(void);
const char *ad_sleef(void);
/* The noise of ad_normal and friends without a tape: element i of (seed, step, stream). */
double ad_noise_uniform(uint64_t seed, uint64_t step, uint64_t stream, uint64_t i);
double ad_noise_normal(uint64_t seed, uint64_t step, uint64_t stream, uint64_t i);
/* Elements first .. first + n - 1. */
void ad_noise_uniforms(uint64_t seed, uint64_t step, uint64_t stream, uint64_t first, int64_t n, double *v);
void ad_noise_normals(uint64_t seed, uint64_t step, uint64_t stream, uint64_t first, int64_t n, double *v);
/* Memory aligned to a cache line, on huge pages if it is large and the system has them; not zeroed; free() frees it.  Ends the
 * program when there is none. */
void *ad_memory(size_t bytes);
uint64_t ad_hash(uint64_t h, const char *s); /* for streams: hash of s continued from h (start with 0) */

#ifdef __cplusplus
}
#endif

#endif
