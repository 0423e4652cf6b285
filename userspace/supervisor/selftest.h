/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One denied act before anything is trusted: where `bpf` is missing from the active LSM list,
 * programs load and attach and nothing is enforced. A child joins a sandbox cgroup that nothing
 * admitted (slot 0: deny all) and tries to open a file and to make a socket.
 */
#pragma once

#include "common/error.h"

struct selftest_result {
	int open_error;	  /* errno of open("/"); 0 = it worked */
	int socket_error; /* errno of socket(AF_INET); 0 = it worked */
};

/* @agents_fd: the agents' parent cgroup. Negative errno when the test itself could not be run. */
int selftest_run(int agents_fd, struct selftest_result *ret_result, struct error *err);
