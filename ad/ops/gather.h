/* gather.h - which rows a gather takes. */
#ifndef AD_GATHER_H
#define AD_GATHER_H

#include "ad/tape.h"

/* The index, if r is a gather (scattered: its transpose) of rows of [B, n] by constants; else NULL. */
const int32_t *ad__gathered_rows(ad_var r, bool *scattered);

#endif
