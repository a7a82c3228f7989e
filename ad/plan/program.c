/* A program's memory, inputs and outputs. */
#include "plan.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int plan_threads(const ad_options *o)
{
	int n = o->threads > 0 ? o->threads : omp_get_num_procs();
	return n > 256 ? 256 : n;
}

static size_t thread_bytes(const ad_prog *p) { return p->tile_bytes + p->scratch_bytes + PLAN_ALIGN; }

enum { LIGHT = 1000000 };

static bool light(const ad_prog *p)
{
	double n = 0;
	for (int i = 0; i < p->nstep; i++) {
		if (p->step[i].nsub) /* runs its functions who knows how many times */
			return false;
		n += p->step[i].batched ? plan_step_flops(&p->step[i]) : 0;
	}
	return n < LIGHT;
}

void plan_allocate(ad_prog *p)
{
	p->light = light(p);
	if (!p->any_batched)
		p->nthread = 1;
	p->shared = plan_pages(p->shared_bytes);
	p->binding = 1;
	p->sum = ad__malloc((size_t)p->nstep * sizeof *p->sum);
	p->thread = ad__malloc((size_t)p->nthread * sizeof *p->thread);
	for (int i = 0; i < p->nthread; i++) {
		plan_thread *th = &p->thread[i];
		th->memory = plan_pages(thread_bytes(p));
		th->arg = ad__malloc(plan_operands(p) * sizeof *th->arg);
		th->ctx = (ad__ctx){ .width = 16, .valid = 16, .k = { p->k[0], p->k[1] }, .thread = i, .prog = p, .error = th->error,
			                 .scratch = th->memory + (p->tile_bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN };
	}
	for (int i = 0; i < p->noutput; i++)
		if (!p->output[i].batched)
			p->output[i].own = p->shared + p->value[p->output[i].value].offset;
}

void ad_prog_free(ad_prog *p)
{
	if (!p)
		return;
	for (int i = 0; i < p->nstep; i++) {
		free(p->step[i].arg);
		free(p->step[i].micro);
		free(p->step[i].how);
		for (int k = 0; k < p->step[i].nsub; k++)
			ad_prog_free(p->step[i].sub[k]);
		free(p->step[i].sub);
	}
	for (int i = 0; p->thread && i < p->nthread; i++) {
		plan_pages_free(p->thread[i].memory, thread_bytes(p));
		free(p->thread[i].arg);
	}
	for (int i = 0; i < p->noutput; i++)
		if (p->output[i].batched)
			free(p->output[i].own);
	free(p->run);
	free(p->moving);
	free(p->sum);
	free(p->thread);
	free(p->value);
	free(p->step);
	free(p->stage);
	free(p->input);
	free(p->bound);
	free(p->input_of);
	free(p->output);
	if (p->shared)
		plan_pages_free(p->shared, p->shared_bytes);
	if (p->slot)
		plan_pages_free(p->slot, p->slot_room);
	if (p->cut)
		plan_pages_free(p->cut, p->cut_room);
	if (p->turn)
		plan_pages_free(p->turn, p->turn_room);
	for (int i = 0; i < 3; i++)
		if (p->wire[i])
			plan_pages_free(p->wire[i], p->wire_room[i]);
	free(p);
}

void ad_set_seed(ad_prog *p, uint64_t seed) { p->seed = seed; }

/* Small batches are cut into four, so that several threads have work, but not narrower than 64, or 128 where there is little
 * work; large ones are as wide as the arena was planned for. */
static int64_t tile_for(const ad_prog *p, int64_t batch)
{
	if (p->o.tile > 0)
		return p->max_tile;
	int64_t t = (batch / 4 + 15) / 16 * 16, least = p->light ? 128 : 64;
	t = t < least ? least : t;
	return t > p->max_tile ? p->max_tile : t;
}

void plan_reserve(ad_prog *prog, char **p, size_t *room, size_t bytes)
{
	if (bytes <= *room)
		return;
	if (*p)
		plan_pages_free(*p, *room);
	*p = plan_pages(bytes);
	*room = bytes;
	prog->binding++;
}

/* Asked once: the answer takes longer than all else that a step's start does. */
double plan_memory(const ad_prog *p)
{
	static _Atomic int64_t pages;
	if (p->o.memory > 0)
		return (double)p->o.memory;
	if (!pages)
		pages = sysconf(_SC_PHYS_PAGES);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

double plan_need(const ad_prog *p)
{
	return (double)p->shared_bytes + (double)p->slot_bytes * (double)(p->slots - 1) +
	       (double)p->nthread * ((double)p->tile_bytes + (double)p->scratch_bytes);
}

enum { MANY = 4, ROOM = 1 << 30 };

/* Large sums have more accumulators when there are tiles enough that adding them up is little work beside. */
static int64_t slots_for(const ad_prog *p, int64_t ntiles)
{
	int64_t n = p->slots;
	if (!p->slot_bytes)
		return ntiles;
	while (2 * n <= PLAN_SLOTS && 2 * n * MANY <= ntiles && (size_t)(2 * n) * p->slot_bytes <= ROOM)
		n *= 2;
	return n < ntiles ? n : ntiles;
}

/* What is kept for every sample comes on top, and further accumulators. */
static bool fits(ad_prog *p, int64_t samples)
{
	*p->refused = 0;
	if (samples < 0 || samples > INT64_C(1) << 40) {
		snprintf(p->refused, sizeof p->refused, "ad_set_batch: %lld samples", (long long)samples);
		return false;
	}
	int64_t tile = samples > 0 ? tile_for(p, samples) : 1, more = slots_for(p, (samples + tile - 1) / tile) - p->slots;
	double need = (double)p->cut_bytes / (double)p->max_tile;
	for (int i = 0; i < p->noutput; i++)
		if (p->output[i].batched && !p->output[i].bound)
			need += (double)ad__rows(p->output[i].node) * (double)ad__size(p->output[i].node->dtype);
	need = need * (double)samples + plan_need(p) + (double)p->slot_bytes * (double)(more > 0 ? more : 0);
	if (need > plan_memory(p))
		snprintf(p->refused, sizeof p->refused, "ad_set_batch: %lld samples need %.4g MB, there are %.4g MB", (long long)samples,
		         need / 1e6, plan_memory(p) / 1e6);
	return !*p->refused;
}

void ad_set_batch(ad_prog *p, int64_t samples)
{
	p->batch = 0;
	p->agreed = false;
	if (!fits(p, samples))
		return;
	p->batch = samples;
	p->tile = tile_for(p, samples);
	p->ntiles = (samples + p->tile - 1) / p->tile;
	p->used = slots_for(p, p->ntiles);
	plan_reserve(p, (char **)&p->turn, &p->turn_room, (size_t)p->ntiles * sizeof *p->turn);
	plan_reserve(p, &p->cut, &p->cut_room, p->cut_bytes * (size_t)p->ntiles);
	plan_reserve(p, &p->slot, &p->slot_room, p->slot_bytes * (size_t)(p->used > 1 ? p->used - 1 : 0));
	for (int i = 0; i < p->noutput; i++) {
		plan_output *o = &p->output[i];
		size_t bytes = (size_t)samples * (size_t)ad__rows(o->node) * ad__size(o->node->dtype);
		if (o->batched && !o->bound && bytes > o->own_bytes) {
			free(o->own);
			o->own = ad__malloc(bytes);
			o->own_bytes = bytes;
		}
	}
}

void ad_bind(ad_prog *p, ad_var input, const void *data)
{
	if (input->tape != p->tape || input->op != &ad__op_input || input->id >= p->nnode || !p->input_of[input->id])
		return;
	const void **bound = &p->bound[p->input_of[input->id] - 1];
	p->binding += *bound != data && !ad_batched(input); /* batches are loaded, tile by tile */
	*bound = data;
}

void ad_bind_output(ad_prog *p, int i, void *data)
{
	if (i < 0 || i >= p->noutput)
		return;
	plan_output *o = &p->output[i];
	p->binding += o->bound != data && !o->batched;
	o->bound = data;
	if (!o->batched)
		p->value[o->value].data = data;
	else if (!data && p->batch)
		ad_set_batch(p, p->batch);
}

const char *ad_run_error(const ad_prog *p) { return *p->error ? p->error : NULL; }

const void *ad_result(const ad_prog *p, int i)
{
	if (i < 0 || i >= p->noutput)
		return NULL;
	return p->output[i].bound ? p->output[i].bound : p->output[i].own;
}

double ad_result_scalar(const ad_prog *p, int i)
{
	const void *v = ad_result(p, i);
	if (!v)
		return 0;
	ad_dtype d = p->output[i].node->dtype;
	return d == AD_F64 ? *(const double *)v : d == AD_F32 ? (double)*(const float *)v : (double)*(const int32_t *)v;
}
