/* cli.h - command lines from one table of options.
 *
 * A program describes itself once, in a lab_cli; parsing, --help, defaults and error messages follow from it.  The
 * values land in a struct of the program's, at the offset each option names: bool for LAB_FLAG, int64_t for LAB_INT,
 * double for LAB_REAL, const char * (borrowed from argv) for LAB_TEXT and LAB_CHOICE.
 * Mistakes are one line on stderr that names the word at fault, and exit status LAB_USAGE. */
#ifndef LAB_CLI_H
#define LAB_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAB_FAILED 1 /* exit statuses: the work failed */
#define LAB_USAGE 2  /* the command line or the data are at fault; nothing was written */

typedef enum { LAB_FLAG, LAB_INT, LAB_REAL, LAB_TEXT, LAB_CHOICE } lab_kind;
typedef struct {
	const char *name;   /* without dashes; with a NULL name the table ends */
	lab_kind kind;
	size_t at;          /* offset in the struct of values */
	const char *arg;    /* the value's name in --help; of a LAB_CHOICE the words, "f32|f64" */
	const char *preset; /* the default; NULL: none (numbers 0).  With a blank in it: words for --help, not a value */
	double lo, hi;      /* numbers: allowed range, if lo < hi */
	const char *help;   /* without the default, which --help adds */
	enum {
		LAB_KEPT,  /* part of what the run is: recorded; a resumed run must agree */
		LAB_FREE,  /* recorded; numbers do not depend on it: a resumed run may differ */
		LAB_LOCAL  /* about this call only: not recorded */
	} role;
} lab_option;

/* A setting whose values are read by the program's own function. */
typedef struct {
	const char *key, *about;
} lab_key;

typedef struct {
	const char *name, *line; /* "tabular", what it does in a line */
	const char *args;        /* positional arguments in the synopsis; NULL: there are none */
	int min_args, max_args;
	const char *about;       /* description, paragraphs separated by an empty line */
	const lab_option *option;
	const lab_option *setting; /* keys of --set; NULL: no --set */
	const char *more_title;    /* further keys of --set, read by set_more; NULL: none */
	const lab_key *more;       /* ends with a NULL key */
	bool (*set_more)(void *values, const char *key, const char *value, char why[160]);
	const char *files, *examples;
} lab_cli;

#define LAB_MAX_ROWS 64
typedef struct {
	int nargs;
	char **arg;
	/* Text of the option, setting or further key of that row, as given; NULL: not given. */
	const char *option[LAB_MAX_ROWS], *setting[LAB_MAX_ROWS], *more[LAB_MAX_ROWS];
} lab_args;

/* Fills values (defaults included).  Returns -1 to go on, or the status to exit with: 0 after --help. */
int lab_cli_parse(const lab_cli *c, int argc, char **argv, void *values, lab_args *a);
void lab_cli_help(const lab_cli *c); /* on stdout */
/* One line on stderr, "name: message"; returns LAB_USAGE. */
int lab_cli_wrong(const lab_cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The candidate that word most likely meant, or NULL if none is near. */
const char *lab_nearest(const char *word, int n, const char *const candidate[]);
/* Reads text as option o's value into values; false with the reason in why. */
bool lab_option_read(const lab_option *o, const char *text, void *values, char *why, size_t n);
int lab_option_count(const lab_option *o);

#endif
