/* special.h - scalar special functions that no vector library has. */
#ifndef AD_SPECIAL_H
#define AD_SPECIAL_H

double ad__erfinv(double x);
double ad__lgamma(double x);
/* Derivative n >= 0 of the digamma function. */
double ad__polygamma(int n, double x);

#endif
