/* base.h - what the base distributions share.  Private to flows/. */
#ifndef FLOW_BASE_H
#define FLOW_BASE_H

#include "flow.h"

ad_var flow__flat(ad_var z);		    /* [B, numel] */
ad_var flow__like(ad_var flat, ad_shape s); /* [B, numel] as [AD_BATCH, event..] */
ad_var flow__log_normal(ad_var z);	    /* elementwise, standard */
ad_var flow__rows(ad_var each);		    /* summed over the event */
ad_var flow__noise(nn c, ad_shape s);	    /* normal, from this path's stream */

#endif
