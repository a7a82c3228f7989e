/* checkpoint.c - everything that a trained density and the rest of its training depend on, in one HDF5 file. */
#include "checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "ranks.h"

/* --- Tables of what is kept -------------------------------------------------------------------------- */

typedef struct {
	const char *name;
	enum { INTEGER, REAL, TRUTH } kind;
	size_t at;
} field;
#define S(name, kind) { #name, kind, offsetof(lab_state, name) }
static const field state_fields[] = {
	S(step, INTEGER), S(best_step, INTEGER), S(since_best, INTEGER), S(best_nll, REAL), S(seconds, REAL),
	S(loss, REAL),    S(norm, REAL),         S(summed, INTEGER),     S(stopped, TRUTH), { NULL, INTEGER, 0 },
};
static int put_fields(const field *f, const void *from, hid_t at)
{
	int bad = 0;
	for (; f->name && !bad; f++) {
		const char *p = (const char *)from + f->at;
		bad = f->kind == REAL      ? lab_h5_put_real(at, f->name, *(const double *)p)
		      : f->kind == INTEGER ? lab_h5_put_int(at, f->name, *(const int64_t *)p)
		                           : lab_h5_put_int(at, f->name, *(const bool *)p);
	}
	return bad;
}

static int get_fields(const field *f, void *to, hid_t at)
{
	int bad = 0;
	for (; f->name && !bad; f++) {
		char *p = (char *)to + f->at;
		int64_t v = 0;
		bad = f->kind == REAL ? lab_h5_get_real(at, f->name, (double *)p) : lab_h5_get_int(at, f->name, &v);
		if (f->kind == INTEGER)
			*(int64_t *)p = v;
		else if (f->kind == TRUTH)
			*(bool *)p = v != 0;
	}
	return bad;
}

static int put_options(const flow_model_opt *o, hid_t at)
{
	int bad = 0;
	for (const flow_model_key *k = flow_model_keys; k->key && !bad; k++) {
		const char *text = flow_option_text(o, k);
		double v = flow_option_number(o, k);
		bad = k->kind == FLOW_REAL                              ? lab_h5_put_real(at, k->key, v)
		      : k->kind == FLOW_INT || k->kind == FLOW_INT64 ? lab_h5_put_int(at, k->key, (int64_t)v)
		                                                        : lab_h5_put_text(at, k->key, text ? text : "");
	}
	return bad;
}

/* An option that a file lacks is of a later version than the file, and unset. */
static bool get_options(flow_model_opt *o, hid_t at)
{
	char why[160];
	bool good = true;
	for (const flow_model_key *k = flow_model_keys; k->key && good; k++) {
		double real = 0;
		int64_t whole = 0;
		if (H5Aexists(at, k->key) <= 0)
			continue;
		if (k->kind == FLOW_REAL) {
			good = !lab_h5_get_real(at, k->key, &real) && flow_option_put(o, k, real);
		} else if (k->kind == FLOW_INT || k->kind == FLOW_INT64) {
			good = !lab_h5_get_int(at, k->key, &whole) && flow_option_put(o, k, (double)whole);
		} else {
			char *text = lab_h5_get_text(at, k->key);
			good = text && (!*text || flow_model_set(o, k->key, text, why));
			free(text);
		}
	}
	return good;
}

/* --- Writing ----------------------------------------------------------------------------------------- */

enum { COLUMN = 4 }; /* numbers of a typed column: kind, lo, hi, from */

static int put_columns(const lab_model *m, hid_t g)
{
	if (!m->column)
		return 0;
	double *v = lab_alloc((size_t)m->dim, COLUMN * sizeof *v);
	for (int64_t j = 0; j < m->dim; j++) {
		const lab_column *c = &m->column[j];
		memcpy(v + COLUMN * j, (double[COLUMN]){ c->kind, c->lo, c->hi, c->from }, COLUMN * sizeof *v);
	}
	int bad = lab_h5_put_array(g, "columns", H5T_NATIVE_DOUBLE, COLUMN * m->dim, v, false, NULL);
	free(v);
	return bad;
}

