/* kind_ad.c - primitive operations: value, vector-Jacobian product and second derivative. */
#include "parity.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
	model *m;
	const char *name, *about;
	ad_var x[8];
	bool batched;
} operands;

#define X0   o->x[0]
#define X1   o->x[1]
#define COLS AD_AXIS(1)

/* The numbers in a description, in order; at most n. */
static int numbers(const char *s, double v[], int n)
{
	int found = 0;
	while (*s && found < n) {
		char *end = (char *)s;
		bool sign = *s == '-' && s[1] >= '0' && s[1] <= '9';
		if (sign || (*s >= '0' && *s <= '9')) {
			char digits[40];
			size_t k = sign, dots = 0;
			for (; (s[k] >= '0' && s[k] <= '9') || (s[k] == '.' && !dots && s[k + 1] != '.' && s[k + 1]);
			     k++)
				dots += s[k] == '.';
			k = k < sizeof digits - 1 ? k : sizeof digits - 1;
			memcpy(digits, s, k);
			digits[k] = 0;
			v[found++] = strtod(digits, NULL);
			end = (char *)s + k;
		}
		s = end > s ? end : s + 1;
	}
	return found;
}

static double constant(operands *o, const char *text, int which)
{
	double v[4];
	if (numbers(text, v, 4) <= which)
		parity_bad(o->m->p, "config: op %s: no number %d in \"%s\"", o->name, which + 1, text);
	return v[which];
}

static ad_var index_array(operands *o, bool batched)
{
	return model_index(o->m, parity_array(o->m->p, "inputs/%s/index", o->name), batched);
}

static int64_t word(const char *s, const char *after)
{
	static const char *const count[] = { "no", "one", "two", "three", "four", "five" };
	const char *end = strstr(s, after);
	for (int64_t i = 0; end && i < 6; i++) {
		size_t n = strlen(count[i]);
		for (const char *at = end - n; at >= s && at >= end - n - 9; at--)
			if (!strncmp(at, count[i], n))
				return i;
	}
	return -1;
}

/* clang-format off */
static ad_var add(operands *o) { return ad_add(X0, X1); }
static ad_var sub(operands *o) { return ad_sub(X0, X1); }
static ad_var mul(operands *o) { return ad_mul(X0, X1); }
static ad_var division(operands *o) { return ad_div(X0, X1); }
static ad_var powc(operands *o) { return ad_powc(X0, constant(o, strchr(o->about, '^') ? strchr(o->about, '^') : "", 0)); }
static ad_var power(operands *o) { return ad_pow(X0, X1); }
static ad_var arc2(operands *o) { return ad_atan2(X0, X1); }
static ad_var leaky(operands *o) { return ad_leaky_relu(X0, constant(o, o->name, 0)); }
static ad_var elu(operands *o) { return ad_elu(X0, 1); }
static ad_var maximum(operands *o) { return ad_max(X0, X1); }
static ad_var minimum(operands *o) { return ad_min(X0, X1); }
static ad_var clamp(operands *o) { return ad_clamp(X0, constant(o, o->about, 0), constant(o, o->about, 1)); }
static ad_var where(operands *o)
{
	return ad_where(model_input(o->m, parity_array(o->m->p, "inputs/%s/mask", o->name), o->batched), X0, X1);
}

#define UNARY(name) static ad_var ew_##name(operands *o) { return ad_##name(X0); }
UNARY(square) UNARY(cube) UNARY(sqrt) UNARY(rsqrt) UNARY(reciprocal) UNARY(neg) UNARY(abs) UNARY(exp) UNARY(expm1)
UNARY(log) UNARY(log1p) UNARY(sin) UNARY(cos) UNARY(tan) UNARY(tanh) UNARY(sinh) UNARY(cosh) UNARY(asin) UNARY(acos)
UNARY(atan) UNARY(erf) UNARY(erfinv) UNARY(lgamma) UNARY(digamma) UNARY(sigmoid) UNARY(logsigmoid) UNARY(softplus)
UNARY(relu) UNARY(swish) UNARY(transpose) UNARY(inverse) UNARY(logabsdet) UNARY(cholesky)

