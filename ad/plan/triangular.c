/* Solving y = f(y) row by row, for f strictly triangular in some order of y's rows.
 *
 * Every row of every step has a level: one more than the highest level among the rows of y that it needs.  Level by
 * level, each step makes its rows of that level, and then the rows of y whose f lies there are known.  Each row is made
 * once, so a solution costs about one evaluation of f (Papamakarios et al. 2021, section 3.1, calls for as many
 * evaluations as y has rows). */
#include "../ops/gather.h"
#include "../ops/masked.h"
#include "plan.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
	ad_prog *p;
	int **level; /* per value: of each row */
	int **rows;  /* per step: of each row it makes */
} analysis;

static int64_t made_rows(const ad_prog *p, const plan_step *s)
{
	return s->kind == STEP_FUSED ? s->rows : p->value[s->arg[0].value].rows;
}

/* Levels of the operand's elements in the order of its extents; returns their number. */
static int64_t operand_levels(const analysis *a, const plan_operand *o, int *out)
{
	int64_t at[AD_MAXRANK] = { 0 }, n = 1, off = o->a.offset;
	const int *level = a->level[o->value];
	for (int i = 0; i < o->a.rank; i++)
		n *= o->a.dim[i];
	for (int64_t k = 0; k < n; k++) {
		out[k] = level ? level[off] : 0;
		for (int i = o->a.rank - 1; i >= 0; i--) {
			off += o->a.stride[i];
			if (++at[i] < o->a.dim[i])
				break;
			off -= o->a.dim[i] * o->a.stride[i];
			at[i] = 0;
		}
	}
	return n;
}

static int64_t operand_size(const plan_operand *o)
{
	int64_t n = 1;
	for (int i = 0; i < o->a.rank; i++)
		n *= o->a.dim[i];
	return n;
}

static void raise(int *level, int to) { *level = to > *level ? to : *level; }

static void fused_levels(const analysis *a, const plan_step *s, int *out)
{
	int *in = ad__malloc((size_t)s->rows * sizeof *in);
	for (int k = 0; k < s->nin; k++) {
		operand_levels(a, &s->arg[s->nout + k], in);
		for (int64_t i = 0; i < s->rows; i++)
			raise(&out[i], in[i]);
	}
	free(in);
}

/* Highest level among columns lo..hi, for ranges that begin at the first or end at the last column in one pass. */
static void masked_levels(const ad__ranges *m, const int *in, int *out)
{
	int *upto = ad__malloc((size_t)(m->cols + 1) * sizeof *upto), *from = ad__malloc((size_t)(m->cols + 1) * sizeof *from);
	for (int64_t j = 0; j < m->cols; j++)
		upto[j + 1] = in[j] > upto[j] ? in[j] : upto[j];
	for (int64_t j = m->cols; j-- > 0;)
		from[j] = in[j] > from[j + 1] ? in[j] : from[j + 1];
	for (int64_t i = 0; i < m->rows; i++) {
		if (m->lo[i] == 0)
			out[i] = upto[m->hi[i]];
		else if (m->hi[i] == m->cols)
			out[i] = from[m->lo[i]];
		else
			for (int64_t j = m->lo[i]; j < m->hi[i]; j++)
				raise(&out[i], in[j]);
	}
	free(upto);
	free(from);
}

static void transposed_levels(const ad__ranges *m, const int *in, int *out)
{
	int *begin = ad__malloc((size_t)(m->cols + 1) * sizeof *begin), *finish = ad__malloc((size_t)(m->cols + 1) * sizeof *finish);
	for (int64_t i = 0; i < m->rows; i++) {
		if (m->lo[i] == 0)
			raise(&finish[m->hi[i]], in[i]);
		else if (m->hi[i] == m->cols)
			raise(&begin[m->lo[i]], in[i]);
		else
			for (int64_t j = m->lo[i]; j < m->hi[i]; j++)
				raise(&out[j], in[i]);
	}
	for (int64_t j = 0, top = 0; j < m->cols; j++) {
		top = begin[j] > top ? begin[j] : top;
		raise(&out[j], (int)top);
	}
	for (int64_t j = m->cols, top = 0; j-- > 0;) {
		top = finish[j + 1] > top ? finish[j + 1] : top;
		raise(&out[j], (int)top);
	}
	free(begin);
	free(finish);
}

