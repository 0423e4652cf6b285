/* SPDX-License-Identifier: Apache-2.0 */
/* Workspaces and who is in them. The gateway's thread. */
#pragma once

#include "common/error.h"
#include "gateway/gateway.h"

struct request;

/* The workspace that is there from the start. */
int workspace_init(struct gateway *gateway, struct error *err);

/* workspace_member.c */
void member_add(struct request *request);
void member_remove(struct request *request);
void member_list(struct request *request);
