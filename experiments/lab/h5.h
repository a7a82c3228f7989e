/* h5.h - small HDF5 files made in memory and put in place whole; attributes and arrays in one call each.
 * Nothing here prints; HDF5's own error stack is silenced. */
#ifndef LAB_H5_H
#define LAB_H5_H

#include <hdf5.h>

#include "file.h"

/* A new file in memory; < 0 on failure. */
hid_t lab_h5_new(void);
/* Puts the file at path as lab_file_replace does, and closes it.  0, or -1 and err. */
int lab_h5_commit(hid_t file, const char *path, lab_err *err);
/* Opens for reading; fails with one line if absent, not HDF5 or truncated, or if the attribute "format" is not
 * this one or "version" is greater than this.  < 0 on failure. */
hid_t lab_h5_open(const char *path, const char *format, int version, lab_err *err);
void lab_h5_stamp(hid_t file, const char *format, int version);

hid_t lab_h5_group(hid_t at, const char *path); /* opened, made with its parents if absent */

/* Attributes of at; all return 0 or -1. */
int lab_h5_put_text(hid_t at, const char *name, const char *v);
int lab_h5_put_int(hid_t at, const char *name, int64_t v);
int lab_h5_put_real(hid_t at, const char *name, double v);
char *lab_h5_get_text(hid_t at, const char *name); /* NULL if absent; caller frees */
int lab_h5_get_int(hid_t at, const char *name, int64_t *v);
int lab_h5_get_real(hid_t at, const char *name, double *v);

/* One-dimensional datasets; scalar: rank 0 (n is 1).  type is the memory type, H5T_NATIVE_DOUBLE or _INT64. */
int lab_h5_put_array(hid_t at, const char *name, hid_t type, int64_t n, const void *v, bool scalar, const char *unit);
/* Elements of 8 bytes, converted to type; NULL if absent or not an array of numbers of a size that its storage can
 * justify.  Caller frees. */
void *lab_h5_get_array(hid_t at, const char *name, hid_t type, int64_t *n);

#endif
