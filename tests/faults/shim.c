/* shim.c - to be preloaded: records what a program does to files, or makes it fail, or moves the clock.
 *
 *   SHIM_UNDER=TEXT     only files whose path contains TEXT, and the current folder
 *   SHIM_TRACE=FILE     records of trace.h, appended
 *   SHIM_FAIL=OP:K:N    call K (from 1) of open, write, sync, close, rename or mkdir fails with errno N, and all after
 *                       it; a write that fails for want of room first writes half
 *   SHIM_ALLOC=K        allocation K, from 1, of at least SHIM_ALLOC_FROM bytes (default 1), finds no memory; 0: none, and
 *                       at exit their number goes to SHIM_COUNT
 *   SHIM_CLOCK=1        the date jumps back and forth by hours and centuries; the monotonic clock does not
 */
#undef _FILE_OFFSET_BITS /* open and open64 are both here */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "trace.h"

static bool followed[4096];

static bool ours(const char *path)
{
	const char *under = getenv("SHIM_UNDER");
	return under && (strstr(path, under) || !strcmp(path, "."));
}

/* --- Recording --------------------------------------------------------------------------------------- */

static void record(trace_record r, const void *data)
{
	const char *file = getenv("SHIM_TRACE");
	if (!file)
		return;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND, 0666);
	if (fd < 0)
		abort();
	bool good = syscall(SYS_write, fd, &r, sizeof r) == (long)sizeof r;
	if (good && data)
		good = syscall(SYS_write, fd, data, (size_t)r.n) == (long)r.n;
	if (!good)
		abort();
	syscall(SYS_close, fd);
}

static trace_record of(int kind, int fd, const char *path, const char *to)
{
	trace_record r = { .kind = kind, .fd = fd };
	snprintf(r.path, sizeof r.path, "%s", path ? path : "");
	snprintf(r.to, sizeof r.to, "%s", to ? to : "");
	return r;
}

/* --- Failing ------------------------------------------------------------------------------------------- */

/* The errno with which this call fails, or 0; *first: it is the first that does. */
static int fails(const char *op, bool *first)
{
	static int calls;
	const char *how = getenv("SHIM_FAIL");
	char name[16];
	int k, why;
	if (!how || sscanf(how, "%15[a-z]:%d:%d", name, &k, &why) != 3 || strcmp(name, op))
		return 0;
	calls++;
	*first = calls == k;
	return calls >= k ? why : 0;
}

static bool refuse(const char *op)
{
	bool first;
	int why = fails(op, &first);
	if (why)
		errno = why;
	return why != 0;
}

/* --- Files --------------------------------------------------------------------------------------------- */

static int opened(const char *path, int flags, mode_t mode)
{
	bool mine = ours(path);
	if (mine && (flags & O_CREAT) && refuse("open"))
		return -1;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (fd >= 0 && fd < 4096)
		followed[fd] = mine;
	if (fd >= 0 && mine) {
		trace_record r = of(TRACE_OPEN, fd, path, NULL);
		r.flags = flags;
		record(r, NULL);
	}
	return fd;
}

