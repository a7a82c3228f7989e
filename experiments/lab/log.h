/* log.h - the record of a run: a tree of named texts, numbers, arrays and series, one HDF5 file.
 *
 * A log lives in memory; writing puts a whole new file in the place of the old one, so that at every instant the file
 * is complete and open to any HDF5 tool.  Names are paths, "config/batch".  docs/log-format.md describes the file. */
#ifndef LAB_LOG_H
#define LAB_LOG_H

#include "h5.h"

#define LAB_LOG_FORMAT "flowtape run log"
#define LAB_LOG_VERSION 1

typedef enum { LAB_LOG_TEXT, LAB_LOG_INT, LAB_LOG_REAL, LAB_LOG_ARRAY, LAB_LOG_SERIES } lab_log_kind;
typedef struct {
	char *name, *unit; /* unit NULL: none; numbers with a unit are scalar datasets, those without attributes */
	lab_log_kind kind;
	char *text;
	int64_t integer;
	double real;
	int64_t n, room; /* arrays and series */
	int64_t *step;   /* of a series */
	double *value;
} lab_log_entry;
typedef struct lab_log {
	int n, room;
	lab_log_entry *entry; /* in the order of their making */
} lab_log;

lab_log *lab_log_new(void);
void lab_log_free(lab_log *l);

/* Each makes the entry or replaces it. */
void lab_log_text(lab_log *l, const char *name, const char *v);
void lab_log_int(lab_log *l, const char *name, int64_t v, const char *unit);
void lab_log_real(lab_log *l, const char *name, double v, const char *unit);
void lab_log_array(lab_log *l, const char *name, int64_t n, const double *v, const char *unit);
/* Appends a point to a series, "train/loss"; it is kept in the file under "series/". */
void lab_log_point(lab_log *l, const char *series, const char *unit, int64_t step, double v);

/* Appends an entry, whose texts and arrays are now the log's. */
void lab_log_add(lab_log *l, lab_log_entry e);

/* Source revision, libraries, machine. */
void lab_log_environment(lab_log *l);

const lab_log_entry *lab_log_find(const lab_log *l, const char *name);
const lab_log_entry *lab_log_series(const lab_log *l, const char *series);
const char *lab_log_get_text(const lab_log *l, const char *name, const char *otherwise);
int64_t lab_log_get_int(const lab_log *l, const char *name, int64_t otherwise);
double lab_log_get_real(const lab_log *l, const char *name, double otherwise); /* of an integer too */

int lab_log_put(const lab_log *l, hid_t group); /* 0 or -1 */
lab_log *lab_log_get(hid_t group);              /* what put wrote; entries it does not understand are left out */
int lab_log_write(const lab_log *l, const char *path, lab_err *err);
lab_log *lab_log_read(const char *path, lab_err *err);
/* That of a run named by its log or by its directory; path: the file read. */
lab_log *lab_log_of_run(const char *run, char path[4200], lab_err *err);

#endif
