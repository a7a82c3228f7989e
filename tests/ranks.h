/* ranks.h - for tests: processes of this machine as a group of ranks that share memory. */
#ifndef TESTS_RANKS_H
#define TESTS_RANKS_H

#include "ad/ad.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RANKS_MAX = 20, RANKS_ROOM = 16 << 20 };

typedef struct {
	pthread_barrier_t meet;
	int size, rank, lose; /* lose: this number of collective calls serve, the next ones fail; -1: all serve */
	size_t used[RANKS_MAX]; /* bytes of a rank's result */
	char (*box)[RANKS_ROOM], (*result)[RANKS_ROOM];
} ranks;

static inline void *ranks_memory(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		abort();
	return p;
}

static inline size_t ranks_sum(const size_t n[], int k)
{
	size_t s = 0;
	for (int i = 0; i < k; i++)
		s += n[i];
	return s;
}

static int ranks_me, ranks_calls;

static inline int ranks_serve(const ranks *r)
{
	return r->lose >= 0 && ranks_calls++ >= r->lose ? -1 : 0;
}

static inline int ranks_exchange(void *user, const void *to, const size_t to_bytes[], void *from, const size_t from_bytes[])
{
	ranks *r = user;
	if (ranks_serve(r))
		return -1;
	size_t *begin = (size_t *)r->box[ranks_me], at = 0;
	for (int q = 0; q < r->size; q++) {
		begin[q] = RANKS_MAX * sizeof *begin + at;
		at += to_bytes[q];
	}
	if (begin[0] + at > RANKS_ROOM)
		abort();
	if (at)
		memcpy((char *)begin + begin[0], to, at);
	pthread_barrier_wait(&r->meet);
	at = 0;
	for (int q = 0; q < r->size; q++) {
		if (from_bytes[q])
			memcpy((char *)from + at, r->box[q] + ((size_t *)r->box[q])[ranks_me], from_bytes[q]);
		at += from_bytes[q];
	}
	pthread_barrier_wait(&r->meet);
	return 0;
}

static inline int ranks_gather(void *user, void *all, const size_t bytes[])
{
	ranks *r = user;
	if (ranks_serve(r))
		return -1;
	if (bytes[ranks_me] > RANKS_ROOM)
		abort();
	memcpy(r->box[ranks_me], (char *)all + ranks_sum(bytes, ranks_me), bytes[ranks_me]);
	pthread_barrier_wait(&r->meet);
	for (int q = 0; q < r->size; q++)
		if (q != ranks_me)
			memcpy((char *)all + ranks_sum(bytes, q), r->box[q], bytes[q]);
	pthread_barrier_wait(&r->meet);
	return 0;
}

/* What a rank hands back: more of its result. */
static inline void ranks_put(ranks *r, const void *data, size_t bytes)
{
	if (r->used[ranks_me] + bytes > RANKS_ROOM)
		abort();
	memcpy(r->result[ranks_me] + r->used[ranks_me], data, bytes);
	r->used[ranks_me] += bytes;
}

/* Runs work in that many processes, which must all end well; NULL after a message if one does not.  The caller may not have used
 * OpenMP: its threads do not survive the fork. */
static inline ranks *ranks_run(int size, int lose, void work(ranks *r, const ad_group *g, void *with), void *with)
{
	ranks *r = ranks_memory(sizeof *r);
	pthread_barrierattr_t shared;
	pid_t child[RANKS_MAX];
	int bad = 0;
	r->size = size;
	r->lose = lose;
	r->box = ranks_memory((size_t)size * sizeof *r->box);
	r->result = ranks_memory((size_t)size * sizeof *r->result);
	pthread_barrierattr_init(&shared);
	pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&r->meet, &shared, (unsigned)size);
	fflush(NULL);
	for (int i = 0; i < size; i++)
		if (!(child[i] = fork())) {
			ranks_me = i;
			ad_group g = { .rank = i, .size = size, .gather = ranks_gather, .exchange = ranks_exchange, .user = r };
			work(r, &g, with);
			fflush(NULL);
			_exit(0);
		}
	for (int left = size; left; left--) {
		int status;
		pid_t who = wait(&status);
		for (int i = 0; i < size; i++) {
			if (child[i] == who)
				child[i] = 0;
			else if (status && child[i] && !bad)
				kill(child[i], SIGKILL); /* they would wait for it */
		}
		if (status && !bad)
			fprintf(stderr, "a rank of %d ended with status %d\n", size, status);
		bad |= status;
	}
	return bad ? NULL : r;
}

static inline void ranks_free(ranks *r)
{
	munmap(r->box, (size_t)r->size * sizeof *r->box);
	munmap(r->result, (size_t)r->size * sizeof *r->result);
	munmap(r, sizeof *r);
}

#endif
