/* potential_private.h - what the files of the convex potential flow share. */
#ifndef FLOW_POTENTIAL_PRIVATE_H
#define FLOW_POTENTIAL_PRIVATE_H

#include "potential.h"

enum { FLOW__LANCZOS = 64 };

typedef struct {
	flow f;
	int64_t dim;
	flow_potential_opt o;
} flow__potential;

ad_var flow__potential_gradient(const flow__potential *p, nn c, ad_var x, ad_var cond);
/* log|det H| estimated, [B]; first derivatives only. */
ad_var flow__potential_logdet(const flow__potential *p, nn c, ad_var x, ad_var cond);

#endif
