/* disk.h - files and folders as a program sees them, and what of them is on the disk for sure. */
#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096, NAMES = 64, PENDING = 12 };

typedef struct {
	unsigned char *data;
	size_t n;
} bytes;

/* A file, or a folder with the entries that it has for sure and those since. */
typedef struct {
	bool folder;
	bytes now, safe;
	int names, pending;
	struct entry {
		char name[64];
		int node; /* -1: removed */
	} name[NAMES], change[PENDING];
	int changes_with[PENDING]; /* a rename is two changes: both or none; the number of the second, or 0 */
} node;

static node nodes[MOST]; /* the first is the current folder */
static int count;

static void die(const char *what)
{
	fprintf(stderr, "power_loss: %s\n", what);
	exit(2);
}

static bytes copy(bytes b)
{
	bytes c = { malloc(b.n + 1), b.n };
	if (!c.data)
		die("no memory");
	memcpy(c.data, b.data ? b.data : (unsigned char *)"", b.n);
	return c;
}

static bool same(bytes a, bytes b)
{
	return a.n == b.n && !memcmp(a.data, b.data, a.n);
}

/* --- The folder as the program sees it ----------------------------------------------------------------------- */

static int new_node(bool folder)
{
	if (count == MOST)
		die("too many files");
	nodes[count].folder = folder;
	return count++;
}

/* The newest entry of the name; -1: none. */
static int look(const node *f, const char *name)
{
	for (int i = f->pending - 1; i >= 0; i--)
		if (!strcmp(f->change[i].name, name))
			return f->change[i].node;
	for (int i = 0; i < f->names; i++)
		if (!strcmp(f->name[i].name, name))
			return f->name[i].node;
	return -1;
}

static int change(node *f, const char *name, int to)
{
	if (f->pending == PENDING)
		die("too many names changed without a sync");
	struct entry *e = &f->change[f->pending];
	snprintf(e->name, sizeof e->name, "%s", name);
	e->node = to;
	f->changes_with[f->pending] = 0;
	return f->pending++;
}

static void put(struct entry *list, int *n, const struct entry *e)
{
	int i = 0;
	while (i < *n && strcmp(list[i].name, e->name))
		i++;
	if (i == NAMES)
		die("too many names");
	list[i] = *e;
	*n += i == *n;
}

static void settle(node *f)
{
	for (int i = 0; i < f->pending; i++)
		put(f->name, &f->names, &f->change[i]);
	f->pending = 0;
}

/* The folder that a path lies in; *last: its last part. */
static node *folder_of(const char *path, const char **last)
{
	int at = 0;
	char part[64];
	for (;;) {
		size_t n = strcspn(path, "/");
		if (!path[n]) {
			*last = path;
			return &nodes[at];
		}
		snprintf(part, sizeof part, "%.*s", (int)n, path);
		path += n + 1;
		if (n && strcmp(part, ".") && ((at = look(&nodes[at], part)) < 0 || !nodes[at].folder))
			die("a folder that was never made");
	}
}

/* The node of a path in one combination of kept changes; NULL: none. */
static const node *find(const char *path, const unsigned kept[])
{
	int at = 0;
	char part[64];
	while (at >= 0 && *path) {
		size_t n = strcspn(path, "/");
		const node *f = &nodes[at];
		snprintf(part, sizeof part, "%.*s", (int)n, path);
		path += n + (path[n] == '/');
		at = -1;
		for (int i = 0; i < f->names; i++)
			if (!strcmp(f->name[i].name, part))
				at = f->name[i].node;
		for (int i = 0; i < f->pending; i++)
			if (kept[f - nodes] >> i & 1 && !strcmp(f->change[i].name, part))
				at = f->change[i].node;
	}
	return at < 0 ? NULL : &nodes[at];
}

#endif
