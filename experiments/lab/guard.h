/* guard.h - work in a child process: the HDF5 library can crash or loop on damaged files.  Private to lab. */
#ifndef LAB_GUARD_H
#define LAB_GUARD_H

#include <stddef.h>
#include <sys/types.h>

#include "data.h"

typedef struct {
	pid_t pid;
	int fd; /* what the child puts can be got here */
} lab__guard;
/* What the child does: puts its result into fd; user is the parent's.  It has 20 seconds of processor time and 256 MiB, more
 * for a large file at path, and nothing that it or its libraries print is seen. */
typedef void lab__work(int fd, void *user);

/* False, with the reason in err, if there can be no child. */
bool lab__guard_begin(lab__guard *g, const char *path, lab__work *work, void *user, lab_err *err);
/* What to say if the result did not come. */
const char *lab__guard_end(lab__guard *g);
/* All n bytes, or false; get: also when the child has ended before. */
bool lab__guard_put(int fd, const void *data, size_t n);
bool lab__guard_get(int fd, void *data, size_t n);

#endif
