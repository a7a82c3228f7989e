/* power_loss.c - the states in which a loss of power could leave the files of a run.
 *
 *   power_loss TRACE ROOT OUT [no-fsync | no-dirsync]
 *
 * TRACE is what shim.c recorded of a run in the folder ROOT.  What is on the disk for sure is what was synced: the bytes
 * of a file when fsync on it returned, the entries of a folder when fsync on it did.  Of everything since, any part may
 * be there: of the entries any subset; of the bytes none, all, half, or zeros.  After each recorded call all such states
 * are made, and in each, checkpoint.h5 and run.h5 must be, byte for byte, the newest version or, as long as the writer
 * has not gone on to something else, the one before: at most the last interval is lost.  The different pairs of versions
 * are written to OUT/1, OUT/2, ..., for the caller to read and resume.  The last argument leaves out syncs, to see
 * that the states are then found wanting.  Exit status 1 if they are. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "disk.h"
#include "trace.h"

enum { VERSIONS = 512 };

typedef struct {
	const char *name;
	int n;
	bytes version[VERSIONS];
	bool settled; /* the writer has gone on since the newest one was put in place */
} series;

static int of_fd[MOST], faults;
static series files[] = { { .name = "checkpoint.h5" }, { .name = "run.h5" } };
static bool no_fsync, no_dirsync;
static long states;
static const char *out;

/* --- A state ----------------------------------------------------------------------------------------------------- */

static int version_of(const series *s, bytes b)
{
	for (int i = s->n - 1; i >= 0; i--)
		if (same(s->version[i], b))
			return i;
	return -1;
}

static void judge(series *s, const bytes *b, int v, const char *how, long at)
{
	int oldest = s->settled ? s->n - 1 : s->n - 2;
	if (b ? v >= oldest && v >= 0 : oldest < 0)
		return;
	if (faults++ < 5)
		printf("after call %ld: %s %s%s\n", at, s->name,
		       !b ? "is lost" : v < 0 ? "is none of its versions: " : "is too old a version: ", b ? how : "");
}

static void keep(int c, int r)
{
	static bool seen[VERSIONS + 1][VERSIONS + 1];
	static int n;
	if (seen[c + 1][r + 1])
		return;
	seen[c + 1][r + 1] = true;
	char path[4200];
	snprintf(path, sizeof path, "%s/%d", out, ++n);
	if (mkdir(path, 0777))
		die(path);
	for (int k = 0; k < 2; k++) {
		int v = k ? r : c;
		if (v < 0)
			continue;
		snprintf(path, sizeof path, "%s/%d/%s", out, n, files[k].name);
		FILE *f = fopen(path, "wb");
		if (!f || fwrite(files[k].version[v].data, 1, files[k].version[v].n, f) != files[k].version[v].n || fclose(f))
			die(path);
	}
}

/* Every way in which the bytes of both files can have come out, for one combination of kept names. */
static void contents(const char *root, const unsigned kept[], long at)
{
	static const char *const how[] = { "all bytes", "what was synced", "half of the bytes", "zeros" };
	int v[2][4], ways[2] = { 1, 1 };
	for (int k = 0; k < 2; k++) {
		char path[400];
		snprintf(path, sizeof path, "%s/%s", root, files[k].name);
		const node *f = find(path, kept);
		v[k][0] = -1;
		if (!f) {
			judge(&files[k], NULL, -1, "", at);
			continue;
		}
		bytes half = copy(f->now), zero = copy(f->now);
		half.n = f->safe.n + (f->now.n > f->safe.n ? (f->now.n - f->safe.n) / 2 : 0);
		half.n = half.n < f->now.n ? half.n : f->now.n;
		memset(zero.data, 0, zero.n);
		const bytes way[4] = { f->now, f->safe, half, zero };
		ways[k] = same(f->now, f->safe) ? 1 : 4;
		for (int i = 0; i < ways[k]; i++) {
			v[k][i] = version_of(&files[k], way[i]);
			judge(&files[k], &way[i], v[k][i], how[i], at);
		}
		free(half.data);
		free(zero.data);
	}
	for (int i = 0; i < ways[0]; i++)
		for (int j = 0; j < ways[1]; j++) {
			states++;
			if (!faults)
				keep(v[0][i], v[1][j]);
		}
}

