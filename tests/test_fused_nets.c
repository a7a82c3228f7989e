/* test_fused_nets.c - steps of a net that run together, or not at all, give the bits of steps that run one by one. */
#include "program.h"

enum { SAMPLES = 70 };

typedef ad_var activation(ad_var x);

static ad_var tanh_of(ad_var x) { return ad_tanh(x); }
static ad_var relu_of(ad_var x) { return ad_relu(x); }
static ad_var gated_by_square(ad_var x) { return ad_gate(x, ad_square(x)); }
static ad_var relu_and_itself(ad_var x) { return ad_add(ad_relu(x), ad_scale(x, 0.25)); }
static ad_var relu_twice(ad_var x) { return ad_relu(ad_relu(x)); }

typedef struct {
	int64_t in, width, out;
	bool shows; /* the first layer's values before the activation are wanted too */
	activation *act;
} net;

static const net nets[] = {
	{ 1, 64, 2, false, relu_of },      { 10, 64, 22, false, relu_of },    { 7, 50, 3, true, relu_of },
	{ 5, 1100, 4, false, relu_of },    { 1, 64, 2, false, tanh_of },      { 3, 20, 3, false, gated_by_square },
	{ 4, 17, 5, false, relu_twice },   { 6, 33, 1, true, relu_and_itself }, { 2050, 3, 1, false, relu_of },
};

/* A loss of two hidden layers, its gradients, and the second derivative along one of them. */
static void trace(program *g, const net *n, double *const v[])
{
	ad_var x = program_in(g, AD_F64, AD_SHAPE(AD_BATCH, n->in), v[0]);
	ad_var w[3] = { program_in(g, AD_F64, AD_SHAPE(n->width, n->in), v[1]), program_in(g, AD_F64, AD_SHAPE(n->width, n->width), v[2]),
		        program_in(g, AD_F64, AD_SHAPE(n->out, n->width), v[3]) };
	ad_var b[3] = { program_in(g, AD_F64, AD_SHAPE(n->width), v[4]), program_in(g, AD_F64, AD_SHAPE(n->width), v[5]),
		        program_in(g, AD_F64, AD_SHAPE(n->out), v[6]) };
	ad_var h = ad_linear(x, w[0], b[0]);
	if (n->shows)
		program_out(g, h);
	h = ad_linear(n->act(h), w[1], b[1]);
	h = ad_linear(n->act(h), w[2], b[2]);
	ad_var loss = ad_mean(ad_square(h), AD_ALL), gx = ad_grad(loss, x);
	program_out(g, h);
	program_out(g, gx);
	for (int i = 0; i < 3; i++) {
		program_out(g, ad_grad(loss, w[i]));
		program_out(g, ad_grad(loss, b[i]));
	}
	program_out(g, ad_grad(ad_sum(ad_square(gx), AD_ALL), w[1]));
}

static void one_net(const net *n)
{
	int64_t size[] = { SAMPLES * n->in, n->width * n->in, n->width * n->width, n->out * n->width, n->width, n->width, n->out };
	static const ad_options ways[] = { { .threads = 1 }, { .threads = 2 }, { .threads = 1, .reverse_tiles = true } };
	static const int64_t tiles[] = { 0, 16, 48 };
	double *v[7];
	for (int i = 0; i < 7; i++)
		v[i] = numbers(size[i], -0.5, 0.5, i + 1);
	for (int t = 0; t < 3; t++) {
		program apart = program_on(AD_F64, SAMPLES);
		trace(&apart, n, v);
		program_run(&apart, (ad_options){ .threads = 1, .no_fusion = true, .tile = tiles[t] });
		for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
			program g = program_on(AD_F64, SAMPLES);
			trace(&g, n, v);
			ad_options o = ways[k];
			o.tile = tiles[t];
			program_run(&g, o);
			for (int i = 0; i < g.nout; i++)
				assert_memory_equal(program_f64(&g, i), program_f64(&apart, i), (size_t)program_count(&g, i) * sizeof(double));
			program_free(&g);
		}
		program_free(&apart);
	}
	for (int i = 0; i < 7; i++)
		free(v[i]);
}

static void together(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
		one_net(&nets[i]);
}

/* Of a batch of 256 a small net takes wider tiles, whose sums have the same bits for any number of threads. */
static void tiles(void **state)
{
	(void)state;
	enum { BATCH = 256 };
	for (int wide = 0; wide < 2; wide++) {
		const int64_t width = wide ? 600 : 64;
		double *x0 = numbers(BATCH * 5, -1, 1, 1), *w0 = numbers(width * 5, -0.1, 0.1, 2), *v0 = numbers(width * width, -0.1, 0.1, 3);
		program one = { 0 };
		for (int threads = 1; threads <= 3; threads++) {
			program g = program_on(AD_F64, BATCH);
			ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 5), x0), w = program_in(&g, AD_F64, AD_SHAPE(width, 5), w0);
			ad_var v = program_in(&g, AD_F64, AD_SHAPE(width, width), v0);
			ad_var loss = ad_mean(ad_square(ad_linear(ad_relu(ad_linear(x, w, NULL)), v, NULL)), AD_ALL);
			program_out(&g, loss);
			program_out(&g, ad_grad(loss, v));
			program_run(&g, (ad_options){ .threads = threads });
			assert_int_equal(ad_prog_summary(g.p).tile, wide ? 64 : 128);
			if (threads == 1) {
				one = g;
				continue;
			}
			for (int i = 0; i < g.nout; i++)
				assert_memory_equal(program_f64(&g, i), program_f64(&one, i), (size_t)program_count(&g, i) * sizeof(double));
			program_free(&g);
		}
		program_free(&one);
		free(x0);
		free(w0);
		free(v0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(together), cmocka_unit_test(tiles) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
