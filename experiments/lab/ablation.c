/* ablation.c - variants of one experiment, each with several seeds. */
#include "ablation.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "file.h"
#include "jobs.h"
#include "memory.h"
#include "ranks.h"

typedef struct {
	bool list, no_report;
	int64_t seeds, jobs;
	const char *out, *data, *only, *more;
} options;

typedef struct {
	const lab_ablation *a;
	const lab_cli *cli;
	options o;
	char programs[4096]; /* the folder that this one lies in */
	char dir[4096];
	int n, mine, done, failed; /* jobs; of this rank; of these */
	lab_job *job;
	char (*run)[4300]; /* directories */
	char (*said)[4320];
} ablation;

static const lab_option option[] = {
	{ "out", LAB_TEXT, offsetof(options, out), "DIR", "NAME in out/", 0, 0,
	  "Where the runs are kept; made if absent.", LAB_LOCAL },
	{ "seeds", LAB_INT, offsetof(options, seeds), "N", NULL, 1, 1000,
	  "Runs of each variant, with the seeds 1 to N.", LAB_LOCAL },
	{ "data", LAB_TEXT, offsetof(options, data), "WHAT", NULL, 0, 0, "Other data than the table says.", LAB_LOCAL },
	{ "only", LAB_TEXT, offsetof(options, only), "A,B,..", NULL, 0, 0, "Only these variants.", LAB_LOCAL },
	{ "more", LAB_TEXT, offsetof(options, more), "OPTIONS", NULL, 0, 0,
	  "Further options of tabular for all runs, in one word: --more '--steps 100 --dtype f64'.", LAB_LOCAL },
	{ "jobs", LAB_INT, offsetof(options, jobs), "N", "one a core", 1, 4096,
	  "Runs at a time; they share the cores.  Results do not depend on it, times do.", LAB_LOCAL },
	{ "list", LAB_FLAG, offsetof(options, list), NULL, NULL, 0, 0, "Print the commands and end.", LAB_LOCAL },
	{ "no-report", LAB_FLAG, offsetof(options, no_report), NULL, NULL, 0, 0, "Write no report.html.", LAB_LOCAL },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

static void slug(char out[64], const char *name)
{
	int n = 0;
	for (; *name && n < 63; name++)
		out[n++] = isalnum((unsigned char)*name) || strchr(".-_", *name) ? *name : '-';
	out[n] = 0;
}

static bool wanted(const ablation *b, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = b->o.only; p && (p = strstr(p, name)); p += n)
		if ((p == b->o.only || p[-1] == ',') && (!p[n] || p[n] == ','))
			return true;
	return !b->o.only;
}

