/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core kernel object, loaded for cgroups of the test's own, and agents run in them.
 */
#pragma once

#include "abi.h"
#include "compiled_policy.pb-c.h"
#include "supervisor/kernel.h"

#include <stddef.h>
#include <sys/types.h>

#define LOADED_SLOTS 8

/* Load, attach below a new cgroup; sandboxes of slots 1 to LOADED_SLOTS. Ends the process on
 * failure. One per process. */
void loaded_open(void);
void loaded_close(void);

/* Write a generation for @slot and switch to it. Returns what egress_write() returned. */
int loaded_policy(uint32_t slot, uint32_t generation, uint32_t mode,
		  const Openshell__Compiled__V1__CompiledPolicy *policy);
/* Only the switch. */
void loaded_switch(uint32_t slot, uint32_t generation, uint32_t mode);

/* Sum of a counter over the CPUs. */
uint64_t loaded_count(uint32_t index);

/* Read events in a thread from now on, and throw them away. */
void loaded_listen(void);

/* Measure the programs from now on, and print each one's mean time since then. */
void loaded_measure(void);
void loaded_print_times(void);

/* The newest event of @slot since the last call; 0 if there was none. */
int loaded_event(uint32_t slot, struct os_event *ret_event);

/* Look for events of packets that are refused to @pid from now on; how many, and the last one. */
void loaded_watch(pid_t pid);
unsigned int loaded_watched(uint32_t slot, struct os_event *ret_event);

/* What a supervisor would have of it: maps and policies. */
const struct kernel *loaded_kernel(void);

/* The descriptor of a map, by its name. */
int loaded_map(const char *name);

/* The image of a program, as os_binary and os_identity know it. */
struct os_image loaded_image(const char *path);
size_t loaded_processes(void); /* entries of os_proc */

/*
 * Run a program: in @slot's cgroup, or outside for 0. Its reports (ints) come on *ret_report, and
 * what is written to *ret_go it reads from descriptor 4.
 */
pid_t loaded_run(uint32_t slot, char *const argv[], int *ret_report, int *ret_go);
