/* scan.h - a loop whose body is a traced function, with derivatives of any order: the derivative of a loop is a loop
 * the other way.  Private to ad/.
 *
 * The carry is a flat array [B, C] (or [C], all of it ordinary then).  In iteration k the body maps the carry and the
 * k-th element of each source to the next carry and to other results, in this order:
 *
 *     carry [B, C]     the next carry
 *     y     [B, Y]     at most one, kept for each iteration
 *     sums  [B, S_i]   added up over the iterations
 *     totals [P_i]     ordinary (sums over the batch, in a batched loop): added up over the iterations and the batch
 *     stack  [Q_i]     ordinary: added up over the batch, kept for each iteration
 *
 * Every carry is kept (that is what the derivative starts from), so memory is n (C + Y) numbers a sample.
 */
#ifndef AD_SCAN_H
#define AD_SCAN_H

#include "../tape.h"

/* Element k of a source stands at numbers at + k stride .. + len - 1 of each sample of a flat array. */
typedef struct {
	ad_var v;
	int64_t at, stride, len;
} ad__source;

typedef struct {
	ad_var last;   /* [B, C]: the carry after the last iteration */
	ad_var y;      /* [B, n, Y], or NULL */
	ad_var sums;   /* [B, all S_i], or NULL */
	ad_var totals; /* [all P_i], or NULL */
	ad_var stack;  /* [n, all Q_i], or NULL */
} ad__looped;

enum { SCAN_SOURCES = 16 };

/* The body's arguments: the carry, then an element of each source.  kept: it has a y; its other results are nsum sums,
 * ntotal totals and, last, stacks.  Iterations 0 .. n - 1, or n - 1 .. 0 if backward; of these only the first ceil(max
 * count) if count (rank 0 or [B], ordinary unless the carry is batched) is not NULL: then the body must leave the carry
 * of a sample alone from iteration count on. */
typedef struct {
	ad_fn *body;
	int64_t n;
	int nsource, nsum, ntotal;
	ad__source source[SCAN_SOURCES];
	bool backward, kept;
	bool keeps; /* a derivative may have it keep products that the body makes, some 128 KiB a sample, rather than make them
		     * again */
	bool value; /* has no derivative: another loop is there for it */
	int64_t C, Y, S, P, Q; /* found by ad__scan: numbers of the carry and the results, together by kind */
} ad__loop;
ad__looped ad__scan(ad__loop l, ad_var carry, ad_var count);

ad_var ad__flat(ad_var x);		   /* [B, numel] or [numel] */
ad_fn *ad__fn_of(int n, const ad_var x[]); /* begins a function on the innermost tape of x */
bool ad__fixed(ad_var x);		   /* depends on no input or argument: has no derivative anybody can ask for */

#endif
