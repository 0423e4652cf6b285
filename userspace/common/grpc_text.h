/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gRPC writes as text: timeouts, and the sentence of a status. Pure functions; any thread.
 * Reference: "gRPC over HTTP2", Timeout and Status-Message.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define GRPC_TIMEOUT_TEXT 16 /* bytes that a timeout needs at most, with its NUL */

/*
 * "100m" -> milliseconds, rounded up, at most a year; -1 for what is no timeout. "0S" is 0: over
 * before it began.
 */
int64_t grpc_timeout_parse(const char *text);

/* At most eight digits and a unit, as the protocol wants; rounded up. */
void grpc_timeout_format(uint64_t ms, char ret_text[GRPC_TIMEOUT_TEXT]);

/* Percent-encode what is not printable ASCII. @ret_text gets at most @size bytes with its NUL; a
 * character that does not fit whole, with all that follows, is left out. Returns its length. */
size_t grpc_message_encode(const char *message, char *ret_text, size_t size);

/* The reverse; what is wrong stays as it is. In place. */
void grpc_message_decode(char *text);
