/* ablate_terms.c - how many terms of the series of a residual flow's log-determinant? */
#include "lab/ablation.h"

static const lab_variant variant[] = {
	{ "exact", "--set estimator=exact" },
	{ "roulette, 1 exact", "--set estimator=neumann --set n_exact=1" },
	{ "roulette, 2 exact", "--set estimator=neumann --set n_exact=2" },
	{ "roulette, 8 exact", "--set estimator=neumann --set n_exact=8" },
	{ "cut after 4", "--set estimator=neumann --set n_exact=4 --set tail=none" },
	{ 0 },
};

int main(int argc, char **argv)
{
	return lab_ablate(
		&(lab_ablation){ .name = "ablate_terms",
				 .line = "how many terms of the series of a residual flow's log-determinant?",
				 .about = "The log-determinant exactly, by an unbiased series with a random number of terms after "
					  "some that are always there, or by a series that is cut, and biased. Evaluation is exact "
					  "for all of them.",
				 .common = "--data pinwheel --model resflow --steps 600 --set layers=6 --set width=32",
				 .variant = variant,
				 .seeds = 3 },
		argc, argv);
}
