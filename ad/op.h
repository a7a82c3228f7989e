/* op.h - what an op is, and what its kernel sees.  Private to ad/.
 *
 * Execution layout.  A batched array is held per tile of the batch with the samples ("lanes") innermost:
 * logical [B, f, g] becomes [f, g, width].  An ordinary array is row-major; it is the same thing with width
 * 1.  So a kernel works on one sample's axes and a trailing lane axis, and need not know which case it is in:
 * an op along logical axis k splits the elements into outer x n x inner, where inner includes the lanes.
 */
#ifndef AD_OP_H
#define AD_OP_H

#include "ad.h"
#include "kernels/kernels.h"

typedef struct {
	int axis;
	unsigned axes;
	bool flag, flag2;
	double a, b;
	int64_t i[AD_MAXRANK];
	uint64_t stream;
	const void *data; /* memory of the tape (ad__alloc) or the user's */
} ad_attr;

/* An operand of a running step.  Element (i0, i1, ..) of lane l stands at p + sum i_k stride[k] + l lane, in
 * elements.  rank counts the axes of one sample. */
typedef struct {
	char *p;
	ad_dtype dtype;
	int rank;
	int64_t dim[AD_MAXRANK], stride[AD_MAXRANK];
	int64_t lane;   /* 1, or 0 if the operand is not batched */
	int64_t offset; /* for view(): of the first element, in elements of one sample; p is not yet known then */
} ad__arr;

/* What a running step knows besides its operands; one a thread. */
typedef struct ad__ctx {
	int64_t width; /* lanes of batched operands, a multiple of 16 (1 in steps without any) */
	int64_t valid; /* lanes that are samples; the others repeat the last sample and must not count in sums */
	int64_t first; /* number of the first sample in the batch */
	int64_t batch; /* samples in the whole batch */
	int64_t row0, row1; /* AD__ROWS: the rows to make; row1 0: all */
	int64_t col0, col1; /* linear layers: columns of the weight to multiply; from 0 on: what the result begins with; col1 0: all */
	int part, parts;    /* AD__PARTS: make this part of so many; parts 0: all */
	int finish;         /* AD__FINISHES: what to do with the result, see kernels.h, and the other input of AD__GATE */
	const void *gate;
	const void *soon; /* AD__ROWS: an array that is read next, row by row as they are made, or NULL */
	bool accumulate; /* reducing steps: add to out (true) or store */
	bool partial;    /* and out is added to the whole: nobody reads what lies outside of ad_row_ranges */
	int nout;        /* outputs of the running step: 2 if its AD__SIDE result is wanted, out[1] */
	uint64_t seed, step;
	const ad__kernels *k[2]; /* by dtype AD_F32, AD_F64 */
	void *scratch;           /* at least op->scratch(r, width) bytes, 64-byte aligned */
	char *error;             /* 256 bytes; a kernel that must stop the run writes here */
	int thread;
	struct ad_prog *prog;
	struct ad__step *running;
} ad__ctx;

enum {
	AD__ELEMENTWISE = 1, /* fused by the planner; no eval */
	AD__VIEW = 2,        /* view() says where the result lies in its input; no eval */
	AD__STRIDED = 4,     /* eval takes any strides and any mix of batched and ordinary inputs.  Without it the
	                        planner makes inputs contiguous, and all of them batched if any is */
	AD__REDUCES = 8,     /* may turn batched inputs into an ordinary result: a sum over valid lanes */
	AD__LEAF = 16,
	AD__IMPURE = 32,     /* kept even if its value is not used (print) */
	AD__CONTIGUOUS = 64, /* inputs contiguous, but each batched or not as it is (call ops) */
	AD__ROWWISE = 128,   /* independent along axis 1 unless attr.axis is 1: may be run for one index of it alone */
	AD__ROWS = 256,      /* eval can make rows ctx.row0 to row1 - 1 of the result alone */
	AD__FINISHES = 8192, /* eval can do with its result what the elementwise step after it would */
	AD__PARTS = 1024,    /* outside of loops, eval makes part ctx.part of ctx.parts: one a thread */
	AD__SOLVES = 512,    /* call op that solves y = f(y) for its function number 0 if that is strictly triangular */
	AD__SIDE = 2048,     /* a second result of the op that made input 0, written by its eval to out[1]; no eval */
	AD__SIDED = 4096     /* may have such a second result */
};

