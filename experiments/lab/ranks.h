/* ranks.h - the processes that mpirun or srun has started for one run: together they compute its numbers, rank 0 speaks and
 * writes.  A program that was started alone, or knows nothing of ranks, is rank 0 of 1.
 *
 * Functions marked (all) are called by all ranks, in the same order. */
#ifndef LAB_RANKS_H
#define LAB_RANKS_H

#include "ad/ad.h"
#include "cli.h"
#include "data.h"

/* First of all in main: joins the others, if a launcher started several processes.  Ends the program if the build knows no MPI,
 * or the ranks' machines would not compute the same bits.  Other ranks than 0 print nothing on stdout from here on.  If the
 * program ends with a status that was not agreed on, so do all ranks. */
void lab_ranks_begin(const lab_cli *c);
int lab_rank(void);
int lab_ranks(void);
int lab_ranks_cores(void); /* that this process may use, its share of those that several ranks may */
/* For ad_options.group; NULL when alone, or parted. */
const ad_group *lab_group(void);

/* (all) The status to end with, or -1 to go on if that is everybody's.  Rank 0 prints the message of a rank that fails alone. */
int lab_ranks_agree(const lab_cli *c, int status);
/* (all, or alone and parted) 0 if nowhere anything is bad; else -1 and, on all, the error of the first rank that has one. */
int lab_ranks_bad(int bad, lab_err *err);
/* (all) All get rank 0's data; its word; all bits that any rank has. */
void lab_ranks_first(void *data, size_t bytes);
bool lab_ranks_yes(bool here);
int lab_ranks_any(int bits);
/* (all) Fails, on all, unless the bytes are the same everywhere; what: "weights after step 7". */
int lab_ranks_same(const void *data, size_t bytes, const char *what, lab_err *err);
/* (all) From here on each goes its own way. */
void lab_ranks_part(void);
/* In a child process, before another program of the lab is started: it runs alone. */
void lab_ranks_forget(void);

/* cli.c hands over a message that is not rank 0's, for lab_ranks_agree. */
void lab__ranks_note(const char *message);

#endif
