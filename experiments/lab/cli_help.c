/* cli_help.c - the page that --help prints. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static void wrapped(const char *text, int indent)
{
	int at = 0;
	for (const char *p = text; *p;) {
		if (*p == '\n') {
			printf("%s", at ? "\n" : "");
			putchar('\n');
			at = 0;
			p += strspn(p, "\n");
			continue;
		}
		int w = (int)strcspn(p, " \n");
		if (at && at + 1 + w > 79) {
			putchar('\n');
			at = 0;
		}
		at += at ? printf(" %.*s", w, p) : printf("%*s%.*s", indent, "", w, p);
		p += w;
		p += strspn(p, " ");
	}
	putchar('\n');
}

static void describe(const lab_option *o, const char *dashes)
{
	for (; o && o->name; o++) {
		char text[1024];
		bool flag = o->kind == LAB_FLAG && *dashes;
		printf("  %s%s%s%s\n", dashes, o->name, flag ? "" : *dashes ? " " : "=", flag ? "" : o->arg);
		snprintf(text, sizeof text, "%s%s%s%s", o->help, o->preset && !flag ? "  [default: " : "",
		         o->preset && !flag ? o->preset : "", o->preset && !flag ? "]" : "");
		wrapped(text, 8);
	}
}

static void verbatim(const char *title, const char *text)
{
	printf("\n%s\n", title);
	while (*text) {
		size_t n = strcspn(text, "\n");
		printf("  ");
		fwrite(text, 1, n, stdout);
		putchar('\n');
		text += n + (text[n] == '\n');
	}
}

void lab_cli_help(const lab_cli *c)
{
	printf("NAME\n  %s - %s\n\nSYNOPSIS\n  %s%s%s [options]\n\nDESCRIPTION\n", c->name, c->line, c->name,
	       c->args ? " " : "", c->args ? c->args : "");
	wrapped(c->about, 2);
	printf("\nOPTIONS\n");
	describe(c->option, "--");
	if (c->setting)
		printf("  --set key=value\n        One of the settings below; may be repeated.\n");
	printf("  --help\n        This page.\n");
	if (c->setting) {
		printf("\nSETTINGS\n");
		describe(c->setting, "");
	}
	if (c->more) {
		printf("\n%s\n", c->more_title);
		for (const lab_key *m = c->more; m->key; m++) {
			printf("  %s=\n", m->key);
			wrapped(m->about, 8);
		}
	}
	if (c->files)
		verbatim("FILES", c->files);
	if (c->examples)
		verbatim("EXAMPLES", c->examples);
	verbatim("EXIT STATUS", "0  success\n1  the work failed (the message says where; what was complete is kept)\n"
	                        "2  wrong command line or data; nothing was written\n"
	                        "130, 143  interrupted (SIGINT, SIGTERM); complete up to the last step");
}
