/* induced.c - linear layers and convolutions whose weight is divided by what its norm exceeds a bound. */
#include "internal.h"
#include "power.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static nn_induced with_defaults(nn_induced o)
{
	o.coeff = o.coeff == 0 ? 0.9 : o.coeff;
	o.domain = o.domain == 0 ? 2 : o.domain;
	o.codomain = o.codomain == 0 ? 2 : o.codomain;
	o.tolerance = o.tolerance == 0 ? 1e-4 : o.tolerance;
	return o;
}

static bool acceptable(nn c, const nn_induced *o)
{
	const char *wrong = NULL;
	if (!(o->coeff > 0 && isfinite(o->coeff)))
		wrong = "coeff must be positive";
	else if (!(o->domain >= 1 && o->codomain >= 1))
		wrong = "domain and codomain are the p of norms, 1 to infinity";
	else if (o->iterations < 0 || !(o->tolerance > 0))
		wrong = "iterations must not be negative, tolerance positive";
	if (wrong)
		ad_fail(c.tape, "nn_induced_linear: %s, in \"%s\"", wrong, c.path);
	return !wrong;
}

/* --- Which norms ----------------------------------------------------------------------------------------------------
 */

static ad_var learned(nn c, int number)
{
	char name[32], *slash = strrchr(c.path, '/');
	snprintf(name, sizeof name, "norm_%d", number);
	*(slash ? slash : c.path) = 0; /* c is a copy: the scope around the layer */
	ad_var r = nn_param(c, name, AD_SHAPE(1), (nn_fill){ NN_ZEROS, 0 });
	return ad_shift(ad_scale(ad_tanh(ad_scale(r, 0.5)), -0.5), 1.5);
}

static ad_var norm_of(nn c, int number, double given)
{
	return number ? learned(c, number) : ad_full(c.tape, AD_SHAPE(1), given);
}

/* --- Power iteration as an op: weight, u, v, norms -> new u and v
 * ------------------------------------------------------ */

typedef struct {
	nn__map map; /* without w */
	nn_induced o;
} layer;

static ad_shape weight_shape(const nn__map *m)
{
	return m->f ? AD_SHAPE(m->f, m->c, m->kernel[0], m->kernel[1]) : AD_SHAPE(m->out, m->in);
}

static ad_shape power_shape(int nin, const ad_var in[], const void *user)
{
	(void)nin, (void)user;
	return AD_SHAPE(ad_dim(in[1], 0) + ad_dim(in[2], 0));
}

enum { HOW = 4, SIZES = 14 };

/* The last input says how: norms, iterations, tolerance, then the numbers of the map. */
static void power_eval(int nin, const ad_view in[], ad_view out, const void *user)
{
	(void)nin, (void)user;
	int64_t n = 0;
	for (int k = 0; k < 4; k++)
		n += in[k].numel;
	double *all = nn__alloc((size_t)n * sizeof *all), *at[4] = { all };
	for (int k = 0; k < 4; k++) {
		nn__get_double(in[k].dtype, in[k].data, at[k], in[k].numel);
		if (k < 3)
			at[k + 1] = at[k] + in[k].numel;
	}
	const double *o = at[3], *s = o + HOW;
	int64_t size[SIZES];
	for (int i = 0; i < SIZES; i++)
		size[i] = (int64_t)s[i];
	nn__map m = { size[0],
		      size[1],
		      at[0],
		      size[2],
		      size[3],
		      size[4],
		      size[5],
		      size[6],
		      size[7],
		      { size[8], size[9] },
		      { size[10], size[11] },
		      { size[12], size[13] } };
	nn__induced_norm(&m, at[1], at[2],
			 (nn_induced){ .domain = o[0], .codomain = o[1], .iterations = (int)o[2], .tolerance = o[3] });
	nn__set_double(out.dtype, out.data, at[1], m.out + m.in);
	free(all);
}

static const ad_custom power = { .name = "power_iteration", .shape = power_shape, .eval = power_eval };

static void update(nn c, const void *data)
{
	const layer *l = data;
	const nn_induced *o = &l->o;
	const nn__map *m = &l->map;
	ad_var w = nn_param(c, "weight", weight_shape(m), (nn_fill){ 0 });
	ad_var u = nn_state(c, "u", AD_SHAPE(m->out), (nn_fill){ 0 }),
	       v = nn_state(c, "v", AD_SHAPE(m->in), (nn_fill){ 0 });
	const double sizes[] = { (double)m->out,       (double)m->in,	     (double)m->f,	   (double)m->c,
				 (double)m->h,	       (double)m->width,     (double)m->oh,	   (double)m->ow,
				 (double)m->kernel[0], (double)m->kernel[1], (double)m->stride[0], (double)m->stride[1],
				 (double)m->pad[0],    (double)m->pad[1] };
	ad_var how[4] = { norm_of(c, o->learned_domain, o->domain), norm_of(c, o->learned_codomain, o->codomain),
			  ad_array(c.tape, AD_SHAPE(2), (const double[]){ o->iterations, o->tolerance }),
			  ad_array(c.tape, AD_SHAPE(SIZES), sizes) };
	ad_var r = ad_call(&power, 4, (const ad_var[]){ w, u, v, ad_concat(0, 4, how) }, NULL);
	if (ad_error(c.tape))
		return;
	nn_set_state(c, "u", ad_slice(r, 0, 0, m->out));
	nn_set_state(c, "v", ad_slice(r, 0, m->out, m->out + m->in));
}

