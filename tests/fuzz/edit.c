/* edit.c - sound HDF5 files with anything in them: a small valid one, changed as the bytes of an input say. */
#include "edit.h"

enum { MOST = 250, NAME = 120 };

/* What a file holds: objects, and attributes as "object" and "attribute". */
typedef struct {
	int objects, attributes;
	char object[MOST][NAME], owner[MOST][NAME], attribute[MOST][NAME];
} survey;

static herr_t see_attribute(hid_t at, const char *name, const H5A_info_t *info, void *user)
{
	(void)at, (void)info;
	survey *s = user;
	if (s->attributes < MOST) {
		memcpy(s->owner[s->attributes], s->object[s->objects - 1], NAME);
		snprintf(s->attribute[s->attributes++], NAME, "%s", name);
	}
	return 0;
}

static herr_t see(hid_t file, const char *name, const H5O_info_t *info, void *user)
{
	(void)info;
	survey *s = user;
	if (s->objects == MOST)
		return 0;
	snprintf(s->object[s->objects++], NAME, "%s", name);
	hid_t o = H5Oopen(file, name, H5P_DEFAULT);
	H5Aiterate2(o, H5_INDEX_NAME, H5_ITER_INC, NULL, see_attribute, s);
	H5Oclose(o);
	return 0;
}

/* Of the image last asked for. */
static const survey *survey_of(const void *image, hid_t file)
{
	static survey s;
	static const void *of;
	if (of != image) {
		memset(&s, 0, sizeof s);
		H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, see, &s);
		of = image;
	}
	return &s;
}

static hid_t open_image(const void *image, size_t n)
{
	H5set_free_list_limits(-1, -1, -1, -1, -1, -1); /* what the library frees it uses again: half a megabyte a file */
	hid_t f = lab_h5_of_image(image, n);
	fuzz_true(f >= 0, "the valid file opens");
	return f;
}

hid_t fuzz_new(void)
{
	static void *image;
	static size_t n;
	if (!image)
		image = lab_h5_image(lab_h5_new(), &n);
	return open_image(image, n);
}

/* --- Values ---------------------------------------------------------------------------------------- */

static int64_t whole(fuzz_bytes *in)
{
	static const int64_t edge[] = { 0,	   1,	      -1,	 2,	    3,	     7,	      INT32_MAX, INT32_MIN,
		                        INT64_MAX, INT64_MIN, 1000000, (int64_t)1 << 40, 65536, 65537, 100000000, 255 };
	uint64_t k = fuzz_take(in, 1);
	return k < 16 ? edge[k] : k < 200 ? (int64_t)k - 16 : (int64_t)fuzz_take(in, 8);
}

static double real(fuzz_bytes *in)
{
	static const double edge[] = { 0, -0.0, 1, -1, 0.5, NAN, INFINITY, -INFINITY, 1e308, -1e308, 5e-324, 1e-30, 1e30, 2, 3, 1e18 };
	uint64_t k = fuzz_take(in, 1), v;
	double x;
	if (k < 16)
		return edge[k];
	if (k < 200)
		return ((double)k - 100) / 8;
	v = fuzz_take(in, 8);
	memcpy(&x, &v, sizeof x);
	return x;
}

