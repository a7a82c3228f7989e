/* check_grad.c - laws of derivatives: orders 1 and 2 along random directions against differences; finite values and
 * gradients at extreme arguments. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A point in inputs and parameters together. */
typedef struct {
	double *in, **param;
} place;

static int64_t width(const flow__check *k, flow_dir dir)
{
	return dir == FLOW_FORWARD ? k->nx : k->ny;
}

static place place_new(const flow__check *k, flow_dir dir)
{
	place p = { calloc((size_t)(k->samples * width(k, dir)), sizeof(double)),
		    calloc((size_t)nn_count(k->store) + 1, sizeof(double *)) };
	for (int i = 0; i < nn_count(k->store); i++)
		p.param[i] = calloc((size_t)nn_at(k->store, i).numel, sizeof(double));
	return p;
}

static void place_free(const flow__check *k, place *p)
{
	for (int i = 0; i < nn_count(k->store); i++)
		free(p->param[i]);
	free(p->param);
	free(p->in);
}

static place direction(const flow__check *k, flow_dir dir, int number)
{
	place p = place_new(k, dir);
	char purpose[32];
	snprintf(purpose, sizeof purpose, "direction %d", number);
	for (int64_t i = 0; i < k->samples * width(k, dir); i++)
		p.in[i] = flow__normal_noise(k, purpose, i);
	int64_t at = 1 << 20;
	for (int e = 0; e < nn_count(k->store); e++)
		for (int64_t i = 0; i < nn_at(k->store, e).numel; i++)
			p.param[e][i] = 0.3 * flow__normal_noise(k, purpose, at++);
	return p;
}

/* A scalar of outputs that every output and log-determinant enters with a weight of its own. */
static ad_var scalar(flow__sheet *s, flow_dir dir)
{
	flow_out r = flow__on_sheet(s, s->in, dir);
	int64_t n = ad_error(s->tape) ? 1 : ad_dim(r.x, 1);
	double *w = malloc((size_t)n * sizeof *w);
	for (int64_t i = 0; i < n; i++)
		w[i] = 0.5 + 0.37 * (double)(i % 5);
	ad_var l = ad_sum(ad_mul(r.x, ad_array(s->tape, AD_SHAPE(n), w)), AD_EVENT);
	free(w);
	if (s->k->f->caps.logdet == FLOW_EXACT)
		l = ad_add(l, ad_scale(r.logdet, 0.8));
	return ad_sum(l, AD_ALL);
}

static int variables(flow__sheet *s, ad_var **v)
{
	const nn_store *store = s->store;
	int n = 0;
	*v = malloc((size_t)(nn_count(store) + 1) * sizeof **v);
	(*v)[n++] = s->in;
	for (int i = 0; i < nn_count(store); i++) {
		nn_entry e = nn_at(store, i);
		if (e.trained)
			(*v)[n++] = nn_param(s->c, e.name, e.shape, (nn_fill){ .kind = NN_ZEROS });
	}
	return n;
}

/* The derivative of l along d, where d's input part is given by a batched constant of the tape's inputs. */
static ad_var along(flow__sheet *s, ad_var l, const place *d, ad_var din, int nv, ad_var v[])
{
	ad_var *g = malloc((size_t)nv * sizeof *g), sum;
	int k = 1;
	ad_vjp(1, &l, NULL, nv, v, g);
	sum = ad_sum(ad_mul(g[0], din), AD_ALL);
	for (int i = 0; i < nn_count(s->store); i++) {
		nn_entry e = nn_at(s->store, i);
		if (e.trained) {
			sum = ad_add(sum, ad_sum(ad_mul(g[k], ad_array(s->tape, e.shape, d->param[i])), AD_ALL));
			k++;
		}
	}
	free(g);
	return sum;
}

/* out[] at the point moved by h along d */
static bool moved(flow__check *k, flow__sheet *s, flow_dir dir, const place *at, const place *d, double h, int nout,
		  double out[])
{
	int64_t n = k->samples * width(k, dir);
	double *x = malloc((size_t)n * sizeof *x);
	for (int64_t i = 0; i < n; i++)
		x[i] = at->in[i] + h * d->in[i];
	for (int e = 0; e < nn_count(k->store); e++) {
		nn_entry entry = nn_at(k->store, e);
		if (!entry.trained)
			continue;
		double *v = entry.value;
		for (int64_t i = 0; i < entry.numel; i++)
			v[i] = at->param[e][i] + h * d->param[e][i];
	}
	bool ok = flow__sheet_run(k, s, (ad_options){ .threads = 1 }, k->samples, x, k->cond);
	for (int i = 0; ok && i < nout; i++)
		out[i] = flow__value(s, i, 0);
	free(x);
	return ok;
}

