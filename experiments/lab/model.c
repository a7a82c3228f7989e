/* model.c - models by name, with sizes that suit the data. */
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "memory.h"

static const lab_model_row baseline = { "gaussian", "full-covariance Gaussian, fitted to tables in closed form: the baseline", 1, true };

bool lab_model_at(int i, lab_model_row *r)
{
	for (int k = 0; k < i; k++)
		if (!flow_models[k].name)
			return false;
	const flow_model_row *f = &flow_models[i - (i > 0)];
	*r = i ? (lab_model_row){ f->name, f->about, f->min_dim, false } : baseline;
	return r->name != NULL;
}

bool lab_model_named(const char *name, lab_model_row *r)
{
	for (int i = 0; lab_model_at(i, r); i++)
		if (!strcmp(r->name, name))
			return true;
	return false;
}

/* After the widths and depths of the NSF paper's tables: wide nets where there are many rows. */
void lab_model_defaults(const char *name, int64_t dim, int64_t rows, flow_model_opt *o)
{
	bool few = rows < 5000, many = rows > 100000 && dim > 2, plane = dim <= 2;
	flow_model_opt d = {
		.layers = plane ? 8 : few ? 5 : many ? 10 : 8,
		.width = plane ? 64 : few ? 32 : many ? 256 : 128,
		.depth = few ? 1 : 2,
		.bins = plane ? 16 : few ? 4 : 8,
		.bound = plane ? 4 : 3,
		.dropout = few ? 0.2 : 0,
		.act = "relu",
	};
	if (!strcmp(name, "independent"))
		d.bins = few ? 8 : 32;
	if (plane && !strncmp(name, "nsf", 3))
		d.layers = 4;
	/* Thin layers, many of them; potentials and transformers, few and deep. */
	if (!strcmp(name, "planar") || !strcmp(name, "radial"))
		d.layers = 32;
	if (!strcmp(name, "sylvester"))
		d.layers = 16, d.rank = dim < 16 ? dim : 16;
	if (!strcmp(name, "cpflow"))
		d.layers = plane ? 3 : 2, d.width = few ? 32 : 64, d.depth = plane ? 3 : 2;
	if (!strcmp(name, "tarflow"))
		d.layers = few ? 2 : 4, d.width = few || plane ? 32 : 64, d.depth = few || plane ? 1 : 2;
	if (flow_model_takes(name, "units"))
		d.layers = plane ? 4 : 5;
	if (flow_model_takes(name, "coeff")) /* residual flows: many small blocks, whatever the data */
		d.layers = d.depth = 0, d.width = 0;
	if (flow_model_takes(name, "solver")) /* continuous flows: one block, smooth nets */
		d.layers = d.depth = 0, d.width = 0, d.act = NULL;
	if (o->dropout < 0)
		o->dropout = d.dropout;
	d.dropout = 0;
	for (const flow_model_key *k = flow_model_keys; k->key; k++) {
		bool takes = flow_model_takes(name, k->key);
		if (!takes || !flow_option_number(o, k))
			flow_option_put(o, k, takes ? flow_option_number(&d, k) : 0);
		if (!takes || !flow_option_text(o, k))
			flow_option_put_text(o, k, takes ? flow_option_text(&d, k) : NULL);
	}
}

static flow *make(const char *name, flow_mem *mem, int64_t dim, flow_model_opt o, char why[160])
{
	return strcmp(name, baseline.name) ? flow_model(mem, name, dim, o, why) : lab_gaussian(mem);
}

static void dequantise(lab_model *m)
{
	int64_t n = 0, *feature = lab_alloc((size_t)m->dim, sizeof *feature);
	double *width = lab_alloc((size_t)m->dim, sizeof *width);
	m->draws = 1;
	for (int64_t j = 0; m->column && j < m->dim; j++)
		if (m->column[j].kind == LAB_COLUMN_VARIATIONAL) {
			feature[n] = j;
			width[n++] = m->column[j].lo / m->sd[j];
			m->draws = m->column[j].hi > (double)m->draws ? (int64_t)m->column[j].hi : m->draws;
		}
	m->cells = n ? flow_dequantise_new(m->mem, m->dim, n, feature, width) : NULL;
	free(feature);
	free(width);
}

lab_model *lab_model_new(const char *name, flow_model_opt o, int64_t dim, ad_dtype dtype, uint64_t seed,
                         lab_scale scale, lab_err *err)
{
	lab_model_row r;
	char why[160];
	bool known = lab_model_named(name, &r);
	if (!known || dim < r.min_dim) {
		if (known)
			lab_fail(err, "model %s needs at least %lld columns, the data has %lld", name, (long long)r.min_dim,
			         (long long)dim);
		else
			lab_fail(err, "unknown model %s", name);
		return NULL;
	}
	flow_mem *mem = flow_mem_new();
	flow *f = make(name, mem, dim, o, why);
	if (!f) {
		lab_fail(err, "model %s: %s", name, why);
		flow_mem_free(mem);
		return NULL;
	}
	lab_model *m = lab_alloc(1, sizeof *m);
	m->row = r;
	m->opt = o;
	m->dim = dim;
	m->mean = lab_alloc((size_t)dim, sizeof *m->mean);
	m->sd = lab_alloc((size_t)dim, sizeof *m->sd);
	memcpy(m->mean, scale.mean, (size_t)dim * sizeof *m->mean);
	memcpy(m->sd, scale.sd, (size_t)dim * sizeof *m->sd);
	if (scale.column) {
		m->column = lab_alloc((size_t)dim, sizeof *m->column);
		memcpy(m->column, scale.column, (size_t)dim * sizeof *m->column);
	}
	m->scale = (lab_scale){ m->mean, m->sd, m->column };
	for (int64_t j = 0; j < dim; j++)
		m->logdet -= log(m->sd[j]);
	m->mem = mem;
	m->store = nn_store_new(r.exact ? AD_F64 : dtype, seed);
	m->density = (flow_density){ .f = f, .base = flow_model_base(o) };
	dequantise(m);
	return m;
}

void lab_model_free(lab_model *m)
{
	if (!m)
		return;
	nn_store_free(m->store);
	flow_mem_free(m->mem);
	free(m->mean);
	free(m->sd);
	free(m->column);
	free(m);
}

ad_var lab_model_log_weight(const lab_model *m, nn c, ad_var x)
{
	ad_var log_q = NULL, at = m->cells ? flow_dequantise(m->cells, c, x, NULL, &log_q) : x;
	ad_var log_p = flow_log_prob(&m->density, c, at, NULL);
	return m->cells ? ad_sub(log_p, log_q) : log_p;
}

int64_t lab_model_parameters(const lab_model *m)
{
	return m->row.exact ? m->dim + m->dim * (m->dim + 1) / 2 : nn_parameters(m->store);
}
