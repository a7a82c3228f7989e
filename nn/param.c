/* param.c - parameters and state by path, and what layers hand up to the trainer. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

ad_var nn__dud(nn c) { return ad_const(c.tape, 0); }

static ad_var leaf_of(nn c, int i)
{
	nn__trace *tr = nn__trace_of(c.store, c.tape);
	nn__record *use = nn__use(tr, i);
	if (use)
		return use->v;
	const nn__entry *e = &c.store->entry[i];
	if (!e->ready && !tr->deferred) {
		ad_fail(c.tape, "parameter \"%s\" has no value yet: it is initialised from the first training batch", e->name);
		return nn__dud(c);
	}
	ad_tape *root = ad_root(c.tape);
	ad_var leaf = ad_input(root, c.store->dtype, e->shape, e->name);
	ad_var v = ad_real(root) == c.store->dtype ? leaf : ad_cast(leaf, ad_real(root));
	use = nn__add_use(tr, i);
	use->leaf = leaf;
	use->v = v;
	return v;
}

/* Index of the entry, created if new; -1 after a failure. */
static int declare(nn c, const char *name, ad_shape s, bool trained, bool *created)
{
	char path[256], a[128], b[128];
	*created = false;
	if (ad_error(c.tape) || !nn__path(c, name, path))
		return -1;
	int i = nn_find(c.store, path);
	if (i >= 0) {
		const nn__entry *e = &c.store->entry[i];
		if (ad_shape_eq(e->shape, s) && e->trained == trained)
			return i;
		if (e->trained == trained)
			ad_fail(c.tape, "\"%s\" has shape %s in the store, but %s is asked for", path, nn__shape_str(e->shape, a),
			        nn__shape_str(s, b));
		else
			ad_fail(c.tape, "\"%s\" is %s in the store, but asked for as %s", path, e->trained ? "a parameter" : "state",
			        trained ? "a parameter" : "state");
		return -1;
	}
	if (c.store->frozen) {
		ad_fail(c.tape, "the store, as it was loaded, has no \"%s\"", path);
		return -1;
	}
	for (int k = 0; k < s.rank; k++)
		if (s.dim[k] < 1) {
			ad_fail(c.tape, "\"%s\" cannot have shape %s", path, nn__shape_str(s, a));
			return -1;
		}
	*created = true;
	return nn__add(c.store, path, s, trained);
}

static ad_var filled(nn c, const char *name, ad_shape s, nn_fill fill, bool trained)
{
	bool created;
	int i = declare(c, name, s, trained, &created);
	if (i < 0)
		return nn__dud(c);
	if (created)
		nn__fill(c.store, i, fill);
	return leaf_of(c, i);
}

ad_var nn_param(nn c, const char *name, ad_shape s, nn_fill fill) { return filled(c, name, s, fill, true); }
ad_var nn_state(nn c, const char *name, ad_shape s, nn_fill fill) { return filled(c, name, s, fill, false); }

ad_var nn__param_array(nn c, const char *name, ad_shape s, const double *v, bool trained)
{
	bool created;
	int i = declare(c, name, s, trained, &created);
	if (i < 0)
		return nn__dud(c);
	if (created) {
		nn__set_double(c.store->dtype, nn__value(c.store, i), v, c.store->entry[i].numel);
		c.store->entry[i].ready = true;
	}
	return leaf_of(c, i);
}

ad_var nn_state_array(nn c, const char *name, ad_shape s, const double *v)
{
	return nn__param_array(c, name, s, v, false);
}

/* A value that the trainer computes beside the loss must stand on the outermost tape. */
static bool outermost(nn c, const char *what, const char *name, ad_var v)
{
	if (ad_error(c.tape))
		return false;
	if (ad_tape_of(v) == ad_root(c.tape))
		return true;
	ad_fail(c.tape, "%s \"%s\" is computed inside a traced function: trace it outside or inline", what, name);
	return false;
}

ad_var nn_param_from(nn c, const char *name, ad_var v)
{
	bool created;
	if (ad_batched(v)) {
		ad_fail(c.tape, "parameter \"%s\" cannot start as a batched value", name);
		return nn__dud(c);
	}
	int i = declare(c, name, ad_shape_of(v), true, &created);
	if (i < 0)
		return nn__dud(c);
	nn__trace *tr = nn__trace_of(c.store, c.tape);
	if (c.store->entry[i].ready || c.phase != NN_INIT || nn__use(tr, i))
		return leaf_of(c, i);
	if (!outermost(c, "parameter", c.store->entry[i].name, v))
		return nn__dud(c);
	nn__add_use(tr, i)->v = v;
	nn__append(&tr->initial, (nn__record){ .entry = i, .v = v });
	return v;
}

void nn_set_state(nn c, const char *name, ad_var v)
{
	char path[256], a[128], b[128];
	if (c.quiet || ad_error(c.tape) || !nn__path(c, name, path))
		return;
	int i = nn_find(c.store, path);
	const nn__entry *e = i < 0 ? NULL : &c.store->entry[i];
	if (!e)
		ad_fail(c.tape, "nn_set_state: there is no \"%s\"", path);
	else if (!ad_shape_eq(e->shape, ad_shape_of(v)))
		ad_fail(c.tape, "nn_set_state: \"%s\" has shape %s, its new value %s", path, nn__shape_str(e->shape, a),
		        nn__shape_str(ad_shape_of(v), b));
	else if (outermost(c, "state", path, v)) {
		ad_var kept = ad_dtype_of(v) == c.store->dtype ? v : ad_cast(v, c.store->dtype);
		nn__append(&nn__trace_of(c.store, c.tape)->states, (nn__record){ .entry = i, .v = kept });
	}
}

static void hand_up(nn c, const char *what, const char *name, ad_var v, nn__records *to)
{
	char path[256], a[128];
	if (c.quiet || !nn__path(c, name, path) || !outermost(c, what, path, v))
		return;
	if (ad_rank(v) > 1 || (ad_rank(v) == 1 && !ad_batched(v)))
		ad_fail(c.tape, "%s \"%s\" has shape %s; it must be a scalar or one value a sample", what, path,
		        nn__shape_str(ad_shape_of(v), a));
	else
		nn__append(to, (nn__record){ .entry = -1, .name = strdup(path), .v = ad_rank(v) ? ad_mean(v, AD_ALL) : v });
}

void nn_penalty(nn c, const char *name, ad_var v)
{
	hand_up(c, "penalty", name, v, &nn__trace_of(c.store, c.tape)->penalties);
}

void nn_metric(nn c, const char *name, ad_var v)
{
	hand_up(c, "metric", name, v, &nn__trace_of(c.store, c.tape)->metrics);
}
