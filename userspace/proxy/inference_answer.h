/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors that inference.local answers with, in the form that both families of clients print:
 *
 *	{"type":"error","error":{"type":"not_configured","code":"not_configured","message":"..",
 *	 "param":null},"hint":".."}
 *
 * Pure. Never a secret, and nothing that a provider said.
 */
#pragma once

#include "common/arena.h"
#include "proxy/http.h"
#include "proxy/inference.h"

/* A JSON text with a newline, in @arena. @hint NULL: none. -ENOMEM. */
int inference_answer_body(struct arena *arena, const char *code, const char *message,
			  const char *hint, struct text *ret_text);

/*
 * The frame that ends a stream which broke: of server-sent events, `event: error` for MESSAGES,
 * plain `data:` for the others, as their clients look for it (WHATWG HTML section 9.2.6). @in_line:
 * it broke in the middle of a line, which is ended first.
 */
int inference_answer_frame(struct arena *arena, inference_api api, const char *code,
			   const char *message, bool in_line, struct text *ret_text);
