/* load.h - what the loaders share; private to lab.
 *
 * A loader turns the bytes of one file into a table, or returns NULL with the line "FILE: what, where" in err.  What it
 * allocates is bounded by the bytes it was given, whatever their headers say. */
#ifndef LAB_LOAD_H
#define LAB_LOAD_H

#include <stddef.h>

#include "data.h"

#define LAB__MAXRANK 32
#define LAB__RATIO 1032 /* the most that deflate can compress */

typedef struct {
	const char *path; /* for messages */
	const char *name; /* of the wanted array, or NULL */
	const unsigned char *p;
	size_t n; /* p[n] is readable and 0 */
	lab_err *err;
} lab__bytes;

/* By its first bytes and its name; unpacks gzip. */
lab_table *lab__load_bytes(lab__bytes b);
lab_table *lab__load_csv(lab__bytes b);
lab_table *lab__load_npy(lab__bytes b);
lab_table *lab__load_npz(lab__bytes b);
lab_table *lab__load_idx(lab__bytes b);
lab_table *lab__load_hdf5(const char *path, const char *name, lab_err *err);

/* Writes "path: message" and returns NULL. */
void *lab__fail(lab_err *err, const char *path, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "3 rows" for (3, "row"). */
const char *lab__count(char buf[48], int64_t n, const char *noun);
/* Appends name to "a, b" of at most n bytes, n > 8; "..." when it is full. */
void lab__list(char *list, size_t n, const char *name);
/* A table without values; the caller has bounded rows and cols. */
lab_table *lab__table(const char *path, int64_t rows, int64_t cols, lab_err *err);
/* t if it has two rows and finite values only; otherwise frees it. */
lab_table *lab__checked(lab_table *t, lab_err *err);
/* rows and cols of an array flattened to [dim[0], rest]; false with a message if an extent is 0 or they overflow. */
bool lab__flatten(const char *path, int rank, const uint64_t dim[], int64_t *rows, int64_t *cols, lab_err *err);

/* Reads one stored number as a double; big: most significant byte first. */
typedef double lab__get(const unsigned char *p, bool big);
/* kind: 'f', 'i', 'u' or 'b'(ool); NULL if there is none of that size. */
lab__get *lab__getter(char kind, int size);

/* The deflated bytes p[0..n), wrapped as gzip (all members) or bare, followed by a 0; *out_n their number.  NULL with the
 * reason in *why.  More than max bytes are refused. */
unsigned char *lab__inflate(const unsigned char *p, size_t n, bool gzip, size_t max, size_t *out_n, const char **why);
/* Runs load in a child process, so that a crash or an endless loop in a library is an error of the file. */
typedef lab_table *lab__loader(const char *path, const char *name, lab_err *err);
lab_table *lab__guarded(lab__loader *load, const char *path, const char *name, lab_err *err);
/* Half of the machine's memory, in bytes. */
size_t lab__memory(void);

#endif
