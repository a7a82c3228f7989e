/* agreement.h - do two logs of one run agree to the bit, and if not, what else differs? */
#ifndef LAB_AGREEMENT_H
#define LAB_AGREEMENT_H

#include <stdio.h>

#include "log.h"

typedef enum { LAB_RESULTS, LAB_CONFIGURATION, LAB_DATA, LAB_SOURCE, LAB_MACHINE, LAB_PARTS } lab_part;

typedef struct {
	int64_t entries, numbers; /* of the results, compared */
	int different[LAB_PARTS]; /* entries that differ */
	int64_t first_step;	  /* of all series of training: the first step that differs; -1: none */
} lab_agreement;

/* Times, memory, threads, dates and folders are left out.  Writes a line for each entry that differs to f (NULL: none), the
 * results after what may explain them. */
lab_agreement lab_agree(const lab_log *then, const lab_log *now, FILE *f);

#endif
