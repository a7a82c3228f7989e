/* guard.c - work in a child process: the HDF5 library can crash or loop on damaged files */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
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

static void limit(int what, rlim_t v)
{
	setrlimit(what, &(struct rlimit){ v, v });
}

/* Bytes of address space. */
static rlim_t in_use(void)
{
	char text[64] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	close(fd);
	return n > 0 ? (rlim_t)strtoull(text, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE) : (rlim_t)1 << 46;
}

static void child(int fd, const char *path, lab__work *work, void *user)
{
	struct stat st;
	rlim_t size = stat(path, &st) ? 0 : (rlim_t)st.st_size, seconds = 20 + (size >> 20), most = 2 * lab__memory();
	/* a table of bytes becomes one of doubles, and is sent while the library holds both */
	rlim_t bytes = (256u << 20) + (size < most / (16 * LAB__RATIO) ? size * 16 * LAB__RATIO : most);
	limit(RLIMIT_CPU, seconds);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_AS, in_use() + bytes);
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

const char *lab__guard_end(lab__guard *g)
{
	int status = 0;
	close(g->fd);
	while (waitpid(g->pid, &status, 0) < 0 && errno == EINTR)
		;
	bool late = WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL);
	return late ? "the HDF5 library comes to no end on it" : "the HDF5 library fails on it";
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

/* NULL and *lost if the child ended before. */
static lab_table *receive(int fd, const char *path, bool *lost, lab_err *err)
{
	reply r;
	int64_t rows, cols;
	*lost = !lab__guard_get(fd, &r, sizeof r);
	if (*lost)
		return NULL;
	if (!r.ok) {
		*err = r.err;
		return NULL;
	}
	if (!lab__flatten(path, 2, (uint64_t[]){ (uint64_t)r.rows, (uint64_t)r.cols }, &rows, &cols, err))
		return NULL;
	lab_table *t = lab__table(r.source, rows, cols, err);
	*lost = t && !lab__guard_get(fd, t->x, (size_t)(rows * cols) * sizeof *t->x);
	if (!*lost)
		return t;
	lab_table_free(t);
	return NULL;
}

lab_table *lab__guarded(lab__loader *load, const char *path, const char *name, lab_err *err)
{
	lab__guard g;
	bool lost;
	request q = { load, path, name };
	if (!lab__guard_begin(&g, path, load_table, &q, err))
		return NULL;
	lab_table *t = receive(g.fd, path, &lost, err);
	const char *why = lab__guard_end(&g);
	if (lost)
		lab__fail(err, path, "damaged: %s", why);
	return t;
}
