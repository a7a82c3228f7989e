/* ablate_shape.c - depth against width at about the same number of parameters */
#include "lab/ablation.h"

static const lab_variant variant[] = {
	{ "1 x 68", "--set layers=1 --set width=68" },	 { "2 x 47", "--set layers=2 --set width=47" },
	{ "4 x 32", "--set layers=4 --set width=32" },	 { "8 x 22", "--set layers=8 --set width=22" },
	{ "16 x 14", "--set layers=16 --set width=14" }, { 0 },
};

int main(int argc, char **argv)
{
	return lab_ablate(
		&(lab_ablation){ .name = "ablate_shape",
				 .line = "depth against width at about the same number of parameters",
				 .about = "Few couplings with wide nets, or many with narrow ones. The widths give "
					  "about the same number of parameters (the table says how many).",
				 .common = "--data pinwheel --model nsf-c --steps 2000 --set bins=8 --set depth=2",
				 .variant = variant,
				 .seeds = 3 },
		argc, argv);
}
