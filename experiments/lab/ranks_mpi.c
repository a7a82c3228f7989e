/* ranks_mpi.c - ranks that talk by MPI. */
#include "ranks_mpi.h"

#include <limits.h>
#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

/* Pieces by rank: where each begins, for calls that count in int; whole: all of them together. */
typedef struct {
	int *bytes, *begin;
	size_t whole;
} pieces;

static pieces pieces_of(int size, const size_t bytes[])
{
	pieces p = { lab_alloc((size_t)size * 2, sizeof(int)), NULL, 0 };
	p.begin = p.bytes + size;
	for (int r = 0; r < size; r++) {
		p.bytes[r] = (int)bytes[r];
		p.begin[r] = (int)p.whole;
		p.whole += bytes[r];
	}
	return p;
}

enum { CHUNK = 1 << 30 };

static int chunks(const size_t bytes[], int size)
{
	int n = 0;
	for (int r = 0; r < size; r++)
		n += (int)((bytes[r] + CHUNK - 1) / CHUNK);
	return n;
}

/* Starts the messages of one piece to or from a rank. */
static int post(bool send, char *at, size_t bytes, int peer, MPI_Request *q)
{
	int n = 0;
	for (size_t done = 0; done < bytes; done += CHUNK, n++) {
		int k = bytes - done < CHUNK ? (int)(bytes - done) : CHUNK;
		if (send)
			MPI_Isend(at + done, k, MPI_BYTE, peer, n, MPI_COMM_WORLD, &q[n]);
		else
			MPI_Irecv(at + done, k, MPI_BYTE, peer, n, MPI_COMM_WORLD, &q[n]);
	}
	return n;
}

/* Any sizes.  same: to is one piece, for everybody. */
static int transfer(const ad_group *g, char *to, const size_t to_bytes[], bool same, char *from, const size_t from_bytes[])
{
	size_t out = 0, in = 0;
	int n = 0, most = chunks(to_bytes, g->size) + chunks(from_bytes, g->size), bad;
	MPI_Request *q = lab_alloc((size_t)most + 1, sizeof(MPI_Request));
	for (int r = 0; r < g->size; in += from_bytes[r], r++)
		if (r != g->rank)
			n += post(false, from + in, from_bytes[r], r, q + n);
	for (int r = 0; r < g->size; out += same ? 0 : to_bytes[r], r++)
		if (r != g->rank)
			n += post(true, to + out, to_bytes[r], r, q + n);
	bad = MPI_Waitall(n, q, MPI_STATUSES_IGNORE);
	free(q);
	return bad ? -1 : 0;
}

static int gather(void *user, void *all, const size_t bytes[])
{
	const ad_group *g = user;
	pieces p = pieces_of(g->size, bytes);
	int bad;
	if (p.whole <= INT_MAX) {
		bad = MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, p.bytes, p.begin, MPI_BYTE, MPI_COMM_WORLD) ? -1 : 0;
	} else {
		size_t mine = 0, *to = lab_alloc((size_t)g->size, sizeof *to);
		for (int r = 0; r < g->size; r++) {
			mine += r < g->rank ? bytes[r] : 0;
			to[r] = bytes[g->rank];
		}
		bad = transfer(g, (char *)all + mine, to, true, all, bytes);
		free(to);
	}
	free(p.bytes);
	return bad;
}

static int exchange(void *user, const void *to, const size_t to_bytes[], void *from, const size_t from_bytes[])
{
	return transfer(user, (char *)to, to_bytes, false, from, from_bytes);
}

static bool begin(ad_group *g)
{
	int provided;
	if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided))
		return false;
	MPI_Comm_rank(MPI_COMM_WORLD, &g->rank);
	MPI_Comm_size(MPI_COMM_WORLD, &g->size);
	g->gather = gather;
	g->exchange = exchange;
	g->user = g;
	return true;
}

/* Of the leak sanitizer, where there is one. */
void __lsan_do_leak_check(void) __attribute__((weak));

static void end(int status)
{
	if (__lsan_do_leak_check && status < 0)
		__lsan_do_leak_check(); /* now, as MPI's libraries, whose leaks are not ours, are still there to be named */
	if (status >= 0)
		MPI_Abort(MPI_COMM_WORLD, status);
	MPI_Finalize();
}

static int cores(void)
{
	MPI_Comm here;
	cpu_set_t mine, all;
	int ranks;
	CPU_ZERO(&mine);
	sched_getaffinity(0, sizeof mine, &mine);
	MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &here);
	MPI_Comm_size(here, &ranks);
	MPI_Allreduce(&mine, &all, sizeof mine, MPI_BYTE, MPI_BOR, here);
	MPI_Comm_free(&here);
	int share = CPU_COUNT(&all) / ranks, own = CPU_COUNT(&mine);
	return share < 1 ? 1 : share < own ? share : own;
}

const lab__transport lab__mpi = { begin, end, cores };
