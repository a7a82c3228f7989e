/* own.c - what a check of a parity file owns, and how it ends early. */
#include "parity.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct owned {
	void *what;
	void (*release)(void *);
};

void *parity_no_memory(void)
{
	fprintf(stderr, "parity: out of memory\n");
	exit(3);
}

static void own(parity *p, void *what, void (*release)(void *))
{
	p->own = realloc(p->own, (size_t)(p->owned + 1) * sizeof *p->own);
	if (!p->own)
		parity_no_memory();
	p->own[p->owned++] = (struct owned){ what, release };
}

void *parity_alloc(parity *p, size_t bytes)
{
	void *v = calloc(bytes ? bytes : 1, 1);
	if (!v)
		parity_no_memory();
	own(p, v, free);
	return v;
}

const char *parity_vtext(parity *p, const char *fmt, va_list ap)
{
	char *s;
	if (vasprintf(&s, fmt, ap) < 0)
		parity_no_memory();
	own(p, s, free);
	return s;
}

const char *parity_text(parity *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *s = parity_vtext(p, fmt, ap);
	va_end(ap);
	return s;
}

void parity_bad(parity *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(p->bad, sizeof p->bad, fmt, ap);
	va_end(ap);
	longjmp(p->escape, 1);
}

static void unsupported(parity *p, const char *prefix, const char *fmt, va_list ap)
{
	const char *why = parity_vtext(p, fmt, ap);
	p->what = realloc(p->what, (size_t)(p->unsupported + 1) * sizeof *p->what);
	if (!p->what)
		parity_no_memory();
	p->what[p->unsupported++] = prefix ? parity_text(p, "%s: %s", prefix, why) : why;
}

void parity_unsupported(parity *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	unsupported(p, NULL, fmt, ap);
	va_end(ap);
	p->whole = true;
	longjmp(p->escape, 1);
}

void parity_skip(parity *p, const char *prefix, const char *fmt, ...)
{
	if (!parity_wants_below(p, prefix))
		return;
	va_list ap;
	va_start(ap, fmt);
	unsupported(p, prefix, fmt, ap);
	va_end(ap);
}

static void free_tape(void *t)
{
	ad_tape_free(t);
}
static void free_store(void *s)
{
	nn_store_free(s);
}
static void free_mem(void *m)
{
	flow_mem_free(m);
}
static void free_trainer(void *t)
{
	nn_trainer_free(t);
}

ad_tape *parity_tape(parity *p)
{
	ad_tape *t = ad_tape_new(p->real);
	own(p, t, free_tape);
	return t;
}

nn_store *parity_store(parity *p)
{
	nn_store *s = nn_store_new(p->real, 1);
	own(p, s, free_store);
	return s;
}

flow_mem *parity_mem(parity *p)
{
	flow_mem *m = flow_mem_new();
	own(p, m, free_mem);
	return m;
}

nn_trainer *parity_trainer(parity *p, nn_store *s, nn_trainer_opt o)
{
	nn_trainer *tr = nn_trainer_new(s, o);
	if (!tr)
		parity_bad(p, "%s", nn_error(s) ? nn_error(s) : "the trainer could not be made");
	own(p, tr, free_trainer);
	return tr;
}

void parity_close(parity *p)
{
	while (p->owned--)
		p->own[p->owned].release(p->own[p->owned].what);
	free(p->own);
	free(p->path);
	free(p->what);
	free(p->quantity);
	json_free(p->config);
	if (p->h5 > 0)
		H5Fclose(p->h5);
}
