/* coupling.c - some elements are mapped with parameters that a net computes from the others (axis 1; Dinh et al. 2015).
 */
#include "private.h"

typedef struct {
	int64_t n;
	int32_t *at;  /* positions on axis 1 */
	int64_t step; /* between them, if all are equal; else 0 */
} part;

typedef struct {
	flow f;
	flow_map map, identity;
	bool has_identity;
	nn_net net;
	int64_t dim;
	part part[2];  /* by mask value */
	int32_t *back; /* position in (identity, transformed) of every element */
} coupling;

static ad_var pick(const part *p, ad_var x)
{
	if (p->step)
		return ad_slice_step(x, 1, p->at[0], p->at[p->n - 1] + 1, p->step);
	return ad_gather(x, 1, ad_array_i32(ad_tape_of(x), AD_SHAPE(p->n), p->at));
}

static ad_var join(const coupling *k, ad_var identity, ad_var transformed)
{
	ad_var all = ad_concat(1, 2, (ad_var[]){ identity, transformed });
	return ad_gather(all, 1, ad_array_i32(ad_tape_of(all), AD_SHAPE(k->dim), k->back));
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const coupling *k = (const coupling *)f;
	const part *moved = &k->part[1];
	flow_out id = { pick(&k->part[0], x), NULL }, free_id = id;
	ad_var t = pick(moved, x);
	if (k->has_identity)
		free_id = flow__elementwise(&k->identity, nn_in(c, "unconditional"), id.x, dir);
	/* The conditioner sees the data's side of the identity part. */
	ad_var seen = dir == FLOW_FORWARD ? id.x : free_id.x;
	ad_var out = nn_apply(&k->net, nn_in(c, "conditioner"), seen, cond, moved->n * k->map.nparam);
	flow_out r = k->map.apply(&k->map, c, t, flow_map_params(&k->map, out), dir);
	r.logdet = flow_add_logdet(flow__sum(&k->map, c, t, r.logdet), free_id.logdet);
	r.x = join(k, free_id.x, r.x);
	return r;
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	const coupling *k = (const coupling *)f;
	char a[96];
	*out = *in;
	if (in->rank > 0 && in->rank < AD_MAXRANK - 2 && in->dim[0] == k->dim)
		return true;
	snprintf(why, 160, "a mask of %lld elements does not fit events of shape %s", (long long)k->dim,
		 flow__shape_str(*in, a));
	return false;
}

static const char *describe(const flow *f, char *buf, size_t n)
{
	const coupling *k = (const coupling *)f;
	snprintf(buf, n, "%s, %lld of %lld given the rest, %s", k->map.kind, (long long)k->part[1].n, (long long)k->dim,
		 k->net.kind ? k->net.kind : "net");
	return buf;
}

static int64_t step_of(const part *p)
{
	int64_t step = p->n > 1 ? p->at[1] - p->at[0] : 1;
	for (int64_t i = 1; i < p->n; i++)
		if (p->at[i] - p->at[i - 1] != step)
			return 0;
	return step;
}

flow *flow_coupling(flow_mem *m, flow_map map, nn_net net, int64_t dim, const int *mask, const flow_map *identity_map)
{
	coupling k = { { .kind = "coupling", .apply = apply, .shape = shape, .unshape = shape, .describe = describe },
		       .map = map,
		       .net = net,
		       .dim = dim };
	if (dim < 2)
		return flow_refuse(m, "coupling",
				   "needs at least 2 dimensions, one to map and one to look at; got %lld",
				   (long long)dim);
	for (int v = 0; v < 2; v++)
		k.part[v].at = flow_alloc(m, (size_t)dim * sizeof(int32_t));
	k.back = flow_alloc(m, (size_t)dim * sizeof(int32_t));
	for (int64_t i = 0; i < dim; i++) {
		part *p = &k.part[mask[i] != 0];
		p->at[p->n++] = (int32_t)i;
	}
	if (!k.part[0].n || !k.part[1].n)
		return flow_refuse(m, "coupling", "all %lld elements of the mask are %d; both values are needed",
				   (long long)dim, !k.part[0].n);
	for (int v = 0; v < 2; v++) {
		k.part[v].step = step_of(&k.part[v]);
		for (int64_t i = 0; i < k.part[v].n; i++)
			k.back[k.part[v].at[i]] = (int32_t)(i + (v ? k.part[0].n : 0));
	}
	k.has_identity = identity_map;
	if (identity_map)
		k.identity = *identity_map;
	flow parts[2] = { { .caps = map.caps }, { .caps = k.has_identity ? k.identity.caps : map.caps } };
	k.f.caps = flow_weakest(2, (flow *const[]){ &parts[0], &parts[1] });
	return flow_copy(m, &k, sizeof k);
}

int *flow_mask_alternate(flow_mem *m, int64_t dim, int first)
{
	int *mask = flow_alloc(m, (size_t)dim * sizeof *mask);
	for (int64_t i = 0; i < dim; i++)
		mask[i] = i % 2 ? 1 - first : first;
	return mask;
}

int *flow_mask_half(flow_mem *m, int64_t dim, int first)
{
	int *mask = flow_alloc(m, (size_t)dim * sizeof *mask);
	for (int64_t i = 0; i < dim; i++)
		mask[i] = i < (dim + 1) / 2 ? first : 1 - first;
	return mask;
}
