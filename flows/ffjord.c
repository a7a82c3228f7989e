/* ffjord.c - continuous models: FFJORD (Grathwohl et al. 2019), with the regularisers of RNODE (Finlay et al. 2020),
 * and OT-Flow (Onken et al. 2021).
 *
 * FFJORD's toys have one block of 3 tanh layers of 64, T = 0.5 trained, DOPRI5 at 1e-5 and an exact trace; its tables 1
 * to 10 blocks, softplus, Hutchinson's trace.  Here one block of 3 layers of 64 (concatsquash), T = 1, classic
 * Runge-Kutta with 4 steps in training and 4 times as many in evaluation (a step costs the same whatever the weights; give more,
 * or regularise, if validation stays above training), an exact trace up to 8 dimensions and in evaluation up to 64. OT-Flow has nets of 2 layers of 16
 * to 1024 units and 6 to 14 steps in training, costs 1 (transport), 100 (likelihood) and 15 (Hamilton-Jacobi); here
 * weights relative to the likelihood, 0.01 and 0.15, width 64, 4 steps and 16. */
#include "model.h"

#include "flows/continuous.h"

static ad_ode_opt steps(flow_model_opt o)
{
	ad_ode_opt s = { .method = AD_RK4, .steps = o.steps };
	if (o.solver)
		ad_ode_method_named(o.solver, &s.method);
	if (s.method < AD_HEUN_EULER && !s.steps)
		s.steps = 4;
	s.rtol = s.atol = o.tol > 0 ? o.tol : 1e-5;
	return s;
}

/* Training finds what coarse steps leave out (a "density" of too much mass); what is reported is made of finer ones. */
static ad_ode_opt finer(ad_ode_opt s)
{
	s.steps *= 4;
	return s;
}

static flow *blocks(flow_mem *m, flow_model_opt o, const flow_field *f, flow_cnf_opt c)
{
	int layers = flow__pos(o.layers, 1);
	flow **b = flow_alloc(m, (size_t)layers * sizeof *b);
	for (int i = 0; i < layers; i++)
		b[i] = flow_cnf(m, f, c);
	return flow_chain(m, layers, b);
}

flow *flow_ffjord(flow_mem *m, int64_t dim, flow_model_opt o)
{
	flow_field f = flow_odenet(FLOW_T_CONCATSQUASH, flow__pos64(o.width, 64), flow__pos(o.depth, 3),
				   o.act ? o.act : "tanh");
	f.zero_last = true;
	flow_cnf_opt c = { .solver = steps(o),
			   .eval = finer(steps(o)),
			   .trace = dim <= 8 ? FLOW_TRACE_EXACT : FLOW_TRACE_RADEMACHER,
			   .exact_eval = dim <= 64 };
	c.weight[FLOW_REG_KINETIC] = o.kinetic;
	c.weight[FLOW_REG_FROBENIUS] = o.frobenius;
	return blocks(m, o, &f, c);
}

flow *flow_otflow(flow_mem *m, int64_t dim, flow_model_opt o)
{
	flow_field f = flow_potential(flow__pos64(o.width, 64), flow__pos(o.depth, 2));
	flow_cnf_opt c = { .solver = steps(o), .eval = finer(steps(o)) };
	(void)dim;
	f.zero_last = true;
	c.weight[FLOW_REG_TRANSPORT] = 0.01;
	c.weight[FLOW_REG_HJB] = 0.15;
	return blocks(m, o, &f, c);
}
