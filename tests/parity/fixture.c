/* fixture.c - opening a parity file, its arrays, and what a check of it owns. */
#include "parity.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool parity_begins(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

bool parity_is_result(const char *path)
{
	static const char *const given[] = { "params/", "buffers/", "inputs/" };
	for (int i = 0; i < 3; i++)
		if (parity_begins(path, given[i]))
			return false;
	return true;
}

static int find(const parity *p, const char *path)
{
	for (int i = 0; i < p->paths; i++)
		if (!strcmp(p->path[i], path))
			return i;
	return -1;
}

bool parity_wants(const parity *p, const char *path)
{
	return find(p, path) >= 0 && (!p->only || parity_begins(path, p->only));
}

bool parity_has_below(const parity *p, const char *prefix)
{
	for (int i = 0; i < p->paths; i++)
		if (parity_begins(p->path[i], prefix))
			return true;
	return false;
}

bool parity_wants_below(const parity *p, const char *prefix)
{
	for (int i = 0; i < p->paths; i++)
		if (parity_begins(p->path[i], prefix) && (!p->only || parity_begins(p->path[i], p->only)))
			return true;
	return false;
}

static const char *read_array(parity *p, hid_t d, array *a)
{
	hid_t type = H5Dget_type(d), space = H5Dget_space(d);
	hsize_t dim[H5S_MAX_RANK];
	H5T_class_t class = H5Tget_class(type);
	int rank = H5Sget_simple_extent_ndims(space);
	const char *why = NULL;
	a->n = 1;
	if (class != H5T_FLOAT && class != H5T_INTEGER)
		why = "holds no numbers";
	else if (rank < 0 || rank > AD_MAXRANK || H5Sget_simple_extent_type(space) == H5S_NULL)
		why = "has an extent that is not understood";
	else if (H5Sget_simple_extent_dims(space, dim, NULL) < 0)
		why = "has no readable extent";
	for (int i = 0; !why && i < rank; i++) {
		if (dim[i] > 100000000 || (a->n *= (int64_t)dim[i]) > 100000000)
			why = "is too large";
		a->dim[i] = (int64_t)dim[i];
	}
	a->rank = rank;
	if (!why) {
		double *v = parity_alloc(p, (size_t)a->n * sizeof *v);
		a->v = v;
		if (a->n && H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) < 0)
			why = "cannot be read";
	}
	H5Sclose(space);
	H5Tclose(type);
	return why;
}

static const array *load(parity *p, const char *path)
{
	int i = find(p, path);
	if (i < 0)
		return NULL;
	if (!p->loaded[i].v) {
		hid_t d = H5Dopen2(p->h5, path, H5P_DEFAULT);
		const char *why = d < 0 ? "cannot be opened" : read_array(p, d, &p->loaded[i]);
		if (d >= 0)
			H5Dclose(d);
		if (why)
			parity_bad(p, "array %s %s", path, why);
	}
	return &p->loaded[i];
}

const array *parity_find(parity *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *path = parity_vtext(p, fmt, ap);
	va_end(ap);
	return load(p, path);
}

const array *parity_array(parity *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *path = parity_vtext(p, fmt, ap);
	va_end(ap);
	const array *a = load(p, path);
	if (!a)
		parity_bad(p, "there is no array %s", path);
	return a;
}

const json *parity_member(parity *p, const json *o, const char *key, json_type type)
{
	static const char *const name[] = { "null", "true or false", "a number", "a string", "a list", "an object" };
	const json *j = json_get(o, key);
	if (!j || j->type != type)
		parity_bad(p, "config: \"%s\" is %s, and should be %s", key, j ? "of another type" : "missing",
			   name[type]);
	return j;
}

const json *parity_config(parity *p, const char *key, json_type type)
{
	return parity_member(p, p->config, key, type);
}

int64_t parity_count(parity *p, const json *o, const char *key)
{
	double v = parity_member(p, o, key, JSON_NUMBER)->number;
	if (!(v >= 0 && v <= 1e6) || v != floor(v))
		parity_bad(p, "config: \"%s\" is %g, and should be a whole number", key, v);
	return (int64_t)v;
}

