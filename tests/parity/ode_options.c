/* ode_options.c - solvers and nets by the names in configurations. */
#include "continuous.h"

#include <string.h>

ad_ode_opt ode_options(parity *p, const char *method, const json *o, bool tight)
{
	static const char *const names[][2] = { { "rk4", "rk4-38" },
						{ "explicit_adams", "explicit-adams" },
						{ "implicit_adams", "implicit-adams" },
						{ "adaptive_heun", "adaptive-heun" } };
	ad_ode_opt r = { .integral_control = true,
			 .interpolate = true,
			 .low_dense = true,
			 .keep_refused = true,
			 .max_steps = 4000 };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i][0], method))
			method = names[i][1];
	if (!ad_ode_method_named(method, &r.method))
		parity_unsupported(p, "method \"%s\"", method);
	r.step_size = json_number(o, "step_size", 0);
	r.rtol = tight ? 1e-12 : json_number(o, "rtol", 0);
	r.atol = tight ? 1e-12 : json_number(o, "atol", 0);
	r.safety = json_number(o, "safety", 0);
	r.max_factor = json_number(o, "ifactor", 0);
	r.min_factor = json_number(o, "dfactor", 0);
	r.adams_order = (int)json_number(o, "max_order", 0);
	r.corrections = (int)json_number(o, "max_iters", 0);
	if (r.method < AD_HEUN_EULER && !(r.step_size > 0))
		parity_bad(p, "config: a method of fixed steps without \"step_size\"");
	return r;
}

flow_field odenet_field(parity *p, const json *o, const char *prefix)
{
	const json *hidden = parity_member(p, o, "hidden", JSON_ARRAY);
	const char *type = parity_member(p, o, "layer_type", JSON_STRING)->string;
	const char *act = parity_member(p, o, "nonlinearity", JSON_STRING)->string;
	flow_time_layer layer;
	if (json_true(o, "conv"))
		parity_unsupported(p, "convolutional fields");
	if (!flow_time_layer_named(type, &layer))
		parity_unsupported(p, "layer_type \"%s\"", type);
	act = !strcmp(act, "swish") ? "swish_beta" : act;
	if (strcmp(act, "swish_beta") && strcmp(act, "square") && !nn_act_named(act))
		parity_unsupported(p, "nonlinearity \"%s\"", act);
	int64_t *width = parity_alloc(p, (size_t)(hidden->n + 1) * sizeof *width);
	for (int i = 0; i < hidden->n; i++) {
		if (hidden->item[i].type != JSON_NUMBER || hidden->item[i].number < 1 || hidden->item[i].number > 1e6)
			parity_bad(p, "config: \"hidden\" holds no width at %d", i);
		width[i] = (int64_t)hidden->item[i].number;
	}
	flow_field f = flow_odenet(layer, 0, hidden->n, act);
	f.widths = width;
	const array *h = layer == FLOW_T_HYPER ? parity_array(p, "%sodenet/0/hypernet/linear_0/weight", prefix) : NULL;
	if (h && h->rank == 2)
		f.hyper = h->dim[0];
	return f;
}
