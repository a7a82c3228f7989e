/* Threads on processors.  A team as large as the machine wants each thread on a processor of its own, from its first
 * step on; the system's scheduler may leave two of them on one for many steps.  Smaller teams stay free: other programs
 * may be about. */
#include "plan.h"

#ifdef __linux__

#include <sched.h>
#include <stdlib.h>

typedef struct {
	int n, cpu[CPU_SETSIZE];
	cpu_set_t allowed;
} processors;

static void find(processors *p)
{
	if (getenv("OMP_PROC_BIND") || getenv("OMP_PLACES") || getenv("GOMP_CPU_AFFINITY") ||
	    sched_getaffinity(0, sizeof p->allowed, &p->allowed))
		return;
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &p->allowed))
			p->cpu[p->n++] = i;
}

static void go_to(int cpu)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof one, &one);
}

/* The calling thread, which is the user's, is moved where no other of the team is, and left free. */
void plan_place_caller(int n)
{
	static processors p;
	static bool known;
#pragma omp critical(plan_place)
	{
		if (!known)
			find(&p);
		known = true;
	}
	if (n > 1 && n == p.n && sched_getcpu() != p.cpu[0]) {
		go_to(p.cpu[0]);
		sched_setaffinity(0, sizeof p.allowed, &p.allowed);
	}
}

/* The others belong to the team and stay. */
void plan_place_member(int me, int n)
{
	static __thread int team;
	if (me == 0 || team == n)
		return;
	team = n;
	processors p = { 0 };
	find(&p);
	if (n == p.n)
		go_to(p.cpu[me]);
}

#else

void plan_place_caller(int n)
{
	(void)n;
}
void plan_place_member(int me, int n)
{
	(void)me, (void)n;
}

#endif
