/* tape.h - tapes and traced functions from inside.  Private to ad/. */
#ifndef AD_TAPE_H
#define AD_TAPE_H

#include "op.h"

typedef struct ad__chunk ad__chunk;

struct ad_tape {
	ad_dtype real;
	uint64_t serial;
	ad_tape *parent; /* of a traced function's tape: the tape around it */
	int depth;
	ad_var *node;
	int n, cap;
	ad__chunk *memory;
	const char *path;
	char *error; /* root only */
	ad_var dud;  /* root only: what ops return after a failure */
	ad_fn **fn;
	int nfn, capfn;
	int ncapture, capcapture; /* pairs of a variable outside and its stand-in */
	ad_var *outside, *inside;
	int *capture_at, ncapture_at; /* open hash of outside: numbers + 1 */
};

struct ad_fn {
	ad_tape *outer, *tape;
	int narg, nout;
	bool sums; /* results may be sums over the batch: the call op adds those of all tiles (scan.c) */
	/* The last `lent` results are made where the call op has room for them (ad__sub_lend) if one step makes them; adds: and
	 * added to what is there, if that step can. */
	int lent;
	bool adds;
	ad_var *arg, *out;
};

extern const ad_op ad__op_input, ad__op_arg, ad__op_capture, ad__op_const, ad__op_full, ad__op_alias;

/* x as seen from tape t: itself, its stand-in, or NULL if t lies outside x's tape. */
ad_var ad__see(ad_tape *t, ad_var x);
/* A node of the same op on new inputs. */
ad_var ad__clone(ad_var x, const ad_var in[]);
/* Arguments stretched to the declared shapes, or a failure. */
void ad__fit_arguments(ad_fn *f, const ad_var given[], ad_var arg[]);
/* f's body with arguments and captured variables put in (NULL: those of the trace). */
void ad__inline(ad_fn *f, const ad_var arg[], const ad_var cap[], ad_var out[]);
/* The same; map (zeros, by node of f): what became of it, NULL where the results do not need it. */
void ad__inline_map(ad_fn *f, const ad_var arg[], const ad_var cap[], ad_var out[], ad_var map[]);
/* f as a function that leaves to its surroundings what depends on no argument: for functions that run many times. */
ad_fn *ad__hoist(ad_fn *f);
/* The variable, as a node of its own that derivatives can be cut at. */
ad_var ad__alias(ad_var x);
/* a + b in one step, if they are arrays padded with zeros that do not overlap; else NULL. */
ad_var ad__join_pads(ad_var a, ad_var b);
/* a + b as one product, if they are gradients of the same linear layer's weight; else NULL. */
ad_var ad__join_products(ad_var a, ad_var b);
/* What x stands for: behind aliases and captures. */
ad_var ad__origin(ad_var x);
/* As ad_vjp and ad_jvp, but nothing flows beyond the x[]: partial derivatives; NULL instead of zeros. */
void ad__vjp_cut(int ny, const ad_var y[], const ad_var gy[], int nx, const ad_var x[], ad_var gx[]);
void ad__jvp_cut(int ny, const ad_var y[], int nx, const ad_var x[], const ad_var v[], ad_var dy[]);

#endif
