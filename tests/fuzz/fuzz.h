/* fuzz.h - what a fuzzing harness is made of.
 *
 * A harness is one reader: tests/fuzz/NAME.c.  Built by clang with -Dfuzz=true it is a libFuzzer program; otherwise replay.c
 * drives it over its own small valid inputs, over what is left of each when bytes are cut off or changed, and over files. */
#ifndef FUZZ_H
#define FUZZ_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/lab/load.h"

/* Tries one input; aborts if what comes of it is neither sound nor one clear line.  Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
/* Puts the small valid inputs. */
typedef void fuzz_put(const void *data, size_t n);
void fuzz_seeds(fuzz_put *put);

static inline void fuzz_true(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

/* err is one line that begins with path. */
static inline void fuzz_line(const lab_err *err, const char *path)
{
	fuzz_true(memchr(err->text, 0, sizeof err->text), "a message ends");
	fuzz_true(!strncmp(err->text, path, strlen(path)), "a message names its file");
	fuzz_true(strlen(err->text) > strlen(path) + 4, "a message says something");
	fuzz_true(!strpbrk(err->text, "\n\r"), "a message is one line");
}

/* What a loader made of a file of n bytes, freed: finite numbers that so many bytes can hold, or a line. */
static inline void fuzz_table(lab_table *t, const lab_err *err, const char *path, size_t n)
{
	if (!t) {
		fuzz_line(err, path);
		return;
	}
	fuzz_true(t->rows >= 2 && t->cols >= 1, "a table has two rows");
	fuzz_true((double)t->rows * (double)t->cols <= (double)n * LAB__RATIO, "a table has the values that its file can hold");
	for (int64_t i = 0; i < t->rows * t->cols; i++)
		fuzz_true(isfinite(t->x[i]), "values are finite");
	fuzz_true(!strncmp(t->source, path, strlen(path)), "a table knows its file");
	lab_table_free(t);
}

/* A copy with a 0 behind it and nothing more, as loaders are given; the caller frees. */
static inline unsigned char *fuzz_copy(const void *data, size_t n)
{
	unsigned char *p = malloc(n + 1);
	fuzz_true(p, "memory for a copy");
	if (n)
		memcpy(p, data, n);
	p[n] = 0;
	return p;
}

/* Numbers taken from an input, 0 behind its end. */
typedef struct {
	const uint8_t *p;
	size_t n;
} fuzz_bytes;
static inline uint64_t fuzz_take(fuzz_bytes *b, int size)
{
	uint64_t v = 0;
	for (; size && b->n; size--, b->p++, b->n--)
		v = v << 8 | *b->p;
	return v;
}
/* At most max bytes, in place. */
static inline fuzz_bytes fuzz_part(fuzz_bytes *b, size_t max)
{
	fuzz_bytes part = { b->p, b->n < max ? b->n : max };
	b->p += part.n;
	b->n -= part.n;
	return part;
}

#endif
