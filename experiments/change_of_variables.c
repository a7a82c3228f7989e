/* change_of_variables.c - the opening of the subject as an experiment: what the formula says, beside what is measured */
#include <stddef.h>
#include <stdio.h>

#include "change/change.h"
#include "lab/cli.h"
#include "lab/file.h"
#include "lab/profile.h"

static const lab_option options[] = {
	{ .name = "seed", .kind = LAB_INT, .at = offsetof(change_run, seed), .arg = "N", .preset = "1", .hi = 1e15,
	  .help = "seed of all samples" },
	{ .name = "out", .kind = LAB_TEXT, .at = offsetof(change_run, out), .arg = "DIR", .preset = "out/change-of-variables",
	  .help = "directory of the figures, made if absent" },
	{ .name = "threads", .kind = LAB_INT, .at = offsetof(change_run, threads), .arg = "N", .preset = "0", .hi = 1024,
	  .help = "threads; 0: all cores.  Results do not depend on it" },
	{ .name = "profile", .kind = LAB_FLAG, .at = offsetof(change_run, profile), .help = LAB_PROFILE_HELP },
	{ 0 },
};

static const lab_cli cli = {
	.name = "change_of_variables",
	.line = "the change-of-variables formula against histograms and measured areas",
	.about = "If x = f(z) and f is invertible, then p(x) = p(z) |det dz/dx|.  This program says what that means, in five "
	         "chapters: increasing and decreasing maps of the line; a density through its own CDF to the uniform, and back "
	         "through the inverse CDF; the determinant in the plane as the local growth of area; a composition, whose "
	         "determinants multiply; and the time that a dense and a triangular log-determinant take as dimension grows.\n\n"
	         "Every derivative comes from the tape: dz/dx of an inverse that is found by bisection (its implicit "
	         "derivative), Jacobian columns by forward mode.  The sources under experiments/change are meant to be read.\n\n"
	         "Tables show the formula beside the histogram of a million samples and the deviation in standard errors.  The "
	         "exit status is 1 if a bin that expects at least 400 points deviates by more than 5 standard errors, or if any "
	         "other check fails.",
	.option = options,
	.files = "DIR/line.png, cdf.png, expansion.png, plane-formula.png, plane-histogram.png, cost.png",
	.examples = "change_of_variables --out out/change --seed 3",
};

int main(int argc, char **argv)
{
	change_run r = { 0 };
	lab_args args;
	lab_err err;
	int rc = lab_cli_parse(&cli, argc, argv, &r, &args);
	if (rc >= 0)
		return rc;
	lab_profiling = r.profile;
	if (lab_dir_make(r.out, &err))
		return lab_cli_wrong(&cli, "%s", err.text);
	change_line(&r);
	change_cdf(&r);
	change_expansion(&r);
	change_composition(&r);
	change_cost(&r);
	if (r.wrong)
		printf("\n%d checks FAILED\n", r.wrong);
	else
		printf("\nevery formula agrees with what was measured\n");
	return r.wrong ? LAB_FAILED : 0;
}
