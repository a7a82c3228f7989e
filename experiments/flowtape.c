/* flowtape.c - `flowtape NAME ..` runs an installed program by its name. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the programs lie: beside this one in a build, else in ../libexec/flowtape. */
static void folder(char dir[4096])
{
	char probe[4200];
	ssize_t n = readlink("/proc/self/exe", dir, 4095);
	dir[n > 0 ? n : 0] = 0;
	char *slash = strrchr(dir, '/');
	if (slash)
		*slash = 0;
	snprintf(probe, sizeof probe, "%s/tabular", dir);
	if (!access(probe, X_OK))
		return;
	slash = strrchr(dir, '/');
	if (slash && slash - dir < 4000)
		strcpy(slash, "/" FLOWTAPE_LIBEXEC);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(const char *dir)
{
	char *name[256], path[4400];
	int n = 0;
	DIR *d = opendir(dir);
	for (struct dirent *e; d && n < 256 && (e = readdir(d));) {
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		if (e->d_type != DT_DIR && e->d_name[0] != '.' && !strchr(e->d_name, '.') && strcmp(e->d_name, "flowtape") &&
		    !access(path, X_OK))
			name[n++] = strdup(e->d_name);
	}
	if (d)
		closedir(d);
	qsort(name, (size_t)n, sizeof *name, by_name);
	printf("flowtape NAME [arguments]: research on normalizing flows.  flowtape NAME --help explains a program:\n");
	for (int i = 0; i < n; i++) {
		printf("  %s\n", name[i]);
		free(name[i]);
	}
	return n ? 0 : 1;
}

int main(int argc, char **argv)
{
	char dir[4096], path[4400];
	folder(dir);
	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))
		return list(dir);
	if (!strchr(argv[1], '/')) {
		snprintf(path, sizeof path, "%s/%s", dir, argv[1]);
		execv(path, argv + 1);
	}
	fprintf(stderr, "flowtape: there is no program \"%s\" (flowtape --help lists them)\n", argv[1]);
	return 2;
}
