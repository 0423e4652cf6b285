/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of policies and settings: policy_update.c changes, policy_read.c reads. */
#pragma once

#include "gateway/handlers.h"

void policy_update_config(struct request *request);
void policy_get_status(struct request *request);
void policy_list(struct request *request);
void policy_get_sandbox_config(struct request *request);
void policy_get_gateway_config(struct request *request);
void policy_report_status(struct request *request);
