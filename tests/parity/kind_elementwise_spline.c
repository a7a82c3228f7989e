/* kind_elementwise_spline.c - independent scalars through splines, each with parameters of its own. */
#include "parity.h"

#include <float.h>
#include <string.h>

/* In the order in which a spline map takes its numbers. */
const char *const spline_parameters[] = { "unnormalized_pdf",
					  "unnormalized_widths",
					  "unnormalized_heights",
					  "unnorm_derivatives_left",
					  "unnorm_derivatives_right",
					  "unnormalized_derivatives",
					  NULL };

/* Ours take 0 for the default. */
double spline_floor(const json *o, const char *key, double otherwise)
{
	double v = json_number(o, key, otherwise);
	return v == 0 ? DBL_MIN : v;
}

flow_map spline_map(parity *p, const json *o)
{
	static const struct {
		const char *name;
		flow_map (*make)(int bins, double bound);
	} splines[] = { { "linear", flow_linear_spline },
			{ "quadratic", flow_quadratic_spline },
			{ "cubic", flow_cubic_spline },
			{ "rational_quadratic", flow_rq_spline } };
	const char *name = parity_member(p, o, "spline", JSON_STRING)->string;
	const char *tails = json_string(o, "tails", "linear");
	bool box = !strcmp(tails, "none");
	if (!box && strcmp(tails, "linear"))
		parity_unsupported(p, "spline with tails \"%s\"", tails);
	double bound = box ? 0 : parity_member(p, o, "tail_bound", JSON_NUMBER)->number;
	double left = json_number(o, "left", -bound), right = json_number(o, "right", box ? 1 : bound);
	if (left != -bound || right != (box ? 1 : bound) || json_number(o, "bottom", left) != left ||
	    json_number(o, "top", right) != right)
		parity_unsupported(p, "a spline's box that is neither [0, 1] nor [-B, B]");
	if (json_number(o, "quadratic_height_floor", 1e-3) != 1e-3)
		parity_unsupported(p, "a spline with \"quadratic_height_floor\" %g", json_number(o, "quadratic_height_floor", 0));
	for (size_t i = 0; i < sizeof splines / sizeof *splines; i++) {
		if (strcmp(splines[i].name, name))
			continue;
		flow_map m = splines[i].make((int)parity_count(p, o, "bins"), bound);
		m.min_width = spline_floor(o, "min_bin_width", m.min_width);
		m.min_height = spline_floor(o, "min_bin_height", m.min_height);
		m.min_derivative = spline_floor(o, "min_derivative", m.min_derivative);
		m.width_divisor = json_number(o, "width_divisor", 0);
		m.height_divisor = json_number(o, "height_divisor", 0);
		m.start = NULL;
		return m;
	}
	parity_unsupported(p, "spline \"%s\"", name);
}

typedef struct {
	model *m;
	nn c;
	ad_var raw[6], p;
	const char *name[6];
	int n;
} unit;

static unit begin(parity *p)
{
	unit u = { .m = model_new(p, NULL) };
	u.c = nn_begin(u.m->t, parity_store(p), NN_EVAL);
	for (int i = 0; spline_parameters[i]; i++) {
		const array *a = parity_find(p, "params/%s", spline_parameters[i]);
		if (!a)
			continue;
		if (a->rank != 2)
			parity_bad(p, "params/%s is no matrix", spline_parameters[i]);
		u.name[u.n] = spline_parameters[i];
		u.raw[u.n++] = model_input(u.m, a, true);
	}
	if (u.n == 0)
		parity_bad(p, "there are no parameters");
	u.p = ad_concat(1, u.n, u.raw);
	return u;
}

static void check_forward(parity *p, const flow_map *map)
{
	unit u = begin(p);
	double tol = p->tolerance;
	ad_var x = model_input(u.m, parity_array(p, "inputs/x"), true);
	flow_out z = map->apply(map, u.c, x, u.p, FLOW_FORWARD);
	/* log of the standard normal density */
	ad_var log_prob = ad_add(ad_shift(ad_scale(ad_square(z.x), -0.5), -0.91893853320467274178), z.logdet);
	ad_var loss = ad_neg(ad_mean(log_prob, AD_ALL)), from[7], g[7];
	model_expect(u.m, z.x, tol, "outputs/z");
	model_expect(u.m, z.logdet, tol, "outputs/logdet");
	model_expect(u.m, log_prob, tol, "outputs/log_prob");
	model_expect(u.m, loss, tol, "outputs/loss");
	memcpy(from, u.raw, sizeof u.raw);
	from[u.n] = x;
	ad_vjp(1, &loss, NULL, u.n + 1, from, g);
	for (int i = 0; i < u.n; i++)
		model_expect(u.m, g[i], tol, "grads/%s", u.name[i]);
	model_expect(u.m, g[u.n], tol, "grads/x");
	model_run(u.m);
}

static void check_way(parity *p, const flow_map *map, const char *input, flow_dir dir, double tol, const char *y,
		      const char *logdet)
{
	unit u = begin(p);
	flow_out o = map->apply(map, u.c, model_input(u.m, parity_array(p, "%s", input), true), u.p, dir);
	model_expect(u.m, o.x, tol, "%s", y);
	model_expect(u.m, o.logdet, tol, "%s", logdet);
	model_run(u.m);
}

void check_elementwise_spline(parity *p)
{
	const char *base = json_string(p->config, "base", "standard_normal");
	if (!parity_begins(base, "standard_normal"))
		parity_unsupported(p, "base \"%s\"", base);
	flow_map map = spline_map(p, p->config);
	check_forward(p, &map);
	if (parity_wants_below(p, "outputs/x_inverse") || parity_wants_below(p, "outputs/logdet_inverse"))
		check_way(p, &map, "inputs/z", FLOW_INVERSE, p->tolerance_inverse, "outputs/x_inverse",
			  "outputs/logdet_inverse");
	if (parity_wants_below(p, "outputs/boundary/"))
		check_way(p, &map, "inputs/x_boundary", FLOW_FORWARD, p->tolerance, "outputs/boundary/z",
			  "outputs/boundary/logdet");
}
