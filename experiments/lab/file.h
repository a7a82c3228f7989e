/* file.h - directories, locks and files that are always whole.
 * Functions that can fail return -1 (or NULL) and put one line naming what and where into err. */
#ifndef LAB_FILE_H
#define LAB_FILE_H

#include <stddef.h>

#include "data.h"

/* Blanks in the place of line ends and other control characters. */
void lab_one_line(char *text);
void lab_fail(lab_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Makes dir and the directories above it; fails unless files can be made in it. */
int lab_dir_make(const char *dir, lab_err *err);

/* Takes the directory for this process until it ends, however it ends; fails if another process has it. */
int lab_dir_lock(const char *dir, lab_err *err);

/* Puts data in the place of path at once: written beside, synced, renamed, and the directory synced.  Whatever
 * happens meanwhile, path is either the old file or the new one, whole. */
int lab_file_replace(const char *path, const void *data, size_t bytes, lab_err *err);

/* dir/name in a buffer of the caller's. */
const char *lab_path(char *buf, size_t n, const char *dir, const char *name);

#endif
