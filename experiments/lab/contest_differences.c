/* contest_differences.c - the table of what differs in the configurations of a comparison. */
#include <stdlib.h>
#include <string.h>

#include "contest_sheets.h"

enum { MOST = 60 };

/* Has the option a meaning for this run?  Not if its model has no such setting, and little has where nothing is trained. */
static bool applies(const lab_log *l, const char *option)
{
	const char *model = lab_log_get_text(l, "config/model", "");
	for (const flow_model_key *k = flow_model_keys; k->key; k++)
		if (!strcmp(k->key, option))
			return flow_model_takes(model, option);
	return lab_log_series(l, "train/loss") || !strcmp(option, "model") || !strcmp(option, "dtype");
}

static const char *shown(const lab_log *l, const char *name, char buf[64])
{
	const lab_log_entry *e = lab_log_find(l, name);
	strcpy(buf, "-");
	if (!e || !applies(l, name + strlen("config/")))
		return buf;
	if (e->kind == LAB_LOG_TEXT)
		return *e->text ? e->text : buf;
	if (e->kind == LAB_LOG_INT)
		snprintf(buf, 64, "%lld", (long long)e->integer);
	else if (e->kind == LAB_LOG_REAL)
		snprintf(buf, 64, "%g", e->real);
	return buf;
}

static bool differs(const lab_contest *c, lab_log *const log[], const char *name)
{
	char a[64], b[64], value[64];
	const char *first = NULL;
	for (int k = 0; k < c->n; k++) {
		const lab_log *l = log[c->row[k].run[0]];
		if (!applies(l, name + strlen("config/")))
			continue;
		const char *v = shown(l, name, first ? b : a);
		if (first && strcmp(first, v))
			return true;
		if (!first)
			first = strncpy(value, v, sizeof value - 1), value[sizeof value - 1] = 0;
	}
	return false;
}

/* The options, as names of entries borrowed from the logs. */
static int options(const lab_contest *c, lab_log *const log[], const char *name[MOST])
{
	int n = 0;
	for (int k = 0; k < c->n; k++)
		for (int i = 0; i < log[c->row[k].run[0]]->n; i++) {
			const char *e = log[c->row[k].run[0]]->entry[i].name;
			int j = 0;
			while (j < n && strcmp(name[j], e))
				j++;
			if (j == n && n < MOST && !strncmp(e, "config/", 7) && !lab_contest_incidental(e + 7) && differs(c, log, e))
				name[n++] = e;
		}
	return n;
}

static void value_cell(lab_sheet *s, const lab_log *l, const char *name)
{
	char text[64], *end;
	const char *v = shown(l, name, text);
	double number = strtod(v, &end);
	lab_sheet_cell(s, *v && !*end, &number, "%s", v);
}

lab_sheet *lab_sheet_differences(const lab_contest *c, lab_log *const log[])
{
	static lab_heading column[MOST + 1];
	const char *name[MOST];
	int n = options(c, log, name);
	bool by_option = c->n <= 6 || (c->n <= n && c->n <= MOST);
	int columns = by_option ? c->n : n;
	column[0] = by_option ? (lab_heading){ "option", "option" } : (lab_heading){ "model", "model" };
	for (int i = 0; i < columns; i++) {
		const char *title = by_option ? c->row[i].label : name[i] + strlen("config/");
		column[1 + i] = (lab_heading){ title, title };
	}
	lab_sheet *s = lab_sheet_new(1 + columns, column);
	for (int r = 0; r < (by_option ? n : c->n); r++) {
		lab_sheet_cell(s, 0, NULL, "%s", by_option ? name[r] + strlen("config/") : c->row[r].label);
		for (int i = 0; i < columns; i++)
			value_cell(s, log[c->row[by_option ? i : r].run[0]], name[by_option ? r : i]);
	}
	return s;
}
