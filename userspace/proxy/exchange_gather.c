/* SPDX-License-Identifier: Apache-2.0 */
/* The body first, where it decides or is changed. */
#include "common/cleanup.h"
#include "proxy/exchange_internal.h"

#include <string.h>

/*
 * What was gathered, and then the rest as it comes: nothing looks at it. As on_data(), within which
 * resume() must not be called: so what becomes of the exchange meanwhile has to be seen.
 */
static bool go_on_unread(struct exchange *ex, const uint8_t *data, size_t size)
{
	struct exchange_body *body = &ex->request_body;
	struct exchange_watch connecting;

	body->kept = TAKE_PTR(ex->gathered);
	body->at = 0;
	body->end = ex->gathered_size;
	body->size = ex->gathered_room;
	if (exchange_body_grow(body, size, SIZE_MAX)) {
		exchange_finish(ex, STREAM_INTERNAL, STREAM_INTERNAL);
		return true;
	}
	memcpy(body->kept + body->end, data, size);
	body->end += size;
	exchange_watch(ex, &connecting);
	exchange_connect(ex);
	if (exchange_unwatch(ex, &connecting))
		return true;
	body->paused = body->at < body->end;
	return !body->paused;
}

static int add_gathered(struct exchange *ex, const uint8_t *data, size_t size)
{
	if (ex->gathered_size + size > ex->gathered_room) {
		size_t room = ex->gathered_room ? ex->gathered_room * 2 : 16384;
		uint8_t *grown;

		if (room < ex->gathered_size + size)
			room = ex->gathered_size + size;
		grown = realloc(ex->gathered, room);
		if (!grown)
			return -ENOMEM;
		ex->gathered = grown;
		ex->gathered_room = room;
	}
	if (size)
		memcpy(ex->gathered + ex->gathered_size, data, size);
	ex->gathered_size += size;
	return 0;
}

bool exchange_gathers(struct exchange *ex, const uint8_t *data, size_t size)
{
	static const struct exchange_denial large = {413, "policy_denied",
						     "the body is longer than may be inspected"};
	static const struct exchange_denial memory = {503, "upstream_unreachable", "out of memory"};
	static const struct exchange_denial changed = {
		403, "policy_denied",
		"the policy has changed while the request came: it may be tried again"};

	/* Who is slow must not be judged, and given credentials, by what was in force once. */
	if (exchange_is_outdated(ex)) {
		exchange_answer(ex, &changed);
		return true;
	}
	if (size > ex->gathered_max - ex->gathered_size) {
		struct exchange_watch judging;
		bool unread;

		exchange_watch(ex, &judging);
		unread = exchange_judge_too_long(ex);
		if (exchange_unwatch(ex, &judging))
			return true;
		if (unread)
			return go_on_unread(ex, data, size);
		if (ex->state == EXCHANGE_GATHER)
			exchange_answer(ex, &large);
	} else if (add_gathered(ex, data, size)) {
		exchange_answer(ex, &memory);
	} else if (ex->request_body.came) {
		exchange_judge_body(ex);
	}
	return true;
}

/* What came of the body while it was asked who makes the request. True: the exchange has ended. */
static bool gather_kept(struct exchange *ex)
{
	struct exchange_body *body = &ex->request_body;
	_cleanup_free_ uint8_t *kept = TAKE_PTR(body->kept);
	size_t at = body->at, size = body->end - body->at;
	bool paused = body->paused, taken;
	struct exchange_watch gathering;

	body->at = body->end = body->size = 0;
	body->trailers = 0;
	body->paused = false;
	exchange_watch(ex, &gathering);
	taken = exchange_gathers(ex, kept + at, size);
	if (exchange_unwatch(ex, &gathering))
		return true;
	body->paused = paused && !taken;
	if (paused && taken)
		op_resume(ex->down);
	return false;
}

void exchange_gather(struct exchange *ex, size_t max)
{
	struct http_head go_on = {.version = 11, .status = 100};

	ex->state = EXCHANGE_GATHER;
	ex->gathered_max = max;
	if (ex->request_body.at < ex->request_body.end) {
		if (gather_kept(ex))
			return;
	} else if (ex->request_body.came) {
		exchange_judge_body(ex);
		return;
	}
	if (ex->state == EXCHANGE_GATHER && ex->request.expect_continue) {
		ex->request.expect_continue = false;
		if (op_head(ex->down, &go_on, false))
			exchange_finish(ex, STREAM_CANCEL, STREAM_INTERNAL);
	}
}
