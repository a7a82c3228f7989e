/* What a program is, and where its time goes. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

static void count_solves(const ad_prog *p, ad_summary *s)
{
	for (int i = 0; i < p->nstep; i++)
		for (int k = 0; k < p->step[i].nsub; k++) {
			const ad_prog *sub = p->step[i].sub[k];
			bool exact = k == 0 && p->step[i].node->op->flags & AD__SOLVES;
			s->exact_solves += exact;
			s->one_pass += exact && sub->run;
			count_solves(sub, s);
		}
}

ad_summary ad_prog_summary(const ad_prog *p)
{
	ad_summary s = { .nodes = p->live_nodes, .steps = p->nstep, .fused = p->fused_nodes, .tile = p->batch ? p->tile : p->max_tile,
		         .slots = p->slots, .tile_arena = p->tile_bytes + p->scratch_bytes, .invariant_bytes = p->shared_bytes,
		         .reduced_bytes = p->slot_bytes, .cut_bytes = p->cut_bytes / (size_t)p->max_tile };
	for (int i = 0; i < p->nstage; i++)
		s.phases += (p->stage[i].inv1 > p->stage[i].inv0) + (p->stage[i].bat1 > p->stage[i].bat0);
	for (int i = 0; i < p->nstep; i++)
		*(p->step[i].batched ? &s.flops_sample : &s.flops_once) += p->step[i].flops;
	count_solves(p, &s);
	return s;
}

static const char *const step_kinds[] = { [STEP_FUSED] = "fused", [STEP_LOAD] = "load", [STEP_STORE] = "store", [STEP_COPY] = "copy" };

static void name_step(const plan_step *s, char *text, size_t n)
{
	char shape[96];
	ad__shape_str(s->node->shape, shape, sizeof shape);
	if (s->kind == STEP_OP)
		snprintf(text, n, "%-16s %-18s", s->node->op->name, shape);
	else if (s->kind == STEP_FUSED)
		snprintf(text, n, "fused x%-9d %-18s", s->nmicro, shape);
	else
		snprintf(text, n, "%-16s %-18s", step_kinds[s->kind], shape);
}

void ad_prog_print(const ad_prog *p, FILE *f)
{
	ad_summary s = ad_prog_summary(p);
	fprintf(f, "%lld live nodes, %lld steps (%lld elementwise nodes inside fused ones), %lld phases\n", (long long)s.nodes,
	        (long long)s.steps, (long long)s.fused, (long long)s.phases);
	fprintf(f, "tile of %lld samples: %zu bytes a thread; ordinary values %zu bytes; sums over the batch %zu bytes x %lld; kept for the "
	           "batch %zu bytes a sample\n",
	        (long long)s.tile, s.tile_arena, s.invariant_bytes, s.reduced_bytes, (long long)s.slots, s.cut_bytes);
	fprintf(f, "%.4g flop a sample, %.4g once\n", s.flops_sample, s.flops_once);
	for (int g = 0; g < p->nstage; g++)
		for (int i = p->stage[g].inv0; i < p->stage[g].bat1; i++) {
			char text[160];
			if (i == p->stage[g].inv0 && i < p->stage[g].inv1)
				fprintf(f, "stage %d, once\n", g);
			if (i == p->stage[g].bat0)
				fprintf(f, "stage %d, each tile\n", g);
			name_step(&p->step[i], text, sizeof text);
			fprintf(f, "  %4d %s %s\n", i, text, p->step[i].node->path);
			for (int k = 0; k < p->step[i].nsub; k++) {
				fprintf(f, "       traced function %d of step %d%s:\n", k, i,
				        p->step[i].sub[k]->run ? ", solved row by row in one pass" : "");
				ad_prog_print(p->step[i].sub[k], f);
			}
		}
}

void ad_profile(ad_prog *p, bool on)
{
	p->profiling = on;
	p->run_seconds = 0;
	p->runs = 0;
	for (int i = 0; i < p->nstep; i++) {
		p->step[i].seconds = 0;
		p->step[i].calls = 0;
	}
}

static int by_time(const void *a, const void *b)
{
	const plan_step *x = *(plan_step *const *)a, *y = *(plan_step *const *)b;
	return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

/* Bytes that a step must move, for a sample or once. */
static double step_bytes(const ad_prog *p, const plan_step *s)
{
	double b = 0;
	for (int k = 0; k < s->nout + s->nin; k++) {
		double n = 1;
		for (int i = 0; i < s->arg[k].a.rank; i++)
			if (s->arg[k].a.stride[i])
				n *= (double)s->arg[k].a.dim[i];
		b += n * (double)ad__size(p->value[s->arg[k].value].dtype);
	}
	return b;
}

