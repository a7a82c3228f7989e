/* json.c - recursive descent over RFC 8259's grammar. */
#include "json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 64

typedef struct {
	const char *start, *p;
	char *why;
	int depth;
} reader;

static bool fail(reader *r, const char *what)
{
	if (!r->why[0])
		snprintf(r->why, 160, "%s at character %ld", what, (long)(r->p - r->start) + 1);
	return false;
}

static void *grow(void *p, size_t n, size_t size)
{
	p = realloc(p, n * size);
	if (!p)
		abort();
	return p;
}

static void skip(reader *r)
{
	while (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r')
		r->p++;
}

static bool take(reader *r, const char *word)
{
	size_t n = strlen(word);
	if (strncmp(r->p, word, n))
		return false;
	r->p += n;
	return true;
}

static int put_utf8(char *s, unsigned c)
{
	if (c < 0x80)
		return s[0] = (char)c, 1;
	if (c < 0x800)
		return s[0] = (char)(0xc0 | c >> 6), s[1] = (char)(0x80 | (c & 63)), 2;
	if (c < 0x10000)
		return s[0] = (char)(0xe0 | c >> 12), s[1] = (char)(0x80 | (c >> 6 & 63)),
		       s[2] = (char)(0x80 | (c & 63)), 3;
	return s[0] = (char)(0xf0 | c >> 18), s[1] = (char)(0x80 | (c >> 12 & 63)), s[2] = (char)(0x80 | (c >> 6 & 63)),
	       s[3] = (char)(0x80 | (c & 63)), 4;
}

static bool hex4(reader *r, unsigned *c)
{
	*c = 0;
	for (int i = 0; i < 4; i++, r->p++) {
		if (!isxdigit((unsigned char)*r->p))
			return fail(r, "a \\u escape needs four hexadecimal digits");
		unsigned d = (unsigned)(isdigit((unsigned char)*r->p) ? *r->p - '0' : (*r->p | 32) - 'a' + 10);
		*c = *c << 4 | d;
	}
	return true;
}

static bool escape(reader *r, char *s, int *n)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *e = *r->p ? strchr(from, *r->p) : NULL;
	if (e) {
		r->p++;
		s[(*n)++] = to[e - from];
		return true;
	}
	if (*r->p != 'u')
		return fail(r, "unknown escape");
	r->p++;
	unsigned c, low;
	if (!hex4(r, &c))
		return false;
	if (c >= 0xd800 && c < 0xdc00) {
		if (!take(r, "\\u") || !hex4(r, &low) || low < 0xdc00 || low > 0xdfff)
			return fail(r, "half a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	if (c == 0)
		return fail(r, "a NUL character");
	*n += put_utf8(s + *n, c);
	return true;
}

static bool string(reader *r, char **out)
{
	if (*r->p != '"')
		return fail(r, "a string was expected");
	r->p++;
	int n = 0;
	char *s = *out = grow(NULL, strlen(r->p) + 8, 1);
	for (s[0] = 0; *r->p != '"'; s[n] = 0)
		if ((unsigned char)*r->p < 0x20)
			return fail(r, *r->p ? "a control character in a string" : "the text ends in a string");
		else if (*r->p != '\\')
			s[n++] = *r->p++;
		else if (r->p++, !escape(r, s, &n))
			return false;
	r->p++;
	*out = grow(s, (size_t)n + 1, 1);
	return true;
}

static bool digits(reader *r)
{
	if (!isdigit((unsigned char)*r->p))
		return fail(r, "a digit was expected");
	while (isdigit((unsigned char)*r->p))
		r->p++;
	return true;
}

static bool number(reader *r, json *j)
{
	const char *start = r->p;
	j->type = JSON_NUMBER;
	r->p += *r->p == '-';
	if (*r->p == '0')
		r->p++;
	else if (!digits(r))
		return false;
	if (*r->p == '.' && (r->p++, !digits(r)))
		return false;
	if (*r->p == 'e' || *r->p == 'E') {
		r->p++;
		r->p += *r->p == '-' || *r->p == '+';
		if (!digits(r))
			return false;
	}
	j->number = strtod(start, NULL);
	return true;
}

static bool value(reader *r, json *j);

static bool items(reader *r, json *j, char close)
{
	r->p++;
	skip(r);
	if (*r->p == close)
		return r->p++, true;
	for (;;) {
		j->item = grow(j->item, (size_t)j->n + 1, sizeof *j->item);
		j->item[j->n] = (json){ 0 };
		if (j->type == JSON_OBJECT) {
			j->key = grow(j->key, (size_t)j->n + 1, sizeof *j->key);
			j->key[j->n] = NULL;
		}
		json *item = &j->item[j->n++];
		skip(r);
		if (j->type == JSON_OBJECT) {
			if (!string(r, &j->key[j->n - 1]))
				return false;
			skip(r);
			if (!take(r, ":"))
				return fail(r, "':' was expected");
		}
		if (!value(r, item))
			return false;
		skip(r);
		if (*r->p == close)
			return r->p++, true;
		if (!take(r, ","))
			return fail(r, "',' or a closing bracket was expected");
	}
}

static bool value(reader *r, json *j)
{
	skip(r);
	if (++r->depth > DEPTH)
		return fail(r, "too deeply nested");
	bool ok = true;
	if (*r->p == '{' || *r->p == '[') {
		j->type = *r->p == '{' ? JSON_OBJECT : JSON_ARRAY;
		ok = items(r, j, *r->p == '{' ? '}' : ']');
	} else if (*r->p == '"') {
		j->type = JSON_STRING;
		ok = string(r, &j->string);
	} else if (take(r, "true") || take(r, "false")) {
		j->type = JSON_BOOL;
		j->number = r->p[-2] == 'u';
	} else if (!take(r, "null")) {
		ok = *r->p == '-' || isdigit((unsigned char)*r->p) ? number(r, j) : fail(r, "a value was expected");
	}
	r->depth--;
	return ok;
}

static void clear(json *j)
{
	for (int i = 0; i < j->n; i++) {
		clear(&j->item[i]);
		if (j->key)
			free(j->key[i]);
	}
	free(j->item);
	free(j->key);
	free(j->string);
}

void json_free(json *j)
{
	if (j)
		clear(j);
	free(j);
}

const json *json_get(const json *o, const char *key)
{
	for (int i = 0; o && o->type == JSON_OBJECT && i < o->n; i++)
		if (!strcmp(o->key[i], key)) {
			o->item[i].read = true;
			return &o->item[i];
		}
	return NULL;
}

/* Was anything below j asked for? */
static bool any_read(const json *j)
{
	for (int i = 0; i < j->n; i++)
		if (j->item[i].read || any_read(&j->item[i]))
			return true;
	return false;
}

void json_unread(const json *j, void (*see)(void *user, const char *key), void *user)
{
	for (int i = 0; i < j->n; i++) {
		const json *v = &j->item[i];
		bool says = v->type == JSON_STRING ? *v->string && !strchr(v->string, ' ')
			    : v->type == JSON_OBJECT ? v->n > 0
						     : v->type != JSON_NULL;
		if (j->type != JSON_OBJECT || v->read || any_read(v) || !says)
			json_unread(v, see, user);
		else
			see(user, j->key[i]);
	}
}

double json_number(const json *o, const char *key, double otherwise)
{
	const json *j = json_get(o, key);
	return j && j->type == JSON_NUMBER ? j->number : otherwise;
}

const char *json_string(const json *o, const char *key, const char *otherwise)
{
	const json *j = json_get(o, key);
	return j && j->type == JSON_STRING ? j->string : otherwise;
}

bool json_true(const json *o, const char *key)
{
	const json *j = json_get(o, key);
	return j && j->type == JSON_BOOL && j->number != 0;
}

json *json_parse(const char *text, char why[160])
{
	why[0] = 0;
	reader r = { text, text, why, 0 };
	json *j = grow(NULL, 1, sizeof *j);
	*j = (json){ 0 };
	bool ok = value(&r, j);
	skip(&r);
	if (ok && *r.p)
		ok = fail(&r, "more text after the value");
	if (!ok) {
		json_free(j);
		return NULL;
	}
	return j;
}
