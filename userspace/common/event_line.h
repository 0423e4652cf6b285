/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event as one line for people:
 * `TIME OCSF CLASS:ACTIVITY [SEVERITY] ACTION executable(pid) -> object [context] [reason:...]`.
 * Everything that came from outside is escaped, so that one event is always one line and a file's
 * name cannot pass for a field. Pure; any thread; cannot fail.
 */
#pragma once

#include "common/event.h"
#include "common/event_text.h"

#define EVENT_LINE_SIZE 65536 /* room for any line; a longer one is cut and ends in "..." */

/* The whole line, without a newline. @colour: with terminal colours for severity and action. */
void event_line(const struct event *event, bool colour, struct text *t);

/* From ACTION on, without the reason: what happened, in a few words. */
void event_line_body(const struct event *event, struct text *t);

/* "DENIED"; what a made event says instead. */
const char *event_action_label(const struct event *event);

/* What the act was about: path and rights, address and port, process and signal ... */
void event_line_object(const struct event *event, struct text *t);