static ad_var sum_all(operands *o) { return ad_sum(X0, AD_ALL); }
static ad_var sum_rows(operands *o) { return ad_sum(X0, AD_AXIS(0)); }
static ad_var sum_cols(operands *o) { return ad_sum(X0, COLS); }
static ad_var mean_cols(operands *o) { return ad_mean(X0, COLS); }
static ad_var var_cols(operands *o) { return ad_squeeze(ad_var_keep(X0, COLS, true), 1); }
static ad_var std_rows(operands *o) { return ad_sqrt(ad_squeeze(ad_var_keep(X0, AD_AXIS(0), false), 0)); }
static ad_var prod_cols(operands *o) { return ad_prod(X0, 1); }
static ad_var max_cols(operands *o) { return ad_maxof(X0, COLS); }
static ad_var logsumexp_cols(operands *o) { return ad_logsumexp(X0, 1); }
static ad_var softmax_cols(operands *o) { return ad_softmax(X0, 1); }
static ad_var log_softmax_cols(operands *o) { return ad_log_softmax(X0, 1); }
static ad_var cumsum_cols(operands *o) { return ad_cumsum(X0, 1, false); }
static ad_var norm_cols(operands *o) { return ad_norm(X0, COLS); }
static ad_var matmul(operands *o) { return ad_matmul(X0, X1, false, false); }
static ad_var outer(operands *o) { return ad_mul(ad_expand(X0, 1), X1); }
static ad_var solve(operands *o) { return ad_solve(X0, X1); }
static ad_var solve_lower(operands *o) { return ad_solve_triangular(X0, X1, false, false, false); }
static ad_var flat(operands *o) { return ad_reshape(X0, AD_SHAPE(0)); }
static ad_var concat(operands *o) { return ad_concat(1, 2, o->x); }
static ad_var columns(operands *o)
{
	return ad_slice(X0, 1, (int64_t)constant(o, o->about, 0), (int64_t)constant(o, o->about, 1) + 1);
}
static ad_var select_rows(operands *o)
{
	const array *a = parity_array(o->m->p, "inputs/%s/index", o->name);
	int32_t *index = parity_alloc(o->m->p, (size_t)a->n * sizeof *index);
	for (int64_t i = 0; i < a->n; i++)
		index[i] = (int32_t)a->v[i];
	return ad_gather(X0, 0, ad_array_i32(o->m->t, AD_SHAPE(a->n), index));
}
static ad_var gather_cols(operands *o) { return ad_take(X0, 1, index_array(o, o->batched)); }
static ad_var flip_cols(operands *o) { return ad_flip(X0, 1); }
static ad_var pad_cols(operands *o)
{
	int64_t left = word(o->about, " left"), right = word(o->about, " right");
	if (left < 0 || right < 0)
		parity_bad(o->m->p, "config: op %s: \"%s\" is not understood", o->name, o->about);
	return ad_pad(X0, 1, left, right, constant(o, o->about, 0));
}
static ad_var lower(operands *o) { return ad_tril(X0, 0); }
static ad_var gaussian_nll(operands *o)
{
	ad_var ls = o->x[2], d = ad_mul(ad_sub(X0, X1), ad_exp(ad_neg(ls)));
	return ad_sum(ad_add(ad_scale(ad_square(d), 0.5), ls), COLS);
}
static ad_var mlp(operands *o)
{
	return ad_matmul(ad_tanh(ad_linear(X0, X1, o->x[2])), o->x[3], false, true);
}

