/* checkpoint.c - fuzzes checkpoints: the density in one, and training that goes on from it. */
#include <unistd.h>

#include "experiments/lab/checkpoint.h"
#include "experiments/lab/train.h"
#include "edit.h"

enum { DIM = 2 };
static char folder[] = "/tmp/fuzz_checkpoint_XXXXXX";
static lab_dataset *data;
static lab_train_opt how = { .batch = 8, .validate = 2, .points = 1, .steps = 4, .lr = 1e-3, .clip = 5, .optimiser = "adam",
	                     .schedule = "cosine", .accumulate = 2, .validation_rows = 10, .threads = 1, .seed = 1, .silent = true };

static lab_model *model(void)
{
	lab_err err;
	flow_model_opt o = { .layers = 1, .width = 4, .depth = 1, .act = "relu" };
	lab_model *m = lab_model_new("realnvp", o, DIM, AD_F32, 1, lab_dataset_scale(data), &err);
	fuzz_true(m, "a model");
	return m;
}

static lab_outcome train(lab_model *m, lab_log *log, lab_checkpoint *from, lab_state *s, lab_err *err)
{
	lab_objective j = lab_likelihood_new(m, data, &how);
	lab_outcome end = lab_train(m, &j, &how, folder, log, from, s, err);
	lab_likelihood_free(&j);
	return end;
}

/* That of a run of four steps. */
static void *valid(size_t *n)
{
	static void *image;
	static size_t size;
	if (!image) {
		char path[100];
		lab_err err;
		lab_state s = { .best_nll = INFINITY };
		lab_log *log = lab_log_new();
		data = lab_dataset_open("moons", (lab_data_opt){ .n_train = 32, .n_val = 10, .n_test = 10 }, &err);
		fuzz_true(data && mkdtemp(folder), "data and a folder");
		lab_model *m = model();
		fuzz_true(train(m, log, NULL, &s, &err) == LAB_FINISHED, "four steps");
		lab_log_free(log);
		lab_model_free(m);
		snprintf(path, sizeof path, "%s/checkpoint.h5", folder);
		FILE *f = fopen(path, "rb");
		image = malloc(1 << 20);
		size = fread(image, 1, 1 << 20, f);
		fclose(f);
		remove(path);
		snprintf(path, sizeof path, "%s/run.h5", folder);
		remove(path);
		rmdir(folder);
		how.steps = 4;
	}
	*n = size;
	return image;
}

static void one_line(const lab_err *err)
{
	fuzz_true(*err->text && !strpbrk(err->text, "\n\r"), "a message is one line");
}

static void density(hid_t f, bool evaluate)
{
	lab_err err = { "" };
	lab_model *m = lab_checkpoint_density_in(f, "f.h5", &err);
	if (!m) {
		fuzz_line(&err, "f.h5");
		return;
	}
	double *x = calloc((size_t)m->dim * 2, sizeof *x), l[2];
	lab_table t = { .rows = 2, .cols = m->dim, .x = x };
	if (evaluate && lab_log_density(m, &t, 1, l, &err))
		one_line(&err);
	free(x);
	lab_model_free(m);
}

static void resume(hid_t f)
{
	lab_err err = { "" };
	lab_checkpoint k;
	nn_snapshot *best;
	if (lab_checkpoint_open_in(&k, f, "f.h5", &err)) {
		fuzz_line(&err, "f.h5");
		return;
	}
	lab_model *m = model();
	if (lab_checkpoint_weights(&k, m, &best, &err)) {
		fuzz_line(&err, "f.h5");
	} else if (k.state.step == how.steps) { /* nothing is left to do, so that nothing is written */
		lab_checkpoint again = k;
		lab_model *m2 = model();
		if (train(m2, k.log, &again, &k.state, &err) == LAB_BROKEN)
			one_line(&err);
		lab_model_free(m2);
	}
	nn_snapshot_free(best);
	lab_model_free(m);
	lab_log_free(k.log);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	lab_err err = { "" };
	size_t m;
	int64_t size;
	const void *image = valid(&m);
	fuzz_bytes in = { bytes, n };
	uint64_t what = fuzz_take(&in, 1);
	hid_t f = fuzz_edit(image, m, in, &size), copy = fuzz_new();
	if (lab_h5_copy(f, copy, size, &err))
		one_line(&err);
	else if (what & 1)
		resume(copy);
	else
		density(copy, (what & 6) == 2);
	fuzz_true(H5Fget_obj_count(copy, H5F_OBJ_ALL) == 1, "nothing is left open");
	H5Fclose(copy);
	H5Fclose(f);
	return 0;
}

void fuzz_seeds(fuzz_put *put)
{
	size_t n;
	const void *image = valid(&n);
	fuzz_edit_seeds(image, n, 2, put);
	fuzz_edit_seeds(image, n, 1, put);
}
