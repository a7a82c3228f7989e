/* h5_open.c - HDF5 files from elsewhere: read in a child process, opened as its copy. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard.h"
#include "h5.h"

typedef struct {
	const char *path, *format;
	int version;
} request;

typedef struct {
	bool ok;
	size_t n;
	lab_err err;
} reply;

static bool stamped(hid_t f, const request *q, lab_err *err)
{
	int64_t v = 0;
	char *is = lab_h5_get_text(f, "format");
	bool good = is && !strcmp(is, q->format) && !lab_h5_get_int(f, "version", &v) && v >= 1;
	if (!good)
		lab_fail(err, "%s is not a %s", q->path, q->format);
	else if (v > q->version)
		lab_fail(err, "%s has version %lld of its format; this program reads up to %d", q->path, (long long)v, q->version);
	free(is);
	return good && v <= q->version;
}

static void send_copy(int fd, void *user)
{
	const request *q = user;
	reply r = { 0 };
	struct stat st;
	lab_err why;
	lab_h5_quiet();
	hid_t f = H5Fopen(q->path, H5F_ACC_RDONLY, H5P_DEFAULT), copy = -1;
	if (f < 0 || stat(q->path, &st))
		lab_fail(&r.err, "%s is not a whole HDF5 file", q->path);
	else if (stamped(f, q, &r.err) && (copy = lab_h5_new()) < 0)
		lab_fail(&r.err, "%s: no memory for a copy", q->path);
	else if (copy >= 0 && lab_h5_copy(f, copy, st.st_size, &why))
		lab_fail(&r.err, "%s is damaged: %s", q->path, why.text);
	void *image = copy >= 0 && !*r.err.text ? lab_h5_image(copy, &r.n) : NULL;
	r.ok = image;
	if (!image && !*r.err.text)
		lab_fail(&r.err, "%s: no memory for a copy", q->path);
	if (lab__guard_put(fd, &r, sizeof r) && image)
		lab__guard_put(fd, image, r.n);
}

hid_t lab_h5_open(const char *path, const char *format, int version, lab_err *err)
{
	lab__guard g;
	reply r;
	struct stat st;
	request q = { path, format, version };
	if (access(path, R_OK) || stat(path, &st)) {
		lab_fail(err, "cannot read %s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode)) { /* a pipe would be waited for */
		lab_fail(err, "%s is not a whole HDF5 file", path);
		return -1;
	}
	if (!lab__guard_begin(&g, path, send_copy, &q, err))
		return -1;
	bool whole = lab__guard_get(g.fd, &r, sizeof r);
	void *image = whole && r.ok ? malloc(r.n) : NULL;
	whole = whole && (!r.ok || (image && lab__guard_get(g.fd, image, r.n)));
	const char *why = lab__guard_end(&g);
	hid_t f = -1;
	if (!whole)
		lab_fail(err, "%s is damaged: %s", path, why);
	else if (!r.ok)
		*err = r.err;
	else if ((f = lab_h5_of_image(image, r.n)) < 0)
		lab_fail(err, "%s: no memory for a copy", path);
	free(image);
	return f;
}
