/* Memory of programs: zeroed, and not there before it is used, so that what a run does not touch costs nothing. */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

static size_t rounded(size_t bytes)
{
	return (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

void *plan_pages(size_t bytes)
{
	if (bytes < HUGE_PAGE)
		return ad__malloc(bytes);
	size_t n = rounded(bytes);
	char *p = mmap(NULL, n + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		fprintf(stderr, "flowtape: out of memory for %zu bytes\n", bytes);
		abort();
	}
	size_t head = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
	if (head)
		munmap(p, head);
	munmap(p + head + n, HUGE_PAGE - head);
	p += head;
#ifdef MADV_HUGEPAGE
	(void)madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* what is over takes no whole page */
#endif
	return p;
}

void plan_pages_free(void *p, size_t bytes)
{
	if (bytes < HUGE_PAGE)
		free(p);
	else
		munmap(p, rounded(bytes));
}
