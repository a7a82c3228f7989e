/* options.c - fuzzes command lines: words of one, a line each, as tabular takes them. */
#include "experiments/lab/run.h"
#include "fuzz.h"

static const lab_cli *tabular(void)
{
	static lab_cli c = { .name = "tabular", .line = "", .about = "", .option = lab_run_options, .setting = lab_run_settings,
		             .more_title = "", .set_more = lab_run_set_model, .files = "", .examples = "" };
	c.more = lab_run_model_keys();
	return &c;
}

static void in_range(const lab_option *o, const void *values)
{
	for (; o->name; o++) {
		const char *at = (const char *)values + o->at;
		double v = o->kind == LAB_INT ? (double)*(const int64_t *)at : o->kind == LAB_REAL ? *(const double *)at : 0;
		bool unset = v == 0 || (o->preset && strchr(o->preset, ' '));
		fuzz_true(isfinite(v) && (unset || o->lo >= o->hi || (v >= o->lo && v <= o->hi)), o->name);
	}
}

static void models_in_range(const flow_model_opt *net)
{
	for (const flow_model_key *k = flow_model_keys; k->key; k++) {
		double v = flow_option_number(net, k);
		fuzz_true(v == 0 || (v >= k->lo && v <= k->hi) || (!strcmp(k->key, "dropout") && v == -1), k->key);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	enum { MOST = 16 };
	static char *told;
	static size_t length;
	static FILE *to;
	if (!to)
		to = open_memstream(&told, &length);
	char *text = (char *)fuzz_copy(data, n), *argv[MOST + 2] = { "tabular" };
	int argc = 1;
	for (char *p = text; p && argc <= MOST; argc++) {
		argv[argc] = p;
		p = strchr(p, '\n');
		if (p)
			*p++ = 0;
	}
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			argv[i] = "--quiet"; /* the page is not looked at here */
	lab_run_opt o = { .net.dropout = -1 };
	lab_args a;
	FILE *was = stderr;
	rewind(to);
	stderr = to;
	int status = lab_cli_parse(tabular(), argc, argv, &o, &a);
	stderr = was;
	fflush(to);
	if (status < 0) {
		in_range(lab_run_options, &o);
		in_range(lab_run_settings, &o);
		models_in_range(&o.net);
	} else {
		fuzz_true(status == LAB_USAGE && length > 10 && !strncmp(told, "tabular: ", 9), "a mistake is told");
		fuzz_true(memchr(told, '\n', length) == told + length - 1, "in one line");
	}
	free(text);
	return 0;
}

void fuzz_seeds(fuzz_put *put)
{
	static const char *const text[] = {
		"--data\nmoons\n--model\nrealnvp\n--steps\n100\n--lr\n1e-3", "--steps=1e3\n--seed=9007199254740993\n--quiet=no",
		"--set\nwidth=64\n--set\nlayers=2\n--set=act=relu\n--set\nbound=3", "--stps\n3", "--set\nwdth=3", "--steps\n-1", "--lr\nnan\n--lr\n1e999",
		"--set\nx", "-x", "--\n--data", "--data", "--dtype\nf32|f64", "--set\nbatch=0x10\n--set\nsave=", "--val-fraction\n0.5\nword",
	};
	for (size_t k = 0; k < sizeof text / sizeof *text; k++)
		put(text[k], strlen(text[k]));
}
