/* measure_growth.c - how cost grows with each size of a workload: exponents fitted in the logarithms. */
#include "measure.h"

#include <math.h>

enum { POINTS = 4 };

/* Sizes are factors of the workload's own, or what is added to it (residual nets have odd depths). */
typedef struct {
	const char *name;
	size_t at;
	double factor[POINTS];
	int64_t more[POINTS];
} size_axis;

static const size_axis axes[] = {
	{ "batch", offsetof(workload, batch), { 0.5, 1, 2, 4 }, { 0 } },
	{ "layers", offsetof(workload, layers), { 0.5, 1, 2, 3 }, { 0 } },
	{ "width", offsetof(workload, width), { 0.5, 1, 1.5, 2 }, { 0 } },
	{ "depth", offsetof(workload, depth), { 1, 1, 1, 1 }, { 0, 2, 4, 6 } },
	{ "dim", offsetof(workload, dim), { 1, 2, 3, 4 }, { 0 } },
};
enum { AXES = sizeof axes / sizeof *axes };

static int64_t size_of(const workload *w, const size_axis *a) { return *(const int64_t *)((const char *)w + a->at); }

static bool grow(const measure *m, const report *r, const workload *w, const size_axis *a, double exponent[WORK_KINDS])
{
	work *k[POINTS];
	work_task t[POINTS * WORK_KINDS];
	timing_job job[POINTS * WORK_KINDS];
	double size[POINTS], least[POINTS];
	bool ok = true;
	for (int i = 0; i < POINTS; i++) {
		workload v = *w;
		int64_t n = (int64_t)ceil((double)size_of(w, a) * a->factor[i]) + a->more[i];
		*(int64_t *)((char *)&v + a->at) = n;
		size[i] = (double)n;
		k[i] = work_new(&v, 1);
		for (int kind = 0; kind < WORK_KINDS; kind++) {
			t[kind * POINTS + i] = (work_task){ k[i], (work_kind)kind };
			job[kind * POINTS + i] = (timing_job){ .run = work_task_run, .what = &t[kind * POINTS + i] };
		}
	}
	timing_rounds(POINTS * WORK_KINDS, job, m->quick ? 2 : 6, m->quick ? 0.01 : 0.1);
	for (int kind = 0; kind < WORK_KINDS; kind++) {
		for (int i = 0; i < POINTS; i++)
			least[i] = job[kind * POINTS + i].least;
		exponent[kind] = timing_exponent(POINTS, size, least);
	}
	for (int i = 0; i < POINTS; i++) {
		if (work_error(k[i])) {
			fprintf(stderr, "%s, %s %g: %s\n", r->workload, a->name, size[i], work_error(k[i]));
			ok = false;
		}
		work_free(k[i]);
	}
	return ok;
}

bool measure_growth(const measure *m, const report *r, const workload *w)
{
	double e[AXES][WORK_KINDS];
	bool ok = true;
	for (int a = 0; ok && a < AXES; a++)
		ok = !size_of(w, &axes[a]) || grow(m, r, w, &axes[a], e[a]);
	for (int kind = 0; ok && kind < WORK_KINDS; kind++) {
		const char *comma = "";
		report_say(r, "  %-8s time grows as", work_names[kind]);
		for (int a = 0; a < AXES; a++) {
			char figure[32];
			if (!size_of(w, &axes[a]))
				continue;
			snprintf(figure, sizeof figure, "exponent_%s", axes[a].name);
			report_row(r, work_names[kind], 1, figure, e[a][kind]);
			report_say(r, "%s %s^%.2f", comma, axes[a].name, e[a][kind]);
			comma = ",";
		}
		report_say(r, "\n");
	}
	return ok;
}