static mode_t mode_of(int flags, va_list a)
{
	return flags & O_CREAT ? va_arg(a, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list a;
	va_start(a, flags);
	mode_t mode = mode_of(flags, a);
	va_end(a);
	return opened(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list a;
	va_start(a, flags);
	mode_t mode = mode_of(flags, a);
	va_end(a);
	return opened(path, flags, mode);
}

static bool mine(int fd)
{
	return fd >= 0 && fd < 4096 && followed[fd];
}

ssize_t write(int fd, const void *data, size_t n)
{
	bool first = false;
	int why = mine(fd) ? fails("write", &first) : 0;
	if (why && !(first && why == ENOSPC && n > 1)) {
		errno = why;
		return -1;
	}
	ssize_t k = syscall(SYS_write, fd, data, why ? n / 2 : n);
	if (k > 0 && mine(fd)) {
		trace_record r = of(TRACE_WRITE, fd, NULL, NULL);
		r.n = k;
		record(r, data);
	}
	return k;
}

static int truncated(int fd, int64_t n)
{
	if (mine(fd)) {
		trace_record r = of(TRACE_TRUNCATE, fd, NULL, NULL);
		r.n = n;
		record(r, NULL);
	}
	return (int)syscall(SYS_ftruncate, fd, n);
}

int ftruncate(int fd, off_t n)
{
	return truncated(fd, n);
}

int ftruncate64(int fd, int64_t n)
{
	return truncated(fd, n);
}

int fsync(int fd)
{
	if (mine(fd) && refuse("sync"))
		return -1;
	if (mine(fd))
		record(of(TRACE_SYNC, fd, NULL, NULL), NULL);
	return 0; /* who reads the trace decides what it did; the machine is spared */
}

int close(int fd)
{
	bool mine_ = mine(fd), bad = mine_ && refuse("close");
	int why = errno;
	if (mine_) {
		record(of(TRACE_CLOSE, fd, NULL, NULL), NULL);
		followed[fd] = false;
	}
	int status = (int)syscall(SYS_close, fd);
	errno = bad ? why : errno;
	return bad ? -1 : status;
}

int rename(const char *from, const char *to)
{
	if (ours(to) && refuse("rename"))
		return -1;
	int status = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
	if (!status && ours(to))
		record(of(TRACE_RENAME, -1, from, to), NULL);
	return status;
}

int unlink(const char *path)
{
	int status = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
	if (!status && ours(path))
		record(of(TRACE_UNLINK, -1, path, NULL), NULL);
	return status;
}

int mkdir(const char *path, mode_t mode)
{
	if (ours(path) && refuse("mkdir"))
		return -1;
	int status = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
	if (!status && ours(path))
		record(of(TRACE_MKDIR, -1, path, NULL), NULL);
	return status;
}

/* --- Memory ---------------------------------------------------------------------------------------------- */

#ifndef SHIM_NO_ALLOC /* under sanitizers, which have an allocator of their own */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static atomic_llong allocations;
static long long fatal = -1, from = 1;

static void start(void) __attribute__((constructor));
static void start(void)
{
	const char *k = getenv("SHIM_ALLOC"), *least = getenv("SHIM_ALLOC_FROM");
	from = least ? atoll(least) : 1;
	allocations = 0;
	fatal = k ? atoll(k) : -1;
}

static void end(void) __attribute__((destructor));
static void end(void)
{
	const char *file = getenv("SHIM_COUNT");
	char text[32];
	int n = snprintf(text, sizeof text, "%lld\n", (long long)allocations), fd;
	if (file && (fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_TRUNC, 0666)) >= 0)
		syscall(SYS_write, fd, text, (size_t)n);
}

static bool none_left(size_t n)
{
	if (fatal < 0 || (long long)n < from || atomic_fetch_add(&allocations, 1) + 1 != fatal)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return none_left(n) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return none_left(n * size) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return none_left(n) ? NULL : __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	return none_left(n) ? NULL : __libc_memalign(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
	*p = none_left(n) ? NULL : __libc_memalign(align, n);
	return *p ? 0 : ENOMEM;
}
#endif

/* --- The clock --------------------------------------------------------------------------------------------- */

/* Seconds by which the date is wrong: another amount at each call. */
static int64_t wrong(void)
{
	static atomic_uint calls;
	static const int64_t by[] = { 0, -7200, 90000, -4000000000, 3, 9000000000, -1, 400 };
	return getenv("SHIM_CLOCK") ? by[calls++ % 8] : 0;
}

int clock_gettime(clockid_t which, struct timespec *t)
{
	int status = (int)syscall(SYS_clock_gettime, which, t);
	if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)
		t->tv_sec += wrong();
	return status;
}

time_t time(time_t *out)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}

int gettimeofday(struct timeval *restrict v, void *restrict zone)
{
	(void)zone;
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	*v = (struct timeval){ t.tv_sec, t.tv_nsec / 1000 };
	return 0;
}
