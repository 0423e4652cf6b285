/* SPDX-License-Identifier: Apache-2.0 */
/* What the handlers of sandboxes share. */
#pragma once

#include "gateway/handlers.h"
#include "gateway/sandbox_record.h"

void sandbox_create(struct request *request);
void sandbox_get(struct request *request);
void sandbox_list(struct request *request);
void sandbox_delete(struct request *request);
void sandbox_stop(struct request *request);
void sandbox_start_again(struct request *request);
void sandbox_list_providers(struct request *request);
void sandbox_attach_provider(struct request *request);
void sandbox_detach_provider(struct request *request);

/* Answer with the record, as SandboxResponse. */
void sandbox_reply(struct request *request, struct sandbox_record *record);

/* The node has removed it: it is no more. */
void sandbox_gone(struct gateway *gateway, const char *id);
