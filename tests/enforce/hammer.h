/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hammering agent and the test that watches it share: an array of these in a mapped file.
 * Each is written by one agent, but `stop`, which is the test's.
 */
#pragma once

#include <stdint.h>

#define HAMMERS 4

struct hammer {
	uint64_t opens, wrong; /* of the file always granted and the one always denied */
	uint64_t flips_allowed, flips_denied; /* of the one that policies differ in */
	int error;			      /* of the last wrong answer, errno */
	int running, stop;
	char path[256]; /* its file */
};
