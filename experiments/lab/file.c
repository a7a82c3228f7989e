/* file.c - directories, locks and files that are always whole. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

void lab_one_line(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = ' ';
}

void lab_fail(lab_err *err, const char *fmt, ...)
{
	va_list a;
	va_start(a, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, a);
	va_end(a);
	lab_one_line(err->text);
}

const char *lab_path(char *buf, size_t n, const char *dir, const char *name)
{
	size_t l = strlen(dir);
	snprintf(buf, n, "%s%s%s", dir, l && dir[l - 1] == '/' ? "" : "/", name);
	return buf;
}

/* The directory that path lies in, open; -1 where that is not allowed. */
static int open_directory_of(const char *path)
{
	char p[4200];
	snprintf(p, sizeof p, "%s", path);
	return open(dirname(p), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Entries of a directory are on the disk when it was synced.  Not every file system can; those keep them themselves. */
static int sync_directory(int fd)
{
	return fd >= 0 && fsync(fd) && errno != EINVAL && errno != ENOTSUP && errno != EROFS ? -1 : 0;
}

static int sync_directory_of(const char *path)
{
	int fd = open_directory_of(path), bad = sync_directory(fd), why = errno;
	if (fd >= 0)
		close(fd);
	errno = why;
	return bad;
}

int lab_dir_make(const char *dir, lab_err *err)
{
	char p[4096];
	if (!*dir || strlen(dir) >= sizeof p) {
		lab_fail(err, "directory name is %s", *dir ? "too long" : "empty");
		return -1;
	}
	strcpy(p, dir);
	for (char *s = p + 1;; s++) {
		if (*s && *s != '/')
			continue;
		char was = *s;
		*s = 0;
		struct stat st;
		bool made = !mkdir(p, 0777);
		if (!made && (errno != EEXIST || stat(p, &st) || !S_ISDIR(st.st_mode))) {
			lab_fail(err, "cannot make directory %s: %s", p, strerror(errno == EEXIST ? ENOTDIR : errno));
			return -1;
		}
		if (made && sync_directory_of(p)) {
			lab_fail(err, "cannot make directory %s: %s", p, strerror(errno));
			return -1;
		}
		*s = was;
		if (!was)
			break;
	}
	if (access(dir, W_OK | X_OK)) {
		lab_fail(err, "cannot write in directory %s: %s", dir, strerror(errno));
		return -1;
	}
	return 0;
}

int lab_dir_lock(const char *dir, lab_err *err)
{
	char p[4096];
	int fd = open(lab_path(p, sizeof p, dir, ".lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0) {
		lab_fail(err, "cannot write in directory %s: %s", dir, strerror(errno));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			lab_fail(err, "another process is writing the run in %s", dir);
		else
			lab_fail(err, "cannot lock %s: %s", p, strerror(errno));
		close(fd);
		return -1;
	}
	return 0; /* held open: the lock ends with the process */
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			if (!k)
				errno = ENOSPC;
			return -1;
		}
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

/* Writers of one directory take turns, by a lock on the directory: no file is left over by it, and HDF5, which locks the
 * files that it reads, is not disturbed. */
int lab_file_replace(const char *path, const void *data, size_t bytes, lab_err *err)
{
	char beside[4200];
	snprintf(beside, sizeof beside, "%s.part", path);
	int dir = open_directory_of(path);
	while (dir >= 0 && flock(dir, LOCK_EX) && errno == EINTR)
		;
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int bad = fd < 0 || write_all(fd, data, bytes) || fsync(fd);
	int why = errno;
	if (fd >= 0 && close(fd) && !bad) {
		bad = 1;
		why = errno;
	}
	if (!bad && rename(beside, path)) {
		bad = 1;
		why = errno;
	}
	if (bad && fd >= 0)
		unlink(beside);
	if (!bad && sync_directory(dir)) {
		bad = 1;
		why = errno;
	}
	if (dir >= 0)
		close(dir);
	if (bad)
		lab_fail(err, "cannot write %s: %s", path, strerror(why));
	return bad ? -1 : 0;
}
