/* inflate.c - gzip streams and deflated zip members, by zlib where the build has it */
#include <stdlib.h>
#include <unistd.h>

#include "load.h"

size_t lab__memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	return pages > 0 && size > 0 ? (size_t)pages / 2 * (size_t)size : SIZE_MAX / 4;
}

#ifdef LAB_ZLIB
#include <limits.h>
#include <zlib.h>

/* Grows by what has arrived, never by what a header promises. */
static bool room(unsigned char **out, size_t *cap, size_t used, size_t max)
{
	if (used < *cap)
		return true;
	if (*cap >= max)
		return false;
	size_t want = *cap < max / 2 ? 2 * *cap : max;
	unsigned char *q = realloc(*out, want + 1);
	if (!q)
		return false;
	*out = q;
	*cap = want;
	return true;
}

static uInt at_most(size_t n) { return n > INT_MAX ? INT_MAX : (uInt)n; }

unsigned char *lab__inflate(const unsigned char *p, size_t n, bool gzip, size_t max, size_t *out_n, const char **why)
{
	z_stream z = { 0 };
	size_t in = 0, used = 0, cap = max > 64 && n < (max - 64) / 4 ? 4 * n + 64 : max;
	unsigned char *out = malloc(cap + 1);
	int rc = Z_OK;
	*why = "not enough memory";
	if (!out || inflateInit2(&z, gzip ? 15 + 16 : -15) != Z_OK) {
		free(out);
		return NULL;
	}
	*why = NULL;
	while (!*why) {
		if (!room(&out, &cap, used, max)) {
			*why = "unpacks to more than its size or this machine's memory allows";
			break;
		}
		uInt ni = at_most(n - in), no = at_most(cap - used);
		z.next_in = (Bytef *)(uintptr_t)(p + in);
		z.avail_in = ni;
		z.next_out = out + used;
		z.avail_out = no;
		rc = inflate(&z, Z_NO_FLUSH);
		in += ni - z.avail_in;
		used += no - z.avail_out;
		if (rc == Z_STREAM_END) {
			if (in == n)
				break;
			if (!gzip || p[in] != 0x1f)
				*why = "has bytes after the end of the compressed stream";
			else
				inflateReset(&z);
		} else if (rc == Z_BUF_ERROR || (rc == Z_OK && in == n && z.avail_out)) {
			*why = "truncated compressed stream";
		} else if (rc != Z_OK) {
			*why = "corrupt compressed stream";
		}
	}
	inflateEnd(&z);
	if (*why) {
		free(out);
		return NULL;
	}
	out[used] = 0;
	*out_n = used;
	return out;
}

#else

unsigned char *lab__inflate(const unsigned char *p, size_t n, bool gzip, size_t max, size_t *out_n, const char **why)
{
	(void)p, (void)n, (void)gzip, (void)max;
	*out_n = 0;
	*why = "compressed, and this build has no zlib";
	return NULL;
}

#endif
