/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks share: the clock, and medians of small samples. */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define FIGURES_MAX 4096

static inline double figures_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static inline int figures_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline void figures_sort(double *value, size_t n)
{
	qsort(value, n, sizeof(*value), figures_compare);
}

/* Of sorted values; @share 0.5 is the median. */
static inline double figures_at(const double *sorted, size_t n, double share)
{
	size_t i = (size_t)(share * (double)(n - 1) + 0.5);

	return sorted[i];
}
