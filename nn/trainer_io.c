/* trainer_io.c - what a trainer must remember to go on bit for bit: slots, counts, schedule. */
#include "trainer.h"

#include <stdlib.h>
#include <string.h>

/* Identifies the rule and the parameters, in order, that the slots belong to. */
static uint64_t layout(const nn_trainer *tr, const nn__task *k)
{
	char text[32];
	snprintf(text, sizeof text, "%d %d", (int)k->t.optim.rule, (int)tr->store->dtype);
	uint64_t h = ad_hash(0, text);
	for (int i = 0; i < k->p.nparam; i++) {
		const nn__entry *e = &tr->store->entry[k->p.param[i]];
		snprintf(text, sizeof text, " %lld ", (long long)e->numel);
		h = ad_hash(ad_hash(h, e->name), text);
	}
	return h;
}

typedef bool attr(hid_t at, const char *name, hid_t type, void *v);

static bool write_attr(hid_t at, const char *name, hid_t type, void *v) { return nn__put_attr(at, name, type, v); }
static bool read_attr(hid_t at, const char *name, hid_t type, void *v) { return nn__get_attr(at, name, type, v); }

static bool counts(nn__task *k, hid_t g, attr *io)
{
	int averaging = *nn__optimiser_averaging(k->optimiser);
	bool ok = io(g, "calls", H5T_NATIVE_INT64, &k->calls) &&
	          io(g, "steps", H5T_NATIVE_INT64, nn__optimiser_steps(k->optimiser)) &&
	          io(g, "held", H5T_NATIVE_INT, nn__optimiser_held(k->optimiser)) &&
	          io(g, "averaging", H5T_NATIVE_INT, &averaging) && io(g, "lr", H5T_NATIVE_DOUBLE, &k->lr) &&
	          io(g, "norm", H5T_NATIVE_DOUBLE, &k->norm) && io(g, "best", H5T_NATIVE_DOUBLE, &k->best) &&
	          io(g, "factor", H5T_NATIVE_DOUBLE, &k->factor) && io(g, "bad", H5T_NATIVE_INT, &k->bad) &&
	          io(g, "cooldown", H5T_NATIVE_INT, &k->cooldown);
	*nn__optimiser_averaging(k->optimiser) = averaging;
	return ok && k->calls >= 0 && *nn__optimiser_steps(k->optimiser) >= 0 && *nn__optimiser_held(k->optimiser) >= 0 && k->bad >= 0 &&
	       k->cooldown >= 0;
}

static bool save_task(const nn_trainer *tr, nn__task *k, hid_t g)
{
	uint64_t h = layout(tr, k);
	nn__slot slot[NN__SLOTS];
	int n = nn__optimiser_slots(k->optimiser, slot);
	bool ok = nn__put_attr(g, "layout", H5T_NATIVE_UINT64, &h) && counts(k, g, write_attr);
	for (int i = 0; ok && i < n; i++) {
		hsize_t dim = (hsize_t)slot[i].count;
		hid_t d = nn__put_array(g, slot[i].name, nn__real_type(tr->store->dtype), 1, &dim, slot[i].data);
		ok = d >= 0 && H5Dclose(d) >= 0;
	}
	return ok;
}

int nn_trainer_save(nn_trainer *tr, hid_t group)
{
	nn_store *s = tr->store;
	if (nn_error(s))
		return -1;
	nn__printing was = nn__quiet();
	int swapped = tr->swapped;
	bool ok = nn__put_attr(group, "tasks", H5T_NATIVE_INT, &tr->o.tasks) &&
	          nn__put_attr(group, "seed", H5T_NATIVE_UINT64, &tr->seed) &&
	          nn__put_attr(group, "swapped", H5T_NATIVE_INT, &swapped);
	for (int i = 0; ok && i < tr->o.tasks; i++) {
		char name[32];
		snprintf(name, sizeof name, "task_%d", i);
		hid_t g = H5Gcreate2(group, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
		ok = g >= 0 && save_task(tr, &tr->task[i], g);
		if (g >= 0)
			H5Gclose(g);
	}
	if (!ok)
		nn_fail(s, "nn_trainer_save: cannot write to the group (is it open for writing, and new?)");
	nn__loud(was);
	return ok ? 0 : -1;
}

static bool read_slot(hid_t g, const nn__slot *slot, ad_dtype dtype)
{
	hid_t d = H5Dopen2(g, slot->name, H5P_DEFAULT), space = d < 0 ? -1 : H5Dget_space(d);
	bool ok = space >= 0 && H5Sget_simple_extent_npoints(space) == slot->count &&
	          H5Dread(d, nn__real_type(dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, slot->data) >= 0;
	if (space >= 0)
		H5Sclose(space);
	if (d >= 0)
		H5Dclose(d);
	return ok;
}

static void load_task(nn_trainer *tr, nn__task *k, hid_t g, const char *name)
{
	nn_store *s = tr->store;
	uint64_t h;
	nn__slot slot[NN__SLOTS];
	int n = nn__optimiser_slots(k->optimiser, slot);
	if (!nn__get_attr(g, "layout", H5T_NATIVE_UINT64, &h))
		nn_fail(s, "nn_trainer_load: \"%s\" is missing or holds no saved task", name);
	else if (h != layout(tr, k))
		nn_fail(s, "nn_trainer_load: \"%s\" belongs to another optimiser, dtype or set of parameters", name);
	for (int i = 0; !nn_error(s) && i < n; i++)
		if (!read_slot(g, &slot[i], s->dtype))
			nn_fail(s, "nn_trainer_load: \"%s/%s\" is missing or has another size", name, slot[i].name);
	if (!nn_error(s) && !counts(k, g, read_attr))
		nn_fail(s, "nn_trainer_load: \"%s\" lacks a count or a rate", name);
}

int nn_trainer_load(nn_trainer *tr, hid_t group)
{
	nn_store *s = tr->store;
	if (nn_error(s))
		return -1;
	nn__printing was = nn__quiet();
	int tasks, swapped = 0;
	if (!nn__get_attr(group, "tasks", H5T_NATIVE_INT, &tasks) ||
	    !nn__get_attr(group, "seed", H5T_NATIVE_UINT64, &tr->seed) ||
	    !nn__get_attr(group, "swapped", H5T_NATIVE_INT, &swapped))
		nn_fail(s, "nn_trainer_load: the group holds no saved trainer");
	else if (tasks != tr->o.tasks)
		nn_fail(s, "nn_trainer_load: the group holds %d tasks, the trainer %d", tasks, tr->o.tasks);
	for (int i = 0; !nn_error(s) && i < tr->o.tasks; i++) {
		char name[32];
		snprintf(name, sizeof name, "task_%d", i);
		hid_t g = H5Gopen2(group, name, H5P_DEFAULT);
		load_task(tr, &tr->task[i], g, name);
		if (g >= 0)
			H5Gclose(g);
	}
	tr->swapped = swapped;
	nn__loud(was);
	return nn_error(s) ? -1 : 0;
}
