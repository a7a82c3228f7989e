/* pictures.h - the figures of a run: learning curve, and for two columns density and samples. */
#ifndef LAB_PICTURES_H
#define LAB_PICTURES_H

#include "log.h"
#include "model.h"

/* dir/curve.png: series of training and of validation, and the entropy that is their floor (NaN: not known). */
void lab_curve_picture(const char *dir, const char *title, const char *unit, const char *const name[2], double floor,
                       const lab_log *log);
/* Writes dir/curve.png, density.png, samples.png, as far as they apply, and prints their names.  Without gnuplot it
 * says so in one line; a figure that fails is one line on stderr. */
void lab_pictures(const char *dir, const char *title, lab_model *m, const lab_dataset *d, const lab_log *log, int threads);

#endif
