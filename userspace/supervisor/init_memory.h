/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes init small. It begins as a copy of the supervisor, and although the two share pages at
 * first, each page that the supervisor writes to later leaves init with a copy of its own: in the
 * end every sandbox would keep the supervisor's memory of the day it was started. Once the agent
 * runs, init needs its code, the C library, a stack and its thread's data; the rest goes.
 * Init's only thread; allocates nothing. Fails harmless: what cannot be unmapped stays.
 */
#pragma once

/* Descriptor for init_memory_shed(), opened while no policy can refuse it; -1 = cannot. */
int init_memory_open(void);

/*
 * Unmap what init does not need, and close @fd. @frame is the frame of a function that is never
 * returned from: what is on the stack above it goes as well. After this, nothing that the
 * supervisor allocated may be touched, no library but the C library called, and nothing returned to
 * that was entered with data from there.
 */
void init_memory_shed(int fd, const void *frame);
