/* ablate_lipschitz.c - how near one may the Lipschitz bound of a residual flow be? */
#include "lab/ablation.h"

static const lab_variant variant[] = {
	{ "0.5", "--set coeff=0.5" },
	{ "0.7", "--set coeff=0.7" },
	{ "0.9", "--set coeff=0.9" },
	{ "0.97", "--set coeff=0.97" },
	{ "0.99", "--set coeff=0.99" },
	{ 0 },
};

int main(int argc, char **argv)
{
	return lab_ablate(
		&(lab_ablation){ .name = "ablate_lipschitz",
				 .line = "how near one may the Lipschitz bound of a residual flow be?",
				 .about = "Each block of a residual flow is x + g(x) with g a contraction. A bound near one lets "
					  "each block bend space more, and makes its inverse and its series slower.",
				 .common = "--data pinwheel --model resflow --steps 600 --set layers=6 --set width=32",
				 .variant = variant,
				 .seeds = 3 },
		argc, argv);
}