static bool rowwise(const plan_step *s)
{
	if (s->kind == STEP_COPY)
		return true;
	bool same = s->node->op->flags & AD__ROWWISE && s->node->attr.axis != 1;
	for (int k = 0; k < s->node->nin; k++)
		same &= plan_leading(s->node->in[k]) == plan_leading(s->node);
	return same;
}

/* Steps that work on one index of axis 1 at a time; false if an operand reaches across it. */
static bool rowwise_levels(const analysis *a, const plan_step *s, int *out)
{
	int64_t d = plan_leading(s->node), n = made_rows(a->p, s);
	bool ok = d > 0;
	for (int k = 0; ok && k < s->nin; k++) {
		const plan_operand *o = &s->arg[1 + k];
		int64_t size = operand_size(o);
		int *in = ad__malloc((size_t)size * sizeof *in);
		operand_levels(a, o, in);
		bool along = o->a.rank > 0 && o->a.dim[0] == d && size % d == 0;
		for (int64_t i = 0; i < size; i++)
			if (along)
				raise(&out[i / (size / d) * (n / d)], in[i]);
			else
				ok &= in[i] == 0;
		free(in);
	}
	for (int64_t i = 0; ok && i < n; i++)
		out[i] = out[i / (n / d) * (n / d)];
	return ok;
}

static bool free_of_argument(const analysis *a, const plan_step *s)
{
	for (int k = 0; k < s->nin; k++) {
		const plan_operand *o = &s->arg[s->nout + k];
		const int *level = a->level[o->value];
		for (int64_t i = 0; level && i < a->p->value[o->value].rows; i++)
			if (level[i])
				return false;
	}
	return true;
}

/* Rows moved: out[j] comes from in[index[j]], or (scattered) in[j] goes to out[index[j]]. */
static void moved_levels(const analysis *a, const plan_step *s, const int32_t *index, bool scattered, int *out)
{
	int64_t n = s->node->in[1]->shape.dim[0], rows = operand_size(&s->arg[1]);
	int *in = ad__malloc((size_t)rows * sizeof *in);
	operand_levels(a, &s->arg[1], in);
	for (int64_t j = 0; j < n; j++)
		if (scattered)
			raise(&out[index[j]], in[j]);
		else
			out[j] = in[index[j]];
	free(in);
}

static bool known_index(const int32_t *index, int64_t n, int64_t bound)
{
	for (int64_t j = 0; j < n; j++)
		if (index[j] < 0 || index[j] >= bound)
			return false;
	return true;
}

static bool step_levels(const analysis *a, int i)
{
	const plan_step *s = &a->p->step[i];
	int64_t n = made_rows(a->p, s);
	int *out = a->rows[i];
	memset(out, 0, (size_t)n * sizeof *out);
	if (s->kind == STEP_FUSED) {
		fused_levels(a, s, out);
	} else if (!free_of_argument(a, s)) {
		bool transposed, scattered;
		const int32_t *index = s->kind == STEP_OP ? ad__gathered_rows(s->node, &scattered) : NULL;
		const ad__ranges *m = s->kind == STEP_OP ? ad__masked_ranges(s->node, &transposed) : NULL;
		if (m) {
			int *in = ad__malloc((size_t)(m->rows > m->cols ? m->rows : m->cols) * sizeof *in);
			operand_levels(a, &s->arg[1], in);
			(transposed ? transposed_levels : masked_levels)(m, in, out);
			free(in);
			for (int k = 1; k < s->nin; k++)
				if (a->level[s->arg[1 + k].value])
					return false;
		} else if (index) {
			int64_t bound = scattered ? n : operand_size(&s->arg[1]);
			if (!known_index(index, s->node->in[1]->shape.dim[0], bound))
				return false;
			moved_levels(a, s, index, scattered, out);
		} else if (!rowwise(s) || !rowwise_levels(a, s, out)) {
			return false;
		}
	}
	for (int k = 0; k < s->nout; k++)
		memcpy(a->level[s->arg[k].value], out, (size_t)n * sizeof *out);
	return true;
}

