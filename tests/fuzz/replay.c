/* replay.c - drives a harness without libFuzzer: HARNESS CHANGES [FILE...], or HARNESS --seeds FOLDER.
 *
 * Every seed of the harness is tried whole, cut off at up to CHANGES places (300 at most) and changed at random, CHANGES times,
 * always in the same way; so are files, which are inputs that once failed.  --seeds writes the seeds, a corpus to begin with. */
#include <sys/stat.h>

#include "fuzz.h"

static long changes, tried;
static const char *folder;
static uint64_t state;

static uint64_t draw(uint64_t below)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % below;
}

/* In memory of exactly this size, so that a sanitizer sees the byte behind it. */
static void try(const unsigned char *data, size_t n)
{
	unsigned char *p = malloc(n ? n : 1);
	memcpy(p, data, n);
	LLVMFuzzerTestOneInput(p, n);
	free(p);
	tried++;
}

static size_t change(unsigned char *p, size_t n)
{
	static const unsigned char edge[] = { 0, 1, 0x7f, 0x80, 0xff, '\n', '"', '-', '9', 'e', '[', ',' };
	for (uint64_t k = 1 + draw(4); k && n; k--) {
		size_t at = draw(n), m = 1 + draw(8);
		m = m < n - at ? m : n - at;
		switch (draw(5)) {
		case 0:
			p[at] ^= (unsigned char)(1u << draw(8));
			break;
		case 1:
			p[at] = edge[draw(sizeof edge)];
			break;
		case 2:
			memset(p + at, edge[draw(5)], m);
			break;
		case 3: /* without some bytes */
			memmove(p + at, p + at + m, n - at - m);
			n -= m;
			break;
		default: /* from elsewhere */
			memmove(p + at, p + draw(n - m + 1), m);
		}
	}
	return n;
}

static void vary(const void *data, size_t n)
{
	unsigned char *p = malloc(n + 1);
	try(data, n);
	size_t cuts = changes < 300 ? (size_t)changes : 300;
	for (size_t cut = 0; cuts && cut < n; cut += n / cuts + 1)
		try(data, cut);
	state = n;
	for (long k = 0; k < changes; k++) {
		memcpy(p, data, n);
		try(p, change(p, n));
	}
	free(p);
}

static void write_seed(const void *data, size_t n)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/seed-%ld", folder, tried++);
	FILE *f = fopen(path, "wb");
	fuzz_true(f && fwrite(data, 1, n, f) == n && !fclose(f), "a seed is written");
}

static void file(const char *path)
{
	struct stat st;
	FILE *f = stat(path, &st) ? NULL : fopen(path, "rb");
	fuzz_true(f, path);
	unsigned char *p = malloc((size_t)st.st_size + 1);
	size_t n = fread(p, 1, (size_t)st.st_size, f);
	fclose(f);
	vary(p, n);
	free(p);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--seeds")) {
		folder = argv[2];
		fuzz_seeds(write_seed);
		return 0;
	}
	changes = argc > 1 ? atol(argv[1]) : 0;
	fuzz_seeds(vary);
	for (int i = 2; i < argc; i++)
		file(argv[i]);
	printf("%ld inputs tried\n", tried);
	return tried == 0;
}
