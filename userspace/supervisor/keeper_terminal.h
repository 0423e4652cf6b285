/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard input, output and error of a sandbox's main process: a pseudo-terminal, or three pipes.
 * What was written last is kept, so that whoever comes later sees it; whoever is there may type. A
 * reader that does not keep up holds up the process, as a terminal does. Owned by the keeper; the
 * loop's thread. Bounded.
 *
 * A channel is a SOCK_SEQPACKET socket; each packet begins with a byte that says what it is.
 */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

enum channel_packet {
	CHANNEL_OUTPUT = 'o',
	CHANNEL_ERROR = 'e',
	CHANNEL_EXIT = 'x', /* int32_t: exit code; nothing follows */
	CHANNEL_INPUT = 'i',
	CHANNEL_RESIZE = 'r', /* two uint16_t: columns, rows */
	CHANNEL_END = 'z',    /* no more input */
};

#define CHANNEL_DATA_MAX      16384
#define TERMINAL_REPLAY_MAX   (256u << 10) /* bytes that are kept */
#define TERMINAL_CHANNELS_MAX 16

struct keeper_terminal;

int keeper_terminal_new(uv_loop_t *loop, bool tty, uid_t owner,
			struct keeper_terminal **ret_terminal, struct error *err);

/* What becomes the process's descriptor @i, and the terminal's name (NULL: pipes), until
 * keeper_terminal_started(). */
int keeper_terminal_fd(const struct keeper_terminal *terminal, int i);
const char *keeper_terminal_name(const struct keeper_terminal *terminal);
void keeper_terminal_started(struct keeper_terminal *terminal);

/* A channel; @fd is taken. -ENOSPC. */
int keeper_terminal_attach(struct keeper_terminal *terminal, int fd, uint32_t columns,
			   uint32_t rows);

/* The process has ended: what it wrote is read and told, then its exit code. Channels that come
 * later get both. */
void keeper_terminal_exited(struct keeper_terminal *terminal, int exit_code);

/* The loop has to run once more after it. NULL is valid. */
void keeper_terminal_free(struct keeper_terminal *terminal);
