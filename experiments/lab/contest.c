/* contest.c - runs on the same test rows, compared point by point. */
#include "contest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flows/flow.h"
#include "memory.h"
#include "stats.h"

/* --- Which runs belong together -------------------------------------------------------------------------- */

static bool listed(const char *name, const char *list)
{
	size_t n = strlen(name);
	for (const char *p = list; (p = strstr(p, name)); p += n)
		if ((p == list || p[-1] == ' ') && (!p[n] || p[n] == ' '))
			return true;
	return false;
}

bool lab_contest_incidental(const char *option)
{
	return listed(option, "seed threads save");
}

/* Configuration that makes two runs different contestants.  Where seconds were the budget, the number of steps that
 * they gave is chance. */
static bool telling(const lab_log *l, const lab_log_entry *e)
{
	if (strncmp(e->name, "config/", 7))
		return false;
	if (lab_log_get_real(l, "config/seconds", 0) > 0 && listed(e->name + 7, "steps validate points"))
		return false;
	return !lab_contest_incidental(e->name + 7) && !listed(e->name + 7, "data model");
}

static bool same_value(const lab_log_entry *a, const lab_log_entry *b)
{
	if (!a || !b || a->kind != b->kind)
		return false;
	return a->kind == LAB_LOG_TEXT ? !strcmp(a->text, b->text) : a->integer == b->integer && a->real == b->real;
}

/* The first telling entry of a that b has otherwise, from number *at on; NULL: none. */
static const lab_log_entry *difference(const lab_log *a, const lab_log *b, int *at)
{
	for (; *at < a->n; ++*at)
		if (telling(a, &a->entry[*at]) && telling(b, &a->entry[*at]) &&
		    !same_value(&a->entry[*at], lab_log_find(b, a->entry[*at].name)))
			return &a->entry[(*at)++];
	return NULL;
}

static const char *model_of(const lab_log *l)
{
	return lab_log_get_text(l, "config/model", "?");
}

static bool together(const lab_log *a, const lab_log *b)
{
	int i = 0, j = 0;
	return !strcmp(model_of(a), model_of(b)) && !difference(a, b, &i) && !difference(b, a, &j);
}

/* A setting of the model that is not set says nothing in a label: the others of that model say it for theirs. */
static bool unset(const lab_log_entry *e)
{
	if (e->kind == LAB_LOG_TEXT)
		return !*e->text;
	for (const flow_model_key *k = flow_model_keys; k->key; k++)
		if (!strncmp(e->name, "config/", 7) && !strcmp(k->key, e->name + 7))
			return e->kind == LAB_LOG_INT ? !e->integer : e->real == 0;
	return false;
}

/* Has another contestant of the same model this entry otherwise? */
static bool distinguishes(const lab_contest *c, int k, const lab_log_entry *e, lab_log *const log[])
{
	const lab_log *l = log[c->row[k].run[0]];
	for (int i = 0; i < c->n; i++) {
		const lab_log *other = log[c->row[i].run[0]];
		if (i != k && !strcmp(model_of(l), model_of(other)) && telling(l, e) && telling(other, e) &&
		    !same_value(e, lab_log_find(other, e->name)))
			return true;
	}
	return false;
}

static void label(lab_contest *c, int k, lab_log *const log[])
{
	lab_contestant *r = &c->row[k];
	const lab_log *l = log[r->run[0]];
	size_t n = (size_t)snprintf(r->label, sizeof r->label, "%s", model_of(l));
	for (int i = 0; i < l->n && n < sizeof r->label - 1; i++) {
		const lab_log_entry *e = &l->entry[i];
		if (unset(e) || !distinguishes(c, k, e, log))
			continue;
		const char *key = e->name + 7;
		if (e->kind == LAB_LOG_TEXT)
			n += (size_t)snprintf(r->label + n, sizeof r->label - n, " %s=%s", key, e->text);
		else
			n += (size_t)snprintf(r->label + n, sizeof r->label - n, " %s=%g", key, lab_log_get_real(l, e->name, NAN));
	}
}

