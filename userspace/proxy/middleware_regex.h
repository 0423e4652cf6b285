/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in middleware `openshell/regex`: see common/middleware_config.h for what it is told.
 * PCRE2 without its just-in-time compiler, which needs memory that is writable and executable; so
 * that no pattern takes forever on what an agent made for it, steps are counted, and when there
 * have been too many it has failed. One thread.
 */
#pragma once

#include "common/arena.h"
#include "common/error.h"
#include "proxy/http.h"

#include <stddef.h>
#include <stdint.h>

/* Steps of one pattern in one text: so many, and so many for each byte. */
#define REGEX_STEPS	 2000000
#define REGEX_STEPS_BYTE 32
#define REGEX_MATCHES	 4096 /* that are redacted in one text */

struct regex;

/* -EINVAL, -ENOMEM. */
int regex_new(const char *config, struct regex **ret_regex, struct error *err);
void regex_free(struct regex *regex);

/* MIDDLEWARE_* of common/middleware_config.h: where any pattern looks. */
unsigned int regex_where(const struct regex *regex);
size_t regex_body_max(const struct regex *regex);

/*
 * Run the patterns for one place (a MIDDLEWARE_* bit) over @text. 0, and *ret_text is @text, or
 * what it became, of the arena. -EACCES: one that denies has matched; -EIO: too many steps or
 * matches; for both *ret_name is the pattern's name. -ENOMEM.
 */
int regex_apply(struct regex *regex, unsigned int place, struct text text, struct arena *arena,
		struct text *ret_text, const char **ret_name);
