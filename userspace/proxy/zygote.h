/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that forks workers and resolvers: executed once, so that a worker costs a fork. It
 * keeps root's uid with the capabilities to take another identity and to end its children, hears
 * the supervisor and nobody else, and parses fixed messages only. Its end is that of all its
 * children, and the supervisor's end is its own: whatever happens to whom, nothing stays behind.
 *
 * One thread. Fails closed: a child that cannot be confined as wanted does not run.
 */
#pragma once

/*
 * Serve WORKER_FORK messages from @channel until it ends. Returns the process's exit status: 0, or
 * an errno that says which step of its own confinement failed or what was wrong with a message.
 */
int zygote_main(int channel);
