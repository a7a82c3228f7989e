/* gz.c - fuzzes compressed streams: any bytes, and sound streams of any bytes that come back or are cut off. */
#include <zlib.h>

#include "fuzz.h"

static unsigned char *packed(const uint8_t *data, size_t n, bool gzip, size_t *m)
{
	z_stream z = { 0 };
	deflateInit2(&z, 6, Z_DEFLATED, gzip ? 25 : -9, 1, Z_DEFAULT_STRATEGY); /* with little memory, which is soon ready */
	uLong cap = deflateBound(&z, n);
	unsigned char *p = malloc(cap);
	z.next_in = (unsigned char *)(uintptr_t)data, z.avail_in = (uInt)n, z.next_out = p, z.avail_out = (uInt)cap;
	fuzz_true(deflate(&z, Z_FINISH) == Z_STREAM_END, "deflate ends");
	*m = z.total_out;
	deflateEnd(&z);
	return p;
}

static void sound(const uint8_t *data, size_t n, bool gzip, size_t cut)
{
	size_t m, back;
	const char *why;
	unsigned char *z = packed(data, n, gzip, &m), *p;
	if (cut) {
		p = lab__inflate(z, m - 1 - cut % m, gzip, n + 1, &back, &why);
		fuzz_true(!p && why, "a stream cut off is refused");
	} else {
		p = lab__inflate(z, m, gzip, n + 1, &back, &why);
		fuzz_true(p && back == n && !memcmp(p, data, n) && !p[n], "what was packed comes back");
		free(p);
		p = n ? lab__inflate(z, m, gzip, n - 1, &back, &why) : NULL;
		fuzz_true(!p, "no more than allowed is unpacked");
	}
	free(z);
}

/* A whole file by its first bytes, as lab_load reads it. */
static void file(const uint8_t *data, size_t n, bool pack)
{
	lab_err err = { "" };
	size_t m = n;
	unsigned char *z = pack ? packed(data, n, true, &m) : NULL, *p = fuzz_copy(z ? z : data, m);
	fuzz_table(lab__load_bytes((lab__bytes){ "f.csv.gz", NULL, p, m, &err }), &err, "f.csv.gz", m);
	free(p);
	free(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 2)
		return 0;
	unsigned how = data[0] & 7, cut = data[1];
	data += 2;
	n -= 2;
	if (how < 2)
		sound(data, n, how, cut);
	else if (how < 4)
		file(data, n, how == 3);
	else {
		const char *why = NULL;
		size_t back = 0, max = n * 64;
		unsigned char *p = lab__inflate(data, n, how & 1, max, &back, &why);
		fuzz_true(p ? back <= max && !p[back] : why && *why, "a stream is unpacked within bounds, or refused");
		free(p);
	}
	return 0;
}

void fuzz_seeds(fuzz_put *put)
{
	static const char text[] = "1,2\n3,4\n5,6\n1,2\n3,4\n5,6\n";
	unsigned char b[300];
	for (unsigned how = 0; how < 8; how++) {
		size_t m, n = sizeof text - 1;
		unsigned char *z = packed((const uint8_t *)text, n, how & 1 || how == 2, &m);
		b[0] = (unsigned char)how;
		b[1] = 0;
		memcpy(b + 2, how < 2 || how == 3 ? (const void *)text : z, how < 2 || how == 3 ? n : m);
		put(b, 2 + (how < 2 || how == 3 ? n : m));
		free(z);
	}
	memset(b, 0, 36); /* so small that 64 bytes are more than it may unpack to */
	put(b, 36);
}
