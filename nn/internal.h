/* internal.h - the store from inside.  Private to nn/. */
#ifndef NN_INTERNAL_H
#define NN_INTERNAL_H

#include "nn.h"

typedef struct {
	char *name;
	ad_shape shape;
	int64_t numel, at; /* at: offset in its block, in elements; never changes */
	bool trained, ready;
} nn__entry;

typedef struct {
	int entry;   /* or -1 */
	char *name;  /* owned, or NULL */
	ad_var leaf; /* what nn_bind binds, or NULL */
	ad_var v;
} nn__record;

typedef struct {
	nn__record *at;
	int n, cap;
} nn__records;

/* Work after each training step. */
typedef struct {
	void (*f)(nn c, const void *data);
	char *path;
	void *data;
} nn__after;

/* What one tape (outermost, with its functions) has asked of the store. */
typedef struct nn__trace nn__trace;
struct nn__trace {
	const ad_tape *tape;
	uint64_t serial;
	bool deferred; /* parameters without a value are inputs all the same: they will have one when it runs */
	int *use_of, nuse_of; /* by entry: 1 + index in uses, 0 if unused */
	nn__records uses, initial, states, penalties, metrics;
	uint64_t *called; /* streams handed out by nn__ordinal_stream */
	int ncalled, capcalled;
	nn__after *after;
	int nafter, capafter;
	nn__trace *next;
};

typedef struct {
	char *data;
	int64_t n, cap; /* elements */
} nn__block;

struct nn_store {
	ad_dtype dtype;
	uint64_t seed;
	char *error;
	nn__entry *entry;
	int n, cap;
	int *bucket, buckets; /* open addressing: 1 + entry, 0 if free */
	nn__block block[2];   /* of state and of parameters */
	char *grad;           /* as block[1], once a trainer asked for it */
	uint64_t generation;  /* counts moves of the blocks */
	nn__trace *trace;
	bool frozen;
};

/* Zeroed, 64-byte aligned; aborts with a message. */
void *nn__alloc(size_t bytes);
/* Room for one more element of a growing array. */
void *nn__room(void *p, int n, int *cap, size_t size);
size_t nn__size(const nn_store *s);
const char *nn__shape_str(ad_shape s, char buf[128]);

/* store.c */
int nn__add(nn_store *s, const char *name, ad_shape shape, bool trained);
void *nn__value(const nn_store *s, int i);
void nn__want_grad(nn_store *s);
void nn__get_double(ad_dtype d, const void *from, double *to, int64_t n);
void nn__set_double(ad_dtype d, void *to, const double *from, int64_t n);

/* trace.c */
nn__trace *nn__trace_of(nn_store *s, ad_tape *t);
nn__trace *nn__trace_find(const nn_store *s, ad_tape *t);
void nn__trace_free(nn__trace *tr);
nn__record *nn__use(nn__trace *tr, int entry); /* NULL if the entry is not in use */
nn__record *nn__add_use(nn__trace *tr, int entry);
nn__record *nn__append(nn__records *r, nn__record x);

/* after.c: traces on t what `from` wants done after a step. */
void nn__trace_after(nn_store *s, const nn__trace *from, ad_tape *t);

/* scope.c, fill.c, param.c */
bool nn__path(nn c, const char *name, char out[256]);
uint64_t nn__ordinal_stream(nn c, const char *purpose); /* another one at each call */
void nn__fill(nn_store *s, int entry, nn_fill f); /* its initial value */
ad_var nn__param_array(nn c, const char *name, ad_shape s, const double *v, bool trained);
ad_var nn__dud(nn c);

/* linear.c */
/* "v", "g": w = g v / ||v||, the norm over all axes but one. */
ad_var nn__weight_norm(nn c, ad_shape s, int axis, nn_fill fill, bool zero);
/* keep: the mask becomes state "mask", so that a checkpoint holds it. */
ad_var nn__masked_linear(nn c, ad_var x, int64_t out, const int *out_degree, const int *in_degree, bool strict, bool keep,
                         nn_linear_opt o);

/* made.c */
void nn__hidden_degrees(const nn_net *n, nn c, int64_t width, const int *in_degree, int64_t in, int64_t dim, bool cond,
                        int *out);
int *nn__output_degrees(const nn_net *n, nn c, int64_t dim, int64_t out); /* NULL after a failure */
ad_var nn__act(const nn_net *n, ad_var x);
ad_var nn__net_norm(const nn_net *n, nn c, ad_var x);

/* optim.c: an optimiser over parts of an array, its slots compact. */
typedef struct {
	int64_t at, n;
} nn__span;
nn_optimiser *nn__optimiser_spans(nn_optim o, ad_dtype d, int nspan, const nn__span span[], int threads);
enum { NN__SLOTS = 5 }; /* three of the rule, the average of weights, the sum of gradients */
typedef struct {
	const char *name;
	void *data; /* count reals */
	int64_t count;
} nn__slot;
int nn__optimiser_slots(nn_optimiser *o, nn__slot slot[NN__SLOTS]);
int64_t *nn__optimiser_steps(nn_optimiser *o);
int *nn__optimiser_held(nn_optimiser *o); /* gradients summed so far */
bool *nn__optimiser_averaging(nn_optimiser *o);
void nn__optimiser_swap(nn_optimiser *o, void *value);

/* io.c: small HDF5 writes and reads; false if the library fails.  The library prints nothing between quiet and loud. */
typedef struct {
	H5E_auto2_t print;
	void *data;
} nn__printing;
nn__printing nn__quiet(void);
void nn__loud(nn__printing p);
bool nn__put_attr(hid_t at, const char *name, hid_t type, const void *v);
bool nn__get_attr(hid_t at, const char *name, hid_t type, void *v);
hid_t nn__put_array(hid_t group, const char *name, hid_t type, int rank, const hsize_t dim[], const void *v); /* open */
hid_t nn__real_type(ad_dtype d);

/* The arithmetic, compiled per real type and instruction set. */
typedef struct {
	double lr, beta1, beta2, eps, momentum, dampening, alpha, decay, ema;
	double scale, limit; /* of the gradient: factor of norm clipping; bound of value clipping */
	double correct1, correct2;
	bool nesterov, first;
} nn__coef;
typedef struct {
	const char *isa;
	double (*square_sum)(int64_t n, const void *g);
	void (*add)(int64_t n, void *y, const void *x, double scale); /* y = (y + x) * scale */
	void (*average)(int64_t n, void *ema, const void *p, double decay);
	void (*rule[6])(const nn__coef *c, int64_t n, void *p, const void *g, void *const slot[3]);
} nn__rules;
const nn__rules *nn__rules_for(ad_dtype d);

#endif
