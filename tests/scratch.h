/* scratch.h - for tests of files: a folder that goes away, small files in it, .npy bytes, and what loading them gives */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/lab/data.h"

static char dir[] = "/tmp/test_lab_XXXXXX";

static inline int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static inline int remove_dir(void **state)
{
	(void)state;
	char command[64];
	snprintf(command, sizeof command, "rm -r '%s'", dir);
	return system(command);
}

/* The last two results stay valid. */
static inline const char *in_dir(const char *name)
{
	static char path[2][256];
	static int k;
	k = !k;
	snprintf(path[k], sizeof path[k], "%s/%s", dir, name);
	return path[k];
}

static inline void put(const char *name, const void *data, size_t n)
{
	FILE *f = fopen(in_dir(name), "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static inline void put_text(const char *name, const char *text) { put(name, text, strlen(text)); }

/* Loads name (with :array) and checks shape, first and last value. */
static inline void loads(const char *name, int64_t rows, int64_t cols, double first, double last)
{
	lab_err err = { "" };
	lab_table *t = lab_load(in_dir(name), NULL, &err);
	if (!t)
		fail_msg("%s", err.text);
	if (t->rows != rows || t->cols != cols || t->x[0] != first || t->x[rows * cols - 1] != last)
		fail_msg("%s: %ld x %ld, %g .. %g", name, (long)t->rows, (long)t->cols, t->x[0], t->x[t->rows * t->cols - 1]);
	lab_table_free(t);
}

/* Refused with one line that names the file and says this. */
static inline void refused(const char *name, const char *says)
{
	lab_err err = { "" };
	lab_table *t = lab_load(in_dir(name), NULL, &err);
	if (t)
		fail_msg("%s was accepted where '%s' was expected", name, says);
	if (!strstr(err.text, says) || strncmp(err.text, dir, strlen(dir)) || strchr(err.text, '\n'))
		fail_msg("%s: message '%s' lacks '%s'", name, err.text, says);
}

/* A .npy file of version 1 with this header and these values, in buf; its size. */
static inline size_t npy(unsigned char *buf, int version, const char *head, const void *values, size_t n)
{
	size_t len = strlen(head), lead = version == 1 ? 10 : 12;
	memcpy(buf, "\x93NUMPY", 6);
	buf[6] = (unsigned char)version;
	buf[7] = 0;
	memset(buf + 8, 0, 4);
	buf[8] = (unsigned char)(len & 255);
	buf[9] = (unsigned char)(len >> 8);
	memcpy(buf + lead, head, len);
	if (n)
		memcpy(buf + lead + len, values, n);
	return lead + len + n;
}

#define HEAD(descr, order, shape) "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }\n"

#endif
