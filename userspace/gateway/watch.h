/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who watches which sandbox (WatchSandbox), and telling them. Nothing waits for a watcher: one that
 * does not read loses events, and is told how many by a warning. The gateway's thread.
 */
#pragma once

#include "gateway/sandbox_record.h"

struct watchers;

int watchers_new(struct gateway *gateway, struct watchers **ret_watchers);
void watchers_free(struct watchers *watchers);

/* The record has been written. */
void watch_sandbox_changed(struct gateway *gateway, const char *sandbox_id);
void watch_sandbox_deleted(struct gateway *gateway, const char *sandbox_id);

/* Something happened to it, in a few words: "Scheduled", "on node host1". Kept in a short ring for
 * event_tail, not stored. */
void watch_event(struct gateway *gateway, const char *sandbox_id, const char *source,
		 const char *type, const char *reason, const char *message);

void watch_log(struct gateway *gateway, const Openshell__V1__SandboxLogLine *line);
