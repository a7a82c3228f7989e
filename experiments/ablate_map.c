/* ablate_map.c - which scalar map: splines, affine or additive? */
#include "lab/ablation.h"

static const lab_variant variant[] = {
	{ "rational-quadratic", "--set map=rational-quadratic" },
	{ "cubic", "--set map=cubic" },
	{ "quadratic", "--set map=quadratic" },
	{ "linear", "--set map=linear" },
	{ "affine", "--set map=affine" },
	{ "additive", "--set map=additive" },
	{ 0 },
};

int main(int argc, char **argv)
{
	return lab_ablate(
		&(lab_ablation){
			.name = "ablate_map",
			.line = "which scalar map: splines, affine or additive?",
			.about = "The same couplings, nets, permutations and linear layers with another map of "
				 "each element. The more flexible the map, the fewer layers a density needs; "
				 "nets have as many outputs as the map has numbers.",
			.common =
				"--data pinwheel --model nsf-c --steps 2000 --set layers=4 --set width=32 --set bins=8",
			.variant = variant,
			.seeds = 3 },
		argc, argv);
}