static hid_t type_of(fuzz_bytes *in)
{
	const hid_t number[] = { H5T_NATIVE_DOUBLE, H5T_NATIVE_FLOAT,  H5T_NATIVE_INT64, H5T_NATIVE_UINT64, H5T_STD_I8LE,	 H5T_STD_U8BE,
		                 H5T_STD_I16BE,	    H5T_STD_U32LE,     H5T_IEEE_F32BE,	 H5T_IEEE_F64BE,    H5T_NATIVE_LDOUBLE, H5T_STD_B64LE };
	uint64_t k = fuzz_take(in, 1) % 18;
	hid_t t;
	if (k < 12)
		return H5Tcopy(number[k]);
	switch (k) {
	case 12:
		t = H5Tcopy(H5T_C_S1);
		H5Tset_size(t, 1 + fuzz_take(in, 1));
		return t;
	case 13:
		t = H5Tcreate(H5T_COMPOUND, 16);
		H5Tinsert(t, "a", 0, H5T_NATIVE_DOUBLE);
		H5Tinsert(t, "b", 8, H5T_NATIVE_INT64);
		return t;
	case 14:
		t = H5Tenum_create(H5T_STD_I8LE);
		H5Tenum_insert(t, "FALSE", (signed char[]){ 0 });
		H5Tenum_insert(t, "TRUE", (signed char[]){ 1 });
		return t;
	case 15:
		return H5Tcreate(H5T_OPAQUE, 8);
	case 16: { /* 3 bits of an integer */
		t = H5Tcopy(H5T_STD_U32LE);
		H5Tset_precision(t, 3);
		H5Tset_offset(t, fuzz_take(in, 1) % 29);
		return t;
	}
	default: { /* half precision */
		t = H5Tcopy(H5T_IEEE_F32LE);
		H5Tset_fields(t, 15, 10, 5, 0, 10);
		H5Tset_size(t, 2);
		H5Tset_ebias(t, 15);
		return t;
	}
	}
}

/* --- Changes --------------------------------------------------------------------------------------- */

static void put_attribute(hid_t o, const char *name, uint64_t how, fuzz_bytes *in)
{
	char text[300];
	H5Adelete(o, name);
	fuzz_bytes part;
	switch (how % 5) {
	case 0:
		lab_h5_put_int(o, name, whole(in));
		break;
	case 1:
		lab_h5_put_real(o, name, real(in));
		break;
	case 2:
		part = fuzz_part(in, fuzz_take(in, 1));
		memcpy(text, part.p, part.n);
		text[part.n] = 0;
		lab_h5_put_text(o, name, text);
		break;
	case 3: { /* any type, one or more */
		hid_t t = type_of(in), s;
		hsize_t n = fuzz_take(in, 1) % 4;
		static char buf[4 * 512];
		s = n == 1 ? H5Screate(H5S_SCALAR) : n ? H5Screate_simple(1, &n, NULL) : H5Screate(H5S_NULL);
		hid_t a = H5Acreate2(o, name, t, s, H5P_DEFAULT, H5P_DEFAULT);
		memset(buf, (int)fuzz_take(in, 1), sizeof buf);
		if (a >= 0 && n)
			H5Awrite(a, t, buf);
		if (a >= 0)
			H5Aclose(a);
		H5Sclose(s);
		H5Tclose(t);
		break;
	}
	default: /* gone */
		break;
	}
}

static void put_dataset(hid_t f, const char *name, fuzz_bytes *in)
{
	static const hsize_t extent[] = { 0, 1, 2, 3, 4, 5, 8, 16, 64, 257, 65536, 1 << 20, (hsize_t)1 << 40, (hsize_t)1 << 62 };
	hsize_t dim[10], chunk[10], n = 1;
	hid_t t = type_of(in), p = H5Pcreate(H5P_DATASET_CREATE);
	int rank = (int)(fuzz_take(in, 1) % 10);
	unsigned how = (unsigned)fuzz_take(in, 1);
	bool small = true;
	for (int k = 0; k < rank; k++) {
		dim[k] = extent[fuzz_take(in, 1) % 14];
		chunk[k] = dim[k] && dim[k] < 4 ? dim[k] : 2;
		small = small && (n *= dim[k] ? dim[k] : 1) <= 4096;
	}
	if (rank && how & 1)
		H5Pset_chunk(p, rank, chunk);
	if (rank && how & 1 && how & 2)
		H5Pset_deflate(p, 6);
	if (rank && how & 1 && how & 4)
		H5Pset_shuffle(p);
	if (!(how & 1) && !small)
		H5Pset_alloc_time(p, H5D_ALLOC_TIME_LATE);
	hid_t s = rank ? H5Screate_simple(rank, dim, NULL) : H5Screate(how & 8 ? H5S_NULL : H5S_SCALAR);
	H5Ldelete(f, name, H5P_DEFAULT);
	hid_t link = H5Pcreate(H5P_LINK_CREATE);
	H5Pset_create_intermediate_group(link, 1);
	hid_t d = H5Dcreate2(f, name, t, s, link, p, H5P_DEFAULT);
	hssize_t have = d < 0 ? 0 : H5Sget_simple_extent_npoints(s);
	if (small && have > 0 && have <= 4096 && !(how & 16)) {
		size_t bytes = (size_t)have * H5Tget_size(t);
		unsigned char *v = calloc(bytes, 1);
		for (size_t i = 0; i < bytes; i++)
			v[i] = (unsigned char)(in->n ? fuzz_take(in, 1) : i * 37);
		H5Dwrite(d, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, v);
		free(v);
	}
	if (d >= 0)
		H5Dclose(d);
	H5Sclose(s);
	H5Pclose(link);
	H5Pclose(p);
	H5Tclose(t);
}