/* Raises the argument's levels until they are one above those of the result; false if they grow without end. */
static bool settle(const analysis *a, int64_t d)
{
	ad_prog *p = a->p;
	int argument = 0;
	while (p->value[argument].place != PLACE_OUTER || p->value[argument].input != 0)
		argument++;
	int *level = a->level[argument];
	const int *result = a->level[p->output[0].value];
	if (!result || p->value[p->output[0].value].rows != d)
		return false;
	for (int64_t i = 0; i < d; i++)
		level[i] = 1;
	for (int64_t round = 0; round <= d; round++) {
		bool same = true;
		for (int i = 0; i < p->nstep; i++)
			if (!step_levels(a, i))
				return false;
		for (int64_t i = 0; i < d; i++) {
			same &= level[i] == result[i] + 1;
			level[i] = result[i] + 1;
		}
		if (same)
			return true;
	}
	return false;
}

static void add_run(ad_prog *p, int64_t *cap, plan_run r)
{
	if (p->nrun == *cap) {
		*cap = *cap ? 2 * *cap : 256;
		p->run = realloc(p->run, (size_t)*cap * sizeof *p->run);
		if (!p->run)
			abort();
	}
	p->run[p->nrun++] = r;
}

/* Rows of levels now to end - 1, where they stand together. */
static void add_runs(ad_prog *p, int64_t *cap, plan_run like, const int *level, int64_t n, int64_t grain, int now, int end)
{
	for (int64_t i = 0; i < n;) {
		if (level[i] < now || level[i] >= end) {
			i += grain;
			continue;
		}
		like.lo = i;
		while (i < n && level[i] >= now && level[i] < end)
			i += grain;
		like.hi = i;
		add_run(p, cap, like);
	}
}

static int64_t grain(const plan_step *s, int64_t n)
{
	if (s->kind == STEP_FUSED || (s->kind == STEP_OP && s->node->op->flags & AD__ROWS))
		return 1;
	return rowwise(s) && plan_leading(s->node) ? n / plan_leading(s->node) : n;
}

/* A product whose columns become known from the first to the last.  If each level has a few of its rows only, what those of the
 * next levels take from columns already known is multiplied at once, in whole register blocks; the sums go on with the other
 * columns when these are known, so that they stay what they are. */
typedef struct {
	int *column;       /* levels of the columns; NULL: not such a product */
	int levels, until; /* levels taken together, 0: none; those below `until` have been */
	int64_t known;     /* columns multiplied for them */
} early;

enum { FEW = 4, TOGETHER = 18, WORTHWHILE = 32 };

static bool in_order(const ad__ranges *m, const int *column)
{
	for (int64_t i = 0; i < m->rows; i++)
		if (m->lo[i])
			return false;
	for (int64_t j = 1; j < m->cols; j++)
		if (column[j] < column[j - 1])
			return false;
	return true;
}

static early find_early(const analysis *a, const plan_step *s, int top)
{
	bool transposed;
	const ad__ranges *m = s->kind == STEP_OP ? ad__masked_ranges(s->node, &transposed) : NULL;
	early e = { 0 };
	if (!m)
		return e;
	if (!transposed) {
		e.column = ad__malloc((size_t)m->cols * sizeof *e.column);
		operand_levels(a, &s->arg[s->nout], e.column);
	}
	if (transposed || !in_order(m, e.column)) {
		free(e.column);
		e.column = NULL;
		a->p->reads_ahead = true;
		return e;
	}
	int64_t each = m->rows / (top + 1);
	e.levels = each >= FEW ? 0 : (int)(TOGETHER / (each > 0 ? each : 1));
	return e;
}

