/* compare.c - |a - b| <= tolerance max(1, |b|), element by element. */
#include "parity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static quantity *entry(parity *p, const char *path, double tolerance)
{
	for (int i = 0; i < p->quantities; i++)
		if (!strcmp(p->quantity[i].path, path))
			return &p->quantity[i];
	p->quantity = realloc(p->quantity, (size_t)(p->quantities + 1) * sizeof *p->quantity);
	if (!p->quantity)
		parity_no_memory();
	quantity *q = &p->quantity[p->quantities++];
	*q = (quantity){ .path = parity_text(p, "%s", path),
			 .tolerance = tolerance,
			 .recorded = parity_array(p, "%s", path) };
	return q;
}

static bool same(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

void parity_compare(parity *p, const char *path, double tolerance, int64_t n, const double *v)
{
	quantity *q = entry(p, path, tolerance);
	const array *a = q->recorded;
	if (a->n != n) {
		q->missed = true;
		snprintf(q->note, sizeof q->note, "%lld numbers here, %lld in the file", (long long)n, (long long)a->n);
		return;
	}
	for (int64_t i = 0; i < n; i++) {
		if (same(v[i], a->v[i]))
			continue;
		double abs = fabs(v[i] - a->v[i]), size = fabs(a->v[i]);
		if (!isfinite(abs))
			abs = INFINITY;
		double rel = abs / size, scaled = isfinite(size) ? abs / fmax(1, size) : INFINITY;
		q->abs = fmax(q->abs, abs);
		q->rel = fmax(q->rel, rel);
		q->scaled = fmax(q->scaled, scaled);
		if (!(scaled <= tolerance))
			q->missed = true;
	}
}

void parity_compare_zero(parity *p, const char *path, const char *note, int64_t n, const double *v)
{
	quantity *q = entry(p, path, 0);
	array *zero = parity_alloc(p, sizeof *zero);
	*zero = *q->recorded;
	zero->v = parity_alloc(p, (size_t)zero->n * sizeof *zero->v);
	q->recorded = zero;
	snprintf(q->note, sizeof q->note, "compared with 0: %s", note);
	parity_compare(p, path, 0, n, v);
}
