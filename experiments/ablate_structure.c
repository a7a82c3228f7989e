/* ablate_structure.c - coupling, autoregressive or inverse autoregressive? */
#include "lab/ablation.h"

static const lab_variant variant[] = {
	{ "affine coupling", "--model realnvp" },
	{ "affine autoregressive", "--model maf" },
	{ "affine inverse autoregressive", "--model iaf" },
	{ "spline coupling", "--model nsf-c --set bins=8" },
	{ "spline autoregressive", "--model nsf-ar --set bins=8" },
	{ 0 },
};

int main(int argc, char **argv)
{
	return lab_ablate(
		&(lab_ablation){ .name = "ablate_structure",
				 .line = "coupling, autoregressive or inverse autoregressive?",
				 .about = "The same depth and width of nets in another structure, with affine maps and "
					  "with splines.",
				 .common = "--data pinwheel --steps 2000 --set layers=4 --set width=32",
				 .variant = variant,
				 .seeds = 3 },
		argc, argv);
}
