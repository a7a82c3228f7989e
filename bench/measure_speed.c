/* measure_speed.c - times beside the machine's matrix product, and how they change with threads. */
#include "measure.h"

#include <math.h>

/* Necessary floating-point operations of one time: those of the program; of sampling, as many as the density takes. */
static double flops_of(work *k, work_kind kind, int64_t batch)
{
	ad_prog *p = work_prog(k, kind == WORK_SAMPLE ? WORK_DENSITY : kind);
	if (!p)
		return NAN;
	ad_summary s = ad_prog_summary(p);
	return s.flops_sample * (double)batch + s.flops_once;
}

static void tell(const measure *m, const report *r, const workload *w, work *const k[], const timing_job job[])
{
	for (int kind = 0; kind < WORK_KINDS; kind++) {
		double threads[MEASURE_TEAMS], least[MEASURE_TEAMS];
		const char *name = work_names[kind];
		for (int i = 0; i < m->teams; i++) {
			const timing_job *j = &job[i * WORK_KINDS + kind], *alone = &job[kind];
			double rate = 1e-9 * flops_of(k[i], (work_kind)kind, w->batch) / j->least;
			double best = 2e-9 * pow(TIMING_GEMM, 3) / m->gemm[i].least;
			double speedup = alone->least / j->least, gemm_speedup = m->gemm[0].least / m->gemm[i].least;
			int t = m->threads[i];
			threads[i] = t;
			least[i] = j->least;
			report_say(r,
			           "  %-8s %2d %s  %9.3f ms  (median %9.3f) %12.0f samples/s %8.1f GFLOP/s %6.1f %% of sgemm %6.2fx one thread "
			           "(sgemm %.2fx)\n",
			           name, t, t > 1 ? "threads" : "thread ", 1e3 * j->least, 1e3 * j->median, (double)w->batch / j->least,
			           rate, 100 * rate / best, speedup, gemm_speedup);
			report_row(r, name, t, "ms_least", 1e3 * j->least);
			report_row(r, name, t, "ms_median", 1e3 * j->median);
			report_row(r, name, t, "samples_per_s", (double)w->batch / j->least);
			report_row(r, name, t, "gflop_per_s", rate);
			report_row(r, name, t, "sgemm_gflop_per_s", best);
			report_row(r, name, t, "share_of_sgemm", rate / best);
			report_row(r, name, t, "speedup", speedup);
			report_row(r, name, t, "sgemm_speedup", gemm_speedup);
		}
		if (m->teams > 1)
			report_row(r, name, m->threads[m->teams - 1], "exponent_threads", timing_exponent(m->teams, threads, least));
	}
}

bool measure_speed(measure *m, const report *r, const workload *w)
{
	work *k[MEASURE_TEAMS];
	work_task t[MEASURE_TEAMS * WORK_KINDS];
	timing_job job[MEASURE_TEAMS * WORK_KINDS + MEASURE_TEAMS];
	int n = 0;
	bool ok = true;
	for (int i = 0; i < m->teams; i++) {
		k[i] = work_new(w, m->threads[i]);
		for (int kind = 0; kind < WORK_KINDS; kind++, n++) {
			t[n] = (work_task){ k[i], (work_kind)kind };
			job[n] = (timing_job){ .run = work_task_run, .what = &t[n] };
		}
	}
	for (int i = 0; i < m->teams; i++)
		job[n + i] = m->gemm[i];
	timing_rounds(n + m->teams, job, m->quick ? 3 : 12, m->quick ? 0.05 : 0.3);
	for (int i = 0; i < m->teams; i++) {
		m->gemm[i] = job[n + i];
		if (work_error(k[i])) {
			fprintf(stderr, "%s: %s\n", r->workload, work_error(k[i]));
			ok = false;
		}
	}
	if (ok)
		tell(m, r, w, k, job);
	for (int i = 0; i < m->teams; i++)
		work_free(k[i]);
	return ok;
}

/* --- Reversible against stored ----------------------------------------------------------------------------- */

static bool arena_of(const report *r, const workload *w, double *mib)
{
	work *k = work_new(w, 1);
	ad_prog *p = work_prog(k, WORK_TRAIN);
	*mib = p ? (double)ad_prog_summary(p).tile_arena / (1 << 20) : NAN;
	if (!p)
		fprintf(stderr, "%s: %s\n", r->workload, work_error(k));
	work_free(k);
	return p != NULL;
}

bool measure_reversible(const measure *m, const report *r, const workload *w)
{
	static const char *const names[] = { "stored", "reversible" };
	flow_mem *mem = flow_mem_new();
	workload v[2] = { *w, *w }, deep[2];
	double mib[2], deep_mib[2];
	char why[160], figure[64];
	work *k[2];
	work_task t[2];
	timing_job job[2];
	v[0].reversible = 0;
	bool can = workload_can_reverse(w, mem, why), ok = true;
	flow_mem_free(mem);
	if (!can) {
		report_say(r, "  no reversible chain: %s\n", why);
		return true;
	}
	v[1].reversible = 1;
	for (int i = 0; i < 2; i++) {
		deep[i] = v[i];
		deep[i].layers *= 4;
		ok = ok && arena_of(r, &v[i], &mib[i]) && arena_of(r, &deep[i], &deep_mib[i]);
		k[i] = work_new(&v[i], 1);
		t[i] = (work_task){ k[i], WORK_TRAIN };
		job[i] = (timing_job){ .run = work_task_run, .what = &t[i] };
	}
	timing_rounds(2, job, m->quick ? 3 : 12, m->quick ? 0.05 : 0.3);
	for (int i = 0; i < 2; i++) {
		if (work_error(k[i]))
			fprintf(stderr, "%s, %s: %s\n", r->workload, names[i], work_error(k[i]));
		ok = ok && !work_error(k[i]);
		snprintf(figure, sizeof figure, "%s_ms_least", names[i]);
		report_row(r, "train", 1, figure, 1e3 * job[i].least);
		snprintf(figure, sizeof figure, "%s_arena_mib", names[i]);
		report_row(r, "train", 1, figure, mib[i]);
		snprintf(figure, sizeof figure, "%s_arena_mib_4x_layers", names[i]);
		report_row(r, "train", 1, figure, deep_mib[i]);
		work_free(k[i]);
	}
	if (ok)
		report_say(r,
		           "  reversible %.3f ms a training step against %.3f stored, %.2fx; values of a thread %.2f MiB against %.2f, with 4 "
		           "times the layers %.2f against %.2f\n",
		           1e3 * job[1].least, 1e3 * job[0].least, job[1].least / job[0].least, mib[1], mib[0], deep_mib[1], deep_mib[0]);
	return ok;
}
