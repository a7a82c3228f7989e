/* environment.c - what a run's numbers depend on beside its configuration. */
#include <gnu/libc-version.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "ad/ad.h"
#include "log.h"
#include "ranks.h"
#include "revision.h"

static void processor(char *name, size_t n)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[512];
	snprintf(name, n, "unknown");
	while (f && fgets(line, sizeof line, f)) {
		char *v = strchr(line, ':');
		if (!v || strncmp(line, "model name", 10))
			continue;
		v += strspn(v, ": \t");
		v[strcspn(v, "\n")] = 0;
		snprintf(name, n, "%s", v);
		break;
	}
	if (f)
		fclose(f);
}

void lab_log_environment(lab_log *l)
{
	char text[4096];
	unsigned a, b, c;
	H5get_libversion(&a, &b, &c);
	snprintf(text, sizeof text, "%u.%u.%u", a, b, c);
	lab_log_text(l, "source/revision", LAB_REVISION);
	lab_log_text(l, "source/build", LAB_BUILD);
	lab_log_text(l, "libraries/hdf5", text);
	lab_log_text(l, "libraries/blas", ad_blas_build());
	lab_log_text(l, "libraries/blas_core", ad_blas());
	lab_log_text(l, "libraries/sleef", ad_sleef());
	lab_log_text(l, "libraries/instruction_set", ad_isa());
#ifdef __clang__
	lab_log_text(l, "libraries/compiler", "clang " __clang_version__);
#else
	lab_log_text(l, "libraries/compiler", "gcc " __VERSION__);
#endif
	lab_log_text(l, "libraries/libc", gnu_get_libc_version());
	struct utsname u;
	if (!uname(&u)) {
		snprintf(text, sizeof text, "%s %s %s", u.sysname, u.release, u.machine);
		lab_log_text(l, "machine/system", text);
		lab_log_text(l, "machine/name", u.nodename);
	}
	if (getcwd(text, sizeof text))
		lab_log_text(l, "machine/directory", text);
	processor(text, sizeof text);
	lab_log_text(l, "machine/processor", text);
	lab_log_int(l, "machine/ranks", lab_ranks(), NULL);
	lab_log_int(l, "machine/cores", sysconf(_SC_NPROCESSORS_ONLN), NULL);
	lab_log_int(l, "machine/memory", (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), "bytes");
	time_t now = time(NULL);
	struct tm date;
	bool known = gmtime_r(&now, &date) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &date);
	lab_log_text(l, "started", known ? text : "unknown");
}