#define ROWS 1 /* input 0 may be a batch */
#define BOTH 3 /* inputs 0 and 1 */
static const struct op {
	const char *name;
	int inputs;
	ad_var (*apply)(operands *o);
	int batched; /* which inputs have a batch axis in the second run; 0: there is none */
} ops[] = {
	{ "add_broadcast", 2, add, ROWS }, { "sub", 2, sub, BOTH }, { "mul_broadcast", 2, mul, BOTH },
	{ "div", 2, division, BOTH }, { "pow_const", 1, powc, ROWS }, { "pow", 2, power, BOTH },
	{ "square", 1, ew_square, ROWS }, { "cube", 1, ew_cube, ROWS }, { "sqrt", 1, ew_sqrt, ROWS },
	{ "rsqrt", 1, ew_rsqrt, ROWS }, { "reciprocal", 1, ew_reciprocal, ROWS }, { "neg", 1, ew_neg, ROWS },
	{ "abs", 1, ew_abs, ROWS }, { "exp", 1, ew_exp, ROWS }, { "expm1", 1, ew_expm1, ROWS },
	{ "log", 1, ew_log, ROWS }, { "log1p", 1, ew_log1p, ROWS }, { "sin", 1, ew_sin, ROWS },
	{ "cos", 1, ew_cos, ROWS }, { "tan", 1, ew_tan, ROWS }, { "tanh", 1, ew_tanh, ROWS },
	{ "sinh", 1, ew_sinh, ROWS }, { "cosh", 1, ew_cosh, ROWS }, { "asin", 1, ew_asin, ROWS },
	{ "acos", 1, ew_acos, ROWS }, { "atan", 1, ew_atan, ROWS }, { "atan2", 2, arc2, BOTH },
	{ "erf", 1, ew_erf, ROWS }, { "erfinv", 1, ew_erfinv, ROWS }, { "lgamma", 1, ew_lgamma, ROWS },
	{ "digamma", 1, ew_digamma, ROWS }, { "sigmoid", 1, ew_sigmoid, ROWS },
	{ "logsigmoid", 1, ew_logsigmoid, ROWS }, { "softplus", 1, ew_softplus, ROWS }, { "relu", 1, ew_relu, ROWS },
	{ "leaky_relu_*", 1, leaky, ROWS }, { "elu", 1, elu, ROWS }, { "silu", 1, ew_swish, ROWS },
	{ "max_elementwise", 2, maximum, BOTH }, { "min_elementwise", 2, minimum, BOTH }, { "clamp", 1, clamp, ROWS },
	{ "where", 2, where, BOTH }, { "sum_all", 1, sum_all, ROWS }, { "sum_rows", 1, sum_rows, ROWS },
	{ "sum_cols", 1, sum_cols, ROWS }, { "mean_cols", 1, mean_cols, ROWS },
	{ "var_cols_unbiased", 1, var_cols, ROWS }, { "std_rows_biased", 1, std_rows, ROWS },
	{ "prod_cols", 1, prod_cols, ROWS }, { "max_cols", 1, max_cols, ROWS },
	{ "logsumexp_cols", 1, logsumexp_cols, ROWS }, { "softmax_cols", 1, softmax_cols, ROWS },
	{ "log_softmax_cols", 1, log_softmax_cols, ROWS }, { "cumsum_cols", 1, cumsum_cols, ROWS },
	{ "norm_cols", 1, norm_cols, ROWS }, { "matmul", 2, matmul, ROWS }, { "batched_matmul", 2, matmul, BOTH },
	{ "matvec", 2, matmul, ROWS }, { "outer", 2, outer, ROWS }, { "dot", 2, matmul, 0 },
	{ "transpose", 1, ew_transpose, 0 }, { "inverse", 1, ew_inverse, 0 }, { "logabsdet", 1, ew_logabsdet, 0 },
	{ "solve", 2, solve, 0 }, { "solve_lower_triangular", 2, solve_lower, 0 }, { "cholesky", 1, ew_cholesky, 0 },
	{ "reshape", 1, flat, 0 }, { "concat", 2, concat, BOTH }, { "slice", 1, columns, ROWS },
	{ "index_select_rows", 1, select_rows, 0 }, { "gather_cols", 1, gather_cols, ROWS },
	{ "flip_cols", 1, flip_cols, ROWS }, { "pad_cols", 1, pad_cols, ROWS }, { "tril", 1, lower, 0 },
	{ "composite_gaussian_nll", 3, gaussian_nll, 7 }, { "composite_mlp", 4, mlp, ROWS },
};
/* clang-format on */

static bool named(const char *pattern, const char *name)
{
	size_t n = strlen(pattern) - 1;
	return pattern[n] == '*' ? !strncmp(pattern, name, n) : !strcmp(pattern, name);
}

/* The second derivative of abs was recorded from a zero tensor that had no storage: whatever lay there was written. */
static void run(parity *p, const struct op *op, const char *name, const char *about, bool batched)
{
	operands o = { .m = model_new(p, NULL), .name = name, .about = about, .batched = batched };
	ad_var v[8], first[8], second[8];
	for (int i = 0; i < op->inputs; i++) {
		bool b = batched && (op->batched >> i & 1);
		o.x[i] = model_input(o.m, parity_array(p, "inputs/%s/x%d", name, i), b);
		v[i] = model_input(o.m, parity_array(p, "inputs/%s/v%d", name, i), b);
	}
	ad_var y = op->apply(&o);
	ad_var w = model_input(o.m, parity_array(p, "inputs/%s/w", name), ad_batched(y));
	model_expect(o.m, y, p->tolerance, "outputs/%s/y", name);
	ad_vjp(1, &y, &w, op->inputs, o.x, first);
	ad_vjp(op->inputs, first, v, op->inputs, o.x, second);
	for (int i = 0; i < op->inputs; i++) {
		model_expect(o.m, first[i], p->tolerance, "outputs/%s/vjp%d", name, i);
		const char *path = parity_text(p, "outputs/%s/hvp%d", name, i);
		if (op->apply == ew_abs)
			model_expect_zero(o.m, second[i], path, "the file holds uninitialised memory there");
		else
			model_expect(o.m, second[i], p->tolerance, "%s", path);
	}
	model_run(o.m);
}

void check_ad(parity *p)
{
	const json *all = parity_config(p, "ops", JSON_OBJECT);
	for (int i = 0; i < all->n; i++) {
		const char *name = all->key[i], *prefix = parity_text(p, "outputs/%s/", name);
		if (!parity_wants_below(p, prefix))
			continue;
		const struct op *op = NULL;
		for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
			if (named(ops[k].name, name))
				op = &ops[k];
		if (!op || op->inputs != (int)json_number(&all->item[i], "inputs", op->inputs)) {
			parity_skip(p, prefix, "no such operation");
			continue;
		}
		const char *about = json_string(&all->item[i], "description", "");
		run(p, op, name, about, false);
		if (op->batched)
			run(p, op, name, about, true);
	}
}
