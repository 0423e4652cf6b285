/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where events go: lines on stderr or in a log file, for people (cli.md's shorthand) or machines
 * (OCSF 1.8 JSON lines), filtered, and with repeated denials told once with a number.
 *
 * Owned by the caller; one thread. Lines are buffered: call event_writer_flush() from a timer at
 * least every EVENT_WRITER_FLUSH_MS while event_writer_pending() says so. Never blocks enforcement
 * and never ends the agent: if the log cannot be written (disk full, reader gone) that is said once
 * on standard error, what is lost is counted, and event_writer_close() says so.
 */
#pragma once

#include "common/error.h"
#include "common/event.h"

#include <stdbool.h>
#include <stdint.h>

#define EVENT_WRITER_FLUSH_MS 100

enum event_format {
	EVENT_FORMAT_SHORTHAND,
	EVENT_FORMAT_OCSF,
};

enum event_colour {
	EVENT_COLOUR_AUTO, /* if it goes to a terminal, NO_COLOR is unset and TERM is not dumb */
	EVENT_COLOUR_NEVER,
	EVENT_COLOUR_ALWAYS,
};

struct event_writer_options {
	const char *path; /* log file, appended to, created 0600; NULL = @fd; see -ELOOP */
	int fd;		  /* used as it is and never closed */
	enum event_format format;
	enum event_colour colour;
	bool allowed_files;	/* tell allowed FILE events */
	bool hide_allowed_net;	/* tell no allowed NET and HTTP events */
	bool hide_allowed_exec; /* tell no allowed PROC events */
	/*
	 * Identical denials (same executable, object and rights) told per second before the rest
	 * is summed up in one line; 0 = EVENT_WRITER_REPEATS.
	 */
	unsigned int repeats;
	int warn_fd; /* where a broken log is complained about; -1 = nowhere */
};

#define EVENT_WRITER_REPEATS 5

struct event_writer;

struct event_writer_stats {
	uint64_t written;  /* events told */
	uint64_t filtered; /* left out by the options */
	uint64_t repeated; /* summed up in others' lines */
	uint64_t lost;	   /* could not be written */
};

/* "shorthand" or "ocsf"; -EINVAL for others. */
int event_format_parse(const char *name, enum event_format *ret_format);

/*
 * Errors: those of open(), in a sentence; -ELOOP also for a symbolic link that belongs to somebody
 * else than root and the caller: the log may lie where an agent makes names. -ENOMEM.
 */
int event_writer_open(const struct event_writer_options *options, struct event_writer **ret_writer,
		      struct error *err);

void event_writer_write(struct event_writer *writer, const struct event *event);

/* Write out what is buffered, and the sums of repeats whose second is over. */
void event_writer_flush(struct event_writer *writer);

/* As event_writer_flush(), with the sums of seconds that are not over: at the end of a run. */
void event_writer_settle(struct event_writer *writer);

/* True if a flush has something to do: lines are buffered or repeats are being summed. */
bool event_writer_pending(const struct event_writer *writer);

const struct event_writer_stats *event_writer_stats(const struct event_writer *writer);

/*
 * Flush everything and free @writer (NULL is valid). Returns 0, or the error of the first write
 * that failed, with a sentence in @err that says how many events are missing from the log.
 */
int event_writer_close(struct event_writer *writer, struct error *err);
