/* scope.c - contexts: a tape, a store, a phase and a path. */
#include "internal.h"

#include <stdarg.h>
#include <string.h>

nn nn_begin(ad_tape *t, nn_store *s, nn_phase phase) { return (nn){ .tape = t, .store = s, .phase = phase }; }

nn nn_in(nn c, const char *fmt, ...)
{
	size_t n = strlen(c.path), room = sizeof c.path - n;
	va_list ap;
	va_start(ap, fmt);
	int need = vsnprintf(c.path + n + (n > 0), room - (n > 0), fmt, ap);
	va_end(ap);
	if (need < 0 || (size_t)need >= room - (n > 0)) {
		c.path[n] = 0;
		ad_fail(c.tape, "nn_in: a path under \"%s\" is longer than %zu characters", c.path, sizeof c.path - 1);
	} else if (n && need > 0) {
		c.path[n] = '/';
	}
	return c;
}

nn nn_on(nn c, ad_tape *t)
{
	c.tape = t;
	return c;
}

nn nn_quiet(nn c)
{
	c.quiet = true;
	return c;
}

bool nn__path(nn c, const char *name, char out[256])
{
	if (snprintf(out, 256, "%s%s%s", c.path, *c.path ? "/" : "", name) < 256 && *name)
		return true;
	ad_fail(c.tape, "nn: \"%s\" is no name for an entry under \"%s\"", name, c.path);
	return false;
}

uint64_t nn_stream(nn c, const char *purpose) { return ad_hash(ad_hash(ad_hash(0, c.path), "|"), purpose); }

uint64_t nn__ordinal_stream(nn c, const char *purpose)
{
	nn__trace *tr = nn__trace_of(c.store, c.tape);
	uint64_t stream = nn_stream(c, purpose);
	for (int i = 0; i < tr->ncalled; i++)
		if (tr->called[i] == stream) {
			stream = ad_hash(stream, "+");
			i = -1;
		}
	tr->called = nn__room(tr->called, tr->ncalled, &tr->capcalled, sizeof *tr->called);
	tr->called[tr->ncalled++] = stream;
	return stream;
}

int nn_draws(nn c) { return nn__trace_of(c.store, c.tape)->ncalled; }
void nn_redraw(nn c, int then) { nn__trace_of(c.store, c.tape)->ncalled = then; }
