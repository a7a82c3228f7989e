/* optim.c - optimisers: norm, clipping, update and average in passes over pieces of the arrays, some thousands of elements at a
 * time; how they are cut does not depend on the number of threads.  All passes of a step are one fork, and a piece is the same
 * thread's in all of them. */
#include "internal.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 2048, SERIAL = 4 };

typedef struct {
	int64_t at, slot, n; /* in the arrays; in the slots */
} piece;

struct nn_optimiser {
	nn_optim o;
	ad_dtype dtype;
	const nn__rules *rules;
	int threads, npiece, nchunk;
	piece *piece;
	int *chunk;    /* the first piece of each; one more at the end */
	double *sum;   /* by chunk */
	int64_t count; /* elements of a slot */
	char *slot[3], *ema, *held;
	int64_t steps;
	int nheld;
	bool averaging;
};

static const struct {
	const char *slot[3];
	double eps;
} customs[] = {
	[NN_SGD] = { { "momentum" }, 0 },
	[NN_RMSPROP] = { { "square", "mean", "momentum" }, 1e-8 },
	[NN_ADAGRAD] = { { "square" }, 1e-10 },
	[NN_ADAM] = { { "mean", "square", "largest_square" }, 1e-8 },
	[NN_ADAMW] = { { "mean", "square", "largest_square" }, 1e-8 },
	[NN_ADAMAX] = { { "mean", "largest" }, 1e-8 },
};

static bool wants_slot(const nn_optim *o, int k)
{
	if (o->rule == NN_SGD)
		return k == 0 && o->momentum != 0;
	if (o->rule == NN_RMSPROP)
		return k == 0 || (k == 1 && o->centered) || (k == 2 && o->momentum != 0);
	if (o->rule == NN_ADAGRAD)
		return k == 0;
	return k < 2 || (o->amsgrad && o->rule != NN_ADAMAX);
}

static nn_optim with_defaults(nn_optim o)
{
	o.beta1 = o.zero_beta1 ? 0 : o.beta1 == 0 ? 0.9 : o.beta1;
	o.beta2 = o.beta2 == 0 ? 0.999 : o.beta2;
	o.eps = o.eps == 0 ? customs[o.rule].eps : o.eps;
	o.alpha = o.alpha == 0 ? 0.99 : o.alpha;
	o.accumulate = o.accumulate < 1 ? 1 : o.accumulate;
	return o;
}

static size_t size_of(const nn_optimiser *o) { return o->dtype == AD_F64 ? 8 : 4; }

static void cut(nn_optimiser *o, int nspan, const nn__span span[])
{
	for (int i = 0; i < nspan; i++)
		o->npiece += (int)((span[i].n + CHUNK - 1) / CHUNK);
	o->piece = nn__alloc((size_t)o->npiece * sizeof *o->piece);
	o->chunk = nn__alloc(((size_t)o->npiece + 1) * sizeof *o->chunk);
	int k = 0;
	int64_t room = 0; /* left in the chunk */
	for (int i = 0; i < nspan; i++)
		for (int64_t at = 0; at < span[i].n; at += CHUNK) {
			int64_t n = span[i].n - at < CHUNK ? span[i].n - at : CHUNK;
			if (n > room) {
				o->chunk[o->nchunk++] = k;
				room = CHUNK;
			}
			room -= n;
			o->piece[k++] = (piece){ span[i].at + at, o->count, n };
			o->count += n;
		}
	o->chunk[o->nchunk] = k;
	o->sum = nn__alloc((size_t)o->nchunk * sizeof *o->sum);
}

nn_optimiser *nn__optimiser_spans(nn_optim opt, ad_dtype d, int nspan, const nn__span span[], int threads)
{
	nn_optimiser *o = nn__alloc(sizeof *o);
	*o = (nn_optimiser){ .o = with_defaults(opt), .dtype = d, .rules = nn__rules_for(d), .threads = threads };
	cut(o, nspan, span);
	size_t bytes = (size_t)o->count * size_of(o);
	for (int i = 0; i < 3; i++)
		o->slot[i] = wants_slot(&o->o, i) ? nn__alloc(bytes) : NULL;
	o->ema = o->o.ema > 0 ? nn__alloc(bytes) : NULL;
	o->held = o->o.accumulate > 1 ? nn__alloc(bytes) : NULL;
	return o;
}

