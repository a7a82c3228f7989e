/* main.c - parity FILE.h5|FOLDER... [--only PREFIX]: the report and the exit status. */
#include "parity.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char help[] =
	"NAME\n"
	"    parity - compares flowtape with numbers that other implementations computed\n"
	"\n"
	"SYNOPSIS\n"
	"    parity [--only PREFIX] [--brief] FILE.h5|FOLDER...\n"
	"\n"
	"DESCRIPTION\n"
	"    A folder stands for every file *.h5 in it, in the order of their names.\n"
	"\n"
	"    Builds the model that each file describes, with the weights it holds, computes every number it records, "
	"and\n"
	"    compares them element by element.  A number passes if\n"
	"\n"
	"        |ours - recorded| <= tolerance max(1, |recorded|),\n"
	"\n"
	"    the tolerance being the file's.  A line for each quantity shows its shape, the worst absolute error, the "
	"worst\n"
	"    relative error, the worst |ours - recorded| / max(1, |recorded|) (\"scaled\", which decides), the "
	"tolerance, and\n"
	"    \"pass\" or \"MISS\".  What is recorded but cannot be computed is named as unsupported, and options of the\n"
	"    configuration that nothing asked for are named as not read.  Each model is run with several tile sizes, "
	"tiles in\n"
	"    reverse, and without fusion; the worst of all counts.\n"
	"\n"
	"OPTIONS\n"
	"    --only PREFIX  only quantities whose path begins so, for example outputs/boundary, grads/, grads_inverse\n"
	"    --brief        a line for each file, and the quantities that miss\n"
	"    --list-kinds   the kinds of file that are understood\n"
	"    --help         this page\n"
	"\n"
	"EXAMPLES\n"
	"    parity tests/parity/data/maf.h5\n"
	"    parity --brief tests/parity/data\n"
	"    parity --only grads/ tests/parity/data/nsf_rq_coupling.h5\n"
	"\n"
	"EXIT STATUS\n"
	"    0  everything passes\n"
	"    1  something misses, or a file is missing or broken\n"
	"    2  something is unsupported, and nothing misses\n"
	"    3  the command line is wrong, or selects nothing\n";

const parity_kind parity_kinds[] = {
	{ "flow", check_flow },
	{ "elementwise_spline", check_elementwise_spline },
	{ "ad", check_ad },
	{ "nn", check_nn },
	{ "optim", check_optim },
	{ "train", check_train },
	{ "extreme", check_extreme },
	{ "base_distributions", check_base },
	{ "actnorm_init", check_actnorm_init },
	{ "batch_norm_train", check_batch_norm },
	{ "tarflow", check_tarflow },
	{ "ode", check_ode },
	{ "odenet", check_odenet },
	{ "cnf", check_cnf },
	{ "cnf_regularised", check_cnf_regularised },
	{ "otflow", check_otflow },
	{ "otflow_potential", check_otflow_potential },
	{ "flow_matching", check_flow_matching },
	{ "estimators", check_estimators },
	{ "induced_norm", check_induced_norm },
	{ NULL, NULL },
};

typedef struct {
	const char *only;
	bool brief;
	int compared, missed, unsupported, bad;
} report;

static bool computed(const parity *p, const char *path)
{
	for (int i = 0; i < p->quantities; i++)
		if (!strcmp(p->quantity[i].path, path))
			return true;
	for (int i = 0; i < p->unsupported; i++)
		if (strncmp(p->what[i], path, strcspn(p->what[i], ":")) == 0)
			return true;
	return false;
}

/* Repeats what the arrays or other options say, or what none of our numbers depends on. */
static bool idle(const char *key)
{
	static const char *const keys[] = { "num_layers",    "features",    "dim",	 "input_shape",	    "shapes",
					    "widths",	     "hidden",	    "out_per_dim", "context_features", "random_mask",
					    "n_power_series", "strides",    "batch",	 "kernel",	    "bias",
					    "out_proj",	     "variance",    "problems",	 "conditional_diagonal_normal", NULL };
	for (int i = 0; keys[i]; i++)
		if (!strcmp(keys[i], key))
			return true;
	return false;
}

static void unread(void *user, const char *key)
{
	parity *p = user;
	for (int i = 0; i < p->unreads; i++)
		if (!strcmp(p->unread[i], key))
			return;
	if (!idle(key) && p->unreads < (int)(sizeof p->unread / sizeof *p->unread))
		p->unread[p->unreads++] = key;
}

static void check(parity *p)
{
	for (const parity_kind *k = parity_kinds; k->kind; k++)
		if (!strcmp(k->kind, p->kind)) {
			k->check(p);
			if (!p->only)
				json_unread(p->config, unread, p);
			for (int i = 0; i < p->paths; i++)
				if (parity_is_result(p->path[i]) && parity_wants(p, p->path[i]) &&
				    !computed(p, p->path[i])) {
					if (parity_array(p, "%s", p->path[i])->n == 0)
						parity_compare(p, p->path[i], p->tolerance, 0, NULL);
					else
						parity_skip(p, p->path[i], "recorded, but not computed here");
				}
			return;
		}
	parity_unsupported(p, "files of kind \"%s\"", p->kind);
}

