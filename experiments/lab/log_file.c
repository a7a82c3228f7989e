/* log_file.c - the record of a run as an HDF5 file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"
#include "memory.h"
#include "ranks.h"

/* --- Writing ---------------------------------------------------------------------------------------- */

static int put_series(const lab_log_entry *e, hid_t at, const char *name)
{
	hid_t g = lab_h5_group(at, name);
	int bad = g < 0 || lab_h5_put_array(g, "step", H5T_NATIVE_INT64, e->n, e->step, false, "steps") ||
	          lab_h5_put_array(g, "value", H5T_NATIVE_DOUBLE, e->n, e->value, false, e->unit);
	if (g >= 0)
		H5Gclose(g);
	return bad ? -1 : 0;
}

static int put_entry(const lab_log_entry *e, hid_t at, const char *name)
{
	switch (e->kind) {
	case LAB_LOG_TEXT:
		return lab_h5_put_text(at, name, e->text);
	case LAB_LOG_INT:
		return e->unit ? lab_h5_put_array(at, name, H5T_NATIVE_INT64, 1, &e->integer, true, e->unit)
		               : lab_h5_put_int(at, name, e->integer);
	case LAB_LOG_REAL:
		return e->unit ? lab_h5_put_array(at, name, H5T_NATIVE_DOUBLE, 1, &e->real, true, e->unit)
		               : lab_h5_put_real(at, name, e->real);
	case LAB_LOG_ARRAY:
		return lab_h5_put_array(at, name, H5T_NATIVE_DOUBLE, e->n, e->value, false, e->unit);
	case LAB_LOG_SERIES:
		return put_series(e, at, name);
	}
	return -1;
}

int lab_log_put(const lab_log *l, hid_t group)
{
	int bad = 0;
	for (int i = 0; i < l->n && !bad; i++) {
		char above[256];
		snprintf(above, sizeof above, "%s", l->entry[i].name);
		char *slash = strrchr(above, '/');
		if (slash)
			*slash = 0;
		hid_t g = lab_h5_group(group, slash ? above : "");
		bad = g < 0 || put_entry(&l->entry[i], g, slash ? slash + 1 : above);
		if (g >= 0)
			H5Gclose(g);
	}
	return bad ? -1 : 0;
}

int lab_log_write(const lab_log *l, const char *path, lab_err *err)
{
	if (lab_rank())
		return 0;
	hid_t f = lab_h5_new();
	if (f < 0) {
		lab_fail(err, "cannot write %s: no memory for the file", path);
		return -1;
	}
	lab_h5_stamp(f, LAB_LOG_FORMAT, LAB_LOG_VERSION);
	if (!lab_log_put(l, f))
		return lab_h5_commit(f, path, err);
	H5Fclose(f);
	lab_fail(err, "cannot write %s: HDF5 refused an entry", path);
	return -1;
}

/* --- Reading ---------------------------------------------------------------------------------------- */

typedef struct {
	lab_log *log;
	const char *path; /* of the group, with a slash at its end; "" at the top */
	int depth;
} place;

static herr_t get_attribute(hid_t at, const char *name, const H5A_info_t *info, void *user)
{
	(void)info;
	const place *p = user;
	char full[512];
	int64_t i;
	double r;
	snprintf(full, sizeof full, "%s%s", p->path, name);
	if (!*p->path && (!strcmp(name, "format") || !strcmp(name, "version")))
		return 0;
	char *text = lab_h5_get_text(at, name);
	hid_t a = H5Aopen(at, name, H5P_DEFAULT), t = a < 0 ? -1 : H5Aget_type(a);
	bool whole = t >= 0 && H5Tget_class(t) == H5T_INTEGER;
	if (t >= 0)
		H5Tclose(t);
	if (a >= 0)
		H5Aclose(a);
	if (text)
		lab_log_text(p->log, full, text);
	else if (whole && !lab_h5_get_int(at, name, &i))
		lab_log_int(p->log, full, i, NULL);
	else if (!lab_h5_get_real(at, name, &r))
		lab_log_real(p->log, full, r, NULL);
	free(text);
	return 0;
}