typedef struct ad_op {
	const char *name;
	unsigned flags;
	/* Sets r->shape (and r->dtype, preset to that of input 0); or ad__fail(r, ..). */
	void (*infer)(ad_var r);
	/* Appends nodes; gin[i] left NULL is zero.  gin[i] may have the result's broadcast shape: the engine sums. */
	void (*vjp)(ad_var r, ad_var g, ad_var gin[]);
	/* Tangent of r from tangents v[i] (NULL: zero); NULL for ops whose double vjp serves. */
	ad_var (*jvp)(ad_var r, const ad_var v[]);
	void (*eval)(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c);
	bool (*view)(ad_var r, ad__arr *a); /* a: the input's place, changed to the result's; false: not a view */
	size_t (*scratch)(ad_var r, int64_t width);
	double (*flops)(ad_var r); /* of one sample, or of the whole if r and its inputs are not batched */
	int ew;                    /* elementwise: row in ops.def */
	/* Reducing ops: joins partial results of two runs of tiles; NULL: adds. */
	void (*combine)(int64_t n, ad_dtype d, void *total, const void *part);
	/* Call ops: traced functions that eval runs by ad__sub_run; their captured variables are the inputs from
	 * number first on, one function after the other.  Of an AD__SIDE op: those that run if its result is wanted. */
	ad_fn *(*fn)(ad_var r, int k, int *first);
} ad_op;

struct ad_node {
	ad_tape *tape;
	const ad_op *op;
	int id, nin;
	ad_dtype dtype;
	ad_shape shape;
	ad_var *in;
	ad_attr attr;
	const char *path;
	int mark; /* scratch of graph walks */
	ad_var memo; /* the last packed copy of it, see masked.c */
};

/* Appends a node on the innermost tape of its inputs (capturing the others), or on t if nin is 0. */
ad_var ad__push(ad_tape *t, const ad_op *op, int nin, const ad_var in[], ad_attr attr);
/* Like ad__push for ops whose result shape and dtype the constructor knows. */
ad_var ad__push_shaped(ad_tape *t, const ad_op *op, int nin, const ad_var in[], ad_attr attr, ad_dtype d,
                       ad_shape s);
/* Records "ad_<op>: <message> (inputs' shapes), in "<path>"". */
void ad__fail(ad_var r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void *ad__alloc(ad_tape *t, size_t bytes); /* zeroed, freed with the tape */
void *ad__malloc(size_t bytes);            /* zeroed, 64-byte aligned; aborts with a message; free() */

/* False after recording a failure naming op: rank above 8, an extent below 1 off the batch axis, too many elements. */
bool ad__shape_ok(ad_tape *t, ad_shape s, const char *op);
/* Axis counted from the front, or -1 after recording a failure naming op. */
int ad__axis(ad_var x, int axis, const char *op);
/* Checks that no axis in the set is the batch axis of x. */
bool ad__not_batch_axis(ad_var x, int axis, const char *op);
bool ad__broadcast_shapes(ad_shape a, ad_shape b, ad_shape *out);
ad_var ad__sum_to(ad_var g, ad_shape s); /* undoes broadcasting */
const char *ad__shape_str(ad_shape s, char *buf, size_t n);
size_t ad__size(ad_dtype d);

/* Copies src to dst, any strides, dims of dst; batched operands (or a batched dst) have width lanes. */
void ad__copy(const ad__arr *dst, const ad__arr *src, int64_t width);
void ad__fill(const ad__arr *dst, double v, int64_t width);

/* Inside a call op's eval: binds function k to this step's inputs, then runs it on arguments (contiguous, shaped as
 * declared); out[] are its results, valid until the next run.  Returns false if the run failed (c->error). */
void ad__sub_bind(ad__ctx *c, int k, const ad__arr in[]);
bool ad__sub_run(ad__ctx *c, int k, void *const arg[], ad__arr out[]);
/* The function that number k runs as; and room for its lent result number j in the next runs.  Where out[].p is another
 * place, the result stands there and the room is as it was. */
const ad_fn *ad__sub_fn(const ad__ctx *c, int k);
void ad__sub_lend(ad__ctx *c, int k, int j, void *room);
/* Solves y = f(y) for function 0 in one pass, each row of each step once, if its structure was found to allow it; false: it
 * was not.  y is the function's argument. */
bool ad__sub_solve(ad__ctx *c, void *y);

/* Splits the elements of x (contiguous, width lanes) around logical axis: outer x n x inner. */
void ad__split(ad_var x, int axis, int64_t width, int64_t *outer, int64_t *n, int64_t *inner);
int64_t ad__rows(ad_var x); /* elements of one sample */
bool ad__wants_real(ad_var r); /* fails r unless its inputs are real */

#endif
