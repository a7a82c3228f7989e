/* example_program.c - trains a flow on a bent Gaussian and draws from it.  The README shows this file. */
#include "flows/flow.h"

static ad_var loss(nn c, int n, const ad_var batch[], void *density)
{
	return (void)n, flow_nll(density, c, batch[0], NULL);
}

int main(void)
{
	flow_mem *mem = flow_mem_new();
	flow_density d = { flow_maf(mem, 2, (flow_model_opt){ .layers = 2, .width = 32 }), flow_normal() };
	nn_store *store = nn_store_new(AD_F32, 1); /* the weights; 1 is their seed */
	nn_task task = { .loss = loss, .user = &d, .optim = { .rule = NN_ADAM, .lr = 5e-3 } };
	nn_trainer *trainer = nn_trainer_new(store, (nn_trainer_opt){ .inputs = 1, .shape = { AD_SHAPE(AD_BATCH, 2) },
		                                                      .dtype = { AD_F32 }, .tasks = 1, .task = { task } });
	double mean = 0;
	float x[512][2]; /* entropy 1 + ln(2 pi 0.3) = 1.634 nats: the least loss that any model can have */
	for (uint64_t step = 1; step <= 600 && !nn_error(store); step++) {
		for (uint64_t i = 0; i < 512; i++) {
			x[i][0] = (float)ad_noise_normal(7, step, 0, i);
			x[i][1] = x[i][0] * x[i][0] + 0.3f * (float)ad_noise_normal(7, step, 1, i);
		}
		mean += nn_train_step(trainer, 0, 512, (const void *[]){ x }) / 100;
		if (step % 100 == 0)
			printf("steps to %3d: %.3f nats\n", (int)step, mean), mean = 0;
	}
	ad_tape *t = ad_tape_new(AD_F32);
	ad_var sample = flow_sample(&d, nn_begin(t, store, NN_EVAL), AD_SHAPE(2), NULL, 1);
	ad_prog *p = nn_error(store) ? NULL : ad_compile(t, 1, &sample, (ad_options){ 0 });
	if (!p)
		return fprintf(stderr, "%s\n", nn_error(store) ? nn_error(store) : ad_error(t)), 1;
	nn_bind(store, t, p);
	ad_set_batch(p, 4);
	const float *y = ad_run(p, 0) ? NULL : ad_result(p, 0);
	for (int i = 0; y && i < 4; i++)
		printf("sample %6.3f %6.3f\n", (double)y[2 * i], (double)y[2 * i + 1]);
	ad_prog_free(p);
	nn_trainer_free(trainer);
	nn_store_free(store);
	ad_tape_free(t);
	flow_mem_free(mem);
	return y ? 0 : 1;
}
