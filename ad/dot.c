/* A tape as Graphviz DOT. */
#include "tape.h"

static void write_text(const char *s, FILE *f)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
}

static void write_nodes(const ad_tape *t, FILE *f, int *cluster)
{
	int me = (*cluster)++;
	for (int i = 0; i < t->n; i++) {
		ad_var x = t->node[i];
		char shape[128];
		ad__shape_str(x->shape, shape, sizeof shape);
		fprintf(f, "  t%d_%d [label=\"", me, i);
		write_text(x->op == &ad__op_input ? (const char *)x->attr.data : x->op->name, f);
		fprintf(f, "\\n%s%s", shape, *x->path ? "\\n" : "");
		write_text(x->path, f);
		fprintf(f, "\"%s];\n",
		        x->op->flags & AD__LEAF ? ", shape=box, style=filled, fillcolor=\"#dde8f4\"" : ad_batched(x) ? "" : ", style=dashed");
		for (int k = 0; k < x->nin; k++)
			fprintf(f, "  t%d_%d -> t%d_%d;\n", me, x->in[k]->id, me, i);
	}
	for (int i = 0; i < t->nfn; i++) {
		fprintf(f, "subgraph cluster_%d {\n  label=\"traced function %d\";\n", *cluster, *cluster);
		write_nodes(t->fn[i]->tape, f, cluster);
		fprintf(f, "}\n");
	}
}

void ad_write_dot(const ad_tape *t, FILE *f)
{
	int cluster = 0;
	fprintf(f, "digraph tape {\n  node [fontname=\"sans-serif\", fontsize=10];\n");
	write_nodes(t, f, &cluster);
	fprintf(f, "}\n");
}
