/* energies.h - 2-D energies with known normalisers (Rezende & Mohamed 2015, table 1). */
#ifndef LAB_ENERGIES_H
#define LAB_ENERGIES_H

#include "ad/ad.h"

typedef struct {
	const char *name, *about;
	ad_var (*energy)(ad_var x); /* [B] of x [B, 2], nats, with the fence below */
	double log_z;		    /* log of the integral of exp(-energy), nats, by quadrature to 1e-6 */
} lab_energy;
/* U1 .. U4, ends with a NULL name.  U2 to U4 are improper along the first axis, so to each is added, as in BNAF's experiments
 * (De Cao et al. 2019), the fence sum relu(|x_i| - 6)^2. */
extern const lab_energy lab_energies[];
const lab_energy *lab_energy_named(const char *name);

#endif
