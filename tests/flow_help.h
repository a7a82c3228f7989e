/* flow_help.h - checking a flow and showing what broke. */
#ifndef FLOW_HELP_H
#define FLOW_HELP_H

#include "flows/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Runs the check with its report caught; the caller frees. */
static inline char *report_of(const flow *f, flow_check_opt o, int *broken)
{
	char *text = NULL;
	size_t n;
	o.report = open_memstream(&text, &n);
	*broken = flow_check(f, o);
	fclose(o.report);
	return text;
}

/* Number of laws broken, each printed after the name. */
static inline int check_one(const char *name, const flow *f, flow_check_opt o)
{
	int broken;
	char *text = report_of(f, o, &broken);
	for (char *line = strtok(text, "\n"); broken && line; line = strtok(NULL, "\n"))
		if (strstr(line, "BROKEN"))
			print_error("%s: %s\n", name, line);
	free(text);
	return broken;
}

#endif
