/* Elementwise ops from ops.def, casts and stop-gradient. */
#include "../tape.h"

static void infer(ad_var r)
{
	r->shape = r->in[0]->shape;
	for (int i = 0; i < r->nin; i++) {
		char a[128], b[128];
		if (!ad__broadcast_shapes(r->shape, r->in[i]->shape, &r->shape)) {
			ad_fail(r->tape, "ad_%s: shapes %s and %s do not broadcast", r->op->name,
			        ad__shape_str(r->in[0]->shape, a, sizeof a), ad__shape_str(r->in[i]->shape, b, sizeof b));
			return;
		}
		if (r->in[i]->dtype != r->dtype) {
			ad__fail(r, "inputs of different dtypes; ad_cast one");
			return;
		}
	}
	if (r->dtype == AD_I32)
		ad__fail(r, "an integer input; ad_cast it to a real");
}

static double flops(ad_var r) { return (double)ad_numel(r->shape); }

/* The other factor, if one is 1 and the product is no larger than that. */
static ad_var by_one(ad_var in[])
{
	for (int k = 0; k < 2; k++) {
		ad_var one = in[k], x = in[1 - k];
		ad_shape s;
		if (one->op == &ad__op_full && one->attr.a == 1 && one->dtype == x->dtype &&
		    ad__broadcast_shapes(one->shape, x->shape, &s) && ad_shape_eq(s, x->shape))
			return x;
	}
	return NULL;
}

/* A plain number takes the dtype of the other input. */
static ad_var push(const ad_op *op, int n, ad_var in[], double a, double b)
{
	for (int i = 0; i < n; i++)
		for (int k = 0; k < n; k++)
			if (in[i]->op == &ad__op_full && in[k]->op != &ad__op_full && in[k]->dtype != AD_I32 &&
			    in[i]->dtype != in[k]->dtype)
				in[i] = ad_cast(in[i], in[k]->dtype);
	ad_var same = op->ew == AD__EW_mul ? by_one(in) : NULL;
	return same ? same : ad__push(NULL, op, n, in, (ad_attr){ .a = a, .b = b });
}

#define UNUSED (void)x, (void)a, (void)b
#define RULE1(name, dx)                                                 \
	static void name##_vjp(ad_var r, ad_var g, ad_var gin[])        \
	{                                                               \
		ad_var x = r->in[0];                                    \
		double a = r->attr.a, b = r->attr.b;                    \
		UNUSED;                                                 \
		(void)g;                                                \
		gin[0] = dx;                                            \
	}
#define OP(nm)                                                                                                     \
	static const ad_op op_##nm = { .name = #nm, .flags = AD__ELEMENTWISE, .infer = infer, .vjp = nm##_vjp,     \
	                               .flops = flops, .ew = AD__EW_##nm };
#define AD_EW1(name, value, dx)                                                         \
	RULE1(name, dx)                                                                 \
	OP(name)                                                                        \
	ad_var ad_##name(ad_var x) { return push(&op_##name, 1, &x, 0, 0); }
#define AD_EW1A(name, value, dx)                                                        \
	RULE1(name, dx)                                                                 \
	OP(name)                                                                        \
	ad_var ad_##name(ad_var x, double a) { return push(&op_##name, 1, &x, a, 0); }
#define AD_EW1AB(name, value, dx)                                                       \
	RULE1(name, dx)                                                                 \
	OP(name)                                                                        \
	ad_var ad_##name(ad_var x, double a, double b) { return push(&op_##name, 1, &x, a, b); }
