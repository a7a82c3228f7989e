/* data.h - tables from files and generated densities: loading, splitting, standardising, batches.
 * Errors: functions that can fail return NULL or -1 and put one line naming what and where into err. */
#ifndef LAB_DATA_H
#define LAB_DATA_H

#include <stdbool.h>
#include <stdint.h>

typedef struct { char text[512]; } lab_err;

typedef struct {
	int64_t rows, cols;
	double *x; /* [rows, cols], row-major */
	char source[512];
	int64_t *number; /* [cols]: of each column in its file, from 1; NULL: none was left out */
} lab_table;
void lab_table_free(lab_table *t);
/* Leaves out the columns of "3,7-9", counted from 1 (NULL or "": none); false and err if there are no such, or no others. */
bool lab_table_drop(lab_table *t, const char *drop, lab_err *err);
/* The number by which messages call column c, from 0. */
int64_t lab_column_number(const lab_table *t, int64_t c);

/* Reads CSV (.csv, .txt, .csv.gz; header line recognised; comma, semicolon, tab or blanks), .npy, .npz (its array `name`, or X, or
 * the only one), HDF5 (.h5, .hdf5; dataset `name` or the only 2-D one), idx (.idx, -ubyte, .gz; flattened).  name may be NULL;
 * "FILE:name" names it too.  Rejects missing, truncated, empty, ragged and non-numeric files, NaN and infinity (with row and
 * column), and a single row.  Memory asked for never exceeds what the file's size can justify. */
lab_table *lab_load(const char *path, const char *name, lab_err *err);

typedef struct lab_column lab_column; /* columns.h */

typedef struct {
	lab_table *train, *val, *test;
	char source[512];
	bool generated;
	double entropy;          /* of a known density, nats; NaN otherwise */
	uint64_t test_hash;      /* of the raw test rows */
	uint64_t train_hash, val_hash;
	uint64_t split_seed;
	lab_column *column;      /* [cols]; NULL: all real */
	/* Standardisation fitted on train, after the bijections of typed columns: (x - mean) / sd. */
	double *mean, *sd;       /* [cols] */
} lab_dataset;
/* what: a FILE (split by split_seed: test_fraction, val_fraction of the rest), a FOLDER with train, val and test files in any
 * format, or the name of a DENSITY (n_train, n_val, n_test points).  Rejects a constant column. */
typedef struct {
	uint64_t split_seed;
	double val_fraction, test_fraction; /* 0: 0.1 */
	int64_t n_train, n_val, n_test;     /* 0: 100000, 10000, 20000 */
	const char *array;                  /* name inside npz or HDF5 */
	const char *drop;                   /* columns left out, counted from 1: "10" or "3,7-9"; NULL: none */
	const char *columns;                /* kinds of columns, counted before any is left out; see columns.h; NULL: all real */
} lab_data_opt;
lab_dataset *lab_dataset_open(const char *what, lab_data_opt o, lab_err *err);
void lab_dataset_free(lab_dataset *d);

/* The 2-D densities. */
typedef struct {
	const char *name;
	double entropy, entropy_error; /* nats: the best possible test NLL, and how well it is known */
	void (*draw)(uint64_t seed, uint64_t index, double x[2]); /* point number index */
	const char *about;
} lab_density;
extern const lab_density lab_densities[]; /* ends with a NULL name */
const lab_density *lab_density_named(const char *name);

/* Shuffled minibatches: epoch e visits the rows in an order that depends on (seed, e) only, so that a run can continue at any
 * step without state.  Rows of a batch as floats or doubles, scaled (NULL: raw). */
typedef struct {
	const double *mean, *sd;
	const lab_column *column; /* NULL: all real */
} lab_scale;
lab_scale lab_dataset_scale(const lab_dataset *d); /* borrowed from d */
typedef struct {
	const lab_table *t;
	lab_scale scale;
	uint64_t seed;
	int64_t batch;
	int64_t *order, epoch; /* the permutation in hand */
	double logdet;         /* of the typed columns, mean over the batch in hand */
} lab_batches;
void lab_batches_init(lab_batches *b, const lab_table *t, int64_t batch, uint64_t seed, const lab_scale *scale);
void lab_batches_free(lab_batches *b);
int64_t lab_batches_per_epoch(const lab_batches *b); /* whole batches; the remainder waits for another epoch; at least 1 */
/* Fills out (float if f32, else double) with batch number step (from 0); returns its rows. */
int64_t lab_batch_at(lab_batches *b, int64_t step, void *out, bool f32);
/* Rows lo..hi-1 in file order, discrete ones always at the same points of their cells.  logdet[hi - lo] of the typed columns, or
 * NULL. */
void lab_rows(const lab_table *t, int64_t lo, int64_t hi, const lab_scale *scale, void *out, bool f32, double *logdet);

/* Writers: .npy, .csv, .h5 by the ending; written beside and renamed. */
int lab_save(const char *path, const char *name, int64_t rows, int64_t cols, const double *x, lab_err *err);

#endif
