/* models.c - the published models by name. */
#include "model.h"
#include "neural.h"
#include "reversible.h"

#include "flows/continuous.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

nn_net flow__model_net(nn_net net, flow_model_opt o, const char *act)
{
	net.act = nn_act_named(o.act ? o.act : act);
	net.dropout = o.dropout;
	net.zero_last = true;
	return net;
}

flow *flow__model_norm(flow_mem *m, flow_model_opt o)
{
	if (!o.norm || !strcmp(o.norm, "actnorm"))
		return flow_actnorm(m);
	/* The paper tests with the statistics of all training data: average over many batches. */
	return strcmp(o.norm, "batch") ? NULL : flow_batch_norm(m, 1e-5, 0.995);
}

flow_solver flow__model_solver(flow_model_opt o)
{
	return (flow_solver){ o.jacobi > 0 ? FLOW_SWEEPS : FLOW_ROWS, o.jacobi };
}

const int *flow__backward(flow_mem *m, int64_t dim)
{
	int *order = flow_alloc(m, (size_t)dim * sizeof *order);
	for (int64_t i = 0; i < dim; i++)
		order[i] = (int)(dim - i);
	return order;
}

flow_map flow__rq_identity(flow_mem *m, int bins, double bound)
{
	flow_map map = flow_rq_spline(bins, bound);
	double *start = flow_alloc(m, (size_t)map.nparam * sizeof *start);
	/* softplus(raw) + min_derivative = 1 */
	for (int i = 2 * bins; i < map.nparam; i++)
		start[i] = log(expm1(1 - map.min_derivative));
	map.start = start;
	return map;
}

#define NET "layers width depth act dropout"
#define SPLINES " bins bound"
#define RESIDUAL "layers width depth norm contraction coeff n_exact n_exact_eval estimator tail"
const flow_model_row flow_models[] = {
	{ "independent", "every dimension by its own spline; no dependence", flow_independent, 1, "bins bound" },
	{ "nice", "additive couplings (NICE)", flow_nice, 2, NET " reversible" },
	{ "realnvp", "affine couplings (RealNVP)", flow_realnvp, 2, NET " norm reversible" },
	{ "maf", "masked autoregressive flow, affine", flow_maf, 1, NET " norm jacobi reversible" },
	{ "iaf", "inverse autoregressive flow, affine; its density is solved dimension by dimension", flow_iaf, 1,
	  NET " jacobi reversible" },
	{ "nsf-c", "rational-quadratic spline couplings (NSF)", flow_nsf_coupling, 2, NET SPLINES " map linear reversible" },
	{ "nsf-ar", "rational-quadratic splines, autoregressive (NSF)", flow_nsf_autoregressive, 1,
	  NET SPLINES " map linear jacobi reversible" },
	{ "planar", "planar flows", flow_planar_model, 1, "layers norm" },
	{ "radial", "radial flows", flow_radial_model, 1, "layers norm" },
	{ "sylvester", "Sylvester flows", flow_sylvester_model, 1, "layers rank norm" },
	{ "cpflow", "convex potential flow: gradients of convex functions", flow_cpflow, 1, "layers width depth norm" },
	{ "tarflow", "transformer autoregressive flow (TarFlow)", flow_tarflow, 2, "layers width depth norm" },
	{ "naf", "neural autoregressive flow: sigmoidal maps", flow_naf, 1, NET " norm units sigmoid" },
	{ "bnaf", "block neural autoregressive flow", flow_bnaf, 1, "layers depth units norm" },
	{ "umnn", "autoregressive, unconstrained monotone nets by quadrature", flow_umnn_maf, 1,
	  NET " norm units nodes bound" },
	{ "sos", "autoregressive, sums of squared polynomials", flow_sos, 1, NET " norm units bound" },
	{ "bernstein", "autoregressive, Bernstein polynomials", flow_bernstein_flow, 1, NET " norm units bound" },
	{ "mol", "couplings by mixtures of logistics (as in Flow++)", flow_mol, 2, NET " norm units" },
	{ "ncsf", "circular spline couplings, for data of period 2 bound", flow_ncsf, 1, NET SPLINES },
	{ "gf", "Gaussianization flow: kernel mixtures and reflections", flow_gf, 1, NET " norm units" },
	{ "resflow", "residual flow: contractions with LipSwish, power-series log-determinant", flow_resflow, 1, RESIDUAL },
	{ "idensenet", "residual flow whose nets are dense, with CLipSwish (i-DenseNet)", flow_idensenet, 1, RESIDUAL },
	{ "ffjord", "continuous flow (FFJORD); RNODE with kinetic and frobenius", flow_ffjord, 1,
	  "layers width depth act solver solver_steps tol kinetic frobenius" },
	{ "otflow", "continuous flow down a potential (OT-Flow)", flow_otflow, 1, "layers width depth solver solver_steps tol" },
	{ 0 },
};
/* What every model takes. */
static const char common[] = "base components direction";

static const flow_model_row *row_named(const char *name)
{
	const flow_model_row *r = flow_models;
	while (r->name && strcmp(r->name, name))
		r++;
	return r->name ? r : NULL;
}

bool flow_model_takes(const char *model, const char *key)
{
	const flow_model_row *r = row_named(model);
	return r && (flow__has_word(r->keys, key) || flow__has_word(common, key));
}

flow *flow_model(flow_mem *m, const char *name, int64_t dim, flow_model_opt o, char why[160])
{
	if (o.act && !nn_act_named(o.act)) {
		snprintf(why, 160, "act: there is no activation named %.60s", o.act);
		return NULL;
	}
	const flow_model_row *r = row_named(name);
	if (r && dim >= r->min_dim) {
		flow *f = r->make(m, dim, o);
		if (o.direction && !strcmp(o.direction, "sampling"))
			f = flow_invert(m, f);
		if (!o.reversible)
			return f;
		int n = snprintf(why, 160, "reversible: ");
		char reason[160];
		if (flow_rebuilds(f, reason))
			return flow_reversible(m, f, (flow_reversible_opt){ 0 });
		snprintf(why + n, (size_t)(160 - n), "%.140s", reason);
		return NULL;
	}
	if (r) {
		snprintf(why, 160, "%s needs data of at least %lld dimensions; these have %lld", name,
			 (long long)r->min_dim, (long long)dim);
		return NULL;
	}
	int n = snprintf(why, 160, "there is no model %.30s; there are", name);
	for (r = flow_models; r->name && n < 150; r++)
		n += snprintf(why + n, (size_t)(160 - n), " %s", r->name);
	return NULL;
}