static void change(hid_t f, const survey *s, fuzz_bytes *in)
{
	uint64_t op = fuzz_take(in, 1) % 12, i = fuzz_take(in, 1);
	const char *object = s->object[i % (uint64_t)s->objects], *other = s->object[fuzz_take(in, 1) % (uint64_t)s->objects];
	char name[2 * NAME + 2];
	if (op < 5 && s->attributes) {
		uint64_t a = i % (uint64_t)s->attributes;
		hid_t o = H5Oopen(f, s->owner[a], H5P_DEFAULT);
		if (o >= 0) {
			put_attribute(o, s->attribute[a], op, in);
			H5Oclose(o);
		}
		return;
	}
	switch (op) {
	case 5:
		if (strcmp(object, "."))
			H5Ldelete(f, object, H5P_DEFAULT);
		break;
	case 6:
	case 7:
		put_dataset(f, strcmp(object, ".") ? object : "d", in);
		break;
	case 8: /* another name for an object, below itself or elsewhere */
		snprintf(name, sizeof name, "%s/%s", other, i & 1 ? "value" : "again");
		H5Lcreate_hard(f, object, f, name, H5P_DEFAULT, H5P_DEFAULT);
		break;
	case 9:
		snprintf(name, sizeof name, "%s/soft", other);
		if (i & 1)
			H5Lcreate_soft(object, f, name, H5P_DEFAULT, H5P_DEFAULT);
		else
			H5Lcreate_external("nowhere.h5", object, f, name, H5P_DEFAULT, H5P_DEFAULT);
		break;
	case 10: { /* an attribute of elsewhere */
		hid_t o = H5Oopen(f, object, H5P_DEFAULT);
		if (o >= 0 && s->attributes)
			put_attribute(o, s->attribute[fuzz_take(in, 1) % (uint64_t)s->attributes], fuzz_take(in, 1), in);
		if (o >= 0)
			H5Oclose(o);
		break;
	}
	default: { /* a dataset or group of a new name */
		fuzz_bytes part = fuzz_part(in, fuzz_take(in, 1) & 31);
		snprintf(name, sizeof name, "%s/%.*s", other, (int)part.n, (const char *)part.p);
		if (i & 1)
			put_dataset(f, name, in);
		else {
			hid_t g = H5Gcreate2(f, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
			if (g >= 0)
				H5Gclose(g);
		}
	}
	}
}

hid_t fuzz_edit(const void *image, size_t n, fuzz_bytes in, int64_t *size)
{
	hid_t f = open_image(image, n);
	const survey *s = survey_of(image, f);
	for (int k = 0; in.n && k < 16; k++)
		change(f, s, &in);
	hsize_t bytes = n;
	H5Fflush(f, H5F_SCOPE_GLOBAL);
	H5Fget_filesize(f, &bytes);
	*size = (int64_t)bytes;
	return f;
}

void fuzz_edit_seeds(const void *image, size_t n, uint8_t lead, fuzz_put *put)
{
	hid_t f = open_image(image, n);
	const survey *s = survey_of(image, f);
	H5Fclose(f);
	uint8_t b[8] = { lead };
	put(b, 1);
	for (uint8_t op = 0; op < 12; op++)
		for (int i = 0; i < (op < 5 ? s->attributes : s->objects); i += op == 5 || s->objects < 8 ? 1 : 3) {
			uint8_t seed[] = { lead, op, (uint8_t)i, 0, op == 2 ? 3 : (uint8_t)(i % 12), 'a', 'b', 3, 2, 0, 1, 0 };
			put(seed, sizeof seed);
		}
}