/* --- Statistics ------------------------------------------------------------------------------------------- */

static int better(const void *a, const void *b)
{
	double x = ((const lab_contestant *)a)->mean, y = ((const lab_contestant *)b)->mean;
	return (isnan(x) || x < y) - (isnan(y) || x > y);
}

static void summarise(lab_contest *c, lab_contestant *r, lab_log *const log[])
{
	r->each = lab_alloc((size_t)r->runs, sizeof *r->each);
	r->ll = lab_alloc((size_t)c->points, sizeof *r->ll);
	for (int k = 0; k < r->runs; k++) {
		const lab_log *l = log[r->run[k]];
		const double *v = lab_log_find(l, "test/log_likelihood")->value;
		for (int64_t i = 0; i < c->points; i++)
			r->ll[i] += v[i] / r->runs;
		r->each[k] = lab_mean(v, c->points);
		r->parameters += lab_log_get_real(l, "model/parameters", NAN) / r->runs;
		r->seconds += lab_log_get_real(l, "final/seconds", NAN) / r->runs;
		r->steps += lab_log_get_real(l, "final/steps", NAN) / r->runs;
	}
	r->mean = lab_mean(r->ll, c->points);
	r->se = lab_sd(r->ll, c->points) / sqrt((double)c->points);
	r->sd_runs = lab_sd(r->each, r->runs);
}

static void against_best(lab_contest *c)
{
	double *d = lab_alloc((size_t)c->points, sizeof *d);
	for (int k = 1; k < c->n; k++) {
		for (int64_t i = 0; i < c->points; i++)
			d[i] = c->row[k].ll[i] - c->row[0].ll[i];
		c->row[k].diff = lab_mean(d, c->points);
		lab_interval(d, c->points, &c->row[k].lo, &c->row[k].hi);
		lab_interval_seeds(d, c->points, c->row[k].each, c->row[k].runs, c->row[0].each, c->row[0].runs,
		                   &c->row[k].seeds_lo, &c->row[k].seeds_hi);
	}
	free(d);
}

/* --- The whole -------------------------------------------------------------------------------------------- */

/* Says why a run cannot be compared; false if it can. */
static bool lacking(const lab_log *l, const char *path, lab_err *err)
{
	const lab_log_entry *e = lab_log_find(l, "test/log_likelihood");
	if (e && e->kind == LAB_LOG_ARRAY && e->n >= 1)
		return false;
	if (lab_log_find(l, "config/energy"))
		lab_fail(err, "%s is a fit to an energy: there are no test rows to compare by", path);
	else
		lab_fail(err, "%s has no test result; its status is \"%s\"", path, lab_log_get_text(l, "status", "unknown"));
	return true;
}

static int check(int n, lab_log *const log[], char *const path[], lab_err *err)
{
	const lab_log_entry *first = NULL;
	const char *hash = NULL;
	for (int i = 0; i < n; i++) {
		const lab_log_entry *e = lab_log_find(log[i], "test/log_likelihood");
		const char *h = lab_log_get_text(log[i], "data/test_hash", "");
		if (lacking(log[i], path[i], err))
			return -1;
		if (first && (strcmp(h, hash) || e->n != first->n)) {
			lab_fail(err, "%s and %s were tested on different rows (%s, %s)", path[0], path[i],
			         lab_log_get_text(log[0], "data/source", "?"), lab_log_get_text(log[i], "data/source", "?"));
			return -1;
		}
		if (!first) {
			first = e;
			hash = h;
		}
	}
	return 0;
}

