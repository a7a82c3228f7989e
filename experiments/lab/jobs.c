/* jobs.c - child processes, so many at a time. */
#include "jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "ranks.h"

static volatile sig_atomic_t caught;

static void catch (int signal)
{
	caught = signal;
}

/* In a group of its own, so that Ctrl-C reaches it once, through us. */
static pid_t start(const lab_job *j, const sigset_t *normal)
{
	pid_t parent = getpid(), pid = fork();
	if (pid)
		return pid;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_SETMASK, normal, NULL);
	int said = j->said ? open(j->said, O_WRONLY | O_CREAT | O_TRUNC, 0666) : 1,
	    nothing = open("/dev/null", O_RDONLY);
	if (getppid() != parent || said < 0 || nothing < 0)
		_exit(126);
	dup2(nothing, 0);
	if (j->said) {
		dup2(said, 1);
		dup2(said, 2);
	}
	lab_ranks_forget();
	execv(j->argv[0], j->argv);
	dprintf(2, "cannot run %s: %s\n", j->argv[0], strerror(errno));
	_exit(127);
}

int lab_jobs_run(int n, lab_job job[], int at_a_time, void (*told)(int index, lab_job *j, void *user), void *user)
{
	pid_t *pid = lab_alloc((size_t)n + 1, sizeof *pid);
	struct sigaction act = { .sa_handler = catch }, old_int, old_term;
	sigset_t both, normal;
	int next = 0, running = 0, passed = 0;
	caught = 0;
	sigaction(SIGINT, &act, &old_int);
	sigaction(SIGTERM, &act, &old_term);
	sigemptyset(&both);
	sigaddset(&both, SIGINT);
	sigaddset(&both, SIGTERM);
	sigprocmask(SIG_SETMASK, NULL, &normal);
	for (int i = 0; i < n; i++)
		job[i].status = -1;
	while (running || (next < n && !caught)) {
		int status, k = 0;
		if (caught && !passed) {
			passed = caught;
			for (int i = 0; i < next; i++)
				if (pid[i] > 0)
					kill(pid[i], passed);
		}
		if (!caught && running < at_a_time && next < n) {
			sigprocmask(SIG_BLOCK, &both,
				    NULL); /* a child must not be left out when a signal is passed on */
			pid[next] = start(&job[next], &normal);
			sigprocmask(SIG_SETMASK, &normal, NULL);
			running += pid[next] > 0;
			if (pid[next] < 0)
				job[next].status = 126;
			next++;
			continue;
		}
		pid_t ended = waitpid(-1, &status, 0);
		while (ended > 0 && k < next && pid[k] != ended)
			k++;
		if (ended <= 0 || k == next)
			continue; /* a signal came */
		pid[k] = 0;
		running--;
		job[k].status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (told)
			told(k, &job[k], user);
	}
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	free(pid);
	return caught;
}
