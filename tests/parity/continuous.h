/* continuous.h - what the kinds of files on differential equations share. */
#ifndef PARITY_CONTINUOUS_H
#define PARITY_CONTINUOUS_H

#include "flows/continuous.h"
#include "parity.h"

/* The solver that the other libraries call so; tight: with tolerances of 1e-12. */
ad_ode_opt ode_options(parity *p, const char *method, const json *o, bool tight);
/* The net that "layer_type", "nonlinearity" and "hidden" describe, its arrays below prefix. */
flow_field odenet_field(parity *p, const json *o, const char *prefix);

#endif
