/* io.c - a store in an HDF5 group: one dataset an entry, named by its path. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

nn__printing nn__quiet(void)
{
	nn__printing p;
	H5Eget_auto2(H5E_DEFAULT, &p.print, &p.data);
	H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
	return p;
}

void nn__loud(nn__printing p) { H5Eset_auto2(H5E_DEFAULT, p.print, p.data); }

hid_t nn__real_type(ad_dtype d) { return d == AD_F64 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT; }

bool nn__put_attr(hid_t at, const char *name, hid_t type, const void *v)
{
	hid_t space = H5Screate(H5S_SCALAR), a = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
	bool ok = a >= 0 && H5Awrite(a, type, v) >= 0;
	if (a >= 0)
		H5Aclose(a);
	H5Sclose(space);
	return ok;
}

static bool one_value(hid_t attr)
{
	hid_t space = H5Aget_space(attr);
	bool ok = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
	if (space >= 0)
		H5Sclose(space);
	return ok;
}

bool nn__get_attr(hid_t at, const char *name, hid_t type, void *v)
{
	hid_t a = H5Aopen(at, name, H5P_DEFAULT);
	bool ok = a >= 0 && one_value(a) && H5Aread(a, type, v) >= 0;
	if (a >= 0)
		H5Aclose(a);
	return ok;
}

hid_t nn__put_array(hid_t group, const char *name, hid_t type, int rank, const hsize_t dim[], const void *v)
{
	hid_t space = rank ? H5Screate_simple(rank, dim, NULL) : H5Screate(H5S_SCALAR);
	hid_t link = H5Pcreate(H5P_LINK_CREATE);
	H5Pset_create_intermediate_group(link, 1);
	hid_t d = H5Dcreate2(group, name, type, space, link, H5P_DEFAULT, H5P_DEFAULT);
	if (d >= 0 && H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) < 0) {
		H5Dclose(d);
		d = -1;
	}
	H5Pclose(link);
	H5Sclose(space);
	return d;
}

static bool put_entry(const nn_store *s, int i, hid_t group)
{
	const nn__entry *e = &s->entry[i];
	hsize_t dim[AD_MAXRANK];
	int trained = e->trained, ready = e->ready;
	for (int k = 0; k < e->shape.rank; k++)
		dim[k] = (hsize_t)e->shape.dim[k];
	hid_t d = nn__put_array(group, e->name, nn__real_type(s->dtype), e->shape.rank, dim, nn__value(s, i));
	if (d < 0)
		return false;
	bool ok = nn__put_attr(d, "index", H5T_NATIVE_INT, &i) && nn__put_attr(d, "trained", H5T_NATIVE_INT, &trained) &&
	          nn__put_attr(d, "ready", H5T_NATIVE_INT, &ready);
	return H5Dclose(d) >= 0 && ok;
}

int nn_save(nn_store *s, hid_t group)
{
	if (nn_error(s))
		return -1;
	nn__printing was = nn__quiet();
	if (!nn__put_attr(group, "entries", H5T_NATIVE_INT, &s->n))
		nn_fail(s, "nn_save: cannot write to the group (is it open for writing, and new?)");
	for (int i = 0; !nn_error(s) && i < s->n; i++)
		if (!put_entry(s, i, group))
			nn_fail(s, "nn_save: cannot write \"%s\"", s->entry[i].name);
	nn__loud(was);
	return nn_error(s) ? -1 : 0;
}

typedef struct {
	char *name;
	ad_shape shape;
	int index, trained, ready;
	void *value;
} found;
typedef struct {
	found *at;
	int n, cap;
} all;

static herr_t collect(hid_t group, const char *name, const H5L_info_t *info, void *list)
{
	(void)info;
	all *a = list;
	hid_t o = H5Oopen(group, name, H5P_DEFAULT);
	if (o >= 0 && H5Iget_type(o) == H5I_DATASET) {
		a->at = nn__room(a->at, a->n, &a->cap, sizeof *a->at);
		a->at[a->n++] = (found){ .name = strdup(name) };
	}
	if (o >= 0)
		H5Oclose(o);
	return 0;
}

static bool read_shape(hid_t d, found *f)
{
	hsize_t dim[AD_MAXRANK];
	hid_t space = H5Dget_space(d);
	int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
	bool ok = rank >= 0 && rank <= AD_MAXRANK && H5Sget_simple_extent_type(space) != H5S_NULL;
	f->shape.rank = ok ? rank : 0;
	if (ok && rank)
		H5Sget_simple_extent_dims(space, dim, NULL);
	double numel = 1;
	for (int k = 0; ok && k < rank; k++) {
		f->shape.dim[k] = (int64_t)dim[k];
		numel *= (double)dim[k];
		ok = dim[k] > 0 && numel < 1e15;
	}
	if (space >= 0)
		H5Sclose(space);
	return ok;
}

/* What is wrong with the dataset, or NULL. */
static const char *check(const nn_store *s, hid_t d, found *f, char text[320])
{
	char a[128], b[128];
	if (!nn__get_attr(d, "index", H5T_NATIVE_INT, &f->index) || !nn__get_attr(d, "trained", H5T_NATIVE_INT, &f->trained) ||
	    !nn__get_attr(d, "ready", H5T_NATIVE_INT, &f->ready))
		return "it lacks the attributes of a saved entry";
	if (!read_shape(d, f))
		return "it has no usable shape";
	hid_t type = H5Dget_type(d);
	bool real = type >= 0 && H5Tget_class(type) == H5T_FLOAT;
	size_t size = type < 0 ? 0 : H5Tget_size(type);
	if (type >= 0)
		H5Tclose(type);
	if (!real)
		return "it does not hold reals";
	if (size > nn__size(s))
		return "it holds f64, but the store f32";
	int i = nn_find(s, f->name);
	if (i < 0) /* deflate shrinks no more: a larger shape is not that of the file */
		return (double)ad_numel(f->shape) * (double)size <= 1032 * (double)H5Dget_storage_size(d) ? NULL : "its file cannot hold its shape";
	if (!ad_shape_eq(s->entry[i].shape, f->shape)) {
		snprintf(text, 320, "it has shape %s, but the store %s", nn__shape_str(f->shape, a),
		         nn__shape_str(s->entry[i].shape, b));
		return text;
	}
	return s->entry[i].trained == !!f->trained ? NULL : "a parameter there is state here, or the other way round";
}