typedef struct {
	double got[2], want[2]; /* first and second order */
	bool ok;
} slopes;

static slopes measure(flow__check *k, flow_dir dir, const place *at, int attempt)
{
	flow__sheet s = flow__sheet_new(k, k->store, dir);
	place d = direction(k, dir, 2 * attempt), e = direction(k, dir, 2 * attempt + 1), zero = place_new(k, dir);
	int64_t n = width(k, dir);
	/* The inputs' part of a direction is data too: it comes through inputs bound beside the sheet's. */
	ad_var din[2] = { ad_input(s.tape, AD_F64, AD_SHAPE(AD_BATCH, n), "d"),
			  ad_input(s.tape, AD_F64, AD_SHAPE(AD_BATCH, n), "e") };
	slopes r = { .ok = false };
	ad_var *v, l = scalar(&s, dir);
	int nv = variables(&s, &v);
	ad_var first = along(&s, l, &d, din[0], nv, v), second = along(&s, first, &e, din[1], nv, v);
	flow__wants(&s, l);
	flow__wants(&s, first);
	flow__wants(&s, second);
	s.prog = ad_compile(s.tape, s.nout, s.out, (ad_options){ .threads = 1 });
	if (!s.prog) {
		flow__break(k, "%s", ad_error(s.tape) ? ad_error(s.tape) : "does not compile");
	} else {
		double h = 1e-5, here[3], up[2][2], down[2][2];
		nn_bind(s.store, s.tape, s.prog);
		ad_bind(s.prog, din[0], d.in);
		ad_bind(s.prog, din[1], e.in);
		r.ok = moved(k, &s, dir, at, &zero, 0, 3, here) && moved(k, &s, dir, at, &d, h, 2, up[0]) &&
		       moved(k, &s, dir, at, &d, -h, 2, down[0]) && moved(k, &s, dir, at, &e, h, 2, up[1]) &&
		       moved(k, &s, dir, at, &e, -h, 2, down[1]);
		for (int o = 0; r.ok && o < 2; o++) {
			r.got[o] = here[1 + o];
			r.want[o] = (up[o][o] - down[o][o]) / (2 * h);
		}
		double back[3];
		r.ok = r.ok && moved(k, &s, dir, at, &zero, 0, 3, back);
	}
	place_free(k, &d);
	place_free(k, &e);
	place_free(k, &zero);
	free(v);
	flow__sheet_free(&s);
	return r;
}

/* A kink between two points of a difference (relu) is bad luck; a wrong gradient is wrong along every direction. */
static void gradients(flow__check *k, flow_dir dir)
{
	enum { ATTEMPTS = 3 };
	static const char *const name[2][2] = { { "gradient", "second derivative" },
						{ "gradient of the inverse", "second derivative of the inverse" } };
	bool good[2] = { false, false };
	slopes s = { .ok = true };
	place at = place_new(k, dir);
	memcpy(at.in, dir == FLOW_FORWARD ? k->x : k->z, (size_t)(k->samples * width(k, dir)) * sizeof(double));
	for (int e = 0; e < nn_count(k->store); e++)
		nn_get(k->store, nn_at(k->store, e).name, at.param[e], nn_at(k->store, e).numel);
	double tol = fmax(2e-5, 1e3 * k->o.tolerance), err[2] = { 0, 0 };
	for (int a = 0; a < ATTEMPTS && s.ok && !(good[0] && good[1]); a++) {
		k->law = name[dir][0];
		s = measure(k, dir, &at, a);
		for (int o = 0; o < 2 && s.ok; o++) {
			err[o] = fabs(s.got[o] - s.want[o]) / fmax(1, fabs(s.want[o]));
			good[o] |= err[o] <= tol;
		}
	}
	for (int o = 0; o < 2 && s.ok; o++) {
		k->law = name[dir][o];
		if (good[o])
			flow__report(k, "relative difference %.1e", err[o]);
		else
			flow__break(k, "%.10g along a random direction, but differences give %.10g", s.got[o],
				    s.want[o]);
	}
	place_free(k, &at);
}

