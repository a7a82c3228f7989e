/* ablate_linear.c - what stands between layers: nothing, a permutation, LU? */
#include "lab/ablation.h"

static const lab_variant variant[] = {
	{ "none", "--set linear=none" },
	{ "permutation", "--set linear=permutation" },
	{ "lu", "--set linear=lu" },
	{ 0 },
};

int main(int argc, char **argv)
{
	return lab_ablate(
		&(lab_ablation){
			.name = "ablate_linear",
			.line = "what stands between layers: nothing, a permutation, LU?",
			.about = "Couplings alternate which half they change in any case. A permutation drawn "
				 "once, or a permutation and a trained linear map in LU form, before every "
				 "coupling and after the last.",
			.common =
				"--data pinwheel --model nsf-c --steps 2000 --set layers=4 --set width=32 --set bins=8",
			.variant = variant,
			.seeds = 3 },
		argc, argv);
}
