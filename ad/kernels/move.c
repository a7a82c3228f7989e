/* Between a user's rows of samples and tiles with the samples innermost. */
#include "kernels.h"
#include "real.h"

void K(tile_in)(int64_t rows, int64_t width, int64_t valid, real *tile, const real *data);
void K(tile_out)(int64_t rows, int64_t width, int64_t valid, real *data, const real *tile);
void K(add)(int64_t n, real *y, const real *x);
void K(all_finite)(int64_t rows, int64_t width, int64_t valid, const real *x, bool *ok);

enum { BLOCK = 16 };

void K(tile_in)(int64_t rows, int64_t width, int64_t valid, real *tile, const real *data)
{
	for (int64_t r0 = 0; r0 < rows; r0 += BLOCK) {
		int64_t r1 = r0 + BLOCK < rows ? r0 + BLOCK : rows;
		for (int64_t l = 0; l < valid; l++)
			for (int64_t r = r0; r < r1; r++)
				tile[r * width + l] = data[l * rows + r];
		for (int64_t r = r0; r < r1; r++)
			for (int64_t l = valid; l < width; l++)
				tile[r * width + l] = tile[r * width + valid - 1];
	}
}

void K(tile_out)(int64_t rows, int64_t width, int64_t valid, real *data, const real *tile)
{
	for (int64_t r0 = 0; r0 < rows; r0 += BLOCK) {
		int64_t r1 = r0 + BLOCK < rows ? r0 + BLOCK : rows;
		for (int64_t l = 0; l < valid; l++)
			for (int64_t r = r0; r < r1; r++)
				data[l * rows + r] = tile[r * width + l];
	}
}

void K(add)(int64_t n, real *y, const real *x)
{
	for (int64_t i = 0; i < n; i++)
		y[i] += x[i];
}

void K(all_finite)(int64_t rows, int64_t width, int64_t valid, const real *x, bool *ok)
{
	bool bad = false;
	for (int64_t r = 0; r < rows; r++)
		for (int64_t l = 0; l < valid; l++)
			bad |= !isfinite(x[r * width + l]);
	*ok = !bad;
}