void flow__law_gradients(flow__check *k)
{
	if (k->f->caps.logdet == FLOW_STOCHASTIC)
		return;
	if (flow__has(k, FLOW_FORWARD))
		gradients(k, FLOW_FORWARD);
	if (flow__has(k, FLOW_INVERSE) && k->z)
		gradients(k, FLOW_INVERSE);
}

static const double sizes[] = { 0, 1e-30, 1e-10, 1e-3, 1, 30, 1e3, 1e10, 1e30 };
enum { SIZES = sizeof sizes / sizeof *sizes, PATTERNS = 4 };

/* One size in all elements, the same with changing signs, and in one element only, of either sign */
static double extreme(const flow__check *k, int64_t row, int64_t j, int64_t n)
{
	double v = sizes[row / PATTERNS], one = row / PATTERNS % n == j ? v : 0.5;
	if (k->o.unit) {
		v = v <= 0.5 ? v : 1 - 1e-16 * fmin(v, 1e15);
		v = fmin(fmax(v, 1e-300), 1 - 1e-16);
		one = row / PATTERNS % n == j ? v : 0.5;
		return row % PATTERNS < 2 ? v : one;
	}
	switch (row % PATTERNS) {
	case 0:
		return v;
	case 1:
		return j % 2 ? v : -v;
	case 2:
		return one;
	default:
		return -one;
	}
}

static void extremes(flow__check *k, flow_dir dir)
{
	int64_t n = width(k, dir), rows = SIZES * PATTERNS;
	flow__sheet s = flow__sheet_new(k, k->store, dir);
	double *in = malloc((size_t)(rows * n) * sizeof *in),
	       *cond = calloc((size_t)(rows * k->o.cond + 1), sizeof *cond);
	flow_out r = flow__on_sheet(&s, s.in, dir);
	ad_var *v, *g, l = scalar(&s, dir);
	int nv = variables(&s, &v);
	g = malloc((size_t)nv * sizeof *g);
	ad_vjp(1, &l, NULL, nv, v, g);
	flow__wants(&s, r.x);
	flow__wants(&s, r.logdet);
	flow__wants(&s, g[0]);
	for (int i = 1; i < nv; i++) {
		ad_var sum = ad_sum(g[i], AD_ALL);
		g[0] = i == 1 ? sum : ad_add(g[0], sum);
	}
	if (nv > 1)
		flow__wants(&s, g[0]);
	for (int64_t i = 0; i < rows * n; i++)
		in[i] = extreme(k, i / n, i % n, n);
	for (int64_t i = 0; i < rows * k->o.cond; i++)
		cond[i] = k->cond[i % k->o.cond];
	static const char *const what[] = { "a value", "a log-determinant", "a gradient of the input",
					    "a gradient of the parameters" };
	bool ok = flow__sheet_run(k, &s, (ad_options){ .threads = 1 }, rows, in, cond), good = ok;
	for (int o = 0; good && o < s.nout; o++)
		for (int64_t i = 0; good && i < flow__sheet_bytes(&s, o, rows) / 8; i++)
			if (!isfinite(flow__value(&s, o, i))) {
				good = false;
				int64_t row = i / (o == 1 || o == 3 ? 1 : ad_dim(s.out[o], 1));
				flow__break(k, "%s is %g at arguments of size %g (pattern %lld)", what[o],
					    flow__value(&s, o, i), o == 3 ? 1e30 : sizes[row / PATTERNS],
					    (long long)(row % PATTERNS));
			}
	if (good)
		flow__report(k, "finite");
	free(in);
	free(cond);
	free(v);
	free(g);
	flow__sheet_free(&s);
}

void flow__law_extremes(flow__check *k)
{
	if (k->o.bounded)
		return;
	k->law = "extreme arguments";
	if (flow__has(k, FLOW_FORWARD))
		extremes(k, FLOW_FORWARD);
	k->law = "extreme arguments of the inverse";
	if (flow__has(k, FLOW_INVERSE) && !k->o.unit && !k->o.no_quadrature)
		extremes(k, FLOW_INVERSE);
}
