/* contest_sheets.c - the tables of a comparison. */
#include "contest_sheets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define V(...)                                                                                                         \
	(int)(sizeof((double[]){ __VA_ARGS__ }) / sizeof(double)), (double[])                                          \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}

static void number(lab_sheet *s, const char *fmt, double v)
{
	char text[64] = "-";
	if (isfinite(v))
		snprintf(text, sizeof text, fmt, v);
	lab_sheet_cell(s, V(v), "%s", text);
}

/* Short times have digits too. */
static void time_cell(lab_sheet *s, double seconds)
{
	number(s, seconds > 0 && seconds < 0.95 ? "%.2g" : "%.1f", seconds);
}

/* A mean with its standard error.  Of rows that are not finite there is none: minus infinity, or "not a number". */
static void mean_cell(lab_sheet *s, double mean, double se)
{
	if (isfinite(mean))
		lab_sheet_cell(s, V(mean, se), "%.4f +- %.4f", mean, se);
	else
		lab_sheet_cell(s, V(mean, se), isnan(mean) ? "not a number" : "%cinfinite", mean < 0 ? '-' : '+');
}

static void difference(lab_sheet *s, bool any, double v, double lo, double hi)
{
	if (any && isfinite(v))
		lab_sheet_cell(s, V(v, lo, hi), "%+.4f [%+.4f, %+.4f]", v, lo, hi);
	else
		lab_sheet_cell(s, V(v, lo, hi), "-");
}

lab_sheet *lab_sheet_results(const lab_contest *c)
{
	static const lab_heading column[] = {
		{ "model", "model" },
		{ "seeds", "seeds" },
		{ "test, nats", "test_nats,test_standard_error" },
		{ "sd over seeds", "sd_over_seeds" },
		{ "to the best [95 %]", "to_best,to_best_low,to_best_high" },
		{ "with seeds [95 %]", "with_seeds,with_seeds_low,with_seeds_high" },
		{ "above floor", "above_floor" },
		{ "parameters", "parameters" },
		{ NULL, "steps" },
		{ "seconds", "seconds" },
	};
	lab_sheet *s = lab_sheet_new(10, column);
	bool several = false;
	for (int k = 0; k < c->n; k++)
		several |= c->row[k].runs > 1;
	for (int k = 0; k < c->n; k++) {
		const lab_contestant *r = &c->row[k];
		lab_sheet_cell(s, 0, NULL, "%s", r->label);
		if (several)
			lab_sheet_cell(s, V(r->runs), "%d", r->runs);
		else
			lab_sheet_cell(s, V(r->runs), "-");
		mean_cell(s, r->mean, r->se);
		number(s, "%.4f", r->sd_runs);
		difference(s, k > 0, r->diff, r->lo, r->hi);
		difference(s, k > 0 && isfinite(r->seeds_lo), isfinite(r->seeds_lo) ? r->diff : NAN, r->seeds_lo,
			   r->seeds_hi);
		number(s, "%.4f", -r->mean - c->entropy);
		number(s, "%.0f", r->parameters);
		number(s, "%.0f", r->steps);
		time_cell(s, r->seconds);
	}
	return s;
}

/* --- Cost --------------------------------------------------------------------------------------------------- */

static double late_mean(const lab_log_entry *e)
{
	int64_t from = e->n - (e->n + 9) / 10;
	double sum = 0;
	for (int64_t i = from; i < e->n; i++)
		sum += e->value[i];
	return sum / (double)(e->n - from);
}

/* The names after "metric/" of all runs, at most `most`; borrowed from the logs. */
static int metrics(const lab_contest *c, lab_log *const log[], const char *name[], int most)
{
	int n = 0;
	for (int k = 0; k < c->n; k++)
		for (int i = 0; i < log[c->row[k].run[0]]->n; i++) {
			const lab_log_entry *e = &log[c->row[k].run[0]]->entry[i];
			int j = 0;
			if (strncmp(e->name, "series/metric/", 14) || e->kind != LAB_LOG_SERIES || !e->n)
				continue;
			while (j < n && strcmp(name[j], e->name + 7))
				j++;
			if (j == n && n < most)
				name[n++] = e->name + 7;
		}
	return n;
}

static double mean_over_runs(const lab_contestant *r, lab_log *const log[], const char *name)
{
	double sum = 0;
	for (int i = 0; i < r->runs; i++)
		sum += lab_log_get_real(log[r->run[i]], name, NAN);
	return sum / r->runs;
}

