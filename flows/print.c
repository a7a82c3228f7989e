/* print.c - a flow as a table of its layers. */
#include "private.h"

#include <stdlib.h>
#include <string.h>

enum { PARAMETERS = 5, COLUMNS = 8 };
static const char *const title[COLUMNS] = {
	"path", "layer", "options", "in", "out", "parameters", "inverse", "log-det"
};
static const char *const inverse_name[] = { "analytic", "iterative", "absent" };
static const char *const logdet_name[] = { "exact", "stochastic", "lower bound" };

typedef struct {
	char text[COLUMNS][200];
} line;

static int64_t parameters_under(const nn_store *s, const char *path)
{
	int64_t n = 0;
	size_t k = strlen(path);
	for (int i = 0; i < nn_count(s); i++) {
		nn_entry e = nn_at(s, i);
		if (e.trained && !strncmp(e.name, path, k) && (!k || e.name[k] == '/'))
			n += e.numel;
	}
	return n;
}

static void shapes(const ad_var *x, int n, char out[200])
{
	char a[96];
	size_t k = 0;
	for (int i = 0; i < n && k < 200; i++)
		k += (size_t)snprintf(out + k, 200 - k, "%s%s", i ? " " : "", flow__shape_str(flow__event(x[i]), a));
}

/* Weights met before (a repeated layer) are counted once. */
static bool met(const flow__log *l, int row)
{
	for (int i = 0; i < row; i++)
		if (l->row[i].leaf && !strcmp(l->row[i].path, l->row[row].path))
			return true;
	return false;
}

static line line_of(const flow__trace *t, int row)
{
	const flow__record *r = &t->log.row[row];
	bool forward = r->dir == FLOW_FORWARD;
	line l = { { "" } };
	snprintf(l.text[0], 200, "%s", r->path[0] ? r->path : ".");
	snprintf(l.text[1], 200, "%s%s", forward ? "" : "inverse of ", r->f->kind);
	if (r->f->describe)
		r->f->describe(r->f, l.text[2], 200);
	shapes(r->x, r->nx, l.text[3]);
	shapes(r->y, r->ny, l.text[4]);
	if (met(&t->log, row))
		snprintf(l.text[PARAMETERS], 200, "shared");
	else
		snprintf(l.text[PARAMETERS], 200, "%lld", (long long)parameters_under(t->store, r->path));
	snprintf(l.text[6], 200, "%s", inverse_name[forward ? r->f->caps.inverse : r->f->caps.forward]);
	snprintf(l.text[7], 200, "%s", logdet_name[r->f->caps.logdet]);
	return l;
}

static void put(const line *l, const int width[COLUMNS], FILE *out)
{
	for (int k = 0; k < COLUMNS - 1; k++)
		if (width[k])
			fprintf(out, "%*s  ", k == PARAMETERS ? width[k] : -width[k], l->text[k]);
	fprintf(out, "%s\n", l->text[COLUMNS - 1]);
}

static void table(const flow__trace *t, FILE *out)
{
	line head, *l = calloc((size_t)t->log.n, sizeof *l);
	int n = 0, width[COLUMNS] = { 0 };
	for (int k = 0; k < COLUMNS; k++)
		snprintf(head.text[k], 200, "%s", title[k]);
	for (int i = 0; i < t->log.n; i++)
		if (t->log.row[i].leaf)
			l[n++] = line_of(t, i);
	for (int k = 0; k < COLUMNS; k++) {
		for (int i = 0; i < n; i++)
			if ((int)strlen(l[i].text[k]) > width[k])
				width[k] = (int)strlen(l[i].text[k]);
		if (width[k] && width[k] < (int)strlen(title[k]))
			width[k] = (int)strlen(title[k]);
	}
	put(&head, width, out);
	for (int i = 0; i < n; i++)
		put(&l[i], width, out);
	free(l);
}

int flow_print(const flow *f, ad_shape event, int64_t cond, FILE *out)
{
	flow__trace t = flow__traced(f, event, cond);
	int rc = t.error ? -1 : 0;
	if (t.error) {
		fprintf(out, "%s\n", t.error);
	} else {
		table(&t, out);
		fprintf(out, "%lld parameters; inverse %s, log-determinant %s\n", (long long)nn_parameters(t.store),
			inverse_name[f->caps.inverse], logdet_name[f->caps.logdet]);
	}
	flow__trace_free(&t);
	return rc;
}
