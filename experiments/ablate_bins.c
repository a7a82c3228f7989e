/* ablate_bins.c - how many bins does a spline need? */
#include "lab/ablation.h"

static const lab_variant variant[] = {
	{ "2 bins", "--set bins=2" },	{ "4 bins", "--set bins=4" },	{ "8 bins", "--set bins=8" },
	{ "16 bins", "--set bins=16" }, { "32 bins", "--set bins=32" }, { 0 },
};

int main(int argc, char **argv)
{
	return lab_ablate(
		&(lab_ablation){ .name = "ablate_bins",
				 .line = "how many bins does a spline need?",
				 .about = "Couplings of rational-quadratic splines whose number of bins varies; "
					  "everything else is held, so that parameters grow with the bins.",
				 .common = "--data pinwheel --model nsf-c --steps 2000 --set layers=4 --set width=32",
				 .variant = variant,
				 .seeds = 3 },
		argc, argv);
}