/* Every subset of the changed names, folder by folder. */
static void subsets(const char *root, int folder, unsigned kept[], long at)
{
	while (folder < count && !(nodes[folder].folder && nodes[folder].pending))
		folder++;
	if (folder == count) {
		contents(root, kept, at);
		return;
	}
	const node *f = &nodes[folder];
	for (unsigned set = 0; set < 1u << f->pending; set++) {
		bool whole = true;
		for (int i = 0; i < f->pending; i++)
			if (f->changes_with[i])
				whole &= (set >> i & 1) == (set >> f->changes_with[i] & 1);
		kept[folder] = set;
		if (whole)
			subsets(root, folder + 1, kept, at);
	}
	kept[folder] = 0;
}

/* --- The calls ------------------------------------------------------------------------------------------------- */

static void opened(const trace_record *r)
{
	const char *last;
	node *f = folder_of(r->path, &last);
	int n = *last && strcmp(last, ".") ? look(f, last) : (int)(f - nodes);
	if (n < 0)
		change(f, last, n = new_node(false));
	if (r->flags & O_TRUNC)
		nodes[n].now.n = 0;
	of_fd[r->fd] = n;
	if (!nodes[n].folder)
		files[0].settled = files[1].settled = true;
}

static void renamed(const trace_record *r)
{
	const char *from, *to;
	node *f = folder_of(r->path, &from), *g = folder_of(r->to, &to);
	int n = look(f, from);
	if (f != g || n < 0)
		die("a rename that was not expected");
	int first = change(f, from, -1);
	f->changes_with[first] = change(f, to, n);
	for (int k = 0; k < 2; k++)
		if (!strcmp(to, files[k].name)) {
			if (files[k].n == VERSIONS)
				die("too many versions");
			files[k].version[files[k].n++] = copy(nodes[n].now);
			files[k].settled = false;
		}
}

static void written(const trace_record *r, const void *data)
{
	bytes *b = &nodes[of_fd[r->fd]].now;
	b->data = realloc(b->data, b->n + (size_t)r->n + 1);
	if (!b->data)
		die("no memory");
	memcpy(b->data + b->n, data, (size_t)r->n);
	b->n += (size_t)r->n;
}

static void synced(node *f)
{
	if (f->folder && !no_dirsync)
		settle(f);
	if (!f->folder && !no_fsync) {
		free(f->safe.data);
		f->safe = copy(f->now);
	}
}

static void follow(const trace_record *r, const void *data)
{
	const char *last;
	node *f;
	switch (r->kind) {
	case TRACE_OPEN:
		opened(r);
		break;
	case TRACE_WRITE:
		written(r, data);
		break;
	case TRACE_TRUNCATE:
		nodes[of_fd[r->fd]].now.n = (size_t)r->n;
		break;
	case TRACE_SYNC:
		synced(&nodes[of_fd[r->fd]]);
		break;
	case TRACE_RENAME:
		renamed(r);
		break;
	case TRACE_UNLINK:
		f = folder_of(r->path, &last);
		change(f, last, -1);
		break;
	case TRACE_MKDIR:
		f = folder_of(r->path, &last);
		change(f, last, new_node(true));
		break;
	}
}

int main(int argc, char **argv)
{
	if (argc < 4)
		die("needs TRACE ROOT OUT");
	const char *root = argv[2];
	out = argv[3];
	no_fsync = argc > 4 && !strcmp(argv[4], "no-fsync");
	no_dirsync = argc > 4 && !strcmp(argv[4], "no-dirsync");
	FILE *f = fopen(argv[1], "rb");
	if (!f)
		die(argv[1]);
	if (mkdir(out, 0777) && errno != EEXIST)
		die(out);
	new_node(true); /* the current folder, which was there before */
	trace_record r;
	long calls = 0;
	static unsigned kept[MOST];
	while (faults < 5 && fread(&r, sizeof r, 1, f) == 1) {
		void *data = r.kind == TRACE_WRITE ? malloc((size_t)r.n) : NULL;
		if (data && fread(data, 1, (size_t)r.n, f) != (size_t)r.n)
			die("the trace is cut");
		follow(&r, data);
		free(data);
		subsets(root, 0, kept, ++calls);
	}
	fclose(f);
	printf("%ld calls, %d and %d versions, %ld states, %d faults\n", calls, files[0].n, files[1].n, states, faults);
	return faults || !files[0].n ? 1 : 0;
}
