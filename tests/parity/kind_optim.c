/* kind_optim.c - optimisers, schedules, clipping and averages on two small problems, step by step. */
#include "parity.h"

#include <stdlib.h>
#include <string.h>

nn_optim optimiser(parity *p, const json *o)
{
	static const struct {
		const char *type;
		nn_rule rule;
	} rules[] = { { "sgd", NN_SGD },   { "rmsprop", NN_RMSPROP }, { "adagrad", NN_ADAGRAD },
		      { "adam", NN_ADAM }, { "adamw", NN_ADAMW },     { "adamax", NN_ADAMAX } };
	const char *type = parity_member(p, o, "type", JSON_STRING)->string;
	nn_optim s = { .lr = parity_member(p, o, "lr", JSON_NUMBER)->number };
	size_t i = 0;
	while (i < sizeof rules / sizeof *rules && strcmp(rules[i].type, type))
		i++;
	if (i == sizeof rules / sizeof *rules)
		parity_unsupported(p, "optimiser \"%s\"", type);
	s.rule = rules[i].rule;
	const json *betas = json_get(o, "betas"), *clip = json_get(o, "clip");
	if (betas && (betas->type != JSON_ARRAY || betas->n != 2))
		parity_bad(p, "config: \"betas\" should be two numbers");
	s.beta1 = betas ? betas->item[0].number : 0;
	s.zero_beta1 = betas && s.beta1 == 0;
	s.beta2 = betas ? betas->item[1].number : 0;
	s.eps = json_number(o, "eps", 0);
	s.momentum = json_number(o, "momentum", 0);
	s.dampening = json_number(o, "dampening", 0);
	s.alpha = json_number(o, "alpha", 0);
	s.weight_decay = json_number(o, "weight_decay", 0);
	s.nesterov = json_true(o, "nesterov");
	s.amsgrad = json_true(o, "amsgrad");
	s.centered = json_true(o, "centered");
	const char *by = json_string(clip, "type", clip && json_get(clip, "bound") ? "value" : "global_norm");
	if (strcmp(by, "value") && strcmp(by, "global_norm"))
		parity_unsupported(p, "clipping by \"%s\"", by);
	s.clip_norm = clip ? json_number(clip, "max_norm", 0) : 0;
	s.clip_value = clip ? json_number(clip, "bound", 0) : 0;
	return s;
}

nn_schedule schedule(parity *p, const json *o)
{
	const json *j = json_get(o, "schedule");
	nn_schedule s = { 0 };
	if (!j || j->type != JSON_OBJECT)
		return s;
	const char *type = parity_member(p, j, "type", JSON_STRING)->string;
	s.gamma = json_number(j, "gamma", 0);
	if (!strcmp(type, "cosine")) {
		s.kind = NN_COSINE;
		s.total = parity_count(p, j, "T_max");
		s.eta_min = json_number(j, "eta_min", 0);
	} else if (!strcmp(type, "step")) {
		s.kind = NN_STEP;
		s.every = parity_count(p, j, "every");
	} else if (!strcmp(type, "exponential")) {
		s.kind = NN_EXPONENTIAL;
	} else if (!strcmp(type, "linear_warmup")) {
		s.warmup = parity_count(p, j, "steps");
	} else if (strcmp(type, "constant")) {
		parity_unsupported(p, "schedule \"%s\"", type);
	}
	return s;
}

typedef struct {
	parity *p;
	const char *name; /* of the problem */
	int64_t in, hidden, out;
} problem;

/* mean over all entries of (tanh(X W1^T + b1) W2^T + b2 - Y)^2 */
static ad_var mlp(nn c, int n, const ad_var batch[], void *user)
{
	const problem *q = user;
	int64_t h = q->hidden, in = q->in, out = q->out;
	ad_var v = nn_param(c, "v", AD_SHAPE(h * in + h + out * h + out), (nn_fill){ 0 });
	ad_var w1 = ad_reshape(ad_slice(v, 0, 0, h * in), AD_SHAPE(h, in));
	ad_var b1 = ad_slice(v, 0, h * in, h * in + h);
	ad_var w2 = ad_reshape(ad_slice(v, 0, h * in + h, h * in + h + out * h), AD_SHAPE(out, h));
	ad_var b2 = ad_slice(v, 0, h * in + h + out * h, h * in + h + out * h + out);
	ad_var y = ad_linear(ad_tanh(ad_linear(batch[0], w1, b1)), w2, b2);
	(void)n;
	return ad_mean(ad_square(ad_sub(y, batch[1])), AD_ALL);
}

/* x^T A x / 2 - b^T x */
static ad_var quadratic(nn c, int n, const ad_var batch[], void *user)
{
	const problem *q = user;
	const array *A = parity_array(q->p, "inputs/A"), *b = parity_array(q->p, "inputs/b");
	ad_var x = nn_param(c, "v", AD_SHAPE(b->n), (nn_fill){ 0 });
	ad_var Ax = ad_matmul(ad_array(c.tape, array_shape(A, false), A->v), x, false, false);
	ad_var bx = ad_matmul(ad_array(c.tape, array_shape(b, false), b->v), x, false, false);
	(void)n, (void)batch;
	return ad_sub(ad_scale(ad_matmul(x, Ax, false, false), 0.5), bx);
}