#define AD_EW2(name, value, dx, dy)                                                     \
	static void name##_vjp(ad_var r, ad_var g, ad_var gin[])                        \
	{                                                                               \
		ad_var x = r->in[0], y = r->in[1];                                      \
		(void)x, (void)y, (void)g;                                              \
		gin[0] = dx;                                                            \
		gin[1] = dy;                                                            \
	}                                                                               \
	OP(name)                                                                        \
	ad_var ad_##name(ad_var x, ad_var y)                                            \
	{                                                                               \
		return push(&op_##name, 2, (ad_var[]){ x, y }, 0, 0);                   \
	}
#define AD_EW3(name, value, dx, dy, dz)                                                 \
	static void name##_vjp(ad_var r, ad_var g, ad_var gin[])                        \
	{                                                                               \
		ad_var x = r->in[0];                                                    \
		gin[0] = dx;                                                            \
		gin[1] = dy;                                                            \
		gin[2] = dz;                                                            \
	}                                                                               \
	OP(name)                                                                        \
	ad_var ad_##name(ad_var x, ad_var y, ad_var z)                                  \
	{                                                                               \
		return push(&op_##name, 3, (ad_var[]){ x, y, z }, 0, 0);                \
	}
#include "../ops.def"

ad_var ad_gelu(ad_var x) { return ad_mul(x, ad_scale(ad_erfc(ad_scale(x, -0.70710678118654752440)), 0.5)); }

ad_var ad_gelu_tanh(ad_var x)
{
	ad_var u = ad_scale(ad_add(x, ad_scale(ad_cube(x), 0.044715)), 0.79788456080286535588);
	return ad_mul(x, ad_sigmoid(ad_scale(u, 2)));
}

ad_var ad_selu(ad_var x) { return ad_scale(ad_elu(x, 1.6732632423543772848), 1.0507009873554804934); }

ad_var ad_digamma(ad_var x) { return ad_polygamma(x, 0); }

static double get(const char *p, ad_dtype d)
{
	return d == AD_F64 ? *(const double *)p : d == AD_F32 ? (double)*(const float *)p : (double)*(const int32_t *)p;
}

static void cast_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t n = ad__rows(r) * (out->lane ? c->width : 1);
	size_t from = ad__size(in->dtype), to = ad__size(out->dtype);
	for (int64_t i = 0; i < n; i++) {
		double v = get(in->p + (size_t)i * from, in->dtype);
		char *o = out->p + (size_t)i * to;
		if (out->dtype == AD_F64)
			*(double *)o = v;
		else if (out->dtype == AD_F32)
			*(float *)o = (float)v;
		else
			*(int32_t *)o = v >= INT32_MAX ? INT32_MAX : v <= INT32_MIN ? INT32_MIN : v == v ? (int32_t)v : 0;
	}
}

static void cast_vjp(ad_var r, ad_var g, ad_var gin[])
{
	if (r->dtype != AD_I32 && r->in[0]->dtype != AD_I32)
		gin[0] = ad_cast(g, r->in[0]->dtype);
}

ad_var ad_cast(ad_var x, ad_dtype d)
{
	static const ad_op op = { .name = "cast", .flags = AD__ROWWISE, .vjp = cast_vjp, .eval = cast_eval };
	if (x->dtype == d)
		return x;
	if (x->op == &ad__op_full && d != AD_I32)
		return ad__push_shaped(x->tape, &ad__op_full, 0, NULL, (ad_attr){ .a = x->attr.a }, d, x->shape);
	return ad__push_shaped(NULL, &op, 1, &x, (ad_attr){ 0 }, d, x->shape);
}

static bool same_place(ad_var r, ad__arr *a)
{
	(void)r, (void)a;
	return true;
}

static void no_vjp(ad_var r, ad_var g, ad_var gin[]) { (void)r, (void)g, (void)gin; }
static void through_vjp(ad_var r, ad_var g, ad_var gin[])
{
	(void)r;
	gin[0] = g;
}

ad_var ad_stop(ad_var x)
{
	static const ad_op op = { .name = "stop", .flags = AD__VIEW, .vjp = no_vjp, .view = same_place };
	return ad__push_shaped(NULL, &op, 1, &x, (ad_attr){ 0 }, x->dtype, x->shape);
}

const ad_op ad__op_alias = { .name = "alias", .flags = AD__VIEW, .vjp = through_vjp, .view = same_place };

ad_var ad__alias(ad_var x) { return ad__push_shaped(NULL, &ad__op_alias, 1, &x, (ad_attr){ 0 }, x->dtype, x->shape); }

ad_var ad__origin(ad_var x)
{
	while (x->op == &ad__op_alias || x->op == &ad__op_capture)
		x = x->op == &ad__op_alias ? x->in[0] : (ad_var)x->attr.data;
	return x;
}
