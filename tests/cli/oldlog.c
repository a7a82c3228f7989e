/* oldlog.c - files as other versions of the programs write them, for tests.
 *
 * oldlog early LOG TO: only the entries that logs had from the first, version 1.  oldlog stamp FILE VERSION: the same file
 * with another version in it; "next" is one that these programs do not know.  oldlog text FILE GROUP NAME TEXT: an attribute
 * changed.  oldlog odd LOG VALUE: the same log with VALUE as its third test log-likelihood. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/lab/checkpoint.h"

static bool from_the_first(const char *name)
{
	static const char *const later[] = { "source/build", "libraries/libc", "libraries/blas", "libraries/sleef", "machine/directory", "data/train_hash", "data/val_hash", "data/likelihood",
		                             "data/discrete_columns", "data/column_kinds", "data/log_z", "val/kl", NULL };
	static const char *const option[] = { "layers", "width", "depth", "bins", "bound", "dropout", "act", NULL };
	for (int i = 0; later[i]; i++)
		if (!strcmp(name, later[i]))
			return false;
	if (strncmp(name, "config/", 7))
		return true;
	for (const flow_model_key *k = flow_model_keys; k->key; k++)
		if (!strcmp(name + 7, k->key)) {
			for (int i = 0; option[i]; i++)
				if (!strcmp(name + 7, option[i]))
					return true;
			return false;
		}
	return true;
}

static int early(const char *from, const char *to)
{
	lab_err err;
	lab_log *l = lab_log_read(from, &err), kept = { 0 };
	hid_t f = lab_h5_new();
	lab_h5_stamp(f, LAB_LOG_FORMAT, 1);
	for (int i = 0; l && i < l->n; i++)
		if (from_the_first(l->entry[i].name))
			lab_log_add(&kept, l->entry[i]);
	int bad = !l || lab_log_put(&kept, f) || lab_h5_commit(f, to, &err);
	if (bad)
		fprintf(stderr, "oldlog: %s\n", err.text);
	free(kept.entry);
	lab_log_free(l);
	return bad;
}

static int stamp(const char *path, const char *version)
{
	hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
	char *format = f < 0 ? NULL : lab_h5_get_text(f, "format");
	if (!format)
		return 1;
	int64_t now = strcmp(format, LAB_LOG_FORMAT) ? LAB_CHECKPOINT_VERSION : LAB_LOG_VERSION;
	H5Adelete(f, "version");
	int bad = lab_h5_put_int(f, "version", strcmp(version, "next") ? atoll(version) : now + 1);
	free(format);
	return H5Fclose(f) < 0 || bad;
}

static int text(const char *path, const char *group, const char *name, const char *v)
{
	hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), g = f < 0 ? -1 : H5Gopen2(f, group, H5P_DEFAULT);
	int bad = g < 0 || H5Adelete(g, name) < 0 || lab_h5_put_text(g, name, v) || H5Gclose(g) < 0;
	return f < 0 || H5Fclose(f) < 0 || bad;
}

static int odd(const char *path, const char *value)
{
	lab_err err;
	lab_log *l = lab_log_read(path, &err);
	hid_t f = lab_h5_new();
	lab_h5_stamp(f, LAB_LOG_FORMAT, LAB_LOG_VERSION);
	if (l)
		lab_log_find(l, "test/log_likelihood")->value[2] = atof(value);
	int bad = !l || lab_log_put(l, f) || lab_h5_commit(f, path, &err);
	lab_log_free(l);
	return bad;
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "text"))
		return text(argv[2], argv[3], argv[4], argv[5]);
	static const struct {
		const char *name;
		int (*act)(const char *, const char *);
	} act[] = { { "early", early }, { "stamp", stamp }, { "odd", odd } };
	for (int i = 0; argc == 4 && i < 3; i++)
		if (!strcmp(argv[1], act[i].name))
			return act[i].act(argv[2], argv[3]);
	return 2;
}
