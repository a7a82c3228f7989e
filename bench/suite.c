/* suite.c - how fast every workload is, how near that is to the machine's matrix product, and how its cost grows. */
#include "experiments/lab/cli.h"
#include "measure.h"

#include <libgen.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
	const char *csv, *parts;
	bool quick, list;
	int64_t threads;
} options;

static const lab_option option[] = {
	{ "quick", LAB_FLAG, offsetof(options, quick), NULL, NULL, 0, 0,
	  "Fewer and shorter rounds: a few seconds a workload instead of a minute or two, and rougher.", LAB_LOCAL },
	{ "parts", LAB_TEXT, offsetof(options, parts), "LIST", "speed,process,growth,reversible", 0, 0,
	  "What to measure, separated by commas: speed, process (start-up and peak memory), growth (exponents), reversible (against "
	  "stored).",
	  LAB_LOCAL },
	{ "csv", LAB_TEXT, offsetof(options, csv), "FILE", NULL, 0, 0,
	  "Also a row for each figure: columns workload, work, threads, figure, value.  \"-\": on standard output, alone.", LAB_LOCAL },
	{ "threads", LAB_INT, offsetof(options, threads), "N", "all cores", 1, 256,
	  "The most threads; 1, 2, 4, .. up to it are measured.", LAB_LOCAL },
	{ "list", LAB_FLAG, offsetof(options, list), NULL, NULL, 0, 0, "Print the workloads and end.", LAB_LOCAL },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

static const lab_cli cli = {
	.name = "suite",
	.line = "speed and memory of every workload, each beside its limit",
	.args = "[WORKLOAD...]",
	.max_args = 64,
	.about =
		"Measures each WORKLOAD (all of them, if none is named): a training step, a density evaluation and a sampled batch, on "
		"one thread and more.  NAME:key=value,.. is a workload with other sizes, MAF-63:dim=20,batch=100 say; keys are dim, "
		"layers, width, depth, batch, reversible, and for splines bins and tail.\n\n"
		"Speed: jobs take turns in rounds, with a 1024 x 1024 x 1024 product of the BLAS library among them, so that all figures "
		"come from the same minutes.  GFLOP/s count the arithmetic that the model cannot do without (masked weights and "
		"elementwise work do not count; sampling is credited with that of a density), and the share is of the product's rate on as "
		"many threads.  Speedup is over one thread, the product's own beside it.\n\n"
		"Process: a worker of its own is started: time from exec to the end of the first training step, later steps, peak memory.\n\n"
		"Growth: four sizes of batch, layers, width, depth and dim each, the others fixed, on one thread; k where time grows as "
		"size^k.\n\n"
		"Reversible: a training step and a thread's memory of values with activations rebuilt, beside stored, of the workload and of "
		"one four times as deep.\n\n"
		"Nothing else should run meanwhile.  bench/README.md explains every figure.",
	.option = option,
	.files = "worker   beside this program: what process measures",
	.examples = "suite --csv speed.csv\nsuite --quick MAF-63 NSF-C-43\nsuite --parts growth MAF-63:width=128\nsuite --parts reversible RealNVP-21:layers=50",
};

static bool wants(const options *o, const char *part)
{
	size_t n = strlen(part);
	for (const char *p = o->parts ? o->parts : "speed,process,growth,reversible"; *p; p += strspn(p, ",")) {
		size_t k = strcspn(p, ",");
		if (k == n && !strncmp(p, part, n))
			return true;
		p += k;
	}
	return false;
}

static bool known_parts(const char *parts)
{
	for (const char *p = parts ? parts : ""; *p;) {
		static const char *const all[] = { "speed", "process", "growth", "reversible" };
		size_t k = strcspn(p, ","), i = 0;
		while (i < 4 && (strlen(all[i]) != k || strncmp(all[i], p, k)))
			i++;
		if (i == 4)
			return false;
		p += k;
		p += *p == ',';
	}
	return true;
}

static void choose_teams(measure *m, int most)
{
	for (int t = 1; t < most && m->teams < MEASURE_TEAMS - 1; t *= 2)
		m->threads[m->teams++] = t;
	m->threads[m->teams++] = most;
	for (int i = 0; i < m->teams; i++)
		m->gemm[i] = timing_gemm(m->threads[i]);
}

static void find_worker(measure *m)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	path[n > 0 ? n : 0] = 0;
	snprintf(m->worker, sizeof m->worker, "%s/worker", n > 0 ? dirname(path) : ".");
}

static bool one(measure *m, report *r, const options *o, const workload *w, const char *name)
{
	bool ok = true;
	r->workload = name;
	report_say(r, "\n%s  batch %lld\n", name, (long long)w->batch);
	if (wants(o, "process"))
		ok &= measure_process(m, r, w, name);
	if (ok && wants(o, "speed"))
		ok &= measure_speed(m, r, w);
	if (ok && wants(o, "reversible"))
		ok &= measure_reversible(m, r, w);
	if (ok && wants(o, "growth"))
		ok &= measure_growth(m, r, w);
	return ok;
}

static int run(const options *o, int n, const workload w[], const char *const name[])
{
	measure m = { .quick = o->quick };
	report r;
	int failed = 0;
	if (!report_open(&r, o->csv))
		return LAB_USAGE;
	choose_teams(&m, o->threads ? (int)o->threads : omp_get_num_procs());
	find_worker(&m);
	report_say(&r, "instruction set %s, BLAS core %s; times are the least of interleaved rounds\n", ad_isa(), ad_blas());
	const char *core = getenv("OPENBLAS_CORETYPE");
	if (core)
		report_say(&r, "OPENBLAS_CORETYPE=%s in the environment decides the BLAS core, so shares of sgemm are of what that reaches\n",
		           core);
	for (int i = 0; i < n; i++)
		failed += !one(&m, &r, o, &w[i], name[i]);
	for (int i = 0; i < m.teams; i++)
		timing_gemm_free(&m.gemm[i]);
	failed += report_close(&r) != 0;
	return failed ? LAB_FAILED : 0;
}

int main(int argc, char **argv)
{
	options o = { 0 };
	lab_args a;
	workload w[64];
	const char *name[64];
	char why[160];
	int n = 0, status = lab_cli_parse(&cli, argc, argv, &o, &a);
	if (status >= 0)
		return status;
	if (!known_parts(o.parts))
		return lab_cli_wrong(&cli, "--parts takes speed, process, growth and reversible, not \"%s\"", o.parts);
	if (o.list)
		return puts(workload_table()) < 0;
	for (; n < a.nargs; n++) {
		name[n] = a.arg[n];
		if (!workload_parse(name[n], &w[n], why))
			return lab_cli_wrong(&cli, "%s", why);
	}
	for (const workload *k = workloads; !a.nargs && k->name; k++, n++) {
		name[n] = k->name;
		w[n] = *k;
	}
	return run(&o, n, w, name);
}