static double work_of(const ad_prog *p, const plan_step *s)
{
	return s->batched ? (double)p->batch * (double)p->runs : (double)s->calls;
}

static double rate(double work, double seconds) { return seconds > 0 ? work / seconds * 1e-9 : 0; }

static const char *kind_of(const plan_step *s) { return s->kind == STEP_OP ? s->node->op->name : step_kinds[s->kind]; }

typedef struct {
	const char *kind;
	double seconds, flops, bytes;
	int64_t calls;
} op_sum;

static int sum_by_time(const void *a, const void *b)
{
	const op_sum *x = a, *y = b;
	return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static void print_by_op(const ad_prog *p, double total, double per_run, FILE *f)
{
	op_sum *by = ad__malloc((size_t)p->nstep * sizeof *by);
	int n = 0;
	for (int i = 0; i < p->nstep; i++) {
		const plan_step *s = &p->step[i];
		int k = 0;
		while (k < n && strcmp(by[k].kind, kind_of(s)))
			k++;
		if (k == n)
			by[n++] = (op_sum){ .kind = kind_of(s) };
		by[k].seconds += s->seconds;
		by[k].flops += s->flops * work_of(p, s);
		by[k].bytes += step_bytes(p, s) * work_of(p, s);
		by[k].calls += s->calls;
	}
	qsort(by, (size_t)n, sizeof *by, sum_by_time);
	fprintf(f, "by op\n");
	for (int k = 0; k < n && by[k].seconds > 0; k++)
		fprintf(f, "%5.1f%% %10.4f %9lld %9.2f %9.2f  %s\n", 100 * by[k].seconds / total, by[k].seconds * per_run,
		        (long long)by[k].calls, rate(by[k].flops, by[k].seconds), rate(by[k].bytes, by[k].seconds), by[k].kind);
	free(by);
}

void ad_profile_print(const ad_prog *p, FILE *f)
{
	plan_step **s = ad__malloc((size_t)p->nstep * sizeof *s);
	double total = 0, per_run = 1e3 / (double)(p->runs ? p->runs : 1);
	for (int i = 0; i < p->nstep; i++) {
		s[i] = &p->step[i];
		total += s[i]->seconds;
	}
	qsort(s, (size_t)p->nstep, sizeof *s, by_time);
	fprintf(f, "%lld runs, %.3f ms each; %.3f ms of steps each, summed over threads\n", (long long)p->runs, p->run_seconds * per_run,
	        total * per_run);
	fprintf(f, "%6s %10s %9s %9s %9s  %-35s %s\n", "share", "ms a run", "calls", "GFLOP/s", "GB/s", "op and shape", "path");
	for (int i = 0; i < p->nstep && s[i]->calls && s[i]->seconds > 0; i++) {
		char text[160];
		name_step(s[i], text, sizeof text);
		fprintf(f, "%5.1f%% %10.4f %9lld %9.2f %9.2f  %-35s %s\n", 100 * s[i]->seconds / total, s[i]->seconds * per_run,
		        (long long)s[i]->calls, rate(s[i]->flops * work_of(p, s[i]), s[i]->seconds),
		        rate(step_bytes(p, s[i]) * work_of(p, s[i]), s[i]->seconds), text, s[i]->node->path);
	}
	print_by_op(p, total, per_run, f);
	free(s);
}
