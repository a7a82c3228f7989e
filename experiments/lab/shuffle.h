/* shuffle.h - permutations from noise; private to lab. */
#ifndef LAB_SHUFFLE_H
#define LAB_SHUFFLE_H

#include <stdint.h>

int64_t *lab__order_new(int64_t n); /* never NULL; caller frees */
/* The permutation of 0..n-1 that belongs to (seed, step, purpose), whatever stood in order before. */
void lab__shuffle(int64_t *order, int64_t n, uint64_t seed, uint64_t step, const char *purpose);

#endif
