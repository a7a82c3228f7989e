// example_program.cc - the public headers from C++: a flow's density, integrated over the plane.
#include <flows/flow.h>
#include <flows/variants.h>

#include <cmath>
#include <cstdio>
#include <vector>

int main()
{
	flow_mem *mem = flow_mem_new();
	flow_model_opt o = {};
	o.layers = 2;
	o.width = 8;
	flow_density d = { flow_nsf_coupling(mem, 2, o), flow_normal() };
	nn_store *store = nn_store_new(AD_F64, 1);
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 2), "x");
	ad_var p = ad_exp(flow_log_prob(&d, nn_begin(t, store, NN_EVAL), x, nullptr));
	ad_prog *prog = nn_error(store) ? nullptr : ad_compile(t, 1, &p, ad_options());
	if (!prog)
		return std::fprintf(stderr, "%s\n", nn_error(store) ? nn_error(store) : ad_error(t)), 1;
	const int n = 200;
	const double edge = 8, cell = 2 * edge / n;
	std::vector<double> grid;
	for (int i = 0; i < n * n; i++) {
		grid.push_back(-edge + (i % n + 0.5) * cell);
		grid.push_back(-edge + (i / n + 0.5) * cell);
	}
	nn_bind(store, t, prog);
	ad_bind(prog, x, grid.data());
	ad_set_batch(prog, n * n);
	double sum = 0;
	const double *r = ad_run(prog, 0) ? nullptr : static_cast<const double *>(ad_result(prog, 0));
	for (int i = 0; r && i < n * n; i++)
		sum += r[i] * cell * cell;
	std::printf("integral %.4f\n", sum);
	ad_prog_free(prog);
	ad_tape_free(t);
	nn_store_free(store);
	flow_mem_free(mem);
	return std::fabs(sum - 1) < 1e-3 ? 0 : 1;
}
