/* contest_sheets.h - the tables of a comparison. */
#ifndef LAB_CONTEST_SHEETS_H
#define LAB_CONTEST_SHEETS_H

#include "contest.h"
#include "examine.h"
#include "sheet.h"

/* A row for each contestant: test log-likelihood, differences and their intervals, size, time. */
lab_sheet *lab_sheet_results(const lab_contest *c);
/* A row for each contestant: what it cost.  Metrics of the log (metric/..) are the mean of the last tenth of their
 * points. */
lab_sheet *lab_sheet_cost(const lab_contest *c, lab_log *const log[]);
/* A row for each run: calibration and two-sample tests.  e: by run; NULL: left out. */
lab_sheet *lab_sheet_calibration(const lab_contest *c, lab_log *const log[], lab_examination *const e[]);
/* A row for each run and column of the data: marginal and tails. */
lab_sheet *lab_sheet_columns(const lab_contest *c, lab_log *const log[], lab_examination *const e[]);
/* A row for each option that is not the same in all contestants and a column for each contestant, or, of many, the other way. */
lab_sheet *lab_sheet_differences(const lab_contest *c, lab_log *const log[]);

#endif