static const char *shape_text(const array *a, char *buf, size_t n)
{
	size_t at = (size_t)snprintf(buf, n, "[");
	for (int i = 0; i < a->rank && at < n; i++)
		at += (size_t)snprintf(buf + at, n - at, "%s%lld", i ? "," : "", (long long)a->dim[i]);
	if (at < n)
		snprintf(buf + at, n - at, "]");
	return buf;
}

static void print_quantity(const quantity *q, int width)
{
	char shape[128];
	printf("  %-*s %-12s abs %-8.2g rel %-8.2g scaled %-8.2g tolerance %-8.2g %s%s%s\n", width, q->path,
	       shape_text(q->recorded, shape, sizeof shape), q->abs, q->rel, q->scaled, q->tolerance,
	       q->missed ? "MISS" : "pass", q->note[0] ? ": " : "", q->note);
}

static void print(const parity *p, report *r)
{
	int width = 0, missed = 0, sharp = 0;
	const quantity *worst = NULL;
	for (int i = 0; i < p->quantities; i++) {
		const quantity *q = &p->quantity[i];
		int n = (int)strlen(q->path);
		width = n > width ? n : width;
		missed += q->missed;
		sharp += q->scaled <= 1e-12;
		if (!worst || q->scaled * worst->tolerance > worst->scaled * q->tolerance)
			worst = q;
	}
	if (!r->brief && p->kind)
		printf("%s (%s, %s)\n", p->file, p->kind, p->real == AD_F32 ? "float32" : "float64");
	for (int i = 0; i < p->quantities; i++)
		if (!r->brief || p->quantity[i].missed)
			print_quantity(&p->quantity[i], width);
	for (int i = 0; i < p->unsupported; i++)
		printf("  unsupported: %s\n", p->what[i]);
	for (int i = 0; i < p->unreads; i++)
		printf("%s\"%s\"%s", i ? ", " : "  not read in the configuration: ", p->unread[i],
		       i + 1 == p->unreads ? "\n" : "");
	printf("%s: %d quantities, %d missed, %d unsupported", p->file, p->quantities, missed, p->unsupported);
	if (p->quantities && p->real == AD_F64)
		printf(", %d within 1e-12", sharp);
	if (worst)
		printf("; worst %.2g of tolerance %.2g in %s", worst->scaled, worst->tolerance, worst->path);
	printf("%s\n", p->bad[0] ? "; FAILED" : "");
	r->compared += p->quantities;
	r->missed += missed;
	r->unsupported += p->unsupported;
}

static void check_file(const char *file, report *r)
{
	parity *p = calloc(1, sizeof *p);
	if (!p)
		parity_no_memory();
	p->file = file;
	p->only = r->only;
	if (setjmp(p->escape) == 0) {
		parity_open(p);
		check(p);
	}
	print(p, r);
	fflush(stdout);
	if (p->bad[0]) {
		fprintf(stderr, "parity: %s: %s\n", file, p->bad);
		r->bad++;
	}
	parity_close(p);
	free(p);
}

static int is_h5(const struct dirent *e)
{
	size_t n = strlen(e->d_name);
	return n > 3 && !strcmp(e->d_name + n - 3, ".h5");
}

/* A file, or the files of a folder; how many. */
static int check_path(const char *path, report *r)
{
	struct stat st;
	struct dirent **entry;
	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		check_file(path, r);
		return 1;
	}
	int n = scandir(path, &entry, is_h5, alphasort);
	if (n < 1) {
		fprintf(stderr, "parity: %s: %s\n", path, n < 0 ? strerror(errno) : "holds no file *.h5");
		r->bad++;
	}
	for (int i = 0; i < n; i++) {
		char *file;
		if (asprintf(&file, "%s/%s", path, entry[i]->d_name) < 0)
			parity_no_memory();
		check_file(file, r);
		free(file);
		free(entry[i]);
	}
	if (n >= 0)
		free(entry);
	return n;
}

static int usage(const char *what, const char *arg)
{
	fprintf(stderr, "parity: %s%s (see parity --help)\n", what, arg);
	return 3;
}

int main(int argc, char **argv)
{
	report r = { 0 };
	int files = 0;
	H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return fputs(help, stdout), 0;
		if (!strcmp(argv[i], "--list-kinds")) {
			for (const parity_kind *k = parity_kinds; k->kind; k++)
				puts(k->kind);
			return 0;
		}
		if (!strcmp(argv[i], "--brief"))
			r.brief = true;
		else if (!strncmp(argv[i], "--only=", 7))
			r.only = argv[i] + 7;
		else if (!strcmp(argv[i], "--only") && i + 1 == argc)
			return usage("--only needs a prefix", "");
		else if (!strcmp(argv[i], "--only"))
			r.only = argv[++i];
		else if (argv[i][0] == '-')
			return usage("unknown option ", argv[i]);
		else
			argv[files++] = argv[i];
	}
	if (files == 0)
		return usage("no file given", "");
	int checked = 0;
	for (int i = 0; i < files; i++)
		checked += check_path(argv[i], &r);
	if (r.compared + r.unsupported + r.bad == 0)
		return usage("no quantity begins with ", r.only ? r.only : "");
	if (checked > 1)
		printf("total: %d quantities, %d missed, %d unsupported, %d files failed\n", r.compared, r.missed,
		       r.unsupported, r.bad);
	return r.missed || r.bad ? 1 : r.unsupported ? 2 : 0;
}
