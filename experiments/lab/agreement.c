/* agreement.c - do two logs of one run agree to the bit, and if not, what else differs? */
#include "agreement.h"

#include <math.h>
#include <string.h>

static const struct {
	const char *prefix;
	lab_part part;
} parts[] = {
	{ "config/", LAB_CONFIGURATION }, { "data/", LAB_DATA },       { "source/", LAB_SOURCE },
	{ "libraries/", LAB_SOURCE },	  { "machine/", LAB_MACHINE }, { "", LAB_RESULTS },
};

/* What a run may differ in though nothing is wrong. */
static const char *const passing[] = {
	"series/time/",	  "final/seconds", "final/peak_memory", "started",	  "asked/",
	"config/threads", "config/save",   "config/seconds",	"machine/memory", "machine/directory", NULL
};

static bool starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

static bool passes(const char *name)
{
	for (int i = 0; passing[i]; i++)
		if (starts(name, passing[i]))
			return true;
	return false;
}

static lab_part part_of(const char *name)
{
	int i = 0;
	while (!starts(name, parts[i].prefix))
		i++;
	return parts[i].part;
}

/* NaN agrees with NaN, and 0 differs from -0. */
static bool same_number(double a, double b)
{
	return !memcmp(&a, &b, sizeof a);
}

/* The first place at which arrays or series differ; -1: none. */
static int64_t place(const lab_log_entry *a, const lab_log_entry *b)
{
	for (int64_t i = 0; i < a->n && i < b->n; i++)
		if (!same_number(a->value[i], b->value[i]) || (a->step && b->step && a->step[i] != b->step[i]))
			return i;
	return a->n == b->n ? -1 : a->n < b->n ? a->n : b->n;
}

static double largest(const lab_log_entry *a, const lab_log_entry *b)
{
	double most = 0;
	for (int64_t i = 0; i < a->n && i < b->n; i++)
		most = fmax(most, fabs(a->value[i] - b->value[i]));
	return most;
}

/* Whether they differ, with how in words. */
static bool differ(const lab_log_entry *a, const lab_log_entry *b, char how[300], int64_t *step)
{
	*step = -1;
	if (!a || !b || a->kind != b->kind) {
		strcpy(how, a && b ? "of another kind" : a ? "absent now" : "new");
		return true;
	}
	switch (a->kind) {
	case LAB_LOG_TEXT:
		snprintf(how, 300, "\"%.120s\", now \"%.120s\"", a->text, b->text);
		return strcmp(a->text, b->text) != 0;
	case LAB_LOG_INT:
		snprintf(how, 300, "%lld, now %lld", (long long)a->integer, (long long)b->integer);
		return a->integer != b->integer;
	case LAB_LOG_REAL:
		snprintf(how, 300, "%.17g, now %.17g", a->real, b->real);
		return !same_number(a->real, b->real);
	default: {
		int64_t i = place(a, b);
		if (i >= 0 && a->step && i < a->n)
			*step = a->step[i];
		if (i < 0)
			return false;
		int n = snprintf(how, 300, "%lld numbers, %lld now; ", (long long)a->n, (long long)b->n);
		if (a->n == b->n)
			n = 0;
		if (*step >= 0)
			snprintf(how + n, (size_t)(300 - n), "from step %lld on, by at most %.3g", (long long)*step,
				 largest(a, b));
		else
			snprintf(how + n, (size_t)(300 - n), "from number %lld on, by at most %.3g", (long long)i,
				 largest(a, b));
		return true;
	}
	}
}

static void note(lab_agreement *g, const lab_log_entry *a, const lab_log_entry *b, FILE *f)
{
	const lab_log_entry *e = a ? a : b;
	lab_part part = part_of(e->name);
	char how[300];
	int64_t step;
	if (part == LAB_RESULTS) {
		g->entries++;
		g->numbers += e->kind >= LAB_LOG_ARRAY ? e->n : e->kind != LAB_LOG_TEXT;
	}
	if (!differ(a, b, how, &step))
		return;
	g->different[part]++;
	if (step >= 0 && starts(e->name, "series/") && (g->first_step < 0 || step < g->first_step))
		g->first_step = step;
	if (f)
		fprintf(f, "  %s: %s\n", e->name, how);
}

static bool belongs(const char *name, lab_part part)
{
	return part_of(name) == part && !passes(name);
}

lab_agreement lab_agree(const lab_log *then, const lab_log *now, FILE *f)
{
	lab_agreement g = { .first_step = -1 };
	for (int k = 1; k <= LAB_PARTS; k++) { /* the results last: what may explain them comes first */
		lab_part part = (lab_part)(k % LAB_PARTS);
		for (int i = 0; i < then->n; i++)
			if (belongs(then->entry[i].name, part))
				note(&g, &then->entry[i], lab_log_find(now, then->entry[i].name), f);
		for (int i = 0; i < now->n; i++)
			if (belongs(now->entry[i].name, part) && !lab_log_find(then, now->entry[i].name))
				note(&g, NULL, &now->entry[i], f);
	}
	return g;
}
