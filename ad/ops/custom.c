/* A user's own op. */
#include "../tape.h"

#include <string.h>

typedef struct {
	const ad_custom *op;
	const void *user;
	ad_op as_op;
} custom;

static void eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const custom *u = r->attr.data;
	ad_view v[r->nin + 1];
	for (int i = 0; i < r->nin; i++)
		v[i] = (ad_view){ in[i].p, ad__rows(r->in[i]), in[i].lane ? c->width : 1, in[i].dtype };
	u->op->eval(r->nin, v, (ad_view){ out->p, ad__rows(r), out->lane ? c->width : 1, out->dtype }, u->user);
}

static void vjp(ad_var r, ad_var g, ad_var gin[])
{
	const custom *u = r->attr.data;
	u->op->vjp(r, g, r->nin, r->in, gin, u->user);
}

static ad_var jvp(ad_var r, const ad_var v[])
{
	const custom *u = r->attr.data;
	return u->op->jvp(r, r->nin, r->in, v, u->user);
}

ad_var ad_call(const ad_custom *op, int nin, const ad_var in[], const void *user)
{
	ad_tape *t = ad_root(in[0]->tape);
	if (ad_error(t))
		return t->dud;
	ad_shape s = op->shape(nin, in, user);
	if (ad_error(t))
		return t->dud;
	custom *u = ad__alloc(t, sizeof *u);
	u->op = op;
	u->user = user;
	u->as_op = (ad_op){ .name = op->name, .vjp = op->vjp ? vjp : NULL, .jvp = op->jvp ? jvp : NULL, .eval = eval };
	return ad__push_shaped(NULL, &u->as_op, nin, in, (ad_attr){ .data = u }, in[0]->dtype, s);
}
