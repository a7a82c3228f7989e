/* profile.c - where the time of an experiment's programs goes. */
#include "profile.h"

bool lab_profiling;

void lab_profile(ad_prog *p)
{
	if (lab_profiling && p)
		ad_profile(p, true);
}

void lab_profile_print(const ad_prog *p, const char *what)
{
	if (!lab_profiling || !p)
		return;
	fprintf(stderr, "\nprofile: %s\n", what);
	ad_profile_print(p, stderr);
}