/* --- Learned norms
 * -------------------------------------------------------------------------------------------------------- */

/* sign(x) q / |q|_r with q = (|x| / max|x|)^exponent, as in power.c. */
static ad_var spread(ad_var x, ad_var exponent, ad_var r)
{
	ad_var m = ad_div(ad_abs(x), ad_maxof_keep(ad_abs(x), AD_ALL));
	ad_var q = ad_exp(ad_mul(exponent, ad_log(ad_max(m, ad_full_like(m, 1e-30)))));
	ad_var norm = ad_exp(
		ad_div(ad_log(ad_sum_keep(ad_exp(ad_mul(r, ad_log(ad_max(q, ad_full_like(q, 1e-30))))), AD_ALL)), r));
	return ad_div(ad_mul(ad_sign(x), q), norm);
}

/* One more iteration, of which the norms' parameters take the derivative: their gradient step makes sigma smaller. */
static void train_norms(nn c, const nn_induced *o, ad_var w, ad_var u, ad_var v)
{
	if (ad_rank(w) != 2) {
		ad_fail(c.tape, "nn_induced_conv: norms are learned of linears only, in \"%s\"", c.path);
		return;
	}
	ad_var d = norm_of(c, o->learned_domain, o->domain), p = norm_of(c, o->learned_codomain, o->codomain);
	w = ad_stop(w), u = ad_stop(u), v = ad_stop(v);
	u = spread(ad_matmul(w, v, false, false), ad_shift(p, -1), ad_div(p, ad_shift(p, -1)));
	v = spread(ad_matmul(w, u, true, false), ad_reciprocal(ad_shift(d, -1)), d);
	ad_var sigma = ad_sum(ad_mul(u, ad_matmul(w, v, false, false)), AD_ALL);
	nn_penalty(c, "norm", ad_sub(sigma, ad_stop(sigma)));
}

/* --- The layer
 * --------------------------------------------------------------------------------------------------------------- */

static double learned_now(nn c, int number, double given)
{
	char path[256], *slash = strrchr(c.path, '/');
	double r = 0;
	if (!number)
		return given;
	if (slash)
		snprintf(path, sizeof path, "%.*s/norm_%d", (int)(slash - c.path), c.path, number);
	else
		snprintf(path, sizeof path, "norm_%d", number);
	if (nn_find(c.store, path) >= 0)
		nn_get(c.store, path, &r, 1);
	return 1.5 - tanh(r / 2) / 2;
}

/* u and v of a new layer: converged, from a start that is the path's own. */
static void start(nn c, const layer *l)
{
	char path[256];
	if (!nn__path(c, "u", path) || nn_find(c.store, path) >= 0 || !nn__path(c, "weight", path))
		return;
	nn__map map = l->map;
	int64_t m = map.out, n = map.in, size = ad_numel(weight_shape(&map));
	double *w = nn__alloc((size_t)(size + m + n) * sizeof *w), *u = w + size, *v = u + m;
	nn_get(c.store, path, w, size);
	uint64_t stream = nn_stream(c, "power iteration");
	ad_noise_normals(0, 0, stream, 0, m, u);
	ad_noise_normals(0, 0, stream, (uint64_t)m, n, v);
	nn_induced o = l->o;
	o.domain = learned_now(c, o.learned_domain, o.domain);
	o.codomain = learned_now(c, o.learned_codomain, o.codomain);
	o.iterations = 0;
	o.tolerance = 1e-12;
	map.w = w;
	nn__induced_norm(&map, u, v, o);
	nn_state_array(c, "u", AD_SHAPE(m), u);
	nn_state_array(c, "v", AD_SHAPE(n), v);
	free(w);
}

/* W v, flat */
static ad_var applied(const nn__map *m, ad_var w, ad_var v)
{
	if (!m->f)
		return ad_matmul(w, v, false, false);
	ad_conv_opt o = { .stride = { m->stride[0], m->stride[1] }, .pad = { m->pad[0], m->pad[1] } };
	return ad_reshape(ad_conv(ad_reshape(v, AD_SHAPE(1, m->c, m->h, m->width)), w, o), AD_SHAPE(m->out));
}

