/* masked.h - which inputs a row of a linear layer needs. */
#ifndef AD_MASKED_H
#define AD_MASKED_H

#include "../tape.h"

typedef struct {
	int64_t rows, cols;
	const int64_t *lo, *hi; /* per row of the weight */
	bool full;              /* all of them count */
	/* Strips of AD__STRIP columns, for the product by the transpose: the rows that one of them has, and where these lie. */
	int64_t strips, packed;
	const int64_t *first, *last, *at;
} ad__ranges;

/* Of r, if it is a linear layer, masked or not (transposed: its product by the transpose), else NULL. */
const ad__ranges *ad__masked_ranges(ad_var r, bool *transposed);

/* x W^T + bias of a batched [B, n], or NULL if the operands are of other kinds. */
ad_var ad__linear_rows(ad_var x, ad_var w, ad_var bias);

#endif
