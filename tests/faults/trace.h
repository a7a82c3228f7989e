/* trace.h - what a program did to the files of one folder, in order: written by shim.c, read by power_loss.c. */
#ifndef TRACE_H
#define TRACE_H

#include <stdint.h>

enum trace_kind { TRACE_OPEN, TRACE_WRITE, TRACE_TRUNCATE, TRACE_SYNC, TRACE_CLOSE, TRACE_RENAME, TRACE_UNLINK, TRACE_MKDIR };

typedef struct {
	int32_t kind, fd, flags; /* flags: of open */
	int64_t n;               /* bytes written, which follow the record; the new length of a truncation */
	char path[256], to[256];
} trace_record;

#endif
