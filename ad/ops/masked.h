/* masked.h - which inputs a row of a masked product needs. */
#ifndef AD_MASKED_H
#define AD_MASKED_H

#include "../tape.h"

typedef struct {
	int64_t rows, cols;
	const int64_t *lo, *hi; /* per row of the weight */
} ad__ranges;

/* Of r, if it is a masked product of an array by a weight (transposed: by its transpose), else NULL. */
const ad__ranges *ad__masked_ranges(ad_var r, bool *transposed);

#endif
