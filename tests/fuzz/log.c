/* log.c - fuzzes logs of runs, and what compare, watch and replay make of one. */
#include "experiments/lab/agreement.h"
#include "experiments/lab/canvas.h"
#include "experiments/lab/contest_sheets.h"
#include "experiments/lab/follow.h"
#include "experiments/lab/rerun.h"
#include "edit.h"

static void fill(lab_log *l)
{
	double v[12];
	for (int i = 0; i < 12; i++)
		v[i] = -2 - i % 3;
	lab_log_text(l, "status", "finished");
	lab_log_text(l, "config/model", "realnvp");
	lab_log_text(l, "config/data", "moons");
	lab_log_text(l, "config/dtype", "f32");
	lab_log_text(l, "config/act", "relu");
	lab_log_text(l, "config/optimiser", "adam");
	lab_log_int(l, "config/steps", 100, NULL);
	lab_log_int(l, "config/batch", 64, NULL);
	lab_log_int(l, "config/width", 8, NULL);
	lab_log_int(l, "config/layers", 2, NULL);
	lab_log_int(l, "config/seed", 1, NULL);
	lab_log_real(l, "config/lr", 1e-3, NULL);
	lab_log_real(l, "config/dropout", 0, NULL);
	lab_log_text(l, "asked/steps", "100");
	lab_log_text(l, "data/source", "moons");
	lab_log_text(l, "data/test_hash", "0123456789abcdef");
	lab_log_int(l, "data/columns", 2, NULL);
	lab_log_int(l, "data/test_rows", 12, NULL);
	lab_log_real(l, "data/entropy", 2.394, "nats");
	lab_log_int(l, "model/parameters", 1234, NULL);
	lab_log_real(l, "final/seconds", 1.5, "s");
	lab_log_int(l, "final/steps", 100, "steps");
	lab_log_array(l, "test/log_likelihood", 12, v, "nats");
	for (int i = 0; i < 5; i++) {
		lab_log_point(l, "val/nll", "nats", 20 * i, 3 - i * 0.1);
		lab_log_point(l, "time/seconds", "s", 20 * i, i);
	}
}

static void *valid(size_t *n)
{
	static void *image;
	static size_t size;
	if (!image) {
		lab_log *l = lab_log_new();
		hid_t f = lab_h5_new();
		lab_h5_stamp(f, LAB_LOG_FORMAT, LAB_LOG_VERSION);
		fill(l);
		fuzz_true(!lab_log_put(l, f), "a log is put");
		lab_log_free(l);
		image = lab_h5_image(f, &size);
	}
	*n = size;
	return image;
}

static void one_line(const char *text)
{
	fuzz_true(*text && !strpbrk(text, "\n\r"), "a message is one line");
}

static void compare(lab_log *l, FILE *to)
{
	lab_err err = { "" };
	char *path[] = { "a" };
	lab_contest *c = lab_contest_new(1, (lab_log *const[]){ l }, path, &err);
	if (!c) {
		one_line(err.text);
		return;
	}
	lab_sheet *s[] = { lab_sheet_results(c), lab_sheet_cost(c, (lab_log *const[]){ l }) };
	for (int k = 0; k < 2; k++) {
		lab_sheet_put(s[k], k ? LAB_LATEX : LAB_PLAIN, to);
		lab_sheet_free(s[k]);
	}
	lab_contest_free(c);
}

static void watch(lab_log *l, FILE *to)
{
	static const char *const series[] = { "val/nll", "rate" };
	lab_follow f = { .log = l };
	lab_follow_standing(&f);
	for (int k = 0; k < 2; k++) {
		double *x, *y;
		int64_t n = lab_follow_series(l, series[k], &x, &y);
		lab_canvas c = lab_canvas_new(40, 10, k, false);
		lab_canvas_plot(&c, 0, 0, 40, 10, series[k], 1, &(lab_curve){ .n = n, .x = x, .y = y }, &(int){ 0 });
		lab_canvas_put(&c, to, false);
		lab_canvas_free(&c);
		lab_follow_seconds(l, n, x);
		free(x);
		free(y);
	}
}

/* What the programs do with it before they train. */
static void use(lab_log *l)
{
	static FILE *nowhere;
	lab_err err = { "" };
	lab_run_opt o;
	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	compare(l, nowhere);
	watch(l, nowhere);
	lab_agreement same = lab_agree(l, l, nowhere);
	for (int k = 0; k < LAB_PARTS; k++)
		fuzz_true(!same.different[k], "a log agrees with itself");
	if (!lab_rerun_options(l, &o, &err))
		one_line(err.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	lab_err err = { "" };
	size_t m;
	int64_t size;
	const void *image = valid(&m);
	hid_t f = fuzz_edit(image, m, (fuzz_bytes){ data, n }, &size), copy = fuzz_new();
	if (lab_h5_copy(f, copy, size, &err)) {
		fuzz_true(err.text[0] == '/', "a message names the object");
		one_line(err.text);
	} else {
		lab_log *l = lab_log_get(copy);
		use(l);
		lab_log_free(l);
	}
	fuzz_true(H5Fget_obj_count(f, H5F_OBJ_ALL) == 1 && H5Fget_obj_count(copy, H5F_OBJ_ALL) == 1, "nothing is left open");
	H5Fclose(copy);
	H5Fclose(f);
	return 0;
}

void fuzz_seeds(fuzz_put *put)
{
	size_t n;
	const void *image = valid(&n);
	fuzz_edit_seeds(image, n, 0, put);
}
