/* png.c - a picture of values inside a page: PNG with a palette (ISO 15948), its bytes in base 64. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef LAB_ZLIB
#include <zlib.h>
#endif

#include "memory.h"
#include "sheet.h"
#include "svg_plot.h"

typedef struct {
	unsigned char *p;
	size_t n, room;
} bytes;

static void add(bytes *b, const void *p, size_t n)
{
	if (b->n + n > b->room)
		b->p = lab_realloc(b->p, b->room = 2 * (b->n + n));
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void add32(bytes *b, uint32_t v)
{
	add(b,
	    (unsigned char[]){ (unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8),
			       (unsigned char)v },
	    4);
}

static void chunk(bytes *b, const char *type, const void *data, size_t n)
{
	uint32_t crc = 0xffffffffu;
	add32(b, (uint32_t)n);
	size_t from = b->n;
	add(b, type, 4);
	add(b, data, n);
	for (size_t i = from; i < b->n; i++) {
		crc ^= b->p[i];
		for (int k = 0; k < 8; k++)
			crc = crc & 1 ? 0xedb88320u ^ crc >> 1 : crc >> 1;
	}
	add32(b, ~crc);
}

/* A zlib stream of the bytes. */
static void deflated(bytes *b, const unsigned char *p, size_t n)
{
#ifdef LAB_ZLIB
	uLongf size = compressBound(n);
	unsigned char *out = lab_alloc(size, 1);
	if (compress2(out, &size, p, n, 9) == Z_OK)
		add(b, out, size);
	free(out);
#else
	uint32_t s1 = 1, s2 = 0; /* blocks that are stored as they are, and Adler's checksum */
	add(b, "\x78\x01", 2);
	for (size_t at = 0; at < n;) {
		size_t k = n - at < 65535 ? n - at : 65535;
		unsigned char head[] = { at + k == n, (unsigned char)k, (unsigned char)(k >> 8), (unsigned char)~k,
					 (unsigned char)(~k >> 8) };
		add(b, head, 5);
		add(b, p + at, k);
		at += k;
	}
	for (size_t i = 0; i < n; i++) {
		s1 = (s1 + p[i]) % 65521;
		s2 = (s2 + s1) % 65521;
	}
	add32(b, s2 << 16 | s1);
#endif
}

/* From dark violet over teal to light yellow, of steadily growing lightness. */
static void palette(unsigned char rgb[768])
{
	static const double stop[5][3] = {
		{ 35, 8, 60 }, { 60, 70, 140 }, { 30, 140, 140 }, { 110, 200, 100 }, { 250, 235, 100 }
	};
	for (int i = 0; i < 256; i++)
		for (int k = 0; k < 3; k++) {
			int s = i * 4 / 256;
			double part = i / 64.0 - s;
			rgb[3 * i + k] = (unsigned char)(stop[s][k] + part * (stop[s + 1][k] - stop[s][k]));
		}
}

static void base64(FILE *f, const unsigned char *p, size_t n)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v =
			(uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
		fputc(digit[v >> 18], f);
		fputc(digit[v >> 12 & 63], f);
		fputc(i + 1 < n ? digit[v >> 6 & 63] : '=', f);
		fputc(i + 2 < n ? digit[v & 63] : '=', f);
	}
}

void lab_html_picture(FILE *f, const char *alt, int n, const double *p)
{
	bytes png = { 0 }, data = { 0 }, head = { 0 };
	unsigned char rgb[768], *row = lab_alloc((size_t)n + 1, 1);
	double most = 0;
	for (int i = 0; i < n * n; i++)
		most = p[i] > most && isfinite(p[i]) ? p[i] : most;
	bytes lines = { 0 };
	for (int y = n - 1; y >= 0; y--) {
		for (int x = 0; x < n; x++) {
			double v = most > 0 && p[y * n + x] > 0 ? p[y * n + x] / most : 0;
			row[1 + x] = (unsigned char)(255 * sqrt(fmin(v, 1)));
		}
		add(&lines, row, (size_t)n + 1);
	}
	deflated(&data, lines.p, lines.n);
	palette(rgb);
	add(&png, "\x89PNG\r\n\x1a\n", 8);
	add32(&head, (uint32_t)n);
	add32(&head, (uint32_t)n);
	add(&head, "\x08\x03\0\0\0", 5); /* eight bits, palette */
	chunk(&png, "IHDR", head.p, head.n);
	chunk(&png, "PLTE", rgb, sizeof rgb);
	chunk(&png, "IDAT", data.p, data.n);
	chunk(&png, "IEND", "", 0);
	fputs("<figure class=\"picture\"><img alt=\"", f);
	lab_html_text(f, alt);
	fputs("\" src=\"data:image/png;base64,", f);
	base64(f, png.p, png.n);
	fputs("\"/><figcaption>", f);
	lab_html_text(f, alt);
	fputs("</figcaption></figure>\n", f);
	free(row);
	free(lines.p);
	free(data.p);
	free(head.p);
	free(png.p);
}
