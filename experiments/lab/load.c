/* load.c - reads a file, unpacks gzip and hands it to the loader of its format */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"

/* Whether the first n characters of s end so. */
static bool ends_with(const char *s, size_t n, const char *end)
{
	size_t m = strlen(end);
	return n >= m && !strncasecmp(s + n - m, end, m);
}

/* All bytes of fd and a 0 behind them. */
static unsigned char *slurp(int fd, size_t guess, size_t *n, const char **why)
{
	size_t max = lab__memory(), cap = guess < max - 4096 ? guess + 4096 : max;
	unsigned char *p = guess < max ? malloc(cap + 1) : NULL;
	*why = "larger than this machine's memory allows";
	*n = 0;
	while (p) {
		if (*n == cap) {
			size_t more = cap < max / 2 ? 2 * cap : max;
			unsigned char *q = cap < max ? realloc(p, more + 1) : NULL;
			if (!q)
				break;
			p = q;
			cap = more;
		}
		ssize_t k = read(fd, p + *n, cap - *n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0) {
			*why = strerror(errno);
			break;
		}
		if (k == 0) {
			p[*n] = 0;
			return p;
		}
		*n += (size_t)k;
	}
	free(p);
	return NULL;
}

/* stem: length of the path without .gz */
static lab_table *dispatch(lab__bytes b, size_t stem)
{
	if (b.n == 0)
		return lab__fail(b.err, b.path, "is empty");
	if (b.n >= 6 && !memcmp(b.p, "\x93NUMPY", 6))
		return lab__load_npy(b);
	if (b.n >= 4 && (!memcmp(b.p, "PK\3\4", 4) || !memcmp(b.p, "PK\5\6", 4)))
		return lab__load_npz(b);
	if (ends_with(b.path, stem, ".npy"))
		return lab__fail(b.err, b.path, "not a .npy file (its first bytes are wrong)");
	if (ends_with(b.path, stem, ".npz"))
		return lab__fail(b.err, b.path, "not a .npz file (its first bytes are wrong)");
	if (b.n >= 8 && !memcmp(b.p, "\x89HDF\r\n\x1a\n", 8))
		return lab__fail(b.err, b.path, "is HDF5 inside gzip: unpack it first");
	if (ends_with(b.path, stem, ".idx") || ends_with(b.path, stem, "ubyte") || (b.n >= 4 && !b.p[0] && !b.p[1] && b.p[2] >= 8 && b.p[2] <= 14))
		return lab__load_idx(b);
	return lab__load_csv(b);
}

lab_table *lab__load_bytes(lab__bytes b)
{
	size_t stem = strlen(b.path);
	if (b.n < 2 || b.p[0] != 0x1f || b.p[1] != 0x8b) {
		if (b.n && ends_with(b.path, stem, ".gz"))
			return lab__fail(b.err, b.path, "not a gzip file (its first bytes are wrong)");
		return dispatch(b, stem);
	}
	size_t memory = lab__memory(), max = b.n < memory / LAB__RATIO ? b.n * LAB__RATIO : memory, n = 0;
	const char *why = NULL;
	unsigned char *p = lab__inflate(b.p, b.n, true, max, &n, &why);
	if (!p)
		return lab__fail(b.err, b.path, "%s", why);
	if (ends_with(b.path, stem, ".gz"))
		stem -= 3;
	b.p = p;
	b.n = n;
	lab_table *t = dispatch(b, stem);
	free(p);
	return t;
}

/* Splits FILE:name, if FILE exists and the whole does not. */
static const char *split_name(const char *path, char file[], size_t size, const char *name)
{
	struct stat st;
	snprintf(file, size, "%s", path);
	char *colon = strrchr(file, ':');
	if (!name && stat(path, &st) && colon && colon[1]) {
		*colon = 0;
		if (!stat(file, &st))
			return path + (colon - file) + 1;
		*colon = ':';
	}
	return name;
}

static bool looks_hdf5(int fd, const char *path)
{
	unsigned char head[8];
	ssize_t n = pread(fd, head, sizeof head, 0);
	size_t m = strlen(path);
	return (n == 8 && !memcmp(head, "\x89HDF\r\n\x1a\n", 8)) ||
	       (n > 0 && (ends_with(path, m, ".h5") || ends_with(path, m, ".hdf5") || ends_with(path, m, ".hdf")));
}

/* Files, and pipes whose end tells their size.  Devices may have none. */
static const char *kind_is_wrong(const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return "is a folder, not a file";
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		return "is a device, not a file";
	return S_ISREG(st->st_mode) && st->st_size == 0 ? "is empty" : NULL;
}

lab_table *lab_load(const char *path, const char *name, lab_err *err)
{
	char file[4096];
	struct stat st;
	if (strlen(path) >= sizeof file)
		return lab__fail(err, path, "the file's name is too long");
	name = split_name(path, file, sizeof file, name);
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		int e = errno;
		if (fd >= 0)
			close(fd);
		return lab__fail(err, file, "cannot be opened (%s)", strerror(e));
	}
	const char *no = kind_is_wrong(&st);
	if (no) {
		close(fd);
		return lab__fail(err, file, "%s", no);
	}
	if (looks_hdf5(fd, file)) {
		close(fd);
		return lab__load_hdf5(file, name, err);
	}
	size_t n = 0;
	const char *why = NULL;
	unsigned char *p = slurp(fd, S_ISREG(st.st_mode) ? (size_t)st.st_size : 0, &n, &why);
	close(fd);
	if (!p)
		return lab__fail(err, file, "%s", why);
	lab_table *t = lab__load_bytes((lab__bytes){ file, name, p, n, err });
	free(p);
	return t;
}
