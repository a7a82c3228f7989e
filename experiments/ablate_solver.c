/* ablate_solver.c - which solver, and how exact, for a continuous flow? */
#include "lab/ablation.h"

static const lab_variant variant[] = {
	{ "euler, 8 steps", "--set solver=euler --set solver_steps=8" },
	{ "rk4, 4 steps", "--set solver=rk4 --set solver_steps=4" },
	{ "rk4, 8 steps", "--set solver=rk4 --set solver_steps=8" },
	{ "dopri5, 1e-3", "--set solver=dopri5 --set tol=1e-3" },
	{ "dopri5, 1e-5", "--set solver=dopri5 --set tol=1e-5" },
	{ "tsit5, 1e-5", "--set solver=tsit5 --set tol=1e-5" },
	{ 0 },
};

int main(int argc, char **argv)
{
	return lab_ablate(
		&(lab_ablation){ .name = "ablate_solver",
				 .line = "which solver, and how exact, for a continuous flow?",
				 .about = "FFJORD with fixed steps, or with steps chosen for each sample so that the error stays "
					  "below a tolerance. A coarse solver is cheap, but what it calls a density need not "
					  "integrate to one: compare it with a finer one before believing it.",
				 .common = "--data moons --model ffjord --steps 300 --set width=32 --set depth=2",
				 .variant = variant,
				 .seeds = 3 },
		argc, argv);
}
