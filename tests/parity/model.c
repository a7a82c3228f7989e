/* model.c - a traced model with its inputs bound to a file's arrays, run in every way the engine has. */
#include "parity.h"

#include <stdlib.h>
#include <string.h>

model *model_new(parity *p, nn_store *s)
{
	model *m = parity_alloc(p, sizeof *m);
	m->p = p;
	m->t = parity_tape(p);
	m->s = s;
	m->out = parity_alloc(p, (size_t)p->paths * sizeof *m->out);
	m->batch = 1;
	return m;
}

ad_shape array_shape(const array *a, bool batched)
{
	ad_shape s = { a->rank, { 0 } };
	memcpy(s.dim, a->dim, sizeof s.dim);
	if (batched)
		s.dim[0] = AD_BATCH;
	return s;
}

static ad_var input(model *m, const array *a, ad_dtype d, bool batched)
{
	parity *p = m->p;
	if (m->inputs == (int)(sizeof m->input / sizeof *m->input))
		parity_bad(p, "more than %d inputs", m->inputs);
	if (a->n == 0)
		parity_bad(p, "an input has no elements");
	if (batched && a->rank == 0)
		parity_bad(p, "an input has no batch axis");
	for (int i = 0; batched && i < m->inputs; i++)
		if (m->input[i].batched && m->batch != a->dim[0])
			parity_bad(p, "inputs of %lld and of %lld samples", (long long)m->batch, (long long)a->dim[0]);
	ad_var v = ad_input(m->t, d, array_shape(a, batched), parity_text(p, "input%d", m->inputs));
	m->input[m->inputs].v = v;
	m->input[m->inputs].a = a;
	m->input[m->inputs++].batched = batched;
	if (batched)
		m->batch = a->dim[0];
	return v;
}

ad_var model_input(model *m, const array *a, bool batched)
{
	return input(m, a, m->p->real, batched);
}

ad_var model_index(model *m, const array *a, bool batched)
{
	return input(m, a, AD_I32, batched);
}

void model_expect(model *m, ad_var v, double tolerance, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *path = parity_vtext(m->p, fmt, ap);
	va_end(ap);
	if (!parity_wants(m->p, path))
		return;
	m->out[m->outs].v = v;
	m->out[m->outs].path = path;
	m->out[m->outs++].tolerance = tolerance;
}

void model_expect_zero(model *m, ad_var v, const char *path, const char *note)
{
	int n = m->outs;
	model_expect(m, v, 0, "%s", path);
	if (m->outs > n)
		m->out[n].zero = note;
}

const void *array_as(parity *p, const double *from, int64_t n, ad_dtype d)
{
	if (d == AD_F64)
		return from;
	void *v = parity_alloc(p, (size_t)n * 4);
	for (int64_t i = 0; i < n; i++)
		if (d == AD_F32)
			((float *)v)[i] = (float)from[i];
		else
			((int32_t *)v)[i] = (int32_t)from[i];
	return v;
}

static double *widened(parity *p, const void *v, int64_t n, ad_dtype d)
{
	double *w = parity_alloc(p, (size_t)n * sizeof *w);
	for (int64_t i = 0; i < n; i++)
		w[i] = d == AD_F64   ? ((const double *)v)[i]
		       : d == AD_F32 ? ((const float *)v)[i]
				     : ((const int32_t *)v)[i];
	return w;
}

static void run_with(model *m, const ad_var out[], ad_options o)
{
	parity *p = m->p;
	ad_prog *prog = ad_compile(m->t, m->outs, out, o);
	if (!prog)
		parity_bad(p, "%s", ad_error(m->t) ? ad_error(m->t) : "the model does not compile");
	ad_set_batch(prog, m->batch);
	if (m->s)
		nn_bind(m->s, m->t, prog);
	for (int i = 0; i < m->inputs; i++) {
		const array *a = m->input[i].a;
		ad_bind(prog, m->input[i].v, array_as(p, a->v, a->n, ad_dtype_of(m->input[i].v)));
	}
	if (ad_run(prog, 0)) {
		const char *why = parity_text(p, "%s", ad_run_error(prog));
		ad_prog_free(prog);
		parity_bad(p, "%s", why);
	}
	for (int i = 0; i < m->outs; i++) {
		int64_t n = ad_numel(ad_shape_of(out[i])) * (ad_batched(out[i]) ? m->batch : 1);
		const double *v = widened(p, ad_result(prog, i), n, ad_dtype_of(out[i]));
		if (m->out[i].zero)
			parity_compare_zero(p, m->out[i].path, m->out[i].zero, n, v);
		else
			parity_compare(p, m->out[i].path, m->out[i].tolerance, n, v);
	}
	ad_prog_free(prog);
}

void model_run(model *m)
{
	static const ad_options way[] = {
		{ .threads = 1 },
		{ .threads = 2, .tile = 16, .reverse_tiles = true },
		{ .threads = 1, .tile = 16, .no_fusion = true },
	};
	if (ad_error(m->t))
		parity_bad(m->p, "%s", ad_error(m->t));
	if (m->s && nn_error(m->s))
		parity_bad(m->p, "%s", nn_error(m->s));
	if (m->outs == 0)
		return;
	ad_var *out = parity_alloc(m->p, (size_t)m->outs * sizeof *out);
	for (int i = 0; i < m->outs; i++)
		out[i] = m->out[i].v;
	for (size_t i = 0; i < sizeof way / sizeof *way; i++)
		run_with(m, out, way[i]);
}