lab_sheet *lab_sheet_cost(const lab_contest *c, lab_log *const log[])
{
	enum { FIXED = 8, MOST = 8 };
	static lab_heading column[FIXED + MOST] = {
		{ "model", "model" },
		{ "parameters", "parameters" },
		{ "steps", "steps" },
		{ "best at", "best_step" },
		{ "seconds", "seconds" },
		{ "steps/s", "steps_per_second" },
		{ "seconds to best", "seconds_to_best" },
		{ "peak memory, MB", "peak_memory_bytes" },
	};
	const char *metric[MOST];
	int n = metrics(c, log, metric, MOST);
	for (int i = 0; i < n; i++)
		column[FIXED + i] = (lab_heading){ metric[i] + strlen("metric/"), metric[i] };
	lab_sheet *s = lab_sheet_new(FIXED + n, column);
	for (int k = 0; k < c->n; k++) {
		const lab_contestant *r = &c->row[k];
		double steps = mean_over_runs(r, log, "final/steps"), best = mean_over_runs(r, log, "final/best_step");
		double seconds = mean_over_runs(r, log, "final/seconds"),
		       memory = mean_over_runs(r, log, "final/peak_memory");
		bool trained = steps > 0 && seconds > 0;
		lab_sheet_cell(s, 0, NULL, "%s", r->label);
		number(s, "%.0f", r->parameters);
		number(s, "%.0f", trained ? steps : NAN);
		number(s, "%.0f", trained ? best : NAN);
		time_cell(s, seconds);
		number(s, "%.1f", trained ? steps / seconds : NAN);
		time_cell(s, trained ? seconds * best / steps : NAN);
		lab_sheet_cell(s, V(memory), "%.0f", memory / 1e6);
		for (int i = 0; i < n; i++) {
			double sum = 0;
			for (int j = 0; j < r->runs; j++) {
				const lab_log_entry *e = lab_log_series(log[r->run[j]], metric[i]);
				sum += e && e->n ? late_mean(e) : NAN;
			}
			number(s, "%.4g", sum / r->runs);
		}
	}
	return s;
}

/* --- Calibration ----------------------------------------------------------------------------------------------- */

static void name_run(lab_sheet *s, const lab_contestant *r, lab_log *const log[], int i)
{
	if (r->runs > 1)
		lab_sheet_cell(s, 0, NULL, "%s seed=%lld", r->label,
			       (long long)lab_log_get_int(log[r->run[i]], "config/seed", 0));
	else
		lab_sheet_cell(s, 0, NULL, "%s", r->label);
}

lab_sheet *lab_sheet_calibration(const lab_contest *c, lab_log *const log[], lab_examination *const e[])
{
	static const lab_heading column[] = {
		{ "model", "model" },
		{ "MMD p", "mmd_p,mmd2" },
		{ "classifier p", "classifier_p" },
		{ "told apart", "classifier_accuracy" },
		{ "marginals p", "marginals_p" },
		{ "latents p", "latents_p" },
		{ "radius p", "radius_p" },
		{ "regions p", "regions_p" },
		{ "50 % holds", "coverage_50" },
		{ "90 % holds", "coverage_90" },
		{ "95 % holds", "coverage_95" },
	};
	lab_sheet *s = lab_sheet_new(11, column);
	for (int k = 0; k < c->n; k++)
		for (int i = 0; i < c->row[k].runs; i++) {
			const lab_examination *x = e[c->row[k].run[i]];
			if (!x)
				continue;
			name_run(s, &c->row[k], log, i);
			lab_sheet_cell(s, V(x->mmd.p, x->mmd.statistic), "%.3f", x->mmd.p);
			number(s, "%.3f", x->classifier.p);
			number(s, "%.3f", x->classifier.statistic);
			number(s, "%.3f", x->marginal_p);
			number(s, "%.3f", isnan(x->latent_p) ? NAN : fmin(x->latent_p, 1));
			number(s, "%.3f", x->radius.p);
			number(s, "%.3f", x->region.p);
			for (int j = 0; j < LAB_LEVELS; j++)
				lab_sheet_cell(s, V(x->coverage[j]), "%.1f %%", 100 * x->coverage[j]);
		}
	return s;
}

lab_sheet *lab_sheet_columns(const lab_contest *c, lab_log *const log[], lab_examination *const e[])
{
	static const lab_heading column[] = {
		{ "model", "model" },
		{ "column", "column" },
		{ "PIT distance", "pit_distance" },
		{ "PIT p", "pit_p" },
		{ "mass below 1 %", "mass_below" },
		{ "mass above 99 %", "mass_above" },
	};
	lab_sheet *s = lab_sheet_new(6, column);
	for (int k = 0; k < c->n; k++)
		for (int i = 0; i < c->row[k].runs; i++) {
			const lab_examination *x = e[c->row[k].run[i]];
			for (int64_t j = 0; x && j < x->dim; j++) {
				name_run(s, &c->row[k], log, i);
				lab_sheet_cell(s, V((double)x->number[j]), "%lld", (long long)x->number[j]);
				number(s, "%.4f", x->marginal[j].distance);
				number(s, "%.3f", x->marginal[j].p);
				lab_sheet_cell(s, V(x->tail[j][0]), "%.2f %%", 100 * x->tail[j][0]);
				lab_sheet_cell(s, V(x->tail[j][1]), "%.2f %%", 100 * x->tail[j][1]);
			}
		}
	return s;
}
