/* Elementwise ops of a fused step that one kernel makes together: see merged.def. */
#include "emit.h"

#include <string.h>

typedef struct {
	int result, later, earlier, at;
	bool shared;
} pattern;

static const pattern patterns[] = {
#define AD_MERGED2(name, value, later, earlier, at, shared) { AD__EW_##name, AD__EW_##later, AD__EW_##earlier, at, shared },
#define AD_MERGED3 AD_MERGED2
#include "../merged.def"
#undef AD_MERGED2
#undef AD_MERGED3
};

enum { NONE = INT32_MIN };

static int inputs(const plan_micro *m)
{
	int n = 0;
	while (n < 3 && m->src[n] != NONE)
		n++;
	return n;
}

/* The op that makes input k of op i, if nothing else reads that; or -1. */
static int only_for(const ad_prog *p, const plan_step *s, int i, int k)
{
	int src = s->micro[i].src[k], maker = -1, readers = 0;
	for (int j = 0; j < s->nmicro && src >= 0; j++) {
		if (s->micro[j].value == src)
			maker = j;
		for (int l = 0; l < 3; l++)
			readers += s->micro[j].src[l] == src;
	}
	return maker >= 0 && readers == 1 && !p->value[src].escapes ? maker : -1;
}

static bool join(plan_micro *to, int k, const plan_micro *from, const pattern *t)
{
	int nto = inputs(to), nfrom = inputs(from), n = 0, src[4] = { NONE, NONE, NONE, NONE };
	if (to->ew != t->later || from->ew != t->earlier || !(t->at >> k & 1))
		return false;
	int mine[3], last = nfrom - 1;
	memcpy(mine, from->src, sizeof mine);
	if (t->shared) {
		int other = to->src[1 - k], i = mine[last] == other ? last : mine[last - 1] == other ? last - 1 : -1;
		if (i < 0)
			return false;
		mine[i] = mine[last]; /* they are factors of one product */
		nfrom--;
	}
	if (nto == 2)
		src[n++] = to->src[1 - k];
	for (int i = 0; i < nfrom; i++)
		src[n++] = mine[i];
	to->ew = t->result;
	if (nto == 2)
		to->a = from->a;
	memcpy(to->src, src, sizeof to->src);
	return true;
}

static bool merge_one(const ad_prog *p, plan_step *s, int i)
{
	for (size_t t = 0; t < sizeof patterns / sizeof *patterns; t++)
		for (int k = 0; k < inputs(&s->micro[i]) && k < 2; k++) {
			int j = only_for(p, s, i, k);
			if (j < 0 || !join(&s->micro[i], k, &s->micro[j], &patterns[t]))
				continue;
			memmove(s->micro + j, s->micro + j + 1, (size_t)(--s->nmicro - j) * sizeof *s->micro);
			return true;
		}
	return false;
}

void plan_merge(const ad_prog *p, plan_step *s)
{
	for (int i = 0; i < s->nmicro; i++)
		while (merge_one(p, s, i))
			i--;
}
