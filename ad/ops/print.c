/* Prints a value when it is computed; of a batched one, the first tile. */
#include "../tape.h"

#include <math.h>
#include <string.h>

static double get(const ad__arr *a, int64_t i)
{
	return a->dtype == AD_F64 ? ((double *)a->p)[i] : a->dtype == AD_F32 ? (double)((float *)a->p)[i] : (double)((int32_t *)a->p)[i];
}

static void eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t w = out->lane ? c->width : 1, n = ad__rows(r), valid = out->lane ? c->valid : 1;
	double lo = INFINITY, hi = -INFINITY;
	char shape[128], text[512];
	int at = 0;
	memcpy(out->p, in->p, (size_t)(n * w) * ad__size(r->dtype));
	if (c->first)
		return;
	for (int64_t i = 0; i < n; i++)
		for (int64_t l = 0; l < valid; l++) {
			lo = fmin(lo, get(in, i * w + l));
			hi = fmax(hi, get(in, i * w + l));
		}
	for (int64_t i = 0; i < n && i < 8; i++)
		at += snprintf(text + at, sizeof text - (size_t)at, " %.6g", get(in, i * w));
#pragma omp critical(ad_print)
	fprintf(stderr, "%s %s in [%.6g, %.6g]:%s%s\n", (const char *)r->attr.data, ad__shape_str(r->shape, shape, sizeof shape), lo, hi,
	        text, n > 8 ? " .." : "");
}

static void vjp(ad_var r, ad_var g, ad_var gin[])
{
	(void)r;
	gin[0] = g;
}

ad_var ad_print(ad_var x, const char *label)
{
	static const ad_op op = { .name = "print", .flags = AD__IMPURE, .vjp = vjp, .eval = eval };
	ad_tape *t = ad_root(x->tape);
	char *copy = ad__alloc(t, strlen(label) + 1);
	strcpy(copy, label);
	return ad__push_shaped(NULL, &op, 1, &x, (ad_attr){ .data = copy }, x->dtype, x->shape);
}
