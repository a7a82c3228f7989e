/* config.h - a program's options to and from the log of a run.
 *
 * "config/NAME" holds the value a run used, default or not; "asked/NAME" the text of each that was given. */
#ifndef LAB_CONFIG_H
#define LAB_CONFIG_H

#include "cli.h"
#include "log.h"

void lab_config_record(lab_log *l, const lab_cli *c, const void *values, const lab_args *a);
/* Puts the recorded values into `values`, save those LAB_FREE ones that were given now.  Texts are borrowed from l.
 * False with the reason in why if an option given now differs from the run's. */
bool lab_config_restore(const lab_log *l, const lab_cli *c, void *values, const lab_args *a, char *why, size_t n);

#endif
