/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon and the keeper of a sandbox say to each other, over a SOCK_SEQPACKET socket that
 * only root reaches: a header, a packed message of proto/node.proto behind it (in a memfd when it
 * is large), and descriptors. A keeper may be older than the daemon: KEEPER_VERSION is in each
 * header, and one that differs ends the link. Functions do not block; any thread, one at a time.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEEPER_VERSION	1
#define KEEPER_FDS_MAX	3
#define KEEPER_BODY_MAX (64u << 20) /* bytes of a message */

enum keeper_kind {
	/* daemon to keeper */
	KEEPER_START = 1,   /* Assign */
	KEEPER_POLICY,	    /* Policy */
	KEEPER_CREDENTIALS, /* Credentials */
	KEEPER_INFERENCE,   /* Inference */
	KEEPER_EXEC,	    /* Exec; the command's three descriptors */
	KEEPER_CONNECT,	    /* value: port, negative for IPv6 */
	KEEPER_ATTACH,	    /* Attach; a channel of keeper_terminal.h */
	KEEPER_SIGNAL,	    /* value: signal, to the command's process group */
	KEEPER_STOP,	    /* value: milliseconds that it gets after SIGTERM */
	/* keeper to daemon */
	KEEPER_REPORT = 64, /* SandboxReport; first of all when a daemon connects */
	KEEPER_LOADED,	    /* PolicyReport */
	KEEPER_LOGS,	    /* Logs */
	KEEPER_ENDED,	    /* value: exit code; a Result says why it was not started */
	KEEPER_CONNECTED,   /* a descriptor, or a Result that says why there is none */
	KEEPER_RESULT,	    /* Result */
};

struct keeper_message {
	enum keeper_kind kind;
	uint64_t id; /* of a command or connection */
	int32_t value;
	uint8_t *body;
	size_t size;
	int fd[KEEPER_FDS_MAX]; /* -1 = none */
};

void keeper_message_clear(struct keeper_message *message);

/* Take a descriptor out. */
int keeper_message_take_fd(struct keeper_message *message, size_t i);

/* @fds stay the caller's. -EAGAIN: the socket is full; -EPIPE, -ENOMEM. */
int keeper_send(int fd, enum keeper_kind kind, uint64_t id, int32_t value,
		const ProtobufCMessage *body, const int *fds, size_t fds_len);

/* 1; 0: nothing is there; -EPIPE: the other end is gone; -EPROTO: it speaks another version. */
int keeper_receive(int fd, struct keeper_message *ret_message);
