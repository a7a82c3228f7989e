/* h5.h - HDF5 files made in memory and put in place whole; attributes and arrays in one call each; files from elsewhere.
 * Nothing here prints; HDF5's own error stack is silenced. */
#ifndef LAB_H5_H
#define LAB_H5_H

#define H5_USE_110_API /* of later versions of the library too */
#include <hdf5.h>

#include "file.h"

void lab_h5_quiet(void); /* for those who call HDF5 themselves */
/* A new file in memory; < 0 on failure. */
hid_t lab_h5_new(void);
/* The file's bytes, the caller's to free; NULL if there is no memory.  Closes it. */
void *lab_h5_image(hid_t file, size_t *size);
/* Such bytes as an open file, which can be changed; < 0 on failure. */
hid_t lab_h5_of_image(const void *image, size_t size);
/* Puts the file at path as lab_file_replace does, and closes it.  0, or -1 and err. */
int lab_h5_commit(hid_t file, const char *path, lab_err *err);
/* Opens for reading; fails with one line if absent, not HDF5 or damaged anywhere, or if the attribute "format" is not
 * this one or "version" is not from 1 to this.  < 0 on failure.  The HDF5 library can crash or loop on damaged files, so a
 * child process reads all of the file; what is opened is its copy, in memory, of what lab_h5_copy takes. */
hid_t lab_h5_open(const char *path, const char *format, int version, lab_err *err);
/* Copies groups, arrays of numbers, and attributes that are one number or text; passes over the rest.  size: of the file,
 * which bounds what it can hold.  0, or -1 and err, "/NAME what is wrong". */
#define LAB_H5_RATIO 1032 /* the most that deflate can compress */
int lab_h5_copy(hid_t from, hid_t to, int64_t size, lab_err *err);
bool lab_h5_elsewhere(hid_t dataset); /* its values are in other files, which may be of any kind */
/* The table that lab_load describes, of an open file of this size. */
lab_table *lab_h5_table(hid_t file, const char *path, const char *name, int64_t size, lab_err *err);
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
