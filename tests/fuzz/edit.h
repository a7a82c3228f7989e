/* edit.h - sound HDF5 files with anything in them: a small valid one, changed as the bytes of an input say. */
#ifndef FUZZ_EDIT_H
#define FUZZ_EDIT_H

#include "experiments/lab/h5.h"
#include "fuzz.h"

/* A new file in memory, as lab_h5_new makes, sooner; the caller closes it. */
hid_t fuzz_new(void);
/* A file of this image, open in memory, after the changes; and its size.  The caller closes it. */
hid_t fuzz_edit(const void *image, size_t n, fuzz_bytes in, int64_t *size);
/* Puts `lead` and then each single change of each object of the image. */
void fuzz_edit_seeds(const void *image, size_t n, uint8_t lead, fuzz_put *put);

#endif
