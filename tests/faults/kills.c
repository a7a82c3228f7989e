/* kills.c - kills a run at random instants and resumes it, again and again.
 *
 *   kills COUNT WHOLE CUT COMMAND...
 *
 * COMMAND is a run without --out.  It is made once in the folder WHOLE, undisturbed.  Then it is started in CUT with
 * --resume, killed (SIGKILL) after a random part of the time that the whole run took, started again, and so on until it
 * ends; its log must then have the bits of the undisturbed one.  This goes on until COUNT kills have hit.  After each,
 * both files must be readable, if they are there, and the checkpoint no older than it was.  Exit status 1 if not. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "experiments/lab/agreement.h"
#include "experiments/lab/checkpoint.h"
#include "experiments/lab/file.h"
#include "experiments/lab/progress.h"
#include "experiments/lab/stats.h"

static int faults;
static char log_path[4200], checkpoint_path[4200], lock_path[4200], part_path[2][4200];

static void fault(const char *what, const char *why)
{
	faults++;
	fprintf(stderr, "kills: %s%s%s\n", what, *why ? ": " : "", why);
}

static pid_t start(char **argv)
{
	pid_t pid = fork();
	if (!pid) {
		if (!freopen("/dev/null", "w", stdout))
			_exit(126);
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

/* Makes `argv` with --out dir and, for the second folder, --resume. */
static char **command(int n, char **argv, const char *dir, bool resume)
{
	char **c = calloc((size_t)n + 4, sizeof *c);
	if (!c)
		exit(2);
	memcpy(c, argv, (size_t)n * sizeof *c);
	c[n] = "--out";
	c[n + 1] = (char *)dir;
	c[n + 2] = resume ? "--resume" : NULL;
	return c;
}

static bool there(const char *path)
{
	struct stat st;
	return !stat(path, &st);
}

/* The step of the checkpoint, -1: none yet. */
static int64_t look(int64_t before)
{
	lab_err err;
	int64_t step = -1;
	if (there(log_path)) {
		lab_log *l = lab_log_read(log_path, &err);
		if (!l)
			fault("the log", err.text);
		lab_log_free(l);
	}
	if (there(checkpoint_path)) {
		lab_checkpoint k;
		if (lab_checkpoint_open(&k, checkpoint_path, &err)) {
			fault("the checkpoint", err.text);
		} else {
			step = k.state.step;
			lab_log_free(k.log);
			lab_checkpoint_close(&k);
		}
	}
	if (step < before)
		fault("the checkpoint went back", "");
	return step;
}

static void clear(const char *dir)
{
	unlink(log_path);
	unlink(checkpoint_path);
	unlink(lock_path);
	unlink(part_path[0]);
	unlink(part_path[1]);
	if (rmdir(dir))
		fault("something was left in the folder", strerror(errno));
}

static void compare(const lab_log *whole)
{
	lab_err err;
	lab_log *now = lab_log_read(log_path, &err);
	if (!now) {
		fault("the log of the finished run", err.text);
		return;
	}
	lab_agreement g = lab_agree(whole, now, stderr);
	for (int k = 0; k < LAB_PARTS; k++)
		if (g.different[k])
			fault("the resumed run differs from the whole one", "");
	lab_log_free(now);
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	int kills = atoi(argv[1]), hit = 0, runs = 0, status;
	const char *whole_dir = argv[2], *cut = argv[3];
	lab_path(log_path, sizeof log_path, cut, "run.h5");
	lab_path(checkpoint_path, sizeof checkpoint_path, cut, "checkpoint.h5");
	lab_path(lock_path, sizeof lock_path, cut, ".lock");
	lab_path(part_path[0], sizeof *part_path, cut, "run.h5.part");
	lab_path(part_path[1], sizeof *part_path, cut, "checkpoint.h5.part");
	char **first = command(argc - 4, argv + 4, whole_dir, false), **again = command(argc - 4, argv + 4, cut, true);
	char path[4200];
	lab_err err;
	lab_log *whole = NULL;
	double begun = lab_clock();
	waitpid(start(first), &status, 0);
	double span = lab_clock() - begun;
	if (status || !(whole = lab_log_read(lab_path(path, sizeof path, whole_dir, "run.h5"), &err)))
		fault("the whole run failed", status ? "" : err.text);
	lab_rng r = { (uint64_t)getpid() };
	int64_t step = -1;
	bool over = false;
	while (!faults && (hit < kills || !over)) {
		pid_t pid = start(again);
		double wait = hit < kills ? span * (double)(lab_rng_next(&r) >> 11) * 0x1p-53 : 0;
		if (hit < kills) {
			nanosleep(&(struct timespec){ (time_t)wait, (long)(1e9 * (wait - (double)(time_t)wait)) }, NULL);
			kill(pid, SIGKILL);
		}
		waitpid(pid, &status, 0);
		hit += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		step = look(step);
		over = WIFEXITED(status);
		if (WIFEXITED(status) && WEXITSTATUS(status))
			fault("a resumed run failed", "");
		if (!over || faults)
			continue;
		compare(whole);
		clear(cut);
		step = -1;
		runs++;
	}
	printf("%d kills, %d runs of %.3f s, %d faults, %.1f s\n", hit, runs, span, faults, lab_clock() - begun);
	lab_log_free(whole);
	free(first);
	free(again);
	return faults ? 1 : 0;
}
