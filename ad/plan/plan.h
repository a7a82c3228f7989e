/* plan.h - programs from inside: values with a place in memory, steps that make them, stages of steps.
 *
 * A program alternates between ordinary steps (one thread) and loops of batched steps over tiles of the batch (one
 * tile a thread); stage s is the ordinary steps that come before loop s, and the loop.  A sum over the batch made in
 * loop s is an ordinary value from stage s + 1 on.
 */
#ifndef AD_PLAN_H
#define AD_PLAN_H

#include "../tape.h"

typedef enum {
	PLACE_TILE,   /* a thread's arena */
	PLACE_SHARED, /* the program's memory of ordinary values */
	PLACE_CUT,    /* whole batch, tile after tile: values that a later stage uses */
	PLACE_SLOT,   /* accumulators of a sum over the batch; the first is the sum's shared place */
	PLACE_CONST,
	PLACE_INPUT, /* ordinary input: the user's memory */
	PLACE_OUTER  /* argument or captured variable of a traced function, or a result that its caller has room for */
} plan_place;

typedef struct {
	plan_place place;
	ad_dtype dtype;
	bool batched, escapes; /* escapes: used by a step other than the fused one that makes it */
	int64_t rows;          /* elements of a sample */
	size_t offset;         /* bytes, for the widest tile */
	size_t slot_offset;
	const void *data; /* const: the data; shared: a user's output, if bound */
	int input;        /* input, outer: number */
	int first, last;  /* steps between which it is needed */
	int inplace;      /* value whose memory it may take over, or -1 */
	int stage;        /* of the loop that a tile value lives in */
	ad_var node;
} plan_value;

typedef struct {
	int value;
	ad__arr a; /* strides in elements of one sample; lane 1 if the value is batched */
} plan_operand;

/* One op of a fused run.  Sources and destination: a block register (>= 0) or operand ~k of the step. */
typedef struct {
	int ew, src[3], dst;
	double a, b;
	ad_var node;
	int value;
} plan_micro;

typedef struct ad__step plan_step;
/* Part of a solution by rows: rows lo to hi - 1 of a step, or (step < 0) of the argument, taken from the result.  Of a linear
 * layer, what columns col0 to col1 - 1 of its weight add to them (col1 0: all of it). */
typedef struct {
	int step;
	int64_t lo, hi, col0, col1;
} plan_run;

struct ad__step {
	ad_var node;
	enum { STEP_OP, STEP_FUSED, STEP_LOAD, STEP_STORE, STEP_COPY } kind;
	bool batched, reduces;
	bool adds; /* to what is there: a lent result */
	bool leads;                    /* running it runs the next step too: panel by panel, or as the result is made: */
	int finish;                    /* see kernels.h */
	int soon;                      /* then, the input of that step that has waited longest, or -1 */
	int nout, nin;
	plan_operand *arg; /* outputs, then inputs */
	int first_arg;     /* its place in a binding */
	int nmicro, nreg;
	plan_micro *micro;
	char *how; /* fused: how each input is read, see fused.c */
	int64_t rows; /* fused: elements of a sample */
	int output;   /* store */
	int nsub;
	ad_prog **sub;
	ad_var shadow; /* the node with extent 1 on axis 1, to run it for one index of that axis */
	size_t scratch;
	double flops;
	double seconds; /* profile, summed over threads */
	int64_t calls;
};

typedef struct {
	int64_t lo, hi; /* hi is the first one outside */
} plan_span;

typedef struct {
	int inv0, inv1, bat0, bat1; /* steps */
	bool reduces;
	int sum0, sum1; /* the loop's sums */
	int64_t summed; /* elements of all of them */
} plan_stage;

/* An operand whose place depends on the tile, or is an argument. */
typedef struct {
	const plan_operand *operand;
	int arg; /* where it is bound */
} plan_moving;

typedef struct {
	ad_var node;
	int value;
	int64_t offset; /* nested: of the first element in value */
	bool batched;
	void *bound, *own;
	size_t own_bytes;
} plan_output;

typedef struct {
	char *memory; /* arena, then scratch */
	ad__arr *arg; /* bound operands */
	ad__ctx ctx;
	int64_t width, tile;
	int slot;
	int64_t binding; /* prog's, when the operands were bound */
	char error[256];
} plan_thread;

/* A sum over the batch, once operands are bound. */
typedef struct {
	const plan_step *step;
	const char *total;
	int64_t at; /* elements of the sums before it */
} plan_sum;

/* A counter on a line of its own: sums that a tile has added to, where threads take turns; what threads have taken on. */
typedef struct {
	_Alignas(64) int64_t taken;
} plan_turn;

