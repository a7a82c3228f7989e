/* logtext.c - prints every entry of run logs as text, each bit of each number; for tests to compare. */
#include <stdio.h>
#include <string.h>

#include "experiments/lab/log.h"

static void print(const lab_log_entry *e)
{
	const char *unit = e->unit ? e->unit : "";
	switch (e->kind) {
	case LAB_LOG_TEXT:
		printf("%s \"%s\"\n", e->name, e->text);
		break;
	case LAB_LOG_INT:
		printf("%s %lld %s\n", e->name, (long long)e->integer, unit);
		break;
	case LAB_LOG_REAL:
		printf("%s %a %s\n", e->name, e->real, unit);
		break;
	case LAB_LOG_ARRAY:
		for (int64_t i = 0; i < e->n; i++)
			printf("%s %lld %.17g %s\n", e->name, (long long)i, e->value[i], unit);
		break;
	case LAB_LOG_SERIES:
		for (int64_t i = 0; i < e->n; i++)
			printf("%s step %lld %a %s\n", e->name, (long long)e->step[i], e->value[i], unit);
	}
}

int main(int argc, char **argv)
{
	lab_err err;
	for (int i = 1; i < argc; i++) {
		lab_log *l = lab_log_read(argv[i], &err);
		if (!l) {
			fprintf(stderr, "logtext: %s\n", err.text);
			return 1;
		}
		for (int k = 0; k < l->n; k++)
			print(&l->entry[k]);
		lab_log_free(l);
	}
	return 0;
}