static int gather(lab_contest *c, int n, lab_log *const log[], char *const path[], lab_err *err)
{
	for (int i = 0; i < n; i++) {
		int k = 0;
		while (k < c->n && !together(log[i], log[c->row[k].run[0]]))
			k++;
		lab_contestant *r = &c->row[k];
		if (k == c->n) {
			c->n++;
			r->run = lab_alloc((size_t)n, sizeof *r->run);
		}
		for (int j = 0; j < r->runs; j++)
			if (lab_log_get_int(log[i], "config/seed", -1) == lab_log_get_int(log[r->run[j]], "config/seed", -2)) {
				lab_fail(err, "%s and %s are the same run: same configuration and seed", path[r->run[j]], path[i]);
				return -1;
			}
		r->run[r->runs++] = i;
	}
	return 0;
}

lab_contest *lab_contest_new(int n, lab_log *const log[], char *const path[], lab_err *err)
{
	if (check(n, log, path, err))
		return NULL;
	lab_contest *c = lab_alloc(1, sizeof *c);
	c->row = lab_alloc((size_t)n, sizeof *c->row);
	c->points = lab_log_find(log[0], "test/log_likelihood")->n;
	c->columns = lab_log_get_int(log[0], "data/columns", 0);
	c->entropy = lab_log_get_real(log[0], "data/entropy", NAN);
	c->source = lab_log_get_text(log[0], "config/data", "?");
	if (gather(c, n, log, path, err)) {
		lab_contest_free(c);
		return NULL;
	}
	for (int k = 0; k < c->n; k++) {
		summarise(c, &c->row[k], log);
		label(c, k, log);
	}
	qsort(c->row, (size_t)c->n, sizeof *c->row, better);
	against_best(c);
	return c;
}

void lab_contest_free(lab_contest *c)
{
	for (int k = 0; c && k < c->n; k++) {
		free(c->row[k].run);
		free(c->row[k].ll);
		free(c->row[k].each);
	}
	if (c)
		free(c->row);
	free(c);
}

/* A line about likelihoods that are not finite; whether some are not even minus infinity, which a model may mean. */
static bool tell_odd(const lab_cli *c, const lab_log *l, const char *path)
{
	const lab_log_entry *e = lab_log_find(l, "test/log_likelihood");
	int64_t odd = 0, wrong = 0;
	for (int64_t i = 0; i < e->n; i++) {
		odd += !isfinite(e->value[i]);
		wrong += !isfinite(e->value[i]) && e->value[i] != -INFINITY;
	}
	if (odd)
		lab_cli_wrong(c, "%s: the log-likelihood of %lld of %lld test rows is not finite", path, (long long)odd, (long long)e->n);
	return wrong;
}

int lab_entrants_open(lab_entrants *e, const lab_cli *c, int n, char *const run[], lab_err *err)
{
	char **name = lab_alloc((size_t)n, sizeof *name);
	*e = (lab_entrants){ .log = lab_alloc((size_t)n, sizeof *e->log), .path = lab_alloc((size_t)n, sizeof *e->path) };
	bool good = true;
	for (int i = 0; i < n && good; i++) {
		lab_err why;
		lab_log *l = lab_log_of_run(run[i], e->path[e->n], err);
		if (!l) {
			good = false;
		} else if (lacking(l, run[i], n > 1 ? &why : err)) {
			if (n > 1)
				lab_cli_wrong(c, "left out: %s", why.text);
			e->odd++;
			lab_log_free(l);
		} else {
			e->odd += tell_odd(c, l, run[i]);
			name[e->n] = run[i];
			e->log[e->n++] = l;
		}
	}
	if (good && n > 1 && !e->n)
		lab_fail(err, "no run has a test result");
	e->contest = good && e->n ? lab_contest_new(e->n, e->log, name, err) : NULL;
	free(name);
	return e->contest ? 0 : -1;
}

void lab_entrants_close(lab_entrants *e)
{
	lab_contest_free(e->contest);
	while (e->n)
		lab_log_free(e->log[--e->n]);
	free(e->log);
	free(e->path);
}
