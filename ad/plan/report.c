/* What a program is. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

/* A solution row by row makes each row of its function once. */
double plan_step_flops(const plan_step *s)
{
	double n = s->flops;
	if (s->nsub && s->sub[0]->run)
		for (int i = 0; i < s->sub[0]->nstep; i++)
			n += plan_step_flops(&s->sub[0]->step[i]);
	return n;
}

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
		         .slots = p->batch && p->slot_bytes ? p->used : p->slots, .tile_arena = p->tile_bytes + p->scratch_bytes, .invariant_bytes = p->shared_bytes,
		         .reduced_bytes = p->slot_bytes, .cut_bytes = p->cut_bytes / (size_t)p->max_tile };
	for (int i = 0; i < p->nstage; i++)
		s.phases += (p->stage[i].inv1 > p->stage[i].inv0) + (p->stage[i].bat1 > p->stage[i].bat0);
	for (int i = 0; i < p->nstep; i++)
		*(p->step[i].batched ? &s.flops_sample : &s.flops_once) += plan_step_flops(&p->step[i]);
	count_solves(p, &s);
	return s;
}

const char *const plan_step_kinds[] = { [STEP_FUSED] = "fused", [STEP_LOAD] = "load", [STEP_STORE] = "store", [STEP_COPY] = "copy" };

void plan_name_step(const plan_step *s, char *text, size_t n)
{
	char shape[96];
	ad__shape_str(s->node->shape, shape, sizeof shape);
	if (s->kind == STEP_OP)
		snprintf(text, n, "%-16s %-18s", s->node->op->name, shape);
	else if (s->kind == STEP_FUSED)
		snprintf(text, n, "fused x%-9d %-18s", s->nmicro, shape);
	else
		snprintf(text, n, "%-16s %-18s", plan_step_kinds[s->kind], shape);
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
			plan_name_step(&p->step[i], text, sizeof text);
			fprintf(f, "  %4d %s %s%s\n", i, text, p->step[i].node->path,
			        i && p->step[i - 1].finish ? " (by the step before, as it stores)" : "");
			for (int k = 0; k < p->step[i].nsub; k++) {
				fprintf(f, "       traced function %d of step %d%s:\n", k, i,
				        p->step[i].sub[k]->run ? ", solved row by row in one pass" : "");
				ad_prog_print(p->step[i].sub[k], f);
			}
		}
}
