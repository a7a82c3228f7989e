/* schedule.c - learning rates by step. */
#include "internal.h"

#include <math.h>

static double constant(const nn_schedule *s, double lr, double t)
{
	(void)s, (void)t;
	return lr;
}

static double cosine(const nn_schedule *s, double lr, double t)
{
	return s->total > 0 ? s->eta_min + (lr - s->eta_min) * (1 + cos(M_PI * t / (double)s->total)) / 2 : lr;
}

static double steps(const nn_schedule *s, double lr, double t)
{
	return s->every > 0 ? lr * pow(s->gamma == 0 ? 0.1 : s->gamma, floor(t / (double)s->every)) : lr;
}

static double exponential(const nn_schedule *s, double lr, double t) { return s->gamma == 0 ? lr : lr * pow(s->gamma, t); }

static double (*const kinds[])(const nn_schedule *, double, double) = {
	[NN_CONSTANT] = constant, [NN_COSINE] = cosine, [NN_STEP] = steps, [NN_EXPONENTIAL] = exponential, [NN_PLATEAU] = constant,
};

double nn_schedule_lr(const nn_schedule *s, double lr, int64_t step)
{
	double warm = s->warmup > 0 ? fmin(1, ((double)step + 1) / (double)s->warmup) : 1;
	return kinds[s->kind](s, lr, (double)step) * warm;
}
