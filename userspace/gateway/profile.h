/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of provider profiles. */
#pragma once

#include "gateway/request.h"

void profile_list(struct request *request);
void profile_get(struct request *request);
void profile_import(struct request *request);
void profile_update(struct request *request);
void profile_lint(struct request *request);
void profile_delete(struct request *request);
