/* cnf.h - a continuous flow from inside.  Private to flows/. */
#ifndef FLOWS_CNF_H
#define FLOWS_CNF_H

#include "flows/continuous.h"

typedef struct {
	flow f;
	flow_field field;
	flow_cnf_opt o;
} flow__cnf;

ad_var flow__end_time(nn c, const flow_cnf_opt *o);
bool flow__is_cnf(const flow *f);

#endif
