/* ablation.h - variants of one experiment, each with several seeds, from a table: what is missing is run, then
 * compared.
 *
 * A variant is a name and options of tabular in one string; a run is `tabular COMMON VARIANT --seed S --out
 * DIR/NAME-S`. Runs that are there are not run again, one that was interrupted goes on, and one with other options than
 * asked for is an error of tabular's.  Results do not depend on how many run at a time. */
#ifndef LAB_ABLATION_H
#define LAB_ABLATION_H

typedef struct {
	const char *name;    /* short; its letters, digits, points and dashes name the folder */
	const char *options; /* of tabular, separated by blanks */
} lab_variant;

typedef struct {
	const char *name, *line;    /* of the program: "ablate_bins", what it asks in a line */
	const char *about;	    /* paragraphs for --help: what is varied, what is held, what to expect */
	const char *common;	    /* options of tabular for all runs; those of a variant come after, and win */
	const lab_variant *variant; /* ends with a NULL name */
	int seeds;		    /* 1, 2, .. unless --seeds says otherwise */
} lab_ablation;

/* The whole program; the exit status. */
int lab_ablate(const lab_ablation *a, int argc, char **argv);

#endif
