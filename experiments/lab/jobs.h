/* jobs.h - child processes, so many at a time, that end when this one does. */
#ifndef LAB_JOBS_H
#define LAB_JOBS_H

#include <stdbool.h>

typedef struct {
	char **argv;	  /* NULL at its end */
	const char *said; /* file for its stdout and stderr; NULL: this process's own */
	int status;	  /* set: exit status; 128 + signal; -1: not started */
} lab_job;

/* Runs all; after each end calls told (NULL: nothing).  SIGINT and SIGTERM are passed on to those that run, which are
 * waited for, and no more are started: returns that signal, else 0. */
int lab_jobs_run(int n, lab_job job[], int at_a_time, void (*told)(int index, lab_job *j, void *user), void *user);

#endif
