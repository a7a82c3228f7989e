/* ablate_base.c - does another base distribution help? */
#include "lab/ablation.h"

static const lab_variant variant[] = {
	{ "normal", "--set base=normal" },
	{ "student-t", "--set base=student" },
	{ "logistic", "--set base=logistic" },
	{ "mixture", "--set base=mixture" },
	{ 0 },
};

int main(int argc, char **argv)
{
	return lab_ablate(
		&(lab_ablation){
			.name = "ablate_base",
			.line = "does another base distribution help?",
			.about = "The latents are standard normal, Student-t with learned degrees of freedom, "
				 "logistic, or a mixture of 8 learned Gaussians. Tails of a flow are the tails "
				 "of its base; a mixture can give each part of the data a part of its own.",
			.common = "--data 8gaussians --model realnvp --steps 2000 --set layers=4 --set width=32",
			.variant = variant,
			.seeds = 3 },
		argc, argv);
}
