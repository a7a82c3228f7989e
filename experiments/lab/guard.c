/* guard.c - work in a child process: the HDF5 library can crash or loop on damaged files */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

bool lab__guard_put(int fd, const void *data, size_t n)
{
	for (const char *p = data; n;) {
		ssize_t k = write(fd, p, n);
		if (k < 0 && errno != EINTR)
			return false;
		p += k > 0 ? k : 0;
		n -= k > 0 ? (size_t)k : 0;
	}
	return true;
}

bool lab__guard_get(int fd, void *data, size_t n)
{
	for (char *p = data; n;) {
		ssize_t k = read(fd, p, n);
		if (k == 0 || (k < 0 && errno != EINTR))
			return false;
		p += k > 0 ? k : 0;
		n -= k > 0 ? (size_t)k : 0;
	}
	return true;
}

static void child(int fd, const char *path, lab__work *work, void *user)
{
	struct stat st;
	rlim_t seconds = 60 + (stat(path, &st) ? 0 : (rlim_t)st.st_size >> 20);
	setrlimit(RLIMIT_CPU, &(struct rlimit){ seconds, seconds });
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	dup2(open("/dev/null", O_WRONLY), 2);
	work(fd, user);
	_exit(0);
}

bool lab__guard_begin(lab__guard *g, const char *path, lab__work *work, void *user, lab_err *err)
{
	int fd[2];
	if (pipe2(fd, O_CLOEXEC)) {
		lab__fail(err, path, "no pipe (%s)", strerror(errno));
		return false;
	}
	g->pid = fork();
	if (g->pid < 0) {
		close(fd[0]);
		close(fd[1]);
		lab__fail(err, path, "no process to read it in (%s)", strerror(errno));
		return false;
	}
	if (g->pid == 0) {
		close(fd[0]);
		child(fd[1], path, work, user);
	}
	close(fd[1]);
	g->fd = fd[0];
	return true;
}

void lab__guard_end(lab__guard *g)
{
	int status;
	close(g->fd);
	while (waitpid(g->pid, &status, 0) < 0 && errno == EINTR)
		;
}

/* --- Tables ------------------------------------------------------------------------------------------ */

typedef struct {
	bool ok;
	int64_t rows, cols;
	char source[512];
	lab_err err;
} reply;

typedef struct {
	lab__loader *load;
	const char *path, *name;
} request;

static void load_table(int fd, void *user)
{
	const request *q = user;
	reply r = { 0 };
	lab_table *t = q->load(q->path, q->name, &r.err);
	if (t) {
		r.ok = true;
		r.rows = t->rows;
		r.cols = t->cols;
		memcpy(r.source, t->source, sizeof r.source);
	}
	if (lab__guard_put(fd, &r, sizeof r) && t)
		lab__guard_put(fd, t->x, (size_t)(t->rows * t->cols) * sizeof *t->x);
}

static lab_table *receive(int fd, const char *path, lab_err *err)
{
	reply r;
	int64_t rows, cols;
	if (!lab__guard_get(fd, &r, sizeof r))
		return lab__fail(err, path, "damaged: the HDF5 library fails on it");
	if (!r.ok) {
		*err = r.err;
		return NULL;
	}
	if (!lab__flatten(path, 2, (uint64_t[]){ (uint64_t)r.rows, (uint64_t)r.cols }, &rows, &cols, err))
		return NULL;
	lab_table *t = lab__table(r.source, rows, cols, err);
	if (t && !lab__guard_get(fd, t->x, (size_t)(rows * cols) * sizeof *t->x)) {
		lab_table_free(t);
		return lab__fail(err, path, "damaged: the HDF5 library fails on it");
	}
	return t;
}

lab_table *lab__guarded(lab__loader *load, const char *path, const char *name, lab_err *err)
{
	lab__guard g;
	request q = { load, path, name };
	if (!lab__guard_begin(&g, path, load_table, &q, err))
		return NULL;
	lab_table *t = receive(g.fd, path, err);
	lab__guard_end(&g);
	return t;
}
