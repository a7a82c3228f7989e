/* test_parity_faults.c - the parity tool on broken, incomplete and unknown files: exit status, and one clear line. */
#include <fcntl.h>
#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64] = "/tmp/parity-faults-XXXXXX", file[96], command[2048], out[1 << 16], err[1 << 14];

static size_t slurp(const char *path, char *to, size_t room)
{
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	size_t n = fread(to, 1, room - 1, f);
	to[n] = 0;
	fclose(f);
	return n;
}

/* Runs the tool on arguments; its exit status (128 + signal if it was killed). */
static int run(const char *arguments)
{
	char path[2][128];
	snprintf(path[0], sizeof *path, "%s/out", folder);
	snprintf(path[1], sizeof *path, "%s/err", folder);
	snprintf(command, sizeof command, "'%s' %s >'%s' 2>'%s'", getenv("FLOWTAPE_PARITY"), arguments, path[0],
		 path[1]);
	int status = system(command);
	slurp(path[0], out, sizeof out);
	slurp(path[1], err, sizeof err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static const char *data(const char *name)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/%s.h5", getenv("FLOWTAPE_PARITY_DATA"), name);
	return path;
}

/* A copy of a data file, to be spoilt. */
static hid_t copy_of(const char *name)
{
	static char bytes[1 << 20];
	FILE *from = fopen(data(name), "rb"), *to = fopen(file, "wb");
	assert_true(from && to);
	size_t n = fread(bytes, 1, sizeof bytes, from);
	assert_true(n < sizeof bytes && fwrite(bytes, 1, n, to) == n);
	fclose(from);
	fclose(to);
	hid_t f = H5Fopen(file, H5F_ACC_RDWR, H5P_DEFAULT);
	assert_true(f >= 0);
	return f;
}

static void config(hid_t f, const char *text)
{
	hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
	H5Tset_size(type, H5T_VARIABLE);
	H5Adelete(f, "config");
	hid_t a = H5Acreate2(f, "config", type, space, H5P_DEFAULT, H5P_DEFAULT);
	H5Awrite(a, type, &text);
	H5Aclose(a);
	H5Sclose(space);
	H5Tclose(type);
}

/* The configuration with one piece of its text replaced. */
static void edit_config(hid_t f, const char *from, const char *to)
{
	char *text = NULL, *at, *edited;
	hid_t a = H5Aopen(f, "config", H5P_DEFAULT), type = H5Aget_type(a);
	H5Aread(a, type, &text);
	at = strstr(text, from);
	assert_non_null(at);
	edited = malloc(strlen(text) + strlen(to) + 1);
	sprintf(edited, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	H5Aclose(a);
	H5Tclose(type);
	config(f, edited);
	free(edited);
	H5free_memory(text);
}

static void put(hid_t f, const char *path, int rank, const hsize_t *dim, double value)
{
	hid_t space = H5Screate_simple(rank, dim, NULL);
	hssize_t n = H5Sget_simple_extent_npoints(space);
	double *v = malloc((size_t)n * sizeof *v);
	for (hssize_t i = 0; i < n; i++)
		v[i] = value;
	H5Ldelete(f, path, H5P_DEFAULT);
	hid_t d = H5Dcreate2(f, path, H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v);
	H5Dclose(d);
	H5Sclose(space);
	free(v);
}

/* The tool on the spoilt file: that status, and one line with these words on stderr, or words in what it prints. */
static void expect(hid_t f, int status, const char *words)
{
	char arguments[128];
	if (f >= 0)
		H5Fclose(f);
	snprintf(arguments, sizeof arguments, "--brief '%s'", file);
	int got = run(arguments);
	size_t lines = 0;
	for (const char *p = err; *p; p++)
		lines += *p == '\n';
	if (got != status || lines > 1 || !(strstr(err, words) || strstr(out, words)))
		fail_msg("status %d instead of %d; \"%s\" not in \"%s\" or \"%s\"", got, status, words, err, out);
}

static void no_file(void **state)
{
	(void)state;
	remove(file);
	expect(-1, 1, "cannot be opened");
}

static void cut_files(void **state)
{
	(void)state;
	H5Fclose(copy_of("spline_linear_box"));
	struct stat s;
	assert_int_equal(stat(file, &s), 0);
	for (int k = 0; k < 12; k++) {
		H5Fclose(copy_of("spline_linear_box"));
		assert_int_equal(truncate(file, s.st_size * k / 12), 0);
		expect(-1, 1, "spoilt.h5: ");
	}
	FILE *f = fopen(file, "wb");
	fputs("x,y\n1,2\n", f);
	fclose(f);
	expect(-1, 1, "is not a whole HDF5 file");
}

static void attributes(void **state)
{
	(void)state;
	static const struct {
		const char *config, *words;
		int status;
	} bad[] = {
		{ "", "character 1", 1 },
		{ "{", "config", 1 },
		{ "{\"kind\": 3}", "\"kind\" is of another type", 1 },
		{ "{}", "\"kind\" is missing", 1 },
		{ "[1,2]", "\"kind\"", 1 },
		{ "{\"kind\": \"flow\"} x", "more text", 1 },
		{ "{\"kind\": \"flow\"}", "\"layers\" is missing", 1 },
		{ "{\"kind\": \"flow\", \"layers\": [3]}", "", 1 },
		{ "{\"kind\": \"poem\"}", "files of kind \"poem\"", 2 },
		{ "{\"kind\": \"flow\", \"layers\": [{\"type\": \"magic\"}]}", "type \"magic\"", 2 },
		{ "{\"kind\": \"optim\", \"steps\": 1e30, \"runs\": {}}", "whole number", 1 },
		{ "{\"kind\": \"train\", \"layers\": [], \"steps\": 2}", "inputs/batches", 1 },
		{ "{\"kind\": \"ad\", \"ops\": {\"sin\": 3}}", "", 2 },
		{ "{\"kind\": \"nn\", \"cases\": []}", "\"cases\"", 1 },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		hid_t f = copy_of("nice_additive");
		config(f, bad[i].config);
		expect(f, bad[i].status, bad[i].words);
	}
	hid_t f = copy_of("nice_additive");
	H5Adelete(f, "config");
	expect(f, 1, "\"config\" is missing");
	f = copy_of("nice_additive");
	H5Adelete(f, "tolerance");
	expect(f, 1, "\"tolerance\" is missing");
	char deep[400] = "";
	memset(deep, '[', 300);
	f = copy_of("nice_additive");
	config(f, deep);
	expect(f, 1, "too deeply nested");
}

static void arrays(void **state)
{
	(void)state;
	hid_t f = copy_of("nice_additive");
	H5Ldelete(f, "inputs/x", H5P_DEFAULT);
	expect(f, 1, "inputs/");
	f = copy_of("nice_additive");
	H5Ldelete(f, "params/layers/1/conditioner/final/bias", H5P_DEFAULT);
	expect(f, 1, "layers/1/conditioner/final/bias");
	f = copy_of("nice_additive");
	put(f, "params/layers/1/conditioner/final/bias", 1, (hsize_t[]){ 7 }, 0);
	expect(f, 1, "[7]");
	f = copy_of("nice_additive");
	put(f, "inputs/x", 1, (hsize_t[]){ 7 }, 0);
	expect(f, 2, "vectors");
	f = copy_of("nice_additive");
	put(f, "outputs/z", 1, (hsize_t[]){ 7 }, 0);
	expect(f, 1, "7 in the file");
	f = copy_of("nice_additive");
	put(f, "outputs/loss", 0, NULL, 1.25);
	expect(f, 1, "MISS");
	f = copy_of("nice_additive");
	put(f, "outputs/loss", 0, NULL, 0.0 / 0.0);
	expect(f, 1, "MISS");
	f = copy_of("nice_additive");
	put(f, "outputs/elbo", 0, NULL, 1);
	expect(f, 2, "outputs/elbo: recorded, but not computed");
}

static void layers(void **state)
{
	(void)state;
	static const struct {
		const char *file, *from, *to, *words;
		int status;
	} bad[] = {
		{ "nice_additive", "\"hidden\": 10", "\"hidden\": 999999", "\"hidden\" is 999999", 1 },
		{ "nice_additive", "\"hidden\": 10", "\"hidden\": -3", "whole number", 1 },
		{ "nice_additive", "\"num_blocks\": 1", "\"num_blocks\": 1000000", "\"num_blocks\" is 1000000", 1 },
		{ "nice_additive", "\"type\": \"resnet\"", "\"type\": \"transformer\"", "conditioner \"transformer\"",
		  2 },
		{ "nice_additive", "\"activation\": \"relu\"", "\"activation\": \"zigzag\"", "activation \"zigzag\"",
		  2 },
		{ "nice_additive", "[1, 1, 1, 0, 0]", "[1, 1, 1]", "\"mask\" has 3 entries", 1 },
		{ "nice_additive", "[1, 1, 1, 0, 0]", "[1, 1, 1, 1, 1]", "not what is masked", 2 },
		{ "nice_additive", "\"dim\": 5", "\"dim\": 6", "\"dim\" is 6", 1 },
		{ "nice_additive", "standard_normal", "cauchy", "base \"cauchy\"", 2 },
		{ "maf", "\"permutation\": [5, 4", "\"permutation\": [5, 5", "permutation", 1 },
		{ "spline_linear_box", "\"bins\": 8", "\"bins\": 0", "", 1 },
		{ "spline_linear_box", "\"bins\": 8", "\"bins\": 9", "", 1 },
		{ "spline_linear_box", "\"tails\": \"none\"", "\"tails\": \"cubic\"", "tails \"cubic\"", 2 },
		{ "spline_linear_box", "\"spline\": \"linear\"", "\"spline\": \"bezier\"", "spline \"bezier\"", 2 },
		{ "train_nvp", "\"type\": \"adam\"", "\"type\": \"lion\"", "optimiser \"lion\"", 2 },
		{ "train_nvp", "\"steps\": 40", "\"steps\": 41", "fewer than 41", 1 },
		{ "linear_family", "\"num_householder\": 4", "\"num_householder\": 5", "householder", 1 },
		{ "elementwise", "\"slope\": 0.1", "\"slope\": \"steep\"", "\"slope\"", 1 },
		{ "zuko_nsf", "[[5], [5], [4]]", "[]", "number of bins", 1 },
		{ "freia_couplings", "\"split\": [2, 3]", "\"split\": [9, 3]", "", 1 },
		{ "freia_couplings", "\"TANH\"", "\"none\"", "scales without \"clamp_activation\"", 2 },
		{ "nsf_quadratic_coupling", "\"bins\": 8", "\"bins\": 8, \"quadratic_height_floor\": 0.1",
		  "\"quadratic_height_floor\" 0.1", 2 },
		{ "nsf_rq_coupling_f32", "\"min_bin_width\": 0.001", "\"min_bin_width\": 0.0", "MISS", 1 },
		{ "nice_additive", "\"identity_index\": [3, 4]", "\"identity_index\": [4, 3]",
		  "\"identity_index\" is not what is masked", 2 },
		{ "train_nvp", "standard_normal", "cauchy", "base \"cauchy\"", 2 },
		{ "maf_ikostrikov", "\"mode\": \"eval\"", "\"mode\": \"train\"", "mode \"train\"", 2 },
		{ "nice_additive", "\"dim\": 5", "\"dim\": 5, \"temper\": 2",
		  "not read in the configuration: \"temper\"", 0 },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		hid_t f = copy_of(bad[i].file);
		edit_config(f, bad[i].from, bad[i].to);
		expect(f, bad[i].status, bad[i].words);
	}
}

static void command_line(void **state)
{
	(void)state;
	char arguments[1024];
	assert_int_equal(run(""), 3);
	assert_int_equal(run("--frobnicate x.h5"), 3);
	assert_int_equal(run("--only"), 3);
	assert_int_equal(run("--help"), 0);
	assert_non_null(strstr(out, "SYNOPSIS"));
	snprintf(arguments, sizeof arguments, "'%s' --only no/such/thing", data("spline_linear_box"));
	assert_int_equal(run(arguments), 3);
	assert_non_null(strstr(err, "no/such/thing"));
	snprintf(arguments, sizeof arguments, "'%s' --only outputs/boundary", data("spline_linear_box"));
	assert_int_equal(run(arguments), 0);
	assert_non_null(strstr(out, "outputs/boundary/z"));
	assert_null(strstr(out, "outputs/z"));
	hid_t f = copy_of("nice_additive");
	H5Fclose(f);
	assert_int_equal(run(folder), 0); /* of which "out" and "err" are no files *.h5 */
	assert_non_null(strstr(out, "spoilt.h5: 91 quantities"));
	remove(file);
	assert_int_equal(run(folder), 1);
	assert_non_null(strstr(err, "holds no file"));
	snprintf(arguments, sizeof arguments, "/nowhere.h5 '%s'", data("spline_linear_box"));
	assert_int_equal(run(arguments), 1);
	assert_non_null(strstr(out, "outputs/z"));
}

static int set_up(void **state)
{
	(void)state;
	H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
	if (!mkdtemp(folder))
		return -1;
	snprintf(file, sizeof file, "%s/spoilt.h5", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	static const char *const names[] = { "spoilt.h5", "out", "err" };
	for (int i = 0; i < 3; i++) {
		char path[128];
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		remove(path);
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_file), cmocka_unit_test(cut_files), cmocka_unit_test(attributes),
		cmocka_unit_test(arrays),  cmocka_unit_test(layers),	cmocka_unit_test(command_line),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
