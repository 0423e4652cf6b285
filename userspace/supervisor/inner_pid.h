/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox has a pid namespace of its own, and people there know a process by its number in it.
 * Reads /proc; any thread. Only for telling: the process may have gone meanwhile.
 */
#pragma once

#include <stdint.h>

/*
 * The number that the innermost namespace of process @pid (the host's number) knows it by; 0 if it
 * is gone. @ret_uid: its user; may be NULL, untouched if it is gone.
 */
uint32_t inner_pid(uint32_t pid, uint32_t *ret_uid);
