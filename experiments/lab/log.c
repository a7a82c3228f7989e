/* log.c - the record of a run, in memory. */
#include "log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

lab_log *lab_log_new(void)
{
	return lab_alloc(1, sizeof(lab_log));
}

static void clear(lab_log_entry *e)
{
	free(e->text);
	free(e->unit);
	free(e->step);
	free(e->value);
}

void lab_log_free(lab_log *l)
{
	if (!l)
		return;
	for (int i = 0; i < l->n; i++) {
		clear(&l->entry[i]);
		free(l->entry[i].name);
	}
	free(l->entry);
	free(l);
}

const lab_log_entry *lab_log_find(const lab_log *l, const char *name)
{
	for (int i = 0; i < l->n; i++)
		if (!strcmp(l->entry[i].name, name))
			return &l->entry[i];
	return NULL;
}

void lab_log_add(lab_log *l, lab_log_entry e)
{
	if (l->n == l->room)
		l->entry = lab_realloc(l->entry, (size_t)(l->room = 2 * l->room + 32) * sizeof *l->entry);
	l->entry[l->n++] = e;
}

/* The entry of this name, empty. */
static lab_log_entry *renew(lab_log *l, const char *name, lab_log_kind kind, const char *unit)
{
	lab_log_entry *e = (lab_log_entry *)lab_log_find(l, name);
	char *own;
	if (e) {
		own = e->name;
		clear(e);
	} else {
		lab_log_add(l, (lab_log_entry){ 0 });
		e = &l->entry[l->n - 1];
		own = lab_strdup(name);
	}
	*e = (lab_log_entry){ .name = own, .unit = unit ? lab_strdup(unit) : NULL, .kind = kind };
	return e;
}

void lab_log_text(lab_log *l, const char *name, const char *v)
{
	char *own = lab_strdup(v);
	renew(l, name, LAB_LOG_TEXT, NULL)->text = own;
}

void lab_log_int(lab_log *l, const char *name, int64_t v, const char *unit)
{
	renew(l, name, LAB_LOG_INT, unit)->integer = v;
}

void lab_log_real(lab_log *l, const char *name, double v, const char *unit)
{
	renew(l, name, LAB_LOG_REAL, unit)->real = v;
}

void lab_log_array(lab_log *l, const char *name, int64_t n, const double *v, const char *unit)
{
	double *own = lab_alloc((size_t)n + 1, sizeof *own);
	memcpy(own, v, (size_t)n * sizeof *own);
	lab_log_entry *e = renew(l, name, LAB_LOG_ARRAY, unit);
	e->n = e->room = n;
	e->value = own;
}

void lab_log_point(lab_log *l, const char *series, const char *unit, int64_t step, double v)
{
	char name[256];
	snprintf(name, sizeof name, "series/%s", series);
	lab_log_entry *e = (lab_log_entry *)lab_log_find(l, name);
	if (!e)
		e = renew(l, name, LAB_LOG_SERIES, unit);
	if (e->n == e->room) {
		e->room = 2 * e->room + 64;
		e->step = lab_realloc(e->step, (size_t)e->room * sizeof *e->step);
		e->value = lab_realloc(e->value, (size_t)e->room * sizeof *e->value);
	}
	e->step[e->n] = step;
	e->value[e->n++] = v;
}

const lab_log_entry *lab_log_series(const lab_log *l, const char *series)
{
	char name[256];
	snprintf(name, sizeof name, "series/%s", series);
	const lab_log_entry *e = lab_log_find(l, name);
	return e && e->kind == LAB_LOG_SERIES ? e : NULL;
}

const char *lab_log_get_text(const lab_log *l, const char *name, const char *otherwise)
{
	const lab_log_entry *e = lab_log_find(l, name);
	return e && e->kind == LAB_LOG_TEXT ? e->text : otherwise;
}

int64_t lab_log_get_int(const lab_log *l, const char *name, int64_t otherwise)
{
	const lab_log_entry *e = lab_log_find(l, name);
	return e && e->kind == LAB_LOG_INT ? e->integer : otherwise;
}

double lab_log_get_real(const lab_log *l, const char *name, double otherwise)
{
	const lab_log_entry *e = lab_log_find(l, name);
	if (e && e->kind == LAB_LOG_INT)
		return (double)e->integer;
	return e && e->kind == LAB_LOG_REAL ? e->real : otherwise;
}
