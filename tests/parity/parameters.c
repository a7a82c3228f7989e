/* parameters.c - a file's weights in a store, and their gradients. */
#include "parity.h"

#include <stdlib.h>
#include <string.h>

static void put(parity *p, nn_store *s, const char *name, ad_shape shape, bool trained, const double *v)
{
	if (nn_find(s, name) < 0 && !nn_put(s, name, shape, trained, v))
		parity_bad(p, "%s", nn_error(s) ? nn_error(s) : name);
}

/* The arrays of a free spline, side by side in the order of spline_parameters, are our one array "params". */
static bool is_part(const char *rest)
{
	const char *slash = strrchr(rest, '/');
	size_t n = strlen("unconditional");
	if (!slash || (size_t)(slash - rest) < n || strncmp(slash - n, "unconditional", n))
		return false;
	for (int i = 0; spline_parameters[i]; i++)
		if (!strcmp(spline_parameters[i], slash + 1))
			return true;
	return false;
}

static parameter part(parity *p, const char *from, const char *to, const char *rest)
{
	parameter q = { .file = rest, .a = parity_array(p, "params/%s%s", from, rest) };
	int dir = (int)(strrchr(rest, '/') - rest);
	q.ours = parity_text(p, "%s%.*s/params", to, dir, rest);
	if (q.a->rank != 2)
		parity_bad(p, "params/%s%s is no matrix", from, rest);
	for (int i = 0; spline_parameters[i]; i++) {
		const array *a = parity_find(p, "params/%s%.*s/%s", from, dir, rest, spline_parameters[i]);
		if (!a)
			continue;
		if (a->rank != 2 || a->dim[0] != q.a->dim[0])
			parity_bad(p, "params/%s%.*s: arrays of different heights", from, dir, rest);
		if (a == q.a)
			q.first = q.of;
		q.of += a->dim[1];
	}
	return q;
}

/* Stores the whole that q is a part of. */
static void put_whole(parity *p, nn_store *s, const parameters *ps, const parameter *q)
{
	int64_t rows = q->a->dim[0];
	double *v = parity_alloc(p, (size_t)(rows * q->of) * sizeof *v);
	for (int i = 0; i < ps->n; i++)
		for (int64_t r = 0; !strcmp(ps->at[i].ours, q->ours) && r < rows; r++)
			memcpy(v + r * q->of + ps->at[i].first, ps->at[i].a->v + r * ps->at[i].a->dim[1],
			       (size_t)ps->at[i].a->dim[1] * sizeof *v);
	put(p, s, q->ours, AD_SHAPE(rows, q->of), true, v);
}

parameters parameters_load(parity *p, nn_store *s, const char *from, const char *to)
{
	parameters ps = { .at = parity_alloc(p, (size_t)p->paths * sizeof *ps.at) };
	const char *params = parity_text(p, "params/%s", from), *buffers = parity_text(p, "buffers/%s", from);
	for (int i = 0; i < p->paths; i++) {
		const char *path = p->path[i];
		bool trained = parity_begins(path, params);
		if (!trained && !parity_begins(path, buffers))
			continue;
		const char *rest = path + strlen(trained ? params : buffers), *ours = parity_text(p, "%s%s", to, rest);
		const array *a = parity_array(p, "%s", path);
		if (a->n == 0) /* the entries beside the diagonal of a 1 x 1 matrix */
			continue;
		if (trained && is_part(rest)) {
			ps.at[ps.n++] = part(p, from, to, rest);
			continue;
		}
		put(p, s, ours, array_shape(a, false), trained, a->v);
		if (trained)
			ps.at[ps.n++] = (parameter){ .file = rest, .ours = ours, .a = a };
	}
	for (int i = 0; i < ps.n; i++)
		if (ps.at[i].of)
			put_whole(p, s, &ps, &ps.at[i]);
	ps.known = nn_count(s);
	return ps;
}

void parameters_complete(parity *p, const parameters *ps, const nn_store *s)
{
	for (int i = ps->known; i < nn_count(s); i++)
		if (nn_at(s, i).trained)
			parity_bad(p, "our model has a parameter \"%s\", for which the file has no array",
				   nn_at(s, i).name);
}

static ad_shape whole_shape(const parameter *q)
{
	return q->of ? AD_SHAPE(q->a->dim[0], q->of) : array_shape(q->a, false);
}

void parameters_expect(model *m, const parameters *ps, ad_var loss, const char *grads, int extra, const ad_var x[],
		       const char *const path[], double tolerance)
{
	parity *p = m->p;
	parameters_complete(p, ps, m->s);
	if (!parity_wants_below(p, grads))
		return;
	int n = ps->n + extra;
	ad_var *v = parity_alloc(p, (size_t)n * sizeof *v), *g = parity_alloc(p, (size_t)n * sizeof *g);
	nn c = nn_begin(m->t, m->s, NN_EVAL);
	for (int i = 0; i < ps->n; i++)
		v[i] = nn_param(c, ps->at[i].ours, whole_shape(&ps->at[i]), (nn_fill){ 0 });
	for (int i = 0; i < extra; i++)
		v[ps->n + i] = x[i];
	ad_vjp(1, &loss, NULL, n, v, g);
	for (int i = 0; i < ps->n; i++) {
		const parameter *q = &ps->at[i];
		if (q->of)
			g[i] = ad_slice(g[i], 1, q->first, q->first + q->a->dim[1]);
	}
	for (int i = 0; i < n; i++)
		model_expect(m, g[i], tolerance, "%s%s", grads, i < ps->n ? ps->at[i].file : path[i - ps->n]);
}

void parameters_compare(parity *p, const parameters *ps, nn_store *s, const char *prefix, double tolerance)
{
	for (int i = 0; i < ps->n; i++) {
		const parameter *q = &ps->at[i];
		const char *path = parity_text(p, "%s%s", prefix, q->file);
		if (!parity_wants(p, path))
			continue;
		int64_t rows = q->of ? q->a->dim[0] : 1, width = q->of ? q->a->dim[1] : q->a->n,
			of = q->of ? q->of : width;
		double *v = parity_alloc(p, (size_t)(rows * of) * sizeof *v);
		if (!nn_get(s, q->ours, v, rows * of))
			parity_bad(p, "%s", nn_error(s));
		for (int64_t r = 0; r < rows; r++)
			memmove(v + r * width, v + r * of + q->first, (size_t)width * sizeof *v);
		parity_compare(p, path, tolerance, q->a->n, v);
	}
}
