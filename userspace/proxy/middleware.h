/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy's network_middlewares do to requests that the rules admit, before credentials are
 * put in: the built-in ones, in the policy's order, each seeing what those before it changed. A
 * middleware that is a service is none of ours: for its hosts it has failed. When one fails,
 * `fail_closed` refuses the request, and `fail_open` lets it pass as if that one were not there.
 *
 * One thread: matching uses memory of the struct. Texts in @ret_why are for people, and the arena's
 * or constant.
 */
#pragma once

#include "common/arena.h"
#include "common/error.h"
#include "compiled_policy.pb-c.h"
#include "proxy/http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct middleware;

/*
 * Keeps @policy, which must live as long. -EINVAL for what the policy's check would have refused;
 * -ENOMEM.
 */
int middleware_new(const Openshell__Compiled__V1__CompiledPolicy *policy,
		   struct middleware **ret_middleware, struct error *err);
void middleware_free(struct middleware *middleware);

/* Whether any middleware selects a host (canonical name or address). */
bool middleware_selects(const struct middleware *middleware, const char *host);

/*
 * How much of a request's body has to be gathered for middleware_body(): 0 = none of it. A longer
 * body goes to middleware_oversize() instead.
 */
size_t middleware_body_max(const struct middleware *middleware, const char *host);

/*
 * Look at a request's head: fields, query, path. Redacts in place; new texts are the arena's.
 * 0: goes on (*ret_changed). -EACCES: denied (403 middleware_denied). -EIO: one that fails closed
 * has failed (middleware_failed): also when there is a body that it would have to see and cannot,
 * because it is compressed. -ENOMEM. @ret_why and what was denied are set for the two.
 */
int middleware_head(struct middleware *middleware, const char *host, struct http_head *head,
		    struct arena *arena, bool *ret_changed, const char **ret_why);

/*
 * Look at a whole body, or a WebSocket's text. If nothing changed, @ret_body is @body. Errors as
 * middleware_head().
 */
int middleware_body(struct middleware *middleware, const char *host, const uint8_t *body,
		    size_t size, struct arena *arena, struct text *ret_body, const char **ret_why);

/* A body that is longer than middleware_body_max(): 0 if everybody who looks at bodies fails open.
 */
int middleware_oversize(const struct middleware *middleware, const char *host,
			const char **ret_why);