static void read_entry(nn_store *s, hid_t group, found *f)
{
	char text[320];
	hid_t d = H5Dopen2(group, f->name, H5P_DEFAULT);
	const char *wrong = d < 0 ? "it cannot be opened" : check(s, d, f, text);
	if (!wrong) {
		f->value = malloc((size_t)ad_numel(f->shape) * nn__size(s));
		if (!f->value || H5Dread(d, nn__real_type(s->dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, f->value) < 0)
			wrong = "it cannot be read";
	}
	if (wrong)
		nn_fail(s, "nn_load: dataset \"%s\": %s", f->name, wrong);
	if (d >= 0)
		H5Dclose(d);
}

static int by_index(const void *a, const void *b)
{
	const found *x = a, *y = b;
	return (x->index > y->index) - (x->index < y->index);
}

static void check_complete(nn_store *s, const all *a, int entries)
{
	char *has = nn__alloc((size_t)s->n);
	for (int k = 0; k < a->n; k++) {
		int i = nn_find(s, a->at[k].name);
		if (i >= 0)
			has[i] = 1;
	}
	for (int i = 0; i < s->n; i++)
		if (!has[i])
			nn_fail(s, "nn_load: there is no dataset \"%s\"", s->entry[i].name);
	if (a->n != entries)
		nn_fail(s, "nn_load: the group has %d datasets of the %d that were saved", a->n, entries);
	free(has);
}

/* In the order of the saved store, so that new entries lie where they lay. */
static void take(nn_store *s, all *a)
{
	qsort(a->at, (size_t)a->n, sizeof *a->at, by_index);
	for (int k = 0; k < a->n; k++) {
		const found *f = &a->at[k];
		int i = nn_find(s, f->name);
		if (i < 0)
			i = nn__add(s, f->name, f->shape, f->trained);
		memcpy(nn__value(s, i), f->value, (size_t)s->entry[i].numel * nn__size(s));
		s->entry[i].ready = f->ready;
	}
}

int nn_load(nn_store *s, hid_t group)
{
	if (nn_error(s))
		return -1;
	nn__printing was = nn__quiet();
	all a = { 0 };
	int entries = 0;
	if (!nn__get_attr(group, "entries", H5T_NATIVE_INT, &entries) ||
	    H5Lvisit(group, H5_INDEX_NAME, H5_ITER_INC, collect, &a) < 0)
		nn_fail(s, "nn_load: the group holds no saved store");
	else
		check_complete(s, &a, entries);
	for (int k = 0; !nn_error(s) && k < a.n; k++)
		read_entry(s, group, &a.at[k]);
	if (!nn_error(s) && a.n)
		take(s, &a);
	for (int k = 0; k < a.n; k++) {
		free(a.at[k].name);
		free(a.at[k].value);
	}
	free(a.at);
	nn__loud(was);
	return nn_error(s) ? -1 : 0;
}
