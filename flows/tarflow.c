/* tarflow.c - TarFlow (Zhai et al. 2024) on vectors: features, or groups of them, are the tokens; the sequence is turned from
 * block to block.  The paper's models have 8 blocks of 8 layers on patches of images. */
#include "model.h"
#include "tarflow.h"

enum { TOKENS = 64 };

/* The fewest features a token such that all tokens are equal and not more than TOKENS; else one. */
static int64_t group(int64_t dim)
{
	for (int64_t g = 1; g <= dim / 2; g++)
		if (dim % g == 0 && dim / g <= TOKENS)
			return g;
	return 1;
}

flow *flow_tarflow(flow_mem *m, int64_t dim, flow_model_opt o)
{
	int layers = flow__pos(o.layers, 4), n = 0;
	int64_t channels = group(dim), width = flow__pos64(o.width, 64);
	flow **f = flow_alloc(m, (size_t)(4 * layers) * sizeof *f);
	ad_shape flat = AD_SHAPE(dim), sequence = AD_SHAPE(dim / channels, channels);
	for (int i = 0; i < layers; i++) {
		f[n++] = flow__model_norm(m, o);
		f[n++] = flow_reshape(m, flat, sequence);
		f[n++] = flow_tarflow_block(m, (flow_tarflow_opt){ .tokens = sequence.dim[0],
								   .channels = channels,
								   .width = width,
								   .head_dim = width % 16 ? width : 16,
								   .layers = flow__pos(o.depth, 1),
								   .flip = i % 2,
								   .bound = 3 });
		f[n++] = flow_reshape(m, sequence, flat);
	}
	return flow_chain(m, n, f);
}
