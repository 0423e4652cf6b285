/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The groups of RPCs that the gateway answers: one table each, in the file of its group, ended by a
 * row without a function.
 */
#pragma once

#include "gateway/request.h"

extern const struct handler health_handlers[];	  /* health.c: Health, info, current user */
extern const struct handler sandbox_handlers[];	  /* sandbox_*.c: lifecycle, providers of one */
extern const struct handler exec_handlers[];	  /* exec.c, forward.c: Exec*, ForwardTcp */
extern const struct handler access_handlers[];	  /* ssh sessions and services */
extern const struct handler log_handlers[];	  /* logs.c, watch.c */
extern const struct handler policy_handlers[];	  /* UpdateConfig, revisions, settings */
extern const struct handler provider_handlers[];  /* providers and profiles */
extern const struct handler inference_handlers[]; /* routes, bundle */
extern const struct handler workspace_handlers[]; /* workspaces and members */
extern const struct handler token_handlers[];	  /* sandbox tokens */
extern const struct handler node_handlers[];	  /* openshell.node.v1 */
