/* config.c - a program's options to and from the log of a run. */
#include "config.h"

#include <math.h>
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

/* Is v, of the run, a value that the option takes?  0 may mean that it was left open. */
static bool in_range(const lab_option *o, double v, char *why, size_t n)
{
	if (isfinite(v) && (v == 0 || o->lo >= o->hi || (v >= o->lo && v <= o->hi)))
		return true;
	snprintf(why, n, "%s is %g in the run, which is not from %g to %g", o->name, v, o->lo, o->hi);
	return false;
}

static bool restore_one(const lab_log *l, const char *name, const lab_option *o, void *values, char *why, size_t n)
{
	char *at = (char *)values + o->at, wrong[200];
	const char *text = lab_log_get_text(l, name, NULL);
	switch (o->kind) {
	case LAB_FLAG:
		*(bool *)at = lab_log_get_int(l, name, 0) != 0;
		return true;
	case LAB_INT:
		*(int64_t *)at = lab_log_get_int(l, name, *(int64_t *)at);
		return in_range(o, (double)*(int64_t *)at, why, n);
	case LAB_REAL:
		*(double *)at = lab_log_get_real(l, name, *(double *)at);
		return in_range(o, *(double *)at, why, n);
	case LAB_CHOICE:
		if (text && !lab_option_read(o, text, values, wrong, sizeof wrong)) {
			snprintf(why, n, "%s in the run %s", o->name, wrong);
			return false;
		}
		return true;
	case LAB_TEXT:
		if (text)
			*(const char **)at = text;
	}
	return true;
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
		if (lab_log_find(l, name) && !restore_one(l, name, &o[i], values, why, n))
			return false;
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
