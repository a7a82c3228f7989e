/* measure_process.c - what only a process of its own can show: start-up and peak memory.  It is the program worker. */
#include "measure.h"

#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef struct {
	pid_t pid;
	FILE *to, *from;
} process;

static bool begin(process *p, const char *path, const char *name, int threads)
{
	int in[2], out[2];
	char count[16];
	posix_spawn_file_actions_t f;
	if (pipe(in) || pipe(out))
		return false;
	snprintf(count, sizeof count, "%d", threads);
	posix_spawn_file_actions_init(&f);
	posix_spawn_file_actions_adddup2(&f, in[0], 0);
	posix_spawn_file_actions_adddup2(&f, out[1], 1);
	posix_spawn_file_actions_addclose(&f, in[1]);
	posix_spawn_file_actions_addclose(&f, out[0]);
	char *argv[] = { (char *)path, (char *)name, count, NULL };
	bool ok = !posix_spawn(&p->pid, path, &f, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&f);
	close(in[0]);
	close(out[1]);
	p->to = fdopen(in[1], "w");
	p->from = fdopen(out[0], "r");
	return ok && p->to && p->from;
}

static void end(process *p)
{
	if (p->to)
		fclose(p->to);
	if (p->from)
		fclose(p->from);
	if (p->pid > 0)
		waitpid(p->pid, NULL, 0);
}

/* Sends a line (NULL: none) and takes the answer; false if it is none, or an error, told on stderr. */
static bool ask(process *p, const char *name, const char *line, char *answer, size_t n)
{
	if (line)
		fprintf(p->to, "%s\n", line);
	bool got = (!line || !fflush(p->to)) && fgets(answer, (int)n, p->from);
	if (got && !strstr(answer, "\"error\""))
		return true;
	fprintf(stderr, "%s: the worker %s%s", name, got ? "says " : "ended\n", got ? answer : "");
	return false;
}

static double number_in(const char *answer, const char *key)
{
	const char *at = strstr(answer, key);
	return at ? strtod(at + strlen(key) + 3, NULL) : NAN;
}

bool measure_process(const measure *m, const report *r, const workload *w, const char *name)
{
	process p = { 0 };
	char answer[512];
	int threads = m->threads[m->teams - 1];
	double startup = NAN, later = NAN, base = NAN, peak = NAN, start = timing_now();
	void (*before)(int) = signal(SIGPIPE, SIG_IGN);
	(void)w;
	bool ok = begin(&p, m->worker, name, threads);
	if (!ok)
		fprintf(stderr, "suite: %s cannot be run\n", m->worker);
	if ((ok = ok && ask(&p, name, NULL, answer, sizeof answer)))
		base = number_in(answer, "base_mib");
	if ((ok = ok && ask(&p, name, "train 1", answer, sizeof answer)))
		startup = timing_now() - start;
	for (int i = 0; ok && i < 5; i++)
		if ((ok = ask(&p, name, "train 1", answer, sizeof answer)))
			later = fmin(isnan(later) ? INFINITY : later, number_in(answer, "seconds"));
	ok = ok && ask(&p, name, "density 1", answer, sizeof answer) && ask(&p, name, "sample 1", answer, sizeof answer);
	if (ok)
		peak = number_in(answer, "peak_mib");
	end(&p);
	signal(SIGPIPE, before);
	if (!ok)
		return false;
	report_say(r, "  peak memory %.1f MiB (%.1f before the model); from exec to the end of the first training step %.3f s, a later step %.3f ms\n",
	           peak, base, startup, 1e3 * later);
	report_row(r, "all", threads, "peak_mib", peak);
	report_row(r, "all", threads, "base_mib", base);
	report_row(r, "train", threads, "startup_s", startup);
	report_row(r, "train", threads, "later_step_ms", 1e3 * later);
	return true;
}
