/* Leaves: inputs, constants, the number of samples. */
#include "../tape.h"

#include <string.h>

const ad_op ad__op_input = { .name = "input", .flags = AD__LEAF };
const ad_op ad__op_const = { .name = "const", .flags = AD__LEAF };
/* One number stretched to any shape; takes no memory. */
const ad_op ad__op_full = { .name = "full", .flags = AD__LEAF };

ad_var ad_input(ad_tape *t, ad_dtype d, ad_shape s, const char *name)
{
	char *copy = ad__alloc(ad_root(t), strlen(name) + 1);
	strcpy(copy, name);
	return ad__push_shaped(t, &ad__op_input, 0, NULL, (ad_attr){ .data = copy }, d, s);
}

ad_var ad_full(ad_tape *t, ad_shape s, double v)
{
	return ad__push_shaped(t, &ad__op_full, 0, NULL, (ad_attr){ .a = v }, t->real, s);
}

ad_var ad_full_like(ad_var x, double v)
{
	return ad__push_shaped(x->tape, &ad__op_full, 0, NULL, (ad_attr){ .a = v }, x->dtype, x->shape);
}

ad_var ad_const(ad_tape *t, double v) { return ad_full(t, AD_SCALAR, v); }

static bool constant(ad_tape *t, ad_shape s)
{
	if (!ad__shape_ok(t, s, "array"))
		return false;
	if (s.rank && s.dim[0] == AD_BATCH)
		ad_fail(t, "ad_array: a constant has no batch axis");
	return !ad_error(t);
}

ad_var ad_array(ad_tape *t, ad_shape s, const double *v)
{
	if (!constant(t, s))
		return ad_root(t)->dud;
	int64_t n = ad_numel(s);
	void *data = ad__alloc(ad_root(t), (size_t)n * ad__size(t->real));
	for (int64_t i = 0; i < n; i++)
		if (t->real == AD_F32)
			((float *)data)[i] = (float)v[i];
		else
			((double *)data)[i] = v[i];
	return ad__push_shaped(t, &ad__op_const, 0, NULL, (ad_attr){ .data = data }, t->real, s);
}

ad_var ad_array_i32(ad_tape *t, ad_shape s, const int32_t *v)
{
	if (!constant(t, s))
		return ad_root(t)->dud;
	size_t bytes = (size_t)ad_numel(s) * sizeof *v;
	void *data = memcpy(ad__alloc(ad_root(t), bytes), v, bytes);
	return ad__push_shaped(t, &ad__op_const, 0, NULL, (ad_attr){ .data = data }, AD_I32, s);
}

ad_var ad_iota(ad_tape *t, int64_t n)
{
	if (!constant(t, AD_SHAPE(n)))
		return ad_root(t)->dud;
	double *v = ad__alloc(ad_root(t), (size_t)n * sizeof *v);
	for (int64_t i = 0; i < n; i++)
		v[i] = (double)i;
	return ad_array(t, AD_SHAPE(n), v);
}

static void batch_size_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	(void)in;
	if (r->dtype == AD_F32)
		*(float *)out->p = (float)c->batch;
	else
		*(double *)out->p = (double)c->batch;
}

ad_var ad_batch_size(ad_tape *t)
{
	static const ad_op op = { .name = "batch_size", .eval = batch_size_eval };
	return ad__push_shaped(t, &op, 0, NULL, (ad_attr){ 0 }, t->real, AD_SCALAR);
}