static void get_dataset(lab_log *l, hid_t at, const char *name, const char *full)
{
	hid_t d = H5Dopen2(at, name, H5P_DEFAULT);
	if (d < 0)
		return;
	hid_t s = H5Dget_space(d), t = H5Dget_type(d);
	bool single = H5Sget_simple_extent_type(s) == H5S_SCALAR, whole = H5Tget_class(t) == H5T_INTEGER;
	H5Tclose(t);
	H5Sclose(s);
	char *unit = lab_h5_get_text(d, "unit");
	H5Dclose(d);
	int64_t n;
	void *v = lab_h5_get_array(at, name, single && whole ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE, &n);
	if (v && single && whole)
		lab_log_int(l, full, *(int64_t *)v, unit ? unit : "");
	else if (v && single)
		lab_log_real(l, full, *(double *)v, unit ? unit : "");
	else if (v)
		lab_log_array(l, full, n, v, unit);
	free(v);
	free(unit);
}

static bool get_series(lab_log *l, hid_t at, const char *full)
{
	if (H5Lexists(at, "step", H5P_DEFAULT) <= 0 || H5Lexists(at, "value", H5P_DEFAULT) <= 0)
		return false;
	int64_t n = 0, m = 0;
	int64_t *step = lab_h5_get_array(at, "step", H5T_NATIVE_INT64, &n);
	double *value = lab_h5_get_array(at, "value", H5T_NATIVE_DOUBLE, &m);
	hid_t d = H5Dopen2(at, "value", H5P_DEFAULT);
	char *unit = d < 0 ? NULL : lab_h5_get_text(d, "unit");
	if (d >= 0)
		H5Dclose(d);
	if (step && value && n == m)
		for (int64_t i = 0; i < n; i++)
			lab_log_point(l, full, unit, step[i], value[i]);
	free(step);
	free(value);
	free(unit);
	return true;
}

static herr_t get_link(hid_t at, const char *name, const H5L_info_t *info, void *user)
{
	const place *p = user;
	H5O_info_t o;
	char full[512];
	if (info->type != H5L_TYPE_HARD || H5Oget_info_by_name(at, name, &o, H5P_DEFAULT) < 0)
		return 0;
	snprintf(full, sizeof full, "%s%s", p->path, name);
	if (o.type == H5O_TYPE_DATASET)
		get_dataset(p->log, at, name, full);
	if (o.type != H5O_TYPE_GROUP || p->depth > 8)
		return 0;
	hid_t g = H5Gopen2(at, name, H5P_DEFAULT);
	if (g < 0)
		return 0;
	bool series = !strncmp(full, "series/", 7) && get_series(p->log, g, full + 7);
	if (!series) {
		strncat(full, "/", sizeof full - strlen(full) - 1);
		place below = { p->log, full, p->depth + 1 };
		H5Aiterate2(g, H5_INDEX_NAME, H5_ITER_INC, NULL, get_attribute, &below);
		H5Literate(g, H5_INDEX_NAME, H5_ITER_INC, NULL, get_link, &below);
	}
	H5Gclose(g);
	return 0;
}

lab_log *lab_log_get(hid_t group)
{
	lab_log *l = lab_log_new();
	place top = { l, "", 0 };
	H5Aiterate2(group, H5_INDEX_NAME, H5_ITER_INC, NULL, get_attribute, &top);
	H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, get_link, &top);
	return l;
}

lab_log *lab_log_read(const char *path, lab_err *err)
{
	hid_t f = lab_h5_open(path, LAB_LOG_FORMAT, LAB_LOG_VERSION, err);
	if (f < 0)
		return NULL;
	lab_log *l = lab_log_get(f);
	H5Fclose(f);
	return l;
}

lab_log *lab_log_of_run(const char *run, char path[4200], lab_err *err)
{
	struct stat st;
	if (!stat(run, &st) && S_ISDIR(st.st_mode))
		lab_path(path, 4200, run, "run.h5");
	else
		snprintf(path, 4200, "%s", run);
	return lab_log_read(path, err);
}
