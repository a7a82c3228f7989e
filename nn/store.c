/* store.c - named entries in two contiguous blocks, found by hash. */
#include "internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };

void *nn__alloc(size_t bytes) { return memset(ad_memory(bytes), 0, bytes); }

void *nn__room(void *p, int n, int *cap, size_t size)
{
	if (n < *cap)
		return p;
	*cap = *cap ? 2 * *cap : 16;
	void *q = nn__alloc((size_t)*cap * size);
	if (n)
		memcpy(q, p, (size_t)n * size);
	free(p);
	return q;
}

nn_store *nn_store_new(ad_dtype d, uint64_t seed)
{
	nn_store *s = nn__alloc(sizeof *s);
	s->dtype = d;
	s->seed = seed;
	if (d != AD_F32 && d != AD_F64)
		nn_fail(s, "nn_store_new: a store holds AD_F32 or AD_F64");
	return s;
}

void nn_store_free(nn_store *s)
{
	if (!s)
		return;
	for (nn__trace *t = s->trace, *next; t; t = next) {
		next = t->next;
		nn__trace_free(t);
	}
	for (int i = 0; i < s->n; i++)
		free(s->entry[i].name);
	free(s->entry);
	free(s->bucket);
	free(s->block[0].data);
	free(s->block[1].data);
	free(s->grad);
	free(s->error);
	free(s);
}

const char *nn_error(const nn_store *s) { return s->error; }

void nn_fail(nn_store *s, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (!s->error)
		s->error = strdup(text);
}

void nn_freeze(nn_store *s) { s->frozen = true; }

void nn_clear_error(nn_store *s)
{
	free(s->error);
	s->error = NULL;
}

ad_dtype nn_dtype(const nn_store *s) { return s->dtype; }
size_t nn__size(const nn_store *s) { return s->dtype == AD_F64 ? 8 : 4; }

const char *nn__shape_str(ad_shape s, char buf[128])
{
	size_t at = (size_t)snprintf(buf, 128, "[");
	for (int i = 0; i < s.rank && at < 100; i++)
		at += (size_t)(s.dim[i] == AD_BATCH ? snprintf(buf + at, 128 - at, "%sB", i ? ", " : "")
		                                    : snprintf(buf + at, 128 - at, "%s%lld", i ? ", " : "", (long long)s.dim[i]));
	snprintf(buf + at, 128 - at, "]");
	return buf;
}

static int *find_bucket(const nn_store *s, const char *name)
{
	unsigned mask = (unsigned)s->buckets - 1, k = (unsigned)ad_hash(0, name) & mask;
	while (s->bucket[k] && strcmp(s->entry[s->bucket[k] - 1].name, name))
		k = (k + 1) & mask;
	return &s->bucket[k];
}

static void rehash(nn_store *s)
{
	free(s->bucket);
	s->buckets = s->buckets ? 2 * s->buckets : 64;
	s->bucket = nn__alloc((size_t)s->buckets * sizeof *s->bucket);
	for (int i = 0; i < s->n; i++)
		*find_bucket(s, s->entry[i].name) = i + 1;
}

static void grow_block(nn_store *s, bool trained, int64_t need)
{
	nn__block *b = &s->block[trained];
	if (need <= b->cap)
		return;
	int64_t cap = b->cap ? 2 * b->cap : 1024;
	cap = cap > need ? cap : need;
	size_t size = nn__size(s);
	char *data = ad_memory((size_t)cap * size);
	if (b->n)
		memcpy(data, b->data, (size_t)b->n * size);
	free(b->data);
	*b = (nn__block){ data, b->n, cap };
	if (trained && s->grad) {
		free(s->grad);
		s->grad = ad_memory((size_t)cap * size);
		memset(s->grad, 0, (size_t)b->n * size);
	}
	s->generation++;
}

/* Untouched beyond what entries take, so that room to grow costs no memory. */
static void extend(nn_store *s, nn__block *b, int64_t n)
{
	size_t size = nn__size(s), at = (size_t)b->n * size;
	memset(b->data + at, 0, (size_t)n * size);
	if (b == &s->block[1] && s->grad)
		memset(s->grad + at, 0, (size_t)n * size);
	b->n += n;
}

