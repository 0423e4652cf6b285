/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the daemon share. */
#pragma once

#include "common/grpc_client.h"
#include "node.pb-c.h"
#include "supervisor/daemon.h"
#include "supervisor/keeper_link.h"
#include "supervisor/kernel.h"

#include <sys/queue.h>
#include <uv.h>

#define DAEMON_SANDBOXES_MAX 4096
#define DAEMON_STOP_MS	     3000 /* that a main process gets after SIGTERM */

struct daemon_relay;

/* A sandbox of this host: its keeper, and what is to become of it. */
struct daemon_sandbox {
	TAILQ_ENTRY(daemon_sandbox) link;
	struct daemon *daemon;
	char id[37];
	char instance_id[37];			    /* that the keeper has or gets */
	struct keeper_link *keeper;		    /* NULL = none runs */
	uv_process_t *process;			    /* NULL = it is not our child */
	Openshell__Node__V1__SandboxReport *report; /* its last one */
	Openshell__Node__V1__PolicyReport *policy;
	uint8_t *next; /* a packed Assign to start with when the keeper is gone */
	size_t next_size;
	uint64_t release_id; /* Release that is answered when it is gone */
	bool releasing, keep_files, stopping, stopped, seen;
	bool adopted; /* found when this daemon started, and not heard of yet */
	TAILQ_HEAD(, daemon_relay) relays;
};

struct daemon {
	uv_loop_t loop;
	const struct daemon_options *options;
	struct kernel *kernel; /* stays open: a start of a sandbox loads nothing */
	struct grpc_client *client;
	SSL_CTX *tls;
	char *authorization;
	struct grpc_call *attach; /* NULL = not attached */
	bool accepted, stopping;
	uv_timer_t retry, heartbeat, sweep;
	uv_signal_t term, interrupt;
	uint32_t heartbeat_ms, retry_ms;
	char why[256]; /* it is not attached, as it was last told */
	uint64_t last_ms, sequence;
	uint32_t next_command;
	TAILQ_HEAD(, daemon_sandbox) sandboxes;
	size_t count, adopted;
	char sandboxes_dir[1024], keepers_dir[1024], trash_dir[1024];
	unsigned int next_removal, removing;
	volatile bool stop_removing;
};

/* daemon_files.c: sandboxes' directories. */
int daemon_files_make(struct daemon_sandbox *sandbox, struct error *err);
int daemon_files_remove(struct daemon_sandbox *sandbox, struct error *err);
void daemon_files_sweep(struct daemon *daemon);
void daemon_files_stop(struct daemon *daemon);

/* daemon_attach.c: the stream to the gateway. */
int daemon_attach_new(struct daemon *daemon, struct error *err);
void daemon_attach_start(struct daemon *daemon);
void daemon_send(struct daemon *daemon, const Openshell__Node__V1__NodeMessage *message);
void daemon_send_result(struct daemon *daemon, uint64_t request_id, const struct error *err);

/* daemon_sandbox.c: orders, and what keepers say. */
struct daemon_sandbox *daemon_find(struct daemon *daemon, const char *id);
void daemon_assign(struct daemon *daemon, const Openshell__Node__V1__Assign *assign);
void daemon_release(struct daemon *daemon, const char *id, uint64_t request_id, bool keep_files);
void daemon_forward(struct daemon *daemon, const char *id, uint64_t request_id,
		    enum keeper_kind kind, const ProtobufCMessage *body);
void daemon_synced(struct daemon *daemon);
void daemon_report_all(struct daemon *daemon);
int daemon_adopt(struct daemon *daemon, struct error *err);
void daemon_let_go(struct daemon *daemon);

/* daemon_keeper.c: the processes. */
int keeper_spawn(struct daemon_sandbox *sandbox, struct error *err);
int keeper_connect(struct daemon_sandbox *sandbox);
int daemon_keeper_link(struct daemon_sandbox *sandbox, int fd);
void keeper_forget(struct daemon_sandbox *sandbox);

/* daemon_relay.c */
void daemon_relay_open(struct daemon *daemon, const Openshell__Node__V1__OpenRelay *order);
void daemon_relay_ended(struct daemon_sandbox *sandbox, uint64_t id, int status, const char *error,
			int code);
void daemon_relay_connected(struct daemon_sandbox *sandbox, uint64_t id, int fd, const char *error,
			    int code);
void daemon_relays_lost(struct daemon_sandbox *sandbox);
