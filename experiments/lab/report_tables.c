/* report_tables.c - sections of a report that are tables: results, models, where the numbers come from. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report_parts.h"

static void copies(FILE *f, const lab_sheet *s)
{
	static const struct {
		lab_style how;
		const char *name;
	} style[] = { { LAB_MARKDOWN, "Markdown" }, { LAB_LATEX, "LaTeX" }, { LAB_CSV, "CSV" } };
	for (int i = 0; i < 3; i++) {
		char *text = NULL;
		size_t bytes;
		FILE *memory = open_memstream(&text, &bytes);
		lab_sheet_put(s, style[i].how, memory);
		fclose(memory);
		fprintf(f, "<details class=\"copy\"><summary>%s</summary><pre>", style[i].name);
		lab_html_text(f, text);
		fputs("</pre></details>\n", f);
		free(text);
	}
}

void lab_report_results(FILE *f, const lab_report *r)
{
	const lab_contest *c = r->contest;
	fprintf(f, "<p>%d run%s of %d configuration%s; %lld test rows, %lld columns", r->runs, r->runs > 1 ? "s" : "", c->n,
		c->n > 1 ? "s" : "", (long long)c->points, (long long)c->columns);
	if (isfinite(c->entropy))
		fprintf(f, "; entropy of the density %.4f nats, the least that any model can reach", c->entropy);
	fputs(".</p>\n<h2>Test log-likelihood</h2>\n<p class=\"soft\">Nats, in the units of the data, with standard "
	      "errors over "
	      "test rows. &quot;to the best&quot; is the mean difference to the best model, row by row, with its "
	      "95&#160;% "
	      "interval over rows; &quot;with seeds&quot; is that interval when seeds are drawn anew too. A click on a "
	      "heading "
	      "sorts.</p>\n",
	      f);
	lab_sheet *s = lab_sheet_results(c);
	lab_sheet_put(s, LAB_HTML, f);
	copies(f, s);
	lab_sheet_free(s);
	fputs("<h2>Cost</h2>\n<p class=\"soft\">Means over seeds. Times depend on the machine and on what else it did; "
	      "metrics are those that layers count, over the last tenth of training.</p>\n",
	      f);
	lab_sheet_put(s = lab_sheet_cost(c, r->log), LAB_HTML, f);
	lab_sheet_free(s);
	s = lab_sheet_differences(c, r->log);
	if (c->n > 1) {
		fputs("<h2>What differs in the configuration</h2>\n", f);
		lab_sheet_put(s, LAB_HTML, f);
	}
	lab_sheet_free(s);
}

void lab_report_models(FILE *f, const lab_report *r)
{
	const lab_contest *c = r->contest;
	fputs("<h2>Models</h2>\n", f);
	for (int k = 0; k < c->n; k++) {
		int run = c->row[k].run[0];
		const char *table = lab_log_get_text(r->log[run], "model/table", "");
		fputs("<details><summary>", f);
		lab_html_text(f, c->row[k].label);
		fprintf(f, ": %.0f parameters</summary>\n", c->row[k].parameters);
		if (r->model[run])
			flow_write_svg(r->model[run]->density.f, AD_SHAPE(r->model[run]->dim), f);
		fputs("<pre>", f);
		lab_html_text(f, table);
		fputs("</pre></details>\n", f);
	}
}

void lab_report_origin(FILE *f, const lab_report *r)
{
	static const lab_heading column[] = {
		{ "run", "run" },   { "seed", NULL },	  { "status", NULL },	 { "started", NULL },
		{ "source", NULL }, { "compiler", NULL }, { "processor", NULL }, { "instruction set", NULL },
	};
	static const char *const entry[] = { "status",
					     "started",
					     "source/revision",
					     "libraries/compiler",
					     "machine/processor",
					     "libraries/instruction_set" };
	const lab_contest *c = r->contest;
	lab_sheet *s = lab_sheet_new(8, column);
	for (int k = 0; k < c->n; k++)
		for (int i = 0; i < c->row[k].runs; i++) {
			const lab_log *l = r->log[c->row[k].run[i]];
			lab_sheet_cell(s, 0, NULL, "%s", c->row[k].label);
			double seed = (double)lab_log_get_int(l, "config/seed", 0);
			lab_sheet_cell(s, 1, &seed, "%.0f", seed);
			for (int j = 0; j < 6; j++)
				lab_sheet_cell(s, 0, NULL, "%s", lab_log_get_text(l, entry[j], "?"));
		}
	fputs("<h2>Where the numbers come from</h2>\n", f);
	lab_sheet_put(s, LAB_HTML, f);
	lab_sheet_free(s);
}
