/* suite.c - how fast every workload is, how near that is to the machine's matrix product, and how its cost grows.
 * usage: suite [--csv] [--quick] [WORKLOAD...] */
#include "timing.h"
#include "work.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POINTS = 4, TEAMS = 2 };

typedef struct {
	bool csv, quick;
	int threads[TEAMS], teams; /* one, and all cores */
} setting;

typedef struct {
	work *k;
	work_kind kind;
} task;

static bool do_task(void *what, int64_t n)
{
	const task *t = what;
	work_do(t->k, t->kind, n);
	return !work_error(t->k);
}

static const char *csv_name;

static void row(const setting *s, const char *what, int threads, const char *figure, double v)
{
	if (s->csv)
		printf("\"%s\",%s,%d,%s,%.6g\n", csv_name, what, threads, figure, v);
}

/* In a process of its own, whose peak is that of this workload alone. */
static double peak_of(const workload *w, int threads)
{
	int end[2];
	double mib = NAN;
	fflush(stdout);
	if (pipe(end))
		return NAN;
	pid_t child = fork();
	if (child == 0) {
		work *k = work_new(w, threads);
		for (int kind = 0; kind < WORK_KINDS; kind++)
			work_do(k, (work_kind)kind, 1);
		mib = work_error(k) ? NAN : timing_peak_mib();
		_exit(write(end[1], &mib, sizeof mib) != sizeof mib);
	}
	close(end[1]);
	if (child < 0 || read(end[0], &mib, sizeof mib) != sizeof mib)
		mib = NAN;
	close(end[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	return mib;
}

/* Necessary floating-point operations of one time: those of the program; of sampling, as many as the density takes. */
static double flops_of(work *k, work_kind kind, int64_t batch)
{
	ad_prog *p = work_prog(k, kind == WORK_SAMPLE ? WORK_DENSITY : kind);
	if (!p)
		return NAN;
	ad_summary s = ad_prog_summary(p);
	return s.flops_sample * (double)batch + s.flops_once;
}

static void report_speed(const setting *s, const workload *w, work *const k[], const timing_job job[], const timing_job gemm[])
{
	for (int kind = 0; kind < WORK_KINDS; kind++)
		for (int i = 0; i < s->teams; i++) {
			const timing_job *j = &job[i * WORK_KINDS + kind], *alone = &job[kind];
			double rate = 1e-9 * flops_of(k[i], (work_kind)kind, w->batch) / j->least, best = 2e-9 * pow(TIMING_GEMM, 3) / gemm[i].least;
			double speedup = alone->least / j->least, gemm_speedup = gemm[0].least / gemm[i].least;
			int threads = s->threads[i];
			const char *name = work_names[kind];
			if (!s->csv)
				printf("  %-8s %2d %s  %9.3f ms  (median %9.3f) %12.0f samples/s %8.1f GFLOP/s %6.1f %% of sgemm %6.2fx one thread "
				       "(sgemm %.2fx)\n",
				       name, threads, threads > 1 ? "threads" : "thread ", 1e3 * j->least, 1e3 * j->median,
				       (double)w->batch / j->least, rate, 100 * rate / best, speedup, gemm_speedup);
			row(s, name, threads, "ms_least", 1e3 * j->least);
			row(s, name, threads, "ms_median", 1e3 * j->median);
			row(s, name, threads, "samples_per_s", (double)w->batch / j->least);
			row(s, name, threads, "gflop_per_s", rate);
			row(s, name, threads, "sgemm_gflop_per_s", best);
			row(s, name, threads, "share_of_sgemm", rate / best);
			row(s, name, threads, "speedup", speedup);
			row(s, name, threads, "sgemm_speedup", gemm_speedup);
		}
}

static bool speed(const setting *s, const workload *w, timing_job gemm[])
{
	work *k[TEAMS];
	task t[TEAMS * WORK_KINDS];
	timing_job job[TEAMS * WORK_KINDS + TEAMS];
	int n = 0;
	bool ok = true;
	for (int i = 0; i < s->teams; i++) {
		k[i] = work_new(w, s->threads[i]);
		for (int kind = 0; kind < WORK_KINDS; kind++, n++) {
			t[n] = (task){ k[i], (work_kind)kind };
			job[n] = (timing_job){ .run = do_task, .what = &t[n] };
		}
	}
	for (int i = 0; i < s->teams; i++)
		job[n + i] = gemm[i];
	timing_rounds(n + s->teams, job, s->quick ? 3 : 12, s->quick ? 0.05 : 0.3);
	for (int i = 0; i < s->teams; i++) {
		gemm[i] = job[n + i];
		if (work_error(k[i])) {
			fprintf(stderr, "%s: %s\n", w->name, work_error(k[i]));
			ok = false;
		}
	}
	if (ok)
		report_speed(s, w, k, job, gemm);
	for (int i = 0; i < s->teams; i++)
		work_free(k[i]);
	return ok;
}

typedef struct {
	const char *name;
	size_t at;
	double factor[POINTS];
} size_axis;

static const size_axis axes[] = {
	{ "batch", offsetof(workload, batch), { 0.5, 1, 2, 4 } },
	{ "layers", offsetof(workload, layers), { 0.5, 1, 2, 3 } },
	{ "width", offsetof(workload, width), { 0.5, 1, 1.5, 2 } },
	{ "dim", offsetof(workload, dim), { 1, 2, 3, 4 } },
};

static bool grow(const setting *s, const workload *w, const size_axis *a, double exponent[WORK_KINDS])
{
	work *k[POINTS];
	task t[POINTS * WORK_KINDS];
	timing_job job[POINTS * WORK_KINDS];
	double size[POINTS], least[POINTS];
	bool ok = true;
	for (int i = 0; i < POINTS; i++) {
		workload v = *w;
		int64_t *n = (int64_t *)((char *)&v + a->at);
		*n = (int64_t)ceil((double)*n * a->factor[i]);
		size[i] = (double)*n;
		k[i] = work_new(&v, 1);
		for (int kind = 0; kind < WORK_KINDS; kind++) {
			t[kind * POINTS + i] = (task){ k[i], (work_kind)kind };
			job[kind * POINTS + i] = (timing_job){ .run = do_task, .what = &t[kind * POINTS + i] };
		}
	}
	timing_rounds(POINTS * WORK_KINDS, job, s->quick ? 2 : 6, s->quick ? 0.01 : 0.1);
	for (int kind = 0; kind < WORK_KINDS; kind++) {
		for (int i = 0; i < POINTS; i++)
			least[i] = job[kind * POINTS + i].least;
		exponent[kind] = timing_exponent(POINTS, size, least);
	}
	for (int i = 0; i < POINTS; i++) {
		if (work_error(k[i])) {
			fprintf(stderr, "%s, %s %g: %s\n", w->name, a->name, size[i], work_error(k[i]));
			ok = false;
		}
		work_free(k[i]);
	}
	return ok;
}

static bool growth(const setting *s, const workload *w)
{
	enum { AXES = sizeof axes / sizeof *axes };
	double e[AXES][WORK_KINDS];
	bool ok = true;
	for (int a = 0; ok && a < AXES; a++)
		ok = grow(s, w, &axes[a], e[a]);
	for (int kind = 0; ok && kind < WORK_KINDS; kind++) {
		if (!s->csv)
			printf("  %-8s time grows as", work_names[kind]);
		for (int a = 0; a < AXES; a++) {
			char figure[32];
			snprintf(figure, sizeof figure, "exponent_%s", axes[a].name);
			row(s, work_names[kind], 1, figure, e[a][kind]);
			if (!s->csv)
				printf("%s %s^%.2f", a ? "," : "", axes[a].name, e[a][kind]);
		}
		if (!s->csv)
			printf("\n");
	}
	fflush(stdout);
	return ok;
}

/* Before the first thread is made: a forked process can make its own only then. */
static void peaks(const setting *s, int n, const workload w[], double mib[])
{
	for (int i = 0; i < n; i++)
		mib[i] = peak_of(&w[i], s->threads[s->teams - 1]);
}

static int run(const setting *s, int n, const workload w[], char *const name[])
{
	double *mib = malloc((size_t)n * sizeof *mib);
	timing_job gemm[TEAMS];
	int failed = 0;
	if (!mib)
		return 1;
	peaks(s, n, w, mib);
	for (int i = 0; i < s->teams; i++)
		gemm[i] = timing_gemm(s->threads[i]);
	if (s->csv)
		printf("workload,work,threads,figure,value\n");
	else
		printf("instruction set %s, BLAS core %s; times are the least of interleaved rounds\n", ad_isa(), ad_blas());
	for (int i = 0; i < n; i++) {
		csv_name = name[i];
		if (!s->csv)
			printf("\n%s  batch %lld, peak memory %.1f MiB\n", name[i], (long long)w[i].batch, mib[i]);
		row(s, "all", s->threads[s->teams - 1], "peak_mib", mib[i]);
		failed += !(speed(s, &w[i], gemm) && growth(s, &w[i]));
	}
	for (int i = 0; i < s->teams; i++)
		timing_gemm_free(&gemm[i]);
	free(mib);
	return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	setting s = { .threads = { 1, omp_get_num_procs() } };
	workload *w = calloc((size_t)argc + 16, sizeof *w);
	char **name = calloc((size_t)argc + 16, sizeof *name), why[160];
	int n = 0, status = 2;
	bool given;
	s.teams = s.threads[1] > 1 ? 2 : 1;
	if (!w || !name)
		return 1;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--csv"))
			s.csv = true;
		else if (!strcmp(argv[i], "--quick"))
			s.quick = true;
		else if (argv[i][0] == '-') {
			fprintf(stderr, "usage: %s [--csv] [--quick] [WORKLOAD...]\n", *argv);
			goto end;
		} else if (!workload_parse(argv[i], &w[n], why)) {
			fprintf(stderr, "%s\n", why);
			goto end;
		} else {
			name[n++] = argv[i];
		}
	}
	given = n;
	for (const workload *k = workloads; !given && k->name; k++) {
		name[n] = (char *)k->name;
		w[n++] = *k;
	}
	status = run(&s, n, w, name);
end:
	free(w);
	free(name);
	return status;
}
