/* residual.h - what the kinds with bounded linears share. */
#ifndef PARITY_RESIDUAL_H
#define PARITY_RESIDUAL_H

#include "parity.h"

#include "flows/residual.h"

double norm_p(parity *p, const json *o, const char *key);	  /* absent: 2; "inf" */
nn_induced induced(parity *p, const json *o);			  /* a linear's options */
int iterations_after_step(parity *p);				  /* 0: config.after_step is absent */
nn_net residual_net(parity *p, const json *list, const char *at); /* modules <at>/<i> */

#endif
