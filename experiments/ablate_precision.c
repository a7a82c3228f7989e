/* ablate_precision.c - single or double precision? */
#include "lab/ablation.h"

static const lab_variant variant[] = {
	{ "f32", "--dtype f32" },
	{ "f64", "--dtype f64" },
	{ 0 },
};

int main(int argc, char **argv)
{
	return lab_ablate(
		&(lab_ablation){
			.name = "ablate_precision",
			.line = "single or double precision?",
			.about = "The same weights to begin with, the same batches; arithmetic in single or "
				 "double precision. A difference beyond the seeds would mean that single "
				 "precision harms.",
			.common =
				"--data pinwheel --model nsf-c --steps 2000 --set layers=4 --set width=32 --set bins=8",
			.variant = variant,
			.seeds = 3 },
		argc, argv);
}