static nn_trainer *start(problem *q, nn_store *s, nn_optim o, nn_schedule schedule_, const void *data[2],
			 int64_t *samples)
{
	parity *p = q->p;
	bool net = !strcmp(q->name, "mlp");
	const array *v = parity_array(p, "inputs/%s_params", q->name);
	nn_trainer_opt opt = {
		.tasks = 1, .task = { { .loss = net ? mlp : quadratic, .user = q, .optim = o, .schedule = schedule_ } }
	};
	*samples = 1;
	if (net) {
		const array *X = parity_array(p, "inputs/X"), *Y = parity_array(p, "inputs/Y");
		if (X->rank != 2 || Y->rank != 2 || X->dim[0] != Y->dim[0])
			parity_bad(p, "inputs/X and inputs/Y are no matrices of equal height");
		q->in = X->dim[1];
		q->out = Y->dim[1];
		q->hidden = (v->n - q->out) / (q->in + 1 + q->out);
		opt.inputs = 2;
		opt.shape[0] = array_shape(X, true);
		opt.shape[1] = array_shape(Y, true);
		opt.dtype[0] = opt.dtype[1] = AD_F64;
		data[0] = X->v;
		data[1] = Y->v;
		*samples = X->dim[0];
	}
	if (!nn_put(s, "v", AD_SHAPE(v->n), true, v->v))
		parity_bad(p, "%s", nn_error(s));
	return parity_trainer(p, s, opt);
}

typedef struct {
	double *params, *loss, *lr, *norm, *average;
	int64_t n;
} record;

static record train(problem *q, nn_optim o, nn_schedule sched, int64_t steps)
{
	parity *p = q->p;
	const void *data[2];
	int64_t samples, n = parity_array(p, "inputs/%s_params", q->name)->n;
	nn_store *s = parity_store(p);
	nn_trainer *tr = start(q, s, o, sched, data, &samples);
	size_t rows = (size_t)steps + 1;
	record r = { parity_alloc(p, rows * (size_t)n * 8),
		     parity_alloc(p, rows * 8),
		     parity_alloc(p, rows * 8),
		     parity_alloc(p, rows * 8),
		     parity_alloc(p, rows * (size_t)n * 8),
		     n };
	for (int64_t t = 0; t <= steps; t++) {
		nn_get(s, "v", r.params + t * n, n);
		if (o.ema > 0) {
			nn_ema_swap(tr);
			nn_get(s, "v", r.average + t * n, n);
			nn_ema_swap(tr);
		}
		r.loss[t] = nn_train_step(tr, 0, samples, data);
		r.lr[t] = nn_lr(tr, 0);
		r.norm[t] = nn_grad_norm(tr, 0);
		if (nn_error(s))
			parity_bad(p, "%s: step %lld: %s", q->name, (long long)t, nn_error(s));
	}
	return r;
}

static void compare(parity *p, const char *prefix, const char *what, const double *v, int64_t n)
{
	const char *path = parity_text(p, "%s%s", prefix, what);
	if (parity_wants(p, path))
		parity_compare(p, path, p->tolerance, n, v);
}

static void check_run(parity *p, const char *name, const json *o, const char *problem_, int64_t steps)
{
	const char *prefix = parity_text(p, "outputs/%s/%s/", name, problem_);
	if (!parity_wants_below(p, prefix))
		return;
	problem q = { .p = p, .name = problem_ };
	record r = train(&q, optimiser(p, o), schedule(p, o), steps);
	compare(p, prefix, "params", r.params, (steps + 1) * r.n);
	compare(p, prefix, "loss", r.loss, steps + 1);
	compare(p, prefix, "lr", r.lr, steps);
	compare(p, prefix, "grad_norm", r.norm, steps);
}

/* outputs/ema_<decay>_of_<run>/<problem>/params */
static void check_average(parity *p, const char *path, const json *runs, int64_t steps)
{
	const char *rest = path + strlen("outputs/ema_");
	char *end;
	double decay = strtod(rest, &end);
	if (!(decay > 0 && decay < 1) || !parity_begins(end, "_of_"))
		return;
	const char *run = end + strlen("_of_"), *slash = strchr(run, '/'), *last = strrchr(run, '/');
	if (slash == last || strcmp(last, "/params"))
		return;
	const json *o = json_get(runs, parity_text(p, "%.*s", (int)(slash - run), run));
	problem q = { .p = p, .name = parity_text(p, "%.*s", (int)(last - slash - 1), slash + 1) };
	if (!o || (strcmp(q.name, "mlp") && strcmp(q.name, "quadratic")))
		return;
	nn_optim opt = optimiser(p, o);
	opt.ema = decay;
	record r = train(&q, opt, schedule(p, o), steps);
	parity_compare(p, path, p->tolerance, (steps + 1) * r.n, r.average);
}

void check_optim(parity *p)
{
	const json *runs = parity_config(p, "runs", JSON_OBJECT);
	int64_t steps = parity_count(p, p->config, "steps");
	if (p->real != AD_F64)
		parity_unsupported(p, "optimisers in single precision");
	for (int i = 0; i < runs->n; i++) {
		check_run(p, runs->key[i], &runs->item[i], "mlp", steps);
		check_run(p, runs->key[i], &runs->item[i], "quadratic", steps);
	}
	for (int i = 0; i < p->paths; i++)
		if (parity_begins(p->path[i], "outputs/ema_") && parity_wants(p, p->path[i]))
			check_average(p, p->path[i], runs, steps);
}