int nn__add(nn_store *s, const char *name, ad_shape shape, bool trained)
{
	if (2 * (s->n + 1) > s->buckets)
		rehash(s);
	int64_t per_line = (int64_t)(ALIGN / nn__size(s)), numel = ad_numel(shape);
	nn__block *b = &s->block[trained];
	grow_block(s, trained, b->n + numel + per_line);
	s->entry = nn__room(s->entry, s->n, &s->cap, sizeof *s->entry);
	s->entry[s->n] = (nn__entry){ strdup(name), shape, numel, b->n, trained, false };
	extend(s, b, (numel + per_line - 1) / per_line * per_line);
	*find_bucket(s, name) = s->n + 1;
	return s->n++;
}

void *nn__value(const nn_store *s, int i)
{
	const nn__entry *e = &s->entry[i];
	return s->block[e->trained].data + (size_t)e->at * nn__size(s);
}

void nn__want_grad(nn_store *s)
{
	const nn__block *b = &s->block[1];
	if (s->grad)
		return;
	s->grad = ad_memory((size_t)b->cap * nn__size(s));
	memset(s->grad, 0, (size_t)b->n * nn__size(s));
}

int nn_count(const nn_store *s) { return s->n; }

nn_entry nn_at(const nn_store *s, int i)
{
	const nn__entry *e = &s->entry[i];
	void *grad = e->trained && s->grad ? s->grad + (size_t)e->at * nn__size(s) : NULL;
	return (nn_entry){ e->name, e->shape, e->numel, e->trained, e->ready, nn__value(s, i), grad };
}

int nn_find(const nn_store *s, const char *name) { return s->buckets ? *find_bucket(s, name) - 1 : -1; }

int64_t nn_parameters(const nn_store *s)
{
	int64_t n = 0;
	for (int i = 0; i < s->n; i++)
		n += s->entry[i].trained ? s->entry[i].numel : 0;
	return n;
}

void nn__get_double(ad_dtype d, const void *from, double *to, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		to[i] = d == AD_F64 ? ((const double *)from)[i] : (double)((const float *)from)[i];
}

void nn__set_double(ad_dtype d, void *to, const double *from, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		if (d == AD_F64)
			((double *)to)[i] = from[i];
		else
			((float *)to)[i] = (float)from[i];
	}
}

static int find_sized(nn_store *s, const char *what, const char *name, int64_t n)
{
	int i = nn_find(s, name);
	if (i < 0)
		nn_fail(s, "%s: the store has no \"%s\"", what, name);
	else if (s->entry[i].numel != n)
		nn_fail(s, "%s: \"%s\" has %lld elements, not %lld", what, name, (long long)s->entry[i].numel, (long long)n);
	else
		return i;
	return -1;
}

bool nn_set(nn_store *s, const char *name, const double *v, int64_t n)
{
	int i = find_sized(s, "nn_set", name, n);
	if (i < 0)
		return false;
	nn__set_double(s->dtype, nn__value(s, i), v, n);
	s->entry[i].ready = true;
	return true;
}

bool nn_get(const nn_store *s, const char *name, double *v, int64_t n)
{
	nn_store *fails = (nn_store *)s;
	int i = find_sized(fails, "nn_get", name, n);
	if (i >= 0 && !s->entry[i].ready) {
		nn_fail(fails, "nn_get: \"%s\" has no value yet: it is initialised from the first training batch", name);
		i = -1;
	}
	if (i < 0)
		return false;
	nn__get_double(s->dtype, nn__value(s, i), v, n);
	return true;
}

bool nn_put(nn_store *s, const char *name, ad_shape shape, bool trained, const double *v)
{
	char a[128], b[128];
	int i = nn_find(s, name);
	if (i < 0) {
		for (int k = 0; k < shape.rank; k++)
			if (shape.dim[k] < 1) {
				nn_fail(s, "nn_put: \"%s\" of shape %s", name, nn__shape_str(shape, a));
				return false;
			}
		i = nn__add(s, name, shape, trained);
	}
	const nn__entry *e = &s->entry[i];
	if (!ad_shape_eq(e->shape, shape) || e->trained != trained) {
		nn_fail(s, "nn_put: \"%s\" is %s of shape %s already, not %s of shape %s", name,
		        e->trained ? "a parameter" : "state", nn__shape_str(e->shape, a), trained ? "a parameter" : "state",
		        nn__shape_str(shape, b));
		return false;
	}
	return nn_set(s, name, v, e->numel);
}