static ad_var bounded(nn c, const nn__map *map, nn_induced given, ad_var *sigma)
{
	layer l;
	memset(&l, 0, sizeof l);
	l.map = *map;
	l.o = with_defaults(given);
	if (!acceptable(c, &l.o))
		return nn__dud(c);
	const nn_induced *o = &l.o;
	bool fill = o->weight.kind != NN_ZEROS || o->weight.a != 0;
	ad_var w = nn_param(c, "weight", weight_shape(map), fill ? o->weight : (nn_fill){ NN_FAN_IN, 1 });
	if (!ad_error(c.tape))
		start(c, &l);
	ad_var u = nn_state(c, "u", AD_SHAPE(map->out), (nn_fill){ 0 }),
	       v = nn_state(c, "v", AD_SHAPE(map->in), (nn_fill){ 0 });
	nn_after_step(c, update, &l, sizeof l);
	if ((o->learned_domain || o->learned_codomain) && c.phase == NN_TRAIN && ad_root(c.tape) == c.tape)
		train_norms(c, o, w, u, v);
	ad_var s = ad_sum(ad_mul(u, applied(map, w, v)), AD_ALL);
	if (sigma)
		*sigma = s;
	return ad_div(w, ad_max(ad_scale(s, 1 / o->coeff), ad_full_like(s, 1)));
}

ad_var nn_induced_weight(nn c, int64_t out, int64_t in, nn_induced o, ad_var *sigma)
{
	return bounded(c, &(nn__map){ .out = out, .in = in }, o, sigma);
}

/* A convolution by 1 x 1 acts on each pixel alone: its norm is that of the matrix. */
static bool conv_map(nn c, ad_var x, int64_t out, const nn_conv_opt *k, nn__map *m)
{
	int64_t kw = k->kernel[1] ? k->kernel[1] : k->kernel[0], s0 = k->stride[0] ? k->stride[0] : 1,
		s1 = k->stride[1] ? k->stride[1] : s0;
	if (ad_rank(x) != 4 || k->groups > 1 || k->dilation[0] > 1 || k->dilation[1] > 1 || k->weight_norm ||
	    k->transposed) {
		ad_fail(c.tape, "nn_induced_conv: takes images [B, C, H, W], one group and no dilation, in \"%s\"",
			c.path);
		return false;
	}
	*m = (nn__map){ .f = out,
			.c = ad_dim(x, 1),
			.h = ad_dim(x, 2),
			.width = ad_dim(x, 3),
			.kernel = { k->kernel[0], kw },
			.stride = { s0, s1 },
			.pad = { k->pad[0], k->pad[1] } };
	m->oh = (m->h + 2 * m->pad[0] - m->kernel[0]) / s0 + 1;
	m->ow = (m->width + 2 * m->pad[1] - kw) / s1 + 1;
	if (m->kernel[0] < 1 || kw < 1 || m->oh < 1 || m->ow < 1) {
		ad_fail(c.tape, "nn_induced_conv: the kernel does not fit the image, in \"%s\"", c.path);
		return false;
	}
	m->in = m->c * m->h * m->width;
	m->out = out * m->oh * m->ow;
	return true;
}

ad_var nn_induced_conv(nn c, ad_var x, int64_t out, nn_conv_opt k, nn_induced o, ad_var *weight, ad_var *sigma)
{
	const char *was = ad_set_path(c.tape, c.path);
	nn__map m;
	ad_var w = nn__dud(c), y = w;
	if (!ad_error(c.tape) && conv_map(c, x, out, &k, &m)) {
		bool pixel = m.kernel[0] == 1 && m.kernel[1] == 1;
		nn__map matrix = { .out = out,
				   .in = m.c,
				   .f = out,
				   .c = m.c,
				   .h = 1,
				   .width = 1,
				   .oh = 1,
				   .ow = 1,
				   .kernel = { 1, 1 },
				   .stride = { 1, 1 } };
		w = bounded(c, pixel ? &matrix : &m, o, sigma);
		y = ad_conv(x, w,
			    (ad_conv_opt){ .stride = { m.stride[0], m.stride[1] }, .pad = { m.pad[0], m.pad[1] } });
		double a = 1 / sqrt((double)(m.c * m.kernel[0] * m.kernel[1]));
		if (!o.no_bias)
			y = ad_add(y, ad_reshape(nn_param(c, "bias", AD_SHAPE(out), (nn_fill){ NN_UNIFORM, a }),
						 AD_SHAPE(out, 1, 1)));
	}
	if (sigma && ad_error(c.tape))
		*sigma = nn__dud(c);
	if (weight)
		*weight = w;
	ad_set_path(c.tape, was);
	return y;
}

ad_var nn_induced_linear(nn c, ad_var x, int64_t out, nn_induced o)
{
	const char *was = ad_set_path(c.tape, c.path);
	ad_var w = nn_induced_weight(c, out, ad_dim(x, -1), o, NULL), y = nn__dud(c);
	if (!ad_error(c.tape)) {
		double a = 1 / sqrt((double)ad_dim(x, -1));
		y = ad_linear(x, w, o.no_bias ? NULL : nn_param(c, "bias", AD_SHAPE(out), (nn_fill){ NN_UNIFORM, a }));
	}
	ad_set_path(c.tape, was);
	return y;
}
