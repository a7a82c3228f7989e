/* variational.h - fitting a density to an unnormalised one by its own samples. */
#ifndef FLOW_VARIATIONAL_H
#define FLOW_VARIATIONAL_H

#include "flow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Minus the log of an unnormalised density, [B], nats, of x [B, event..]; cond may be NULL. */
typedef ad_var flow_energy(nn c, ad_var x, ad_var cond, void *user);

/* Both estimate the gradient of E_q[log q(x) + U(x)] through x = flow(z), and have the same value. */
typedef enum {
	FLOW_PATH,  /* all of it; cheap, but its variance stays when q is near the target */
	FLOW_STICK  /* "sticking the landing" (Roeder et al. 2017; Vaitl et al. 2022): log q's own parameters are held, so that the
		     * variance goes to 0 as q comes near the target; takes a forward pass at x too.  First derivatives only. */
} flow_gradient;

typedef struct {
	ad_var x, log_q, energy; /* samples [B, event..]; [B]; [B] */
	ad_var loss;             /* log_q + energy, [B]; what to differentiate */
} flow_fit;
/* Samples of d (batched: the program's batch is their number), their density and energy.  The mean of .loss is the Kullback-
 * Leibler divergence KL(q || p) minus log Z of the energy. */
flow_fit flow_fit_energy(const flow_density *d, nn c, ad_shape event, ad_var cond, flow_energy *energy, void *user,
			 flow_gradient path);
/* The mean of .loss: a scalar for a trainer without inputs. */
ad_var flow_reverse_kl(const flow_density *d, nn c, ad_shape event, ad_var cond, flow_energy *energy, void *user,
		       flow_gradient path);

#ifdef __cplusplus
}
#endif

#endif
