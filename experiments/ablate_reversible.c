/* ablate_reversible.c - are activations kept, or rebuilt by inversion? */
#include "lab/ablation.h"

static const lab_variant variant[] = {
	{ "kept", "" },
	{ "rebuilt", "--set reversible=1" },
	{ 0 },
};

int main(int argc, char **argv)
{
	return lab_ablate(
		&(lab_ablation){ .name = "ablate_reversible",
				 .line = "are activations kept, or rebuilt by inversion?",
				 .about = "Rebuilt activations need memory that does not grow with depth, and time for the inverse; "
					  "rounding makes the gradients differ a little. compare --cost shows time and memory.",
				 .common = "--data pinwheel --model realnvp --steps 2000 --set layers=32 --set width=32",
				 .variant = variant,
				 .seeds = 3 },
		argc, argv);
}