nn_optimiser *nn_optimiser_new(nn_optim o, ad_dtype d, int64_t n)
{
	return nn__optimiser_spans(o, d, 1, &(nn__span){ 0, n }, 0);
}

void nn_optimiser_free(nn_optimiser *o)
{
	if (!o)
		return;
	for (int i = 0; i < 3; i++)
		free(o->slot[i]);
	free(o->ema);
	free(o->held);
	free(o->piece);
	free(o->chunk);
	free(o->sum);
	free(o);
}

/* What a pass over all pieces does with one; compact: grad is laid out as the slots. */
typedef struct {
	nn_optimiser *o;
	nn__coef c;
	char *value;
	const char *grad;
	bool compact;
	double scale, *sum; /* of the chunk */
} pass;
typedef void work(const pass *p, int k);

static const char *grad_at(const pass *p, int k)
{
	const piece *c = &p->o->piece[k];
	return p->grad + (size_t)(p->compact ? c->slot : c->at) * size_of(p->o);
}

static char *slot_at(const pass *p, char *slot, int k)
{
	return slot ? slot + (size_t)p->o->piece[k].slot * size_of(p->o) : NULL;
}

static char *value_at(const pass *p, int k) { return p->value + (size_t)p->o->piece[k].at * size_of(p->o); }

static int team_of(const nn_optimiser *o)
{
	return o->nchunk < SERIAL ? 1 : o->threads > 0 ? o->threads : omp_get_max_threads();
}

/* This thread's share of all pieces. */
static void sweep(const pass *p, work *w)
{
	int64_t n = p->o->nchunk, me = omp_get_thread_num(), team = omp_get_num_threads();
	for (int64_t i = n * me / team; i < n * (me + 1) / team; i++) {
		pass mine = *p;
		mine.sum = &p->o->sum[i];
		for (int k = p->o->chunk[i]; k < p->o->chunk[i + 1]; k++)
			w(&mine, k);
	}
}

static void square(const pass *p, int k)
{
	*p->sum += p->o->rules->square_sum(p->o->piece[k].n, grad_at(p, k));
}

static void hold(const pass *p, int k)
{
	p->o->rules->add(p->o->piece[k].n, slot_at(p, p->o->held, k), grad_at(p, k), p->scale);
}

static void start_average(const pass *p, int k)
{
	memcpy(slot_at(p, p->o->ema, k), value_at(p, k), (size_t)p->o->piece[k].n * size_of(p->o));
}

static void update(const pass *p, int k)
{
	nn_optimiser *o = p->o;
	int64_t n = o->piece[k].n;
	/* Other threads have read the weights; their copies go all at once, and not one by one as the weights are written. */
	for (const char *at = value_at(p, k), *end = at + (size_t)n * size_of(o); at < end; at += 64)
		__builtin_prefetch(at, 1);
	void *slot[3] = { slot_at(p, o->slot[0], k), slot_at(p, o->slot[1], k), slot_at(p, o->slot[2], k) };
	o->rules->rule[o->o.rule](&p->c, n, value_at(p, k), grad_at(p, k), slot);
	if (o->ema)
		o->rules->average(n, slot_at(p, o->ema, k), value_at(p, k), o->o.ema);
	if (o->held)
		memset(slot_at(p, o->held, k), 0, (size_t)n * size_of(o));
}

static void swap(const pass *p, int k)
{
	char *a = value_at(p, k), *b = slot_at(p, p->o->ema, k);
	for (size_t i = 0; i < (size_t)p->o->piece[k].n * size_of(p->o); i++) {
		char t = a[i];
		a[i] = b[i];
		b[i] = t;
	}
}

static void clear(const pass *p, int k)
{
	(void)k;
	*p->sum = 0;
}

/* The same for all threads of the team. */
static double norm(const pass *p)
{
	double sum = 0;
	sweep(p, clear);
	sweep(p, square);
#pragma omp barrier
	for (int k = 0; k < p->o->nchunk; k++)
		sum += p->o->sum[k];
	return sqrt(sum);
}

