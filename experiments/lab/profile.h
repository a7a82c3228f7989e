/* profile.h - the option --profile: where the time of an experiment's programs goes (docs/profile.md). */
#ifndef LAB_PROFILE_H
#define LAB_PROFILE_H

#include "ad/ad.h"

/* Whether programs are to be timed; set once, before any is made. */
extern bool lab_profiling;
/* If so, starts timing p, and prints what came of it on stderr under the title `what`. */
void lab_profile(ad_prog *p);
void lab_profile_print(const ad_prog *p, const char *what);

#define LAB_PROFILE_HELP "At the end print on stderr where the time went, step by step of each program (docs/profile.md)."

#endif
