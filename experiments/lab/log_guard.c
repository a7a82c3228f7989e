/* log_guard.c - the record of a run read in a child process, so that a damaged file is an error and not a crash. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "guard.h"
#include "log.h"
#include "memory.h"

typedef struct {
	bool ok;
	int n;
	lab_err err;
} head;

typedef struct {
	lab_log_kind kind;
	int64_t name, unit, text, n; /* bytes, their NUL included; 0: none */
	int64_t integer;
	double real;
} item;

static int64_t length(const char *s)
{
	return s ? (int64_t)strlen(s) + 1 : 0;
}

static bool send_entry(int fd, const lab_log_entry *e)
{
	item i = { e->kind, length(e->name), length(e->unit), length(e->text), e->n, e->integer, e->real };
	return lab__guard_put(fd, &i, sizeof i) && lab__guard_put(fd, e->name, (size_t)i.name) &&
	       lab__guard_put(fd, e->unit, (size_t)i.unit) && lab__guard_put(fd, e->text, (size_t)i.text) &&
	       lab__guard_put(fd, e->step, e->step ? (size_t)e->n * sizeof *e->step : 0) &&
	       lab__guard_put(fd, e->value, e->value ? (size_t)e->n * sizeof *e->value : 0);
}

static void send_log(int fd, void *path)
{
	head h = { 0 };
	lab_log *l = lab_log_read(path, &h.err);
	h.ok = l != NULL;
	h.n = l ? l->n : 0;
	bool go = lab__guard_put(fd, &h, sizeof h);
	for (int i = 0; i < h.n && go; i++)
		go = send_entry(fd, &l->entry[i]);
}

/* n bytes in new memory; NULL if they do not come. */
static void *take(int fd, int64_t n, int64_t most)
{
	void *p = n > 0 && n <= most ? lab_alloc((size_t)n, 1) : NULL;
	if (p && !lab__guard_get(fd, p, (size_t)n)) {
		free(p);
		return NULL;
	}
	return p;
}

static bool take_text(int fd, int64_t n, char **text)
{
	*text = take(fd, n, (int64_t)1 << 26);
	if (*text)
		(*text)[n - 1] = 0;
	return *text || !n;
}

static bool receive_entry(int fd, lab_log *l, int64_t most)
{
	item i;
	lab_log_entry e = { 0 };
	if (!lab__guard_get(fd, &i, sizeof i) || i.kind > LAB_LOG_SERIES || i.n < 0 || i.n > most / 8)
		return false;
	e.kind = i.kind;
	e.integer = i.integer;
	e.real = i.real;
	e.n = e.room = i.n;
	bool ok = take_text(fd, i.name, &e.name) && e.name && take_text(fd, i.unit, &e.unit) &&
		  take_text(fd, i.text, &e.text) && (e.text || e.kind != LAB_LOG_TEXT);
	if (ok && i.n && e.kind == LAB_LOG_SERIES)
		ok = (e.step = take(fd, 8 * i.n, most)) != NULL;
	if (ok && i.n && e.kind >= LAB_LOG_ARRAY)
		ok = (e.value = take(fd, 8 * i.n, most)) != NULL;
	lab_log_add(l, e);
	return ok;
}

lab_log *lab_log_read_guarded(const char *path, lab_err *err)
{
	lab__guard g;
	head h;
	struct stat st;
	/* what lab_h5_get_array can make of the file's bytes */
	int64_t most = stat(path, &st) ? 0 : ((int64_t)st.st_size + 4096) * 2048;
	if (!lab__guard_begin(&g, path, send_log, (void *)path, err))
		return NULL;
	lab_log *l = NULL;
	bool whole = lab__guard_get(g.fd, &h, sizeof h);
	if (whole && h.ok) {
		l = lab_log_new();
		for (int i = 0; i < h.n && whole; i++)
			whole = receive_entry(g.fd, l, most);
	}
	lab__guard_end(&g);
	if (whole && !h.ok)
		*err = h.err;
	if (!whole) {
		lab_fail(err, "%s is damaged: the HDF5 library fails on it", path);
		lab_log_free(l);
		return NULL;
	}
	return l;
}

lab_log *lab_log_of_run(const char *run, char path[4200], lab_err *err)
{
	struct stat st;
	if (!stat(run, &st) && S_ISDIR(st.st_mode))
		lab_path(path, 4200, run, "run.h5");
	else
		snprintf(path, 4200, "%s", run);
	return lab_log_read_guarded(path, err);
}
