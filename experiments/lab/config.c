/* config.c - a program's options to and from the log of a run. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void record(lab_log *l, const lab_option *o, const void *values, const char *const text[])
{
	char name[100];
	for (int i = 0; o && o[i].name; i++) {
		if (o[i].role == LAB_LOCAL)
			continue;
		const char *at = (const char *)values + o[i].at;
		snprintf(name, sizeof name, "config/%s", o[i].name);
		if (o[i].kind == LAB_FLAG)
			lab_log_int(l, name, *(const bool *)at, NULL);
		else if (o[i].kind == LAB_INT)
			lab_log_int(l, name, *(const int64_t *)at, NULL);
		else if (o[i].kind == LAB_REAL)
			lab_log_real(l, name, *(const double *)at, NULL);
		else if (*(const char *const *)at)
			lab_log_text(l, name, *(const char *const *)at);
		snprintf(name, sizeof name, "asked/%s", o[i].name);
		if (text[i])
			lab_log_text(l, name, text[i]);
	}
}

void lab_config_record(lab_log *l, const lab_cli *c, const void *values, const lab_args *a)
{
	char name[100];
	record(l, c->option, values, a->option);
	record(l, c->setting, values, a->setting);
	for (int i = 0; c->more && c->more[i].key; i++)
		if (a->more[i]) {
			snprintf(name, sizeof name, "asked/%s", c->more[i].key);
			lab_log_text(l, name, a->more[i]);
		}
}

static bool same(const char *a, const char *b)
{
	char *ea, *eb;
	double x = strtod(a, &ea), y = strtod(b, &eb);
	return !strcmp(a, b) || (ea != a && eb != b && !*ea && !*eb && x == y);
}

/* The text given now against the one given then, or the value that was chosen then. */
static bool agrees(const lab_log *l, const char *name, const char *now, char *why, size_t n)
{
	char key[100], text[64] = "its default";
	if (!now)
		return true;
	snprintf(key, sizeof key, "asked/%s", name);
	const char *then = lab_log_get_text(l, key, NULL);
	snprintf(key, sizeof key, "config/%s", name);
	const lab_log_entry *e = lab_log_find(l, key);
	if (!then && e) {
		then = e->kind == LAB_LOG_TEXT ? e->text : text;
		if (e->kind == LAB_LOG_INT)
			snprintf(text, sizeof text, "%lld", (long long)e->integer);
		else if (e->kind == LAB_LOG_REAL)
			snprintf(text, sizeof text, "%.17g", e->real);
	}
	if (then && same(now, then))
		return true;
	snprintf(why, n, "%s is %s in the run, not %s", name, then ? then : text, now);
	return false;
}

static bool restore(const lab_log *l, const lab_option *o, void *values, const char *const text[], char *why, size_t n)
{
	char name[100];
	for (int i = 0; o && o[i].name; i++) {
		if (o[i].role == LAB_LOCAL || (o[i].role == LAB_FREE && text[i]))
			continue;
		if (!agrees(l, o[i].name, text[i], why, n))
			return false;
		snprintf(name, sizeof name, "config/%s", o[i].name);
		const lab_log_entry *e = lab_log_find(l, name);
		char *at = (char *)values + o[i].at;
		if (!e)
			continue;
		if (o[i].kind == LAB_FLAG)
			*(bool *)at = lab_log_get_int(l, name, 0) != 0;
		else if (o[i].kind == LAB_INT)
			*(int64_t *)at = lab_log_get_int(l, name, *(int64_t *)at);
		else if (o[i].kind == LAB_REAL)
			*(double *)at = lab_log_get_real(l, name, *(double *)at);
		else
			*(const char **)at = lab_log_get_text(l, name, *(const char **)at);
	}
	return true;
}

bool lab_config_restore(const lab_log *l, const lab_cli *c, void *values, const lab_args *a, char *why, size_t n)
{
	for (int i = 0; c->more && c->more[i].key; i++)
		if (!agrees(l, c->more[i].key, a->more[i], why, n))
			return false;
	return restore(l, c->option, values, a->option, why, n) && restore(l, c->setting, values, a->setting, why, n);
}
