/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canonical form of a request target in origin-form, which is what rules are matched with and
 * what is sent to the server: so that both see the same path. Percent-encoded unreserved characters
 * are decoded (RFC 3986 section 6.2.2.2), other escapes written in upper case, dot segments removed
 * (section 5.2.4), repeated slashes made one. Pure; any thread. Fails closed: what servers are
 * known to read in different ways is refused.
 */
#pragma once

#include "proxy/http.h"

#include <stdbool.h>
#include <stddef.h>

struct target {
	struct text path;  /* canonical, begins with '/'; "*" for OPTIONS * */
	struct text query; /* as sent, without the '?'; size 0 if there is none */
	bool has_query;	   /* there was a '?' */
};

enum target_error {
	TARGET_OK = 0,
	TARGET_FORM,	  /* not origin-form (or "*") */
	TARGET_CHARACTER, /* control, space, non-ASCII byte, backslash, '#', '<', '>', '"' ... */
	TARGET_ESCAPE,	  /* '%' without two hex digits, or an escaped control character or NUL */
	TARGET_ENCODED_SLASH, /* %2F or %5C */
	TARGET_PARAMETER,     /* `;` that hides a segment: "..;" or ";/../" */
	TARGET_ABOVE_ROOT,    /* dot segments that lead above the root */
	TARGET_UTF8, /* escapes that are not valid UTF-8: overlong, surrogates, truncated */
	TARGET_LONG,
};

/*
 * Read @raw; the canonical path is written into @buffer (HTTP_TARGET_MAX bytes are always enough).
 * @encoded_slash: %2F may stand (it stays encoded). Returns an enum target_error; @ret_target is
 * untouched on failure.
 */
enum target_error target_parse(struct text raw, bool encoded_slash, char *buffer, size_t size,
			       struct target *ret_target);

/* "the path has an encoded slash", for error bodies and the log. */
const char *target_error_text(enum target_error error);

/*
 * How a server may read a canonical path that does more than this canonicaliser: every escape
 * decoded, parameters after ';' dropped, slashes of either kind made one. Written into @buffer, of
 * at least the path's size; any bytes but NUL may be in it. A rule that denies has to be asked
 * about it as well: `/users/%40me` and `/admin;x/users` are `/users/@me` and `/admin/users` to
 * many. 1; 0 if there is no other reading, @ret_path untouched; -E2BIG; -EBADMSG if the path is not
 * canonical.
 */
int target_other_reading(struct text path, char *buffer, size_t size, struct text *ret_path);

/*
 * The next `key=value` of a query from *@place on (0 at first), both decoded ('+' is a space) into
 * @buffer. 1, 0 at the end, -EBADMSG for a bad escape, -E2BIG if @buffer is too small.
 */
int target_query_next(struct text query, uint32_t *place, char *buffer, size_t size,
		      struct text *ret_key, struct text *ret_value);
