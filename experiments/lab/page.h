/* page.h - a page of HTML that needs nothing else: its style and script are in it. */
#ifndef LAB_PAGE_H
#define LAB_PAGE_H

#include <stdio.h>

void lab_page_begin(FILE *f, const char *title);
void lab_page_end(FILE *f);

#endif