/* NULL where all are real; *sound is cleared if what is there is damaged. */
static lab_column *get_columns(hid_t g, int64_t dim, bool *sound)
{
	int64_t n;
	double *v = lab_h5_get_array(g, "columns", H5T_NATIVE_DOUBLE, &n);
	if (!v) {
		*sound &= H5Lexists(g, "columns", H5P_DEFAULT) <= 0;
		return NULL;
	}
	lab_column *c = *sound && n == COLUMN * dim ? lab_alloc((size_t)dim, sizeof *c) : NULL;
	for (int64_t j = 0; c && j < dim; j++) {
		const double *p = v + COLUMN * j;
		*sound &= p[0] >= 0 && p[0] <= LAB_COLUMN_VARIATIONAL && isfinite(p[1]) && isfinite(p[2]) && isfinite(p[3]);
		c[j] = (lab_column){ *sound ? (lab_column_kind)p[0] : LAB_COLUMN_REAL, p[1], p[2], p[3] };
		*sound &= lab_column_sound(&c[j]);
	}
	*sound &= c != NULL;
	free(v);
	return c;
}

static int put_model(const lab_model *m, hid_t g)
{
	return lab_h5_put_text(g, "name", m->row.name) || lab_h5_put_int(g, "dim", m->dim) ||
	       lab_h5_put_text(g, "dtype", nn_dtype(m->store) == AD_F32 ? "f32" : "f64") ||
	       put_options(&m->opt, g) ||
	       lab_h5_put_array(g, "mean", H5T_NATIVE_DOUBLE, m->dim, m->mean, false, NULL) ||
	       lab_h5_put_array(g, "sd", H5T_NATIVE_DOUBLE, m->dim, m->sd, false, NULL) || put_columns(m, g);
}

static int put_best(lab_model *m, const nn_snapshot *best, hid_t g)
{
	nn_snapshot *now = nn_snapshot_take(m->store);
	nn_snapshot_restore(m->store, best);
	int bad = nn_save(m->store, g);
	nn_snapshot_restore(m->store, now);
	nn_snapshot_free(now);
	return bad;
}

int lab_checkpoint_write(const char *path, lab_model *m, nn_trainer *trainer, const nn_snapshot *best,
                         const lab_state *s, const lab_log *log, lab_err *err)
{
	static const char *const part[] = { "model", "weights", "best", "trainer", "state", "log" };
	if (lab_rank())
		return 0;
	hid_t f = lab_h5_new();
	if (f < 0) {
		lab_fail(err, "cannot write %s: no memory for the file", path);
		return -1;
	}
	lab_h5_stamp(f, LAB_CHECKPOINT_FORMAT, LAB_CHECKPOINT_VERSION);
	int bad = 0;
	for (int i = 0; i < 6 && !bad; i++) {
		if ((i == 2 && !best) || (i == 3 && !trainer))
			continue;
		hid_t g = lab_h5_group(f, part[i]);
		bad = g < 0        ? 1
		      : i == 0     ? put_model(m, g)
		      : i == 1     ? nn_save(m->store, g)
		      : i == 2     ? put_best(m, best, g)
		      : i == 3     ? nn_trainer_save(trainer, g)
		      : i == 4     ? put_fields(state_fields, s, g)
		                   : lab_log_put(log, g);
		if (g >= 0)
			H5Gclose(g);
		if (bad)
			lab_fail(err, "cannot write %s: /%s: %s", path, part[i],
			         nn_error(m->store) ? nn_error(m->store) : "HDF5 refused an entry");
	}
	if (!bad)
		return lab_h5_commit(f, path, err);
	H5Fclose(f);
	return -1;
}

/* --- Reading ----------------------------------------------------------------------------------------- */

static hid_t part_of(hid_t file, const char *name)
{
	return H5Lexists(file, name, H5P_DEFAULT) > 0 ? H5Gopen2(file, name, H5P_DEFAULT) : -1;
}

static int wrong(const char *path, const char *part, const char *why, lab_err *err)
{
	lab_fail(err, "%s: /%s %s", path, part, why ? why : "is absent or damaged");
	return -1;
}

