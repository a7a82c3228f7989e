/* wellformed.c - is a page well-formed (every element closed, attributes quoted, "<" and "&" escaped) and does it need
 * nothing from elsewhere?  Prints the first fault and exits with 1. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text, *at;

static void fault(const char *fmt, ...)
{
	int line = 1;
	va_list a;
	for (const char *p = text; p < at; p++)
		line += *p == '\n';
	va_start(a, fmt);
	printf("line %d: ", line);
	vprintf(fmt, a);
	printf("\n");
	exit(1);
}

static void word(char out[64])
{
	int n = 0;
	while (*at && (isalnum((unsigned char)*at) || strchr("-_:", *at)) && n < 63)
		out[n++] = *at++;
	out[n] = 0;
	if (!n)
		fault("a name is missing before \"%.20s\"", at);
}

static void blank(void)
{
	at += strspn(at, " \t\n");
}

static void entity(void)
{
	static const char *const known[] = { "lt;", "gt;", "amp;", "quot;", NULL };
	at++;
	if (*at == '#') {
		size_t n = strspn(at + 1, "0123456789");
		if (!n || at[1 + n] != ';')
			fault("a broken character reference");
		return;
	}
	for (int k = 0; known[k]; k++)
		if (!strncmp(at, known[k], strlen(known[k])))
			return;
	fault("\"&\" is not escaped");
}

/* Values that make a browser fetch something. */
static void local(const char *name, const char *value, size_t n)
{
	if (!strcmp(name, "src") || !strcmp(name, "href") || !strcmp(name, "xlink:href") || !strcmp(name, "srcset"))
		if (strncmp(value, "data:", 5) && *value != '#')
			fault("%s=\"%.*s\" is elsewhere", name, (int)(n > 60 ? 60 : n), value);
}

static void attributes(void)
{
	char name[64];
	for (blank(); *at && *at != '>' && strncmp(at, "/>", 2); blank()) {
		word(name);
		if (*at++ != '=' || *at++ != '"')
			fault("attribute %s has no quoted value", name);
		const char *value = at;
		for (; *at && *at != '"'; at++)
			if (*at == '<')
				fault("\"<\" in attribute %s", name);
			else if (*at == '&')
				entity();
		local(name, value, (size_t)(at - value));
		if (!*at++)
			fault("attribute %s does not end", name);
	}
}

/* The text of a style or script, up to its end. */
static void raw(const char *name)
{
	char end[80];
	snprintf(end, sizeof end, "</%s>", name);
	const char *stop = strstr(at, end);
	if (!stop)
		fault("<%s> does not end", name);
	for (const char *p = at; p < stop; p++)
		if (!strncmp(p, "url(", 4) || !strncmp(p, "@import", 7) || !strncmp(p, "fetch(", 6) ||
		    !strncmp(p, "://", 3))
			fault("<%s> reaches elsewhere: %.30s", name, p);
	at = stop;
}

int main(int argc, char **argv)
{
	static char buffer[1 << 24], open[256][64];
	FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
	int depth = 0, elements = 0;
	if (!f)
		return printf("cannot read a page\n"), 1;
	buffer[fread(buffer, 1, sizeof buffer - 1, f)] = 0;
	fclose(f);
	text = at = buffer;
	if (strncmp(at, "<!DOCTYPE html>", 15))
		fault("no doctype");
	at += 15;
	while (*at) {
		char name[64];
		if (*at == '&')
			entity();
		if (*at != '<') {
			at++;
			continue;
		}
		at++;
		if (*at == '/') {
			at++;
			word(name);
			if (!depth || strcmp(open[--depth], name))
				fault("</%s> closes <%s>", name, depth < 0 ? "nothing" : open[depth]);
			if (*at++ != '>')
				fault("</%s is not closed", name);
			continue;
		}
		word(name);
		elements++;
		attributes();
		if (*at == '/') {
			at += 2;
			continue;
		}
		if (*at++ != '>')
			fault("<%s is not closed", name);
		if (depth == 256)
			fault("too deep");
		strcpy(open[depth++], name);
		if (!strcmp(name, "style") || !strcmp(name, "script"))
			raw(name);
	}
	if (depth)
		fault("<%s> is not closed", open[depth - 1]);
	printf("%d elements\n", elements);
	return 0;
}
