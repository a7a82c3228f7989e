/* ranks_mpi.h - what ranks.c needs of MPI.  Private to lab. */
#ifndef LAB_RANKS_MPI_H
#define LAB_RANKS_MPI_H

#include <stdbool.h>

#include "ad/ad.h"

typedef struct {
	bool (*begin)(ad_group *g); /* fills g */
	void (*end)(int status);    /* -1: all end; else ends all with that status */
	int (*cores)(void);	    /* (all) this rank's share of the processors that the ranks of its machine may use */
} lab__transport;
extern const lab__transport lab__mpi;

#endif