struct ad_prog {
	ad_tape *tape;
	ad_fn *fn; /* nested programs */
	ad_options o;
	const ad__kernels *k[2];
	int nvalue, nstep, nstage, ninput, noutput, narg;
	bool lent_anew; /* nested: a lent result has another place than when operands were bound */
	plan_value *value;
	plan_step *step;
	plan_stage *stage;
	ad_var *input;
	const void **bound; /* per input */
	int *input_of;      /* per node of the tape: input number + 1 */
	int nnode;          /* of the tape when compiled */
	plan_output *output;
	size_t tile_bytes, scratch_bytes, shared_bytes, slot_bytes, cut_bytes; /* cut: per tile */
	int64_t max_tile, tile, batch, ntiles;
	int64_t slots, used; /* accumulators that any batch has if it has the tiles; that this batch has */
	bool any_batched, light; /* light: a sample takes so little work that steps' own cost shows */
	plan_run *run; /* nested: the order in which rows solve y = f(y); NULL: not triangular */
	int64_t nrun;
	bool reads_ahead; /* a product of the solution may read rows that are not made yet, times zero */
	bool keep_all; /* no two values share memory */
	int64_t live_nodes, fused_nodes;
	char *shared, *slot, *cut;
	char *wire[3]; /* to other ranks, from them, and what all have */
	size_t wire_room[3];
	bool agreed, lost; /* all ranks can run this batch; one could not be reached */
	plan_turn *turn; /* by tile */
	plan_turn claimed; /* slots or tiles of a loop, see run.c */
	size_t turn_room;
	int64_t binding; /* changes with whatever operands are bound to, tile and width apart */
	plan_moving *moving;
	int nmoving;
	plan_sum *sum;  /* by stage and place */
	int64_t sorted; /* the binding that they are sorted for */
	size_t slot_room, cut_room;
	int nthread;
	plan_thread *thread;
	uint64_t seed;
	char error[1024], refused[256]; /* refused: why the batch cannot be run */
	bool profiling;
	double run_seconds, group_seconds;
	int64_t runs;
};

enum { PLAN_ALIGN = 64, PLAN_BLOCK = 512, PLAN_TILE = 128, PLAN_SLOTS = 16 };

/* compile.c */
ad_prog *plan_compile(ad_tape *t, ad_fn *fn, int nout, const ad_var out[], ad_options o);
/* arena.c: gives every value its offset and the program its sizes. */
void plan_arena(ad_prog *p);
size_t plan_value_bytes(const ad_prog *p, const plan_value *v);
/* bind.c */
void plan_bind(ad_prog *p, plan_thread *th);
void plan_bind_moving(ad_prog *p, plan_thread *th); /* to another tile or slot, or other arguments */
void plan_operand_at(const ad_prog *p, const plan_thread *th, const plan_operand *o, ad__arr *a);
/* sub.c: scratch that a nested program needs. */
size_t plan_sub_bytes(const ad_prog *sub);
/* triangular.c: finds the order of rows of a nested program, if it is strictly triangular. */
void plan_triangular(ad_prog *sub);
/* bind.c: operands of all steps together; extent of axis 1 of a batched array, else 0. */
size_t plan_operands(const ad_prog *p);
int64_t plan_leading(ad_var x);
/* emit.c: x's own extents, contiguous. */
ad__arr plan_layout(ad_var x);
/* program.c: bytes that are there, and needed whatever the batch. */
double plan_memory(const ad_prog *p);
double plan_need(const ad_prog *p);
/* fused.c */
void plan_fused(const plan_step *s, const ad__arr arg[], ad__ctx *c, int64_t lo, int64_t hi);
size_t plan_fused_scratch(const plan_step *s);
void plan_fused_how(plan_step *s);
/* pages.c */
void *plan_pages(size_t bytes);
void plan_pages_free(void *p, size_t bytes);
/* place.c: of a team of n threads, the caller before it starts, then each other member. */
void plan_place_caller(int n);
void plan_place_member(int me, int n);
/* panel.c: finds pairs of steps that run together; runs one. */
void plan_panels(ad_prog *p);
void plan_led_run(ad_prog *p, plan_step *s, const ad__arr arg[], ad__ctx *c);
/* sum.c: the slots of a rank; the value that a step sums into, or NULL; a slot of it.  plan_fold adds up slots of elements lo to
 * hi - 1, shared out in the team: what can be of this rank's, or (rest) what no rank could of its own. */
plan_span plan_slots_of(const ad_prog *p, int rank);
int plan_roots(const ad_prog *p, int rank, int64_t root[PLAN_SLOTS]); /* those left for rest */
const plan_value *plan_sum_of(const ad_prog *p, const plan_step *s);
char *plan_slot_at(const ad_prog *p, const plan_value *v, int64_t slot);
void plan_fold(const ad_prog *p, const plan_step *s, int64_t lo, int64_t hi, bool rest);
/* plan_fold_all adds up this rank's of all sums, in the order of their places, shared out in the team as one run of elements. */
void plan_sort_sums(ad_prog *p);
void plan_fold_all(const ad_prog *p, const plan_stage *st);
/* group.c.  plan_join: the sums of a stage, on all ranks; called by each thread of the team. */
int plan_rank(const ad_prog *p);
int plan_ranks(const ad_prog *p); /* 1: alone */
void plan_join(ad_prog *p, const plan_stage *st);
void plan_agree(ad_prog *p); /* on p->error */
void plan_share_outputs(ad_prog *p);
/* program.c */
void plan_reserve(ad_prog *prog, char **p, size_t *room, size_t bytes);
/* run.c */
bool plan_step_run(ad_prog *p, plan_step *s, const ad__arr arg[], ad__ctx *c);
void plan_spent(plan_step *s, double seconds, bool call); /* profile */

/* report.c */
extern const char *const plan_step_kinds[]; /* of the kinds other than STEP_OP */
void plan_name_step(const plan_step *s, char *text, size_t n); /* op and shape */
double plan_step_flops(const plan_step *s);

bool plan_contiguous(const ad__arr *a);
double plan_now(void);

#endif