static int check_only(const ablation *b)
{
	char *list = lab_strdup(b->o.only ? b->o.only : ""), *rest = list;
	int status = -1;
	for (char *name; *list && status < 0 && (name = strsep(&rest, ","));) {
		const lab_variant *v = b->a->variant;
		const char *known[64];
		int n = 0;
		for (; v[n].name && n < 64; n++)
			known[n] = v[n].name;
		int k = 0;
		while (k < n && strcmp(known[k], name))
			k++;
		const char *near = k == n ? lab_nearest(name, n, known) : NULL;
		if (k == n)
			status = lab_cli_wrong(b->cli, "--only: there is no variant \"%s\"%s%s%s (--list shows them)",
					       name, near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
	}
	free(list);
	return status;
}

/* Words of text, appended to argv as copies. */
static int split(char **argv, int n, int most, const char *text)
{
	while (text && n < most) {
		text += strspn(text, " ");
		size_t k = strcspn(text, " ");
		if (!k)
			break;
		argv[n++] = strndup(text, k);
		text += k;
	}
	return n;
}

static char **command(const ablation *b, const lab_variant *v, int seed, int threads, const char *dir)
{
	enum { MOST = 200 };
	char **argv = lab_alloc(MOST + 12, sizeof *argv), word[4400];
	snprintf(word, sizeof word, "%s/tabular", b->programs);
	int n = 0;
	argv[n++] = lab_strdup(word);
	n = split(argv, n, MOST, b->a->common);
	n = split(argv, n, MOST, v->options);
	n = split(argv, n, MOST, b->o.more);
	if (b->o.data) {
		argv[n++] = lab_strdup("--data");
		argv[n++] = lab_strdup(b->o.data);
	}
	snprintf(word, sizeof word, "--seed %d --threads %d --resume --quiet --no-figures", seed, threads);
	n = split(argv, n, MOST + 9, word);
	argv[n++] = lab_strdup("--out");
	argv[n++] = lab_strdup(dir);
	return argv;
}

static void plan(ablation *b, int seeds, int threads)
{
	int variants = 0;
	while (b->a->variant[variants].name)
		variants++;
	b->job = lab_alloc((size_t)(variants * seeds), sizeof *b->job);
	b->run = lab_alloc((size_t)(variants * seeds), sizeof *b->run);
	b->said = lab_alloc((size_t)(variants * seeds), sizeof *b->said);
	for (int s = 1; s <= seeds; s++) /* all variants of a seed first: an early look compares them all */
		for (int v = 0; v < variants; v++) {
			char name[64];
			if (!wanted(b, b->a->variant[v].name))
				continue;
			slug(name, b->a->variant[v].name);
			snprintf(b->run[b->n], sizeof *b->run, "%s/%s-%d", b->dir, name, s);
			snprintf(b->said[b->n], sizeof *b->said, "%s.log", b->run[b->n]);
			b->job[b->n] = (lab_job){ .argv = command(b, &b->a->variant[v], s, threads, b->run[b->n]),
						  .said = b->said[b->n] };
			b->n++;
		}
}

static void last_line(const char *path, char line[600])
{
	FILE *f = fopen(path, "r");
	char next[600];
	line[0] = 0;
	while (f && fgets(next, sizeof next, f))
		if (next[0] != '\n')
			memcpy(line, next, sizeof next);
	line[strcspn(line, "\n")] = 0;
	if (f)
		fclose(f);
}

static void told(int index, lab_job *j, void *user)
{
	ablation *b = user;
	char line[600];
	b->done++;
	b->failed += j->status != 0;
	const char *run = b->run[index * lab_ranks() + lab_rank()];
	last_line(j->said, line);
	if (!j->status)
		fprintf(stderr, "%s: %d of %d: %s\n", b->a->name, b->done, b->mine, run);
	else
		fprintf(stderr, "%s: %d of %d: %s failed with status %d: %s\n", b->a->name, b->done, b->mine, run, j->status, line);
}

/* A program beside this one, on the runs that succeeded; its exit status. */
static int look(const ablation *b, const char *name, const char *more)
{
	char **argv = lab_alloc((size_t)b->n + 20, sizeof *argv), word[4200];
	lab_job j = { .argv = argv };
	int n = 0;
	snprintf(word, sizeof word, "%s/%s", b->programs, name);
	argv[n++] = lab_strdup(word);
	n = split(argv, n, 12, more);
	if (!strcmp(name, "report")) {
		snprintf(word, sizeof word, "%s/report.html", b->dir);
		argv[n++] = lab_strdup("--out");
		argv[n++] = lab_strdup(word);
		argv[n++] = lab_strdup("--title");
		snprintf(word, sizeof word, "%s: %s", b->a->name, b->a->line);
		argv[n++] = lab_strdup(word);
	}
	for (int i = 0; i < b->n; i++)
		if (!b->job[i].status)
			argv[n++] = lab_strdup(b->run[i]);
	fflush(stdout);
	int status = lab_jobs_run(1, &j, 1, NULL, NULL) ? LAB_FAILED : j.status;
	while (n)
		free(argv[--n]);
	free(argv);
	return status;
}

/* This rank's part of the jobs: every so many-th, moved to the front; and back, with what became of the others'. */
static int run_mine(ablation *b, int at_a_time)
{
	int all = b->n, n = 0;
	lab_job *mine = lab_alloc((size_t)all + 1, sizeof *mine);
	for (int i = lab_rank(); i < all; i += lab_ranks())
		mine[n++] = b->job[i];
	b->mine = n;
	int signal = lab_ranks_any(lab_jobs_run(n, mine, at_a_time, told, b));
	for (int i = 0; i < all; i++) {
		bool here = i % lab_ranks() == lab_rank();
		b->job[i].status = lab_ranks_any(here ? mine[i / lab_ranks()].status : 0);
	}
	b->failed = 0;
	for (int i = 0; i < all; i++)
		b->failed += b->job[i].status != 0;
	free(mine);
	return signal;
}

static int perform(ablation *b, int at_a_time)
{
	lab_err err;
	int status = lab_ranks_agree(b->cli, lab_dir_make(b->dir, &err) ? lab_cli_wrong(b->cli, "%s", err.text) : -1);
	if (status >= 0)
		return status;
	int signal = run_mine(b, at_a_time);
	if (signal) {
		fprintf(stderr, "%s: interrupted; the same command goes on\n", b->a->name);
		return 128 + signal;
	}
	if (b->failed == b->n)
		return LAB_FAILED;
	if (lab_rank())
		return b->failed ? LAB_FAILED : 0;
	status = look(b, "compare", "--cost");
	if (!b->o.no_report)
		status = look(b, "report", NULL) || status;
	return b->failed || status ? LAB_FAILED : 0;
}

static void list(const ablation *b)
{
	for (int i = 0; i < b->n; i++)
		for (char **w = b->job[i].argv; *w; w++)
			printf("%s%c", *w, w[1] ? ' ' : '\n');
}

static void clear(ablation *b)
{
	for (int i = 0; i < b->n; i++) {
		for (char **w = b->job[i].argv; *w; w++)
			free(*w);
		free(b->job[i].argv);
	}
	free(b->job);
	free(b->run);
	free(b->said);
}

int lab_ablate(const lab_ablation *a, int argc, char **argv)
{
	char about[8000], example[600];
	snprintf(about, sizeof about,
		 "%s\n\nRuns what is missing, several runs at a time, then compares them and writes "
		 "report.html beside them.  Interrupted, or killed, the same command goes on with the same bits.  Started by mpirun or "
		 "srun, in a build with MPI, the processes share out the runs.  The "
		 "variants, as "
		 "options of tabular after \"%s\":",
		 a->about, a->common);
	for (const lab_variant *v = a->variant; v->name; v++)
		snprintf(about + strlen(about), sizeof about - strlen(about), "\n\n%s: %s", v->name,
			 *v->options ? v->options : "as it is");
	snprintf(example, sizeof example, "%s\n%s --data table.csv --seeds 5 --more '--steps 20000' --out out/table",
		 a->name, a->name);
	lab_cli cli = { .name = a->name, .line = a->line, .about = about, .option = option, .examples = example };
	ablation b = { .a = a, .cli = &cli };
	lab_args args;
	lab_ranks_begin(&cli);
	int status = lab_cli_parse(&cli, argc, argv, &b.o, &args);
	if ((status = lab_ranks_agree(&cli, status < 0 ? check_only(&b) : status)) >= 0)
		return status;
	ssize_t n = readlink("/proc/self/exe", b.programs, sizeof b.programs - 1);
	b.programs[n > 0 ? n : 0] = 0;
	char *slash = strrchr(b.programs, '/');
	if (slash)
		*slash = 0;
	snprintf(b.dir, sizeof b.dir, "%s%s", b.o.out ? b.o.out : "out/", b.o.out ? "" : a->name);
	int cores = lab_ranks_cores();
	int at_a_time = b.o.jobs ? (int)b.o.jobs : cores;
	plan(&b, b.o.seeds ? (int)b.o.seeds : a->seeds, at_a_time < cores ? cores / at_a_time : 1);
	if (b.o.list)
		list(&b);
	status = b.o.list ? 0 : perform(&b, at_a_time);
	clear(&b);
	return lab_ranks_agree(&cli, status);
}
