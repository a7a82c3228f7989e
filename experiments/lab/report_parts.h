/* report_parts.h - the parts of a report: each writes a section of a page. */
#ifndef LAB_REPORT_PARTS_H
#define LAB_REPORT_PARTS_H

#include "contest_sheets.h"

typedef struct {
	const lab_contest *contest;
	int runs;
	lab_log *const *log;
	lab_examination **examination; /* by run; NULL: not made */
	lab_model **model;	       /* by run; NULL: not read */
	int threads;
} lab_report;

void lab_report_results(FILE *f, const lab_report *r);
void lab_report_curves(FILE *f, const lab_report *r);
void lab_report_calibration(FILE *f, const lab_report *r);
void lab_report_pictures(FILE *f, const lab_report *r);
void lab_report_models(FILE *f, const lab_report *r);
void lab_report_origin(FILE *f, const lab_report *r);

#endif