static nn__coef coefficients(const nn_optimiser *o, double lr, double size)
{
	const nn_optim *a = &o->o;
	double t = (double)(o->steps + 1);
	return (nn__coef){ lr, a->beta1, a->beta2, a->eps, a->momentum, a->dampening, a->alpha, a->weight_decay, a->ema,
		           .scale = a->clip_norm > 0 ? fmin(1, a->clip_norm / (size + 1e-6)) : 1,
		           .limit = a->clip_value > 0 ? a->clip_value : INFINITY,
		           .correct1 = 1 - pow(a->beta1, t), .correct2 = 1 - pow(a->beta2, t),
		           .nesterov = a->nesterov, .first = t == 1 };
}

/* What each thread of the team does of a step, which changes the state only once they are done; last: of those gradients that are
 * summed before the weights move. */
static double team_step(pass p, double lr, bool last)
{
	double size = norm(&p);
	if (!isfinite(size))
		return size;
	if (p.o->held) {
		p.scale = last ? 1.0 / (p.o->nheld + 1) : 1;
		sweep(&p, hold);
		if (!last)
			return size;
		p.grad = p.o->held;
		p.compact = true;
#pragma omp barrier
		size = norm(&p);
		if (!isfinite(size))
			return size;
	}
	p.c = coefficients(p.o, lr, size);
	if (p.o->ema && !p.o->averaging)
		sweep(&p, start_average);
	sweep(&p, update);
	return size;
}

double nn_optimiser_step(nn_optimiser *o, double lr, void *value, const void *grad)
{
	const pass p = { .o = o, .value = value, .grad = grad, .scale = 1 };
	const bool last = o->nheld + 1 >= o->o.accumulate;
	const int team = team_of(o);
	double size = 0;
#pragma omp parallel num_threads(team) if (team > 1)
	{
		double s = team_step(p, lr, last);
		if (omp_get_thread_num() == 0)
			size = s;
	}
	if (!isfinite(size))
		return size;
	if (o->held)
		o->nheld = last ? 0 : o->nheld + 1;
	if (last) {
		o->averaging = true;
		o->steps++;
	}
	return size;
}

const void *nn_optimiser_ema(const nn_optimiser *o) { return o->ema; }

void nn__optimiser_swap(nn_optimiser *o, void *value)
{
	pass p = { .o = o, .value = value };
	if (o->ema && o->averaging)
		sweep(&p, swap);
}

int nn__optimiser_slots(nn_optimiser *o, nn__slot slot[NN__SLOTS])
{
	int n = 0;
	for (int i = 0; i < 3; i++)
		if (o->slot[i])
			slot[n++] = (nn__slot){ customs[o->o.rule].slot[i], o->slot[i], o->count };
	if (o->ema)
		slot[n++] = (nn__slot){ "average", o->ema, o->count };
	if (o->held)
		slot[n++] = (nn__slot){ "gradient_sum", o->held, o->count };
	return n;
}

int64_t *nn__optimiser_steps(nn_optimiser *o) { return &o->steps; }
int *nn__optimiser_held(nn_optimiser *o) { return &o->nheld; }
bool *nn__optimiser_averaging(nn_optimiser *o) { return &o->averaging; }

extern const nn__rules nn__rules_plain_32, nn__rules_plain_64;
#if defined(__x86_64__)
extern const nn__rules nn__rules_base_32, nn__rules_base_64, nn__rules_v3_32, nn__rules_v3_64, nn__rules_v4_32,
	nn__rules_v4_64;
#endif

const nn__rules *nn__rules_for(ad_dtype d)
{
	static const nn__rules *const all[][2] = {
		{ &nn__rules_plain_32, &nn__rules_plain_64 },
#if defined(__x86_64__)
		{ &nn__rules_base_32, &nn__rules_base_64 },
		{ &nn__rules_v3_32, &nn__rules_v3_64 },
		{ &nn__rules_v4_32, &nn__rules_v4_64 },
#endif
	};
	const char *isa = ad_isa();
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!strcmp(all[i][0]->isa, isa))
			return all[i][d == AD_F64];
	return all[0][d == AD_F64];
}
