/* worker.c - one workload behind a line protocol, so that a race driver can time it beside other libraries. */
#include "experiments/lab/cli.h"
#include "timing.h"
#include "work.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void say_error(const char *text)
{
	printf("{\"error\": \"");
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p >= ' ')
			printf(*p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
	printf("\"}\n");
	fflush(stdout);
}

static void obey(work *k, work_kind kind, int64_t n, bool profile)
{
	if (profile && work_prog(k, kind))
		ad_profile(work_prog(k, kind), true);
	double start = timing_now(), value = work_do(k, kind, n), seconds = timing_now() - start;
	if (work_error(k)) {
		say_error(work_error(k));
		return;
	}
	printf("{\"seconds\": %.9f, \"value\": ", seconds);
	printf(isfinite(value) ? "%.9g" : "null", value);
	printf(", \"peak_mib\": %.1f}\n", timing_peak_mib());
	fflush(stdout);
	if (profile) {
		fprintf(stderr, "\n%s\n", work_names[kind]);
		ad_prog_print(work_prog(k, kind), stderr);
		ad_profile_print(work_prog(k, kind), stderr);
	}
}

static void command(work *k, char *line, bool profile)
{
	char *rest, *word = strtok_r(line, " \t\r\n", &rest), *count = strtok_r(NULL, " \t\r\n", &rest), *end = NULL, text[200];
	long long n = count ? strtoll(count, &end, 10) : 0;
	if (!word)
		return;
	for (int kind = 0; kind < WORK_KINDS; kind++)
		if (!strcmp(word, work_names[kind])) {
			if (!count || *end || n < 1) {
				snprintf(text, sizeof text, "%s wants a number of times, at least 1", word);
				say_error(text);
			} else {
				obey(k, (work_kind)kind, n, profile);
			}
			return;
		}
	snprintf(text, sizeof text, "no command %.40s; there are train N, density N, sample N, quit", word);
	say_error(text);
}

static void serve(work *k, bool profile)
{
	char *line = NULL;
	size_t room = 0;
	while (getline(&line, &room, stdin) > 0 && strncmp(line, "quit", 4))
		command(k, line, profile);
	free(line);
}

typedef struct {
	bool profile, list;
} options;

static const lab_option option[] = {
	{ "profile", LAB_FLAG, offsetof(options, profile), NULL, NULL, 0, 0,
	  "After each command print its program and where its time went on stderr (docs/profile.md).", LAB_LOCAL },
	{ "list", LAB_FLAG, offsetof(options, list), NULL, NULL, 0, 0, "Print the workloads and end.", LAB_LOCAL },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

static const lab_cli cli = {
	.name = "worker",
	.line = "one workload behind a line protocol",
	.args = "WORKLOAD THREADS",
	.max_args = 2,
	.about = "Makes the model of WORKLOAD (a name of --list, or NAME:key=value,.. with other sizes) and prints "
	         "{\"ready\": true, \"base_mib\": .., \"parameters\": .., \"batch\": ..}.  Then for each line of standard input it prints "
	         "one line, with seconds, value and peak_mib: train N takes N steps (the last loss), density N evaluates the batch N times "
	         "(minus the mean log-density), sample N draws N batches (mean of the last).  quit, or the end of input, ends it.  A "
	         "mistake is answered by {\"error\": \"..\"}.  A race driver gives several workers turns; bench/README.md says more.",
	.option = option,
	.examples = "echo 'train 20' | worker MAF-63 2\necho 'train 20' | worker MAF-63:width=128,reversible=1 1 --profile",
};

int main(int argc, char **argv)
{
	options o = { 0 };
	lab_args a;
	workload w;
	char why[160], *end = NULL;
	int status = lab_cli_parse(&cli, argc, argv, &o, &a);
	if (status >= 0)
		return status;
	if (o.list)
		return puts(workload_table()) < 0;
	long threads = a.nargs == 2 ? strtol(a.arg[1], &end, 10) : 0;
	if (a.nargs != 2 || end == a.arg[1] || *end || threads < 1 || threads > 256)
		return lab_cli_wrong(&cli, "needs WORKLOAD and THREADS, 1 to 256 (--help explains)");
	if (!workload_parse(a.arg[0], &w, why)) {
		say_error(why);
		return LAB_FAILED;
	}
	double base = timing_peak_mib();
	work *k = work_new(&w, (int)threads);
	int64_t parameters = work_parameters(k);
	if (work_error(k)) {
		say_error(work_error(k));
		work_free(k);
		return LAB_FAILED;
	}
	printf("{\"ready\": true, \"base_mib\": %.1f, \"parameters\": %lld, \"batch\": %lld}\n", base, (long long)parameters,
	       (long long)w.batch);
	fflush(stdout);
	serve(k, o.profile);
	work_free(k);
	return 0;
}
