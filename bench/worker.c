/* worker.c - one workload behind a line protocol, so that a race driver can time it beside other libraries.
 * usage: worker WORKLOAD THREADS [--profile] */
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

int main(int argc, char **argv)
{
	workload w;
	char why[160], *end = NULL;
	bool profile = argc == 4 && !strcmp(argv[3], "--profile");
	long threads = argc > 2 ? strtol(argv[2], &end, 10) : 0;
	if ((argc != 3 && !profile) || *end || threads < 1 || threads > 256) {
		fprintf(stderr, "usage: %s WORKLOAD THREADS [--profile]\n", *argv);
		return 2;
	}
	if (!workload_parse(argv[1], &w, why)) {
		say_error(why);
		return 1;
	}
	double base = timing_peak_mib();
	work *k = work_new(&w, (int)threads);
	int64_t parameters = work_parameters(k);
	if (work_error(k)) {
		say_error(work_error(k));
		work_free(k);
		return 1;
	}
	printf("{\"ready\": true, \"base_mib\": %.1f, \"parameters\": %lld, \"batch\": %lld}\n", base, (long long)parameters,
	       (long long)w.batch);
	fflush(stdout);
	serve(k, profile);
	work_free(k);
	return 0;
}
