/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a keeper share. */
#pragma once

#include "node.pb-c.h"
#include "supervisor/environment.h"
#include "supervisor/identity.h"
#include "supervisor/init.h"
#include "supervisor/keeper_link.h"
#include "supervisor/keeper_terminal.h"
#include "supervisor/observe.h"
#include "supervisor/sandbox.h"

#include <uv.h>

#define KEEPER_LOGS_MAX 2000 /* lines that wait for a daemon */

struct keeper {
	uv_loop_t loop;
	const char *id, *directory;
	struct keeper_link *link; /* to the daemon; NULL = there is none now */
	uv_poll_t listen, main, notices, events, network, log;
	uv_timer_t flush, deadline;
	bool watching;
	struct kernel *kernel;
	struct sandbox *sandbox;
	struct keeper_terminal *terminal;
	struct observe *observe;
	struct network_sink sink;
	int log_fd[2]; /* a pipe: lines of the log */
	char line[16384];
	size_t line_size;
	Openshell__V1__SandboxLogLine *waiting[KEEPER_LOGS_MAX];
	size_t waiting_count;
	uint64_t dropped;
	Openshell__Node__V1__Assign *assign;
	/* In force: what the sandbox was started with, or has got since. */
	Openshell__Compiled__V1__CompiledPolicy *policy;
	uint8_t digest[32];
	uint32_t policy_version;
	struct identity identity;
	struct environment environment;
	Openshell__V1__SandboxPhase phase;
	char message[512];
	int exit_code;
	bool exited, stopping;
	uint32_t command[INIT_COMMANDS_MAX]; /* that run for the daemon that is there; 0 = none */
};

void keeper_report(struct keeper *keeper);
void keeper_tell_policy(struct keeper *keeper, uint32_t version, const struct error *err);
void keeper_end_sandbox(struct keeper *keeper);
void keeper_on_notice(uv_poll_t *poll, int status, int events);

/* keeper_sandbox.c */
int keeper_start_sandbox(struct keeper *keeper, struct error *err);
int keeper_exec(struct keeper *keeper, uint32_t id, const Openshell__Node__V1__Exec *exec,
		const int fd[3], struct error *err);
void keeper_update_policy(struct keeper *keeper, const struct keeper_message *message);
void keeper_update_credentials(struct keeper *keeper, const struct keeper_message *message);
void keeper_update_inference(struct keeper *keeper, const struct keeper_message *message);

/* keeper_log.c */
int keeper_open_logs(struct keeper *keeper, struct error *err);
int keeper_watch(struct keeper *keeper, struct error *err);
void keeper_unwatch(struct keeper *keeper);
void keeper_finish_logs(struct keeper *keeper, int exit_code);
void keeper_log(struct keeper *keeper, const char *level, const char *text);
