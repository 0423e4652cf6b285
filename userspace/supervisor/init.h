/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process of a sandbox. It starts as a copy of the supervisor, in new namespaces, and
 * takes the way down in one direction only: mounts, limits, identity and capabilities, system call
 * filter; all of that before it reports ready, so that no policy has to allow any of it. Then it
 * waits for the word to go, starts the agent, which inherits everything given up by then, and
 * stays to reap, to forward signals and to end the pid namespace when the agent ends.
 * A copy of a process that may have had threads: it allocates nothing and takes no lock. Fails
 * closed: a step that does not work is reported and ends the sandbox.
 */
#pragma once

#include "common/error.h"
#include "supervisor/launch.h"

#include <linux/filter.h>
#include <stdint.h>

/* From init, or from the agent before its execve(), over the status pipe; fits PIPE_BUF. */
enum init_report_kind {
	INIT_REPORT_READY = 1,
	INIT_REPORT_EXEC,   /* execve() comes next; end of file says that it succeeded */
	INIT_REPORT_FAILED, /* error says why; init ends */
};

struct init_report {
	uint32_t kind; /* enum init_report_kind */
	struct error error;
};

/* To init, over the control socket. End of file: the supervisor has died. */
enum init_order_kind {
	INIT_ORDER_GO = 1, /* with a Landlock ruleset's descriptor, or without */
	INIT_ORDER_SIGNAL, /* to the agent's process group, or to a command's */
	/*
	 * A further command, with three descriptors: behind the order come the working directory,
	 * the words and the variables, each with its NUL. Answered by INIT_NOTICE_ENDED.
	 */
	INIT_ORDER_EXEC,
	INIT_ORDER_CONNECT, /* to the sandbox's loopback; answered by INIT_NOTICE_CONNECTED */
};

#define INIT_ORDER_TEXT_MAX (128u << 10) /* bytes behind an order */
#define INIT_COMMANDS_MAX   256		 /* at once, beside the agent */

struct init_order {
	uint32_t kind;			/* enum init_order_kind */
	int32_t signal;			/* INIT_ORDER_SIGNAL */
	uint32_t id;			/* of a command or connection; 0 = the agent */
	uint32_t words, variables, tty; /* INIT_ORDER_EXEC */
	uint32_t port, v6;		/* INIT_ORDER_CONNECT */
};

/* From init, over the control socket. */
enum init_notice_kind {
	INIT_NOTICE_ENDED = 1,
	INIT_NOTICE_CONNECTED, /* with a descriptor that is connected or connecting; or error */
};

struct init_notice {
	uint32_t kind; /* enum init_notice_kind */
	uint32_t id;
	int32_t status; /* exit code, or 128 + signal */
	int32_t error;	/* negative errno: it was not started or connected, text says why */
	char text[256];
};

struct init_context {
	const struct launch_spec *spec;
	const struct sock_fprog *seccomp;
	int control_fd; /* SOCK_SEQPACKET */
	int status_fd;	/* pipe's write end */
};

/* The body of the process; ends with the agent's exit code, or 128 + its signal. */
void init_main(const struct init_context *context) __attribute__((noreturn));