static lab_model *get_model(const char *path, hid_t g, lab_err *err)
{
	char *name = lab_h5_get_text(g, "name"), *dtype = lab_h5_get_text(g, "dtype");
	int64_t dim = 0, nmean, nsd;
	double *mean = lab_h5_get_array(g, "mean", H5T_NATIVE_DOUBLE, &nmean);
	double *sd = lab_h5_get_array(g, "sd", H5T_NATIVE_DOUBLE, &nsd);
	flow_model_opt o = { 0 };
	lab_model *m = NULL;
	bool sound = name && dtype && (!strcmp(dtype, "f32") || !strcmp(dtype, "f64")) && !lab_h5_get_int(g, "dim", &dim) && mean && sd && dim > 0 && nmean == dim &&
	             nsd == dim && get_options(&o, g);
	for (int64_t j = 0; sound && j < dim; j++)
		sound = isfinite(mean[j]) && isfinite(sd[j]) && sd[j] > 0;
	lab_column *column = get_columns(g, dim, &sound);
	lab_err why = { "" };
	if (sound)
		m = lab_model_new(name, o, dim, strcmp(dtype, "f32") ? AD_F64 : AD_F32, 0, (lab_scale){ mean, sd, column }, &why);
	if (*why.text)
		lab_fail(err, "%s: /model is none that can be made: %s", path, why.text);
	else if (!m)
		wrong(path, "model", NULL, err);
	free(name);
	free(dtype);
	free(mean);
	free(sd);
	free(column);
	return m;
}

lab_model *lab_checkpoint_density_in(hid_t f, const char *path, lab_err *err)
{
	lab_model *m = NULL;
	hid_t g = part_of(f, "model"), w = part_of(f, "best");
	if (w < 0)
		w = part_of(f, "weights");
	if (g < 0 || w < 0)
		wrong(path, g < 0 ? "model" : "weights", NULL, err);
	else if ((m = get_model(path, g, err)) && nn_load(m->store, w)) {
		wrong(path, "weights", nn_error(m->store), err);
		lab_model_free(m);
		m = NULL;
	}
	if (g >= 0)
		H5Gclose(g);
	if (w >= 0)
		H5Gclose(w);
	if (m)
		nn_freeze(m->store);
	return m;
}

lab_model *lab_checkpoint_density(const char *path, lab_err *err)
{
	hid_t f = lab_h5_open(path, LAB_CHECKPOINT_FORMAT, LAB_CHECKPOINT_VERSION, err);
	lab_model *m = f < 0 ? NULL : lab_checkpoint_density_in(f, path, err);
	if (f >= 0)
		H5Fclose(f);
	return m;
}

/* A count below 0 is none. */
static bool counts(const lab_state *s)
{
	return s->step >= 0 && s->best_step >= 0 && s->since_best >= 0 && s->summed >= 0;
}

int lab_checkpoint_open_in(lab_checkpoint *k, hid_t file, const char *path, lab_err *err)
{
	*k = (lab_checkpoint){ .file = file };
	snprintf(k->path, sizeof k->path, "%s", path);
	hid_t g = part_of(k->file, "log"), s = part_of(k->file, "state");
	int bad = g < 0 ? wrong(path, "log", NULL, err)
	          : s < 0 || get_fields(state_fields, &k->state, s) || !counts(&k->state) ? wrong(path, "state", NULL, err) : 0;
	if (!bad)
		k->log = lab_log_get(g);
	if (g >= 0)
		H5Gclose(g);
	if (s >= 0)
		H5Gclose(s);
	return bad;
}

int lab_checkpoint_open(lab_checkpoint *k, const char *path, lab_err *err)
{
	hid_t f = lab_h5_open(path, LAB_CHECKPOINT_FORMAT, LAB_CHECKPOINT_VERSION, err);
	int bad = f < 0 ? -1 : lab_checkpoint_open_in(k, f, path, err);
	if (bad && f >= 0)
		H5Fclose(f);
	return bad;
}

int lab_checkpoint_weights(lab_checkpoint *k, lab_model *m, nn_snapshot **best, lab_err *err)
{
	int bad = 0;
	*best = NULL;
	hid_t b = part_of(k->file, "best"), w = part_of(k->file, "weights");
	if (b >= 0) {
		if (nn_load(m->store, b))
			bad = wrong(k->path, "best", nn_error(m->store), err);
		else
			*best = nn_snapshot_take(m->store);
		H5Gclose(b);
	}
	if (!bad && (w < 0 || nn_load(m->store, w)))
		bad = wrong(k->path, "weights", nn_error(m->store), err);
	if (w >= 0)
		H5Gclose(w);
	nn_freeze(m->store);
	return bad;
}

int lab_checkpoint_trainer(lab_checkpoint *k, lab_model *m, nn_trainer *t, lab_err *err)
{
	hid_t g = part_of(k->file, "trainer");
	int bad = g < 0 || nn_trainer_load(t, g) ? wrong(k->path, "trainer", nn_error(m->store), err) : 0;
	if (g >= 0)
		H5Gclose(g);
	return bad;
}

void lab_checkpoint_close(lab_checkpoint *k)
{
	H5Fclose(k->file);
	k->file = -1;
}
