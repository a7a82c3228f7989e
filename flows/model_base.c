/* model_base.c - the base distributions of models, by name. */
#include "model.h"

#include <string.h>

const char *const flow__model_bases[] = { "normal", "learned", "logistic", "student", "mixture", "made", "lars", NULL };

flow_base flow_model_base(flow_model_opt o)
{
	const char *name = o.base ? o.base : "normal";
	nn_net made = nn_made(32, 1), accept = nn_mlp(64, 2);
	accept.act = nn_act_named("tanh"); /* bounded, and so are the odds of acceptance */
	accept.zero_last = true;
	if (!strcmp(name, "learned"))
		return flow_normal_learned();
	if (!strcmp(name, "logistic"))
		return flow_logistic();
	if (!strcmp(name, "student"))
		return flow_student_t(0);
	if (!strcmp(name, "mixture"))
		return flow_gaussian_mixture(flow__pos(o.components, 10));
	if (!strcmp(name, "made"))
		return flow_made_mixture(flow__pos(o.components, 5), made, 0);
	if (!strcmp(name, "lars"))
		return flow_resampled(flow__pos(o.components, 100), accept);
	return flow_normal();
}
