/* ranks.c - the processes of a run. */
#include "ranks.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "memory.h"
#include "ranks_mpi.h"
#include "revision.h"

#ifdef LAB_MPI
static const lab__transport *const transport = &lab__mpi;
#else
static const lab__transport *const transport = NULL;
#endif
static ad_group group = { .size = 1 };
static bool parted, agreed;
static char note[600];

/* What launchers set: the number of processes; a rank, for launchers that set no number. */
static const char *const sizes[] = { "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", NULL };
static const char *const others[] = { "PMIX_RANK", NULL };

/* How many processes a launcher says that it started; 0: it does not say. */
static int launched(void)
{
	for (int i = 0; sizes[i]; i++)
		if (getenv(sizes[i]))
			return atoi(getenv(sizes[i]));
	const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
	return !getenv(others[0]) ? 1 : tasks ? atoi(tasks) : 0;
}

void lab_ranks_forget(void)
{
	for (int i = 0; sizes[i]; i++)
		unsetenv(sizes[i]);
	for (int i = 0; others[i]; i++)
		unsetenv(others[i]);
}

int lab_rank(void)
{
	return group.rank;
}

int lab_ranks(void)
{
	return group.size;
}

const ad_group *lab_group(void)
{
	return group.size > 1 && !parted ? &group : NULL;
}

void lab_ranks_part(void)
{
	parted = true;
}

void lab__ranks_note(const char *message)
{
	snprintf(note, sizeof note, "%s", message);
}

/* --- Together ------------------------------------------------------------------------------------------------------------------ */

/* One record of that many bytes from each rank, this one's in place. */
static void gather(void *all, size_t bytes)
{
	size_t each[group.size];
	for (int r = 0; r < group.size; r++)
		each[r] = bytes;
	if (group.size > 1 && group.gather(group.user, all, each))
		exit(LAB_FAILED);
}

typedef struct {
	int status;
	char host[64], text[600];
} verdict;

int lab_ranks_agree(const lab_cli *c, int status)
{
	if (group.size == 1)
		return status;
	verdict *all = lab_alloc((size_t)group.size, sizeof *all);
	int worst = 0;
	all[group.rank].status = status;
	gethostname(all[group.rank].host, sizeof all->host - 1);
	memcpy(all[group.rank].text, note, sizeof note);
	gather(all, sizeof *all);
	for (int r = 1; r < group.size; r++)
		worst = all[worst].status <= 0 && all[r].status > all[worst].status ? r : worst;
	status = all[worst].status;
	if (worst && group.rank == 0)
		lab_cli_wrong(c, "rank %d on %s: %s", worst, all[worst].host, all[worst].text);
	agreed |= status >= 0;
	free(all);
	return status;
}

int lab_ranks_bad(int bad, lab_err *err)
{
	if (!lab_group())
		return bad;
	verdict *all = lab_alloc((size_t)group.size, sizeof *all);
	int first = 0;
	all[group.rank].status = bad != 0;
	gethostname(all[group.rank].host, sizeof all->host - 1);
	snprintf(all[group.rank].text, sizeof all->text, "%s", bad ? err->text : "");
	gather(all, sizeof *all);
	while (first < group.size && !all[first].status)
		first++;
	if (first == 0)
		lab_fail(err, "%s", all[0].text);
	else if (first < group.size)
		lab_fail(err, "rank %d on %s: %.400s", first, all[first].host, all[first].text);
	free(all);
	return first < group.size ? -1 : 0;
}

void lab_ranks_first(void *data, size_t bytes)
{
	size_t each[group.size];
	memset(each, 0, sizeof each);
	each[0] = bytes;
	if (group.size > 1 && group.gather(group.user, data, each))
		exit(LAB_FAILED);
}

bool lab_ranks_yes(bool here)
{
	lab_ranks_first(&here, sizeof here);
	return here;
}

int lab_ranks_any(int bits)
{
	int all[group.size];
	all[group.rank] = bits;
	gather(all, sizeof *all);
	for (int r = 0; r < group.size; r++)
		bits |= all[r];
	return bits;
}

int lab_ranks_same(const void *data, size_t bytes, const char *what, lab_err *err)
{
	uint64_t all[group.size], h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < bytes && group.size > 1; i++)
		h = (h ^ ((const unsigned char *)data)[i]) * 0x100000001b3u;
	all[group.rank] = h;
	gather(all, sizeof *all);
	for (int r = 1; r < group.size; r++)
		if (all[r] != all[0]) {
			lab_fail(err, "rank %d has other %s than rank 0", r, what);
			return -1;
		}
	return 0;
}

int lab_ranks_cores(void)
{
	cpu_set_t mine;
	return group.size > 1 ? transport->cores() : sched_getaffinity(0, sizeof mine, &mine) ? 1 : CPU_COUNT(&mine);
}

/* --- Beginning and end --------------------------------------------------------------------------------------------------------- */

static void leave(int status, void *unused)
{
	(void)unused;
	fflush(NULL);
	transport->end(status == 0 || agreed ? -1 : status);
}

/* What the bits of a result depend on, beside what all ranks are given. */
static int compare_machines(const lab_cli *c)
{
	typedef struct {
		char isa[16], blas[48], revision[128];
	} machine;
	machine *all = lab_alloc((size_t)group.size, sizeof *all), *mine = &all[group.rank];
	snprintf(mine->isa, sizeof mine->isa, "%s", ad_isa());
	snprintf(mine->blas, sizeof mine->blas, "%s", ad_blas());
	snprintf(mine->revision, sizeof mine->revision, "%s", LAB_REVISION);
	gather(all, sizeof *all);
	int status = -1;
	for (int r = 1; r < group.size && status < 0; r++)
		if (memcmp(&all[r], &all[0], sizeof *all))
			status = lab_cli_wrong(c, "rank %d has instruction set %s, BLAS core %s, revision %s; rank 0 has %s, %s, %s: results would "
					       "differ (FLOWTAPE_ISA and OPENBLAS_CORETYPE choose for all)", r, all[r].isa, all[r].blas,
					       all[r].revision, all[0].isa, all[0].blas, all[0].revision);
	free(all);
	return lab_ranks_agree(c, status);
}

void lab_ranks_begin(const lab_cli *c)
{
	int n = launched();
	if (n == 1)
		return;
	if (!transport || !transport->begin(&group)) {
		lab_cli_wrong(c, "several processes were started together, but %s",
			      transport ? "MPI does not start" : "this build has no MPI");
		exit(LAB_USAGE);
	}
	on_exit(leave, NULL);
	if (n > 1 && group.size != n) {
		lab_cli_wrong(c, "the launcher started %d processes, but MPI knows of %d: it belongs to another MPI than this build", n,
			      group.size);
		exit(LAB_USAGE);
	}
	if (group.rank && !freopen("/dev/null", "w", stdout))
		exit(LAB_FAILED);
	int status = compare_machines(c);
	if (status >= 0)
		exit(status);
}