static void order_step(const analysis *a, int64_t *cap, int i, early *e, int now)
{
	ad_prog *p = a->p;
	int64_t n = made_rows(p, &p->step[i]), columns = e->column ? operand_size(&p->step[i].arg[p->step[i].nout]) : 0;
	if (e->levels && now >= e->until) {
		for (e->known = 0; e->known < columns && e->column[e->known] < now;)
			e->known++;
		e->until = now + e->levels;
		if (e->known < WORTHWHILE)
			e->known = 0;
		else
			add_runs(p, cap, (plan_run){ .step = i, .col1 = e->known }, a->rows[i], n, 1, now, e->until);
	}
	add_runs(p, cap, (plan_run){ .step = i, .col0 = e->known, .col1 = e->known ? columns : 0 }, a->rows[i], n,
	         grain(&p->step[i], n), now, now + 1);
}

static void order_rows(const analysis *a, int64_t d)
{
	ad_prog *p = a->p;
	int64_t cap = 0;
	const int *result = a->level[p->output[0].value];
	early *e = ad__malloc((size_t)p->nstep * sizeof *e);
	int top = 0;
	for (int64_t i = 0; i < d; i++)
		top = result[i] > top ? result[i] : top;
	for (int i = 0; i < p->nstep; i++)
		e[i] = find_early(a, &p->step[i], top);
	for (int now = 0; now <= top; now++) {
		for (int i = 0; i < p->nstep; i++)
			order_step(a, &cap, i, &e[i], now);
		add_runs(p, &cap, (plan_run){ .step = -1 }, result, d, 1, now, now + 1);
	}
	for (int i = 0; i < p->nstep; i++)
		free(e[i].column);
	free(e);
}

static ad_var shrunk(ad_tape *t, ad_var x, int64_t d)
{
	ad_var r = ad__alloc(t, sizeof *r);
	*r = *x;
	if (plan_leading(x) == d)
		r->shape.dim[1] = 1;
	return r;
}

static void make_shadows(ad_prog *p)
{
	for (int i = 0; i < p->nstep; i++) {
		plan_step *s = &p->step[i];
		int64_t d = plan_leading(s->node);
		if (s->kind != STEP_OP || !rowwise(s) || !d)
			continue;
		s->shadow = shrunk(p->tape, s->node, d);
		s->shadow->in = ad__alloc(p->tape, (size_t)s->node->nin * sizeof(ad_var));
		for (int k = 0; k < s->node->nin; k++)
			s->shadow->in[k] = shrunk(p->tape, s->node->in[k], d);
	}
}

void plan_triangular(ad_prog *sub)
{
	ad_var y = sub->fn->arg[0];
	if (!ad_batched(y) || y->shape.rank != 2 || sub->o.check_finite || sub->fn->narg != 1 || sub->noutput != 1)
		return;
	int64_t d = y->shape.dim[1];
	analysis a = { sub, ad__malloc((size_t)sub->nvalue * sizeof(int *)), ad__malloc((size_t)sub->nstep * sizeof(int *)) };
	for (int i = 0; i < sub->nvalue; i++) {
		const plan_value *v = &sub->value[i];
		if (v->place == PLACE_TILE || (v->place == PLACE_OUTER && v->input == 0))
			a.level[i] = ad__malloc((size_t)v->rows * sizeof(int));
	}
	for (int i = 0; i < sub->nstep; i++)
		a.rows[i] = ad__malloc((size_t)made_rows(sub, &sub->step[i]) * sizeof(int));
	if (settle(&a, d)) {
		order_rows(&a, d);
		make_shadows(sub);
		sub->keep_all = true;
	}
	for (int i = 0; i < sub->nvalue; i++)
		free(a.level[i]);
	for (int i = 0; i < sub->nstep; i++)
		free(a.rows[i]);
	free(a.level);
	free(a.rows);
}
