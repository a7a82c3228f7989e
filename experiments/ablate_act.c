/* ablate_act.c - which activation should the nets of a coupling flow have? */
#include "lab/ablation.h"

static const lab_variant variant[] = {
	{ "relu", "--set act=relu" },
	{ "tanh", "--set act=tanh" },
	{ "silu", "--set act=silu" },
	{ 0 },
};

int main(int argc, char **argv)
{
	return lab_ablate(
		&(lab_ablation){
			.name = "ablate_act",
			.line = "which activation should the nets of a coupling flow have?",
			.about =
				"The same affine couplings with another activation in their nets. A smooth one makes a "
				"smooth density; relu makes one with kinks, and is cheaper.",
			.common = "--data moons --model realnvp --steps 1500 --set layers=4 --set width=32",
			.variant = variant,
			.seeds = 3 },
		argc, argv);
}
