/* cli.c - command lines from one table of options. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "ranks.h"

int lab_option_count(const lab_option *o)
{
	int n = 0;
	while (o && o[n].name)
		n++;
	return n;
}

int lab_cli_wrong(const lab_cli *c, const char *fmt, ...)
{
	char line[2048];
	va_list a;
	va_start(a, fmt);
	vsnprintf(line, sizeof line, fmt, a);
	va_end(a);
	lab_one_line(line);
	if (lab_rank() == 0)
		fprintf(stderr, "%s: %s\n", c->name, line);
	else
		lab__ranks_note(line);
	return LAB_USAGE;
}

static int distance(const char *a, const char *b)
{
	int row[64], n = (int)strlen(b);
	if (n > 62 || strlen(a) > 62)
		return 99;
	for (int j = 0; j <= n; j++)
		row[j] = j;
	for (int i = 1; a[i - 1]; i++) {
		int diagonal = row[0];
		row[0] = i;
		for (int j = 1; j <= n; j++) {
			int best = diagonal + (a[i - 1] != b[j - 1]);
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[n];
}

const char *lab_nearest(const char *word, int n, const char *const candidate[])
{
	const char *best = NULL;
	int least = 4;
	for (int i = 0; i < n; i++) {
		int d = distance(word, candidate[i]);
		if (*word && strlen(candidate[i]) > strlen(word) && !strncmp(word, candidate[i], strlen(word)) && d > 2)
			d = 2;
		if (d < least && d < (int)strlen(candidate[i])) {
			least = d;
			best = candidate[i];
		}
	}
	return best;
}

static const char *hint(char *buf, size_t n, const lab_cli *c, const char *word, const char *dashes)
{
	const char *name[2 * LAB_MAX_ROWS + 2];
	int k = 0;
	for (const lab_option *o = *dashes ? c->option : c->setting; o->name; o++)
		name[k++] = o->name;
	for (const lab_key *m = *dashes ? NULL : c->more; m && m->key; m++)
		name[k++] = m->key;
	if (*dashes) {
		name[k++] = "help";
		name[k++] = "set";
	}
	const char *near = lab_nearest(word, k, name);
	*buf = 0;
	if (near)
		snprintf(buf, n, " (did you mean %s%s?)", dashes, near);
	return buf;
}

static bool number(const char *text, double *v)
{
	char *end;
	errno = 0;
	*v = strtod(text, &end);
	return end != text && !*end && isfinite(*v) && errno != ERANGE;
}

static bool choice(const char *choices, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = choices; n && (p = strstr(p, word)); p += n)
		if ((p == choices || p[-1] == '|') && (!p[n] || p[n] == '|'))
			return true;
	return false;
}

bool lab_option_read(const lab_option *o, const char *text, void *values, char *why, size_t n)
{
	char *at = (char *)values + o->at, *end;
	double v = 0;
	switch (o->kind) {
	case LAB_FLAG:
		if (!choice("yes|true|1|no|false|0", text)) {
			snprintf(why, n, "takes yes or no, not \"%s\"", text);
			return false;
		}
		*(bool *)at = choice("yes|true|1", text);
		return true;
	case LAB_INT:
	case LAB_REAL:
		if (!number(text, &v) || (o->kind == LAB_INT && (v != floor(v) || fabs(v) > 9.007e15))) {
			snprintf(why, n, "takes %s number, not \"%s\"", o->kind == LAB_INT ? "a whole" : "a", text);
			return false;
		}
		if (o->lo < o->hi && (v < o->lo || v > o->hi)) {
			if (isinf(o->hi))
				snprintf(why, n, "must be at least %g, not %s", o->lo, text);
			else
				snprintf(why, n, "must be from %g to %g, not %s", o->lo, o->hi, text);
			return false;
		}
		if (o->kind == LAB_REAL) {
			*(double *)at = v;
			return true;
		}
		errno = 0;
		int64_t exact = strtoll(text, &end, 10);
		*(int64_t *)at = *end || errno ? (int64_t)v : exact;
		return true;
	case LAB_CHOICE:
		if (!choice(o->arg, text)) {
			snprintf(why, n, "takes one of %s, not \"%s\"", o->arg, text);
			return false;
		}
		break;
	case LAB_TEXT:
		if (!*text) {
			snprintf(why, n, "is empty");
			return false;
		}
	}
	*(const char **)at = text;
	return true;
}

static void presets(const lab_option *o, void *values)
{
	char why[200];
	for (; o && o->name; o++)
		if (o->preset && !strchr(o->preset, ' '))
			lab_option_read(o, o->preset, values, why, sizeof why);
}

static int assign(const lab_cli *c, const char *pair, void *values, lab_args *a)
{
	char key[64], why[200], near[100];
	const char *eq = strchr(pair, '=');
	if (!eq || eq == pair || (size_t)(eq - pair) >= sizeof key)
		return lab_cli_wrong(c, "--set takes key=value, not \"%s\"", pair);
	memcpy(key, pair, (size_t)(eq - pair));
	key[eq - pair] = 0;
	for (int i = 0; c->setting[i].name; i++)
		if (!strcmp(key, c->setting[i].name)) {
			if (!lab_option_read(&c->setting[i], eq + 1, values, why, sizeof why))
				return lab_cli_wrong(c, "--set %s: %s %s", pair, key, why);
			a->setting[i] = eq + 1;
			return -1;
		}
	for (int i = 0; c->more && c->more[i].key; i++)
		if (!strcmp(key, c->more[i].key)) {
			if (!c->set_more(values, key, eq + 1, why))
				return lab_cli_wrong(c, "--set %s: %s", pair, why);
			a->more[i] = eq + 1;
			return -1;
		}
	return lab_cli_wrong(c, "--set %s: unknown key \"%s\"%s", pair, key, hint(near, sizeof near, c, key, ""));
}

static int option(const lab_cli *c, int argc, char **argv, int *i, void *values, lab_args *a)
{
	char name[64], why[200], near[100];
	const char *word = argv[*i] + 2, *value = strchr(word, '=');
	size_t n = value ? (size_t)(value - word) : strlen(word);
	snprintf(name, sizeof name, "%.*s", (int)n, word);
	bool set = c->setting && !strcmp(name, "set");
	const lab_option *o = c->option;
	while (o->name && strcmp(o->name, name))
		o++;
	if (!set && !o->name)
		return lab_cli_wrong(c, "unknown option --%s%s", name, hint(near, sizeof near, c, name, "--"));
	if (!set && o->kind == LAB_FLAG && !value)
		value = "yes";
	else if (value)
		value++;
	else if (*i + 1 < argc)
		value = argv[++*i];
	else
		return lab_cli_wrong(c, "--%s needs a value (%s)", name, set ? "key=value" : o->arg);
	if (set)
		return assign(c, value, values, a);
	if (!lab_option_read(o, value, values, why, sizeof why))
		return lab_cli_wrong(c, "--%s %s", name, why);
	a->option[o - c->option] = value;
	return -1;
}

int lab_cli_parse(const lab_cli *c, int argc, char **argv, void *values, lab_args *a)
{
	memset(a, 0, sizeof *a);
	presets(c->option, values);
	presets(c->setting, values);
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			lab_cli_help(c);
			return 0;
		} else if (!strcmp(argv[i], "--"))
			break;
	a->arg = argv + 1; /* positional words are moved to the front, in order */
	bool words = false;
	for (int i = 1; i < argc; i++) {
		if (!words && !strcmp(argv[i], "--")) {
			words = true;
		} else if (!words && argv[i][0] == '-' && argv[i][1] == '-') {
			int status = option(c, argc, argv, &i, values, a);
			if (status >= 0)
				return status;
		} else if (!words && argv[i][0] == '-' && argv[i][1]) {
			return lab_cli_wrong(c, "unknown option %s (options are written --name)", argv[i]);
		} else {
			if (a->nargs == c->max_args)
				return lab_cli_wrong(c, "unexpected argument \"%s\"", argv[i]);
			a->arg[a->nargs++] = argv[i];
		}
	}
	if (a->nargs < c->min_args)
		return lab_cli_wrong(c, "needs %s (--help explains)", c->args);
	return -1;
}