static char *string_attribute(parity *p, const char *name)
{
	hid_t a = H5Aexists(p->h5, name) > 0 ? H5Aopen(p->h5, name, H5P_DEFAULT) : -1;
	if (a < 0)
		return NULL;
	hid_t type = H5Aget_type(a), space = H5Aget_space(a);
	char *s = NULL;
	if (H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1) {
		if (H5Tis_variable_str(type) > 0) {
			char *v = NULL;
			hid_t c = H5Tcopy(H5T_C_S1);
			H5Tset_size(c, H5T_VARIABLE);
			H5Tset_cset(c, H5Tget_cset(type));
			if (H5Aread(a, c, &v) >= 0 && v)
				s = strcpy(parity_alloc(p, strlen(v) + 1), v);
			H5free_memory(v);
			H5Tclose(c);
		} else {
			size_t n = H5Tget_size(type);
			s = n < 1 << 24 ? parity_alloc(p, n + 1) : NULL;
			if (s && H5Aread(a, type, s) < 0)
				s = NULL;
		}
	}
	H5Sclose(space);
	H5Tclose(type);
	H5Aclose(a);
	return s;
}

static double number_attribute(parity *p, const char *name)
{
	double v = NAN;
	hid_t a = H5Aexists(p->h5, name) > 0 ? H5Aopen(p->h5, name, H5P_DEFAULT) : -1;
	if (a < 0)
		return v;
	hid_t space = H5Aget_space(a), type = H5Aget_type(a);
	H5T_class_t class = H5Tget_class(type);
	if (H5Sget_simple_extent_npoints(space) != 1 || (class != H5T_FLOAT && class != H5T_INTEGER) ||
	    H5Aread(a, H5T_NATIVE_DOUBLE, &v) < 0)
		v = NAN;
	H5Tclose(type);
	H5Sclose(space);
	H5Aclose(a);
	return v;
}

static double tolerance(parity *p, const char *name)
{
	double v = number_attribute(p, name);
	if (!(v >= 0))
		parity_bad(p, "attribute \"%s\" is missing or no number", name);
	return v;
}

static void walk(parity *p, hid_t group, const char *prefix, int depth)
{
	H5G_info_t info;
	if (depth > 32 || H5Gget_info(group, &info) < 0)
		parity_bad(p, "group %s cannot be read", prefix);
	for (hsize_t i = 0; i < info.nlinks; i++) {
		char name[512];
		ssize_t n =
			H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
		hid_t o = n > 0 && n < (ssize_t)sizeof name ? H5Oopen(group, name, H5P_DEFAULT) : -1;
		if (o < 0)
			parity_bad(p, "an entry of group %s cannot be read", *prefix ? prefix : "/");
		const char *path = parity_text(p, "%s%s", prefix, name);
		if (H5Iget_type(o) == H5I_GROUP) {
			walk(p, o, parity_text(p, "%s/", path), depth + 1);
		} else if (H5Iget_type(o) == H5I_DATASET) {
			p->path = realloc(p->path, (size_t)(p->paths + 1) * sizeof *p->path);
			if (!p->path)
				parity_no_memory();
			p->path[p->paths++] = path;
		}
		H5Oclose(o);
	}
}

void parity_open(parity *p)
{
	FILE *f = fopen(p->file, "rb");
	if (!f)
		parity_bad(p, "cannot be opened");
	fclose(f);
	p->h5 = H5Fopen(p->file, H5F_ACC_RDONLY, H5P_DEFAULT);
	if (p->h5 < 0)
		parity_bad(p, "is not a whole HDF5 file");
	if (number_attribute(p, "format_version") != 1)
		parity_bad(p, "attribute \"format_version\" is not 1");
	const char *config = string_attribute(p, "config"), *dtype = string_attribute(p, "dtype");
	if (!config)
		parity_bad(p, "attribute \"config\" is missing or no text");
	char why[160];
	p->config = json_parse(config, why);
	if (!p->config)
		parity_bad(p, "attribute \"config\": %s", why);
	p->kind = parity_config(p, "kind", JSON_STRING)->string;
	if (dtype && strcmp(dtype, "float64") && strcmp(dtype, "float32"))
		parity_bad(p, "attribute \"dtype\" is \"%s\", and should be float32 or float64", dtype);
	p->real = dtype && !strcmp(dtype, "float32") ? AD_F32 : AD_F64;
	p->tolerance = tolerance(p, "tolerance");
	p->tolerance_inverse = tolerance(p, "tolerance_inverse");
	hid_t root = H5Gopen2(p->h5, "/", H5P_DEFAULT);
	walk(p, root, "", 0);
	H5Gclose(root);
	p->loaded = parity_alloc(p, (size_t)p->paths * sizeof *p->loaded);
}
