/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker tells the supervisor of each request that it judged, in batches, one batch per
 * packet of a SOCK_SEQPACKET socket (WORKER_SOCKET_RECORDS): fixed layouts in host order, since
 * both ends are of one build. Nobody answers. A worker never waits for the supervisor: what does
 * not fit into the socket is dropped, counted, and the count told in the next batch.
 *
 * The writer is the worker's, on its thread, allocates nothing. The reader is pure, any thread, and
 * fuzzed, for a worker is not trusted: a batch that is not exactly what the writer would write is
 * -EBADMSG, and the reader ends the process at the other end. Texts may hold any byte but NUL; a
 * path has no query.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum worker_record_kind {
	WORKER_RECORD_REQUEST = 1, /* an HTTP request, and its response if there was one */
	WORKER_RECORD_MESSAGE = 2, /* a message of a WebSocket that was denied, or would be */
	WORKER_RECORD_FINDING = 3, /* something to look at: a credential sent where it may not go */
	WORKER_RECORD_UPSTREAM = 4,  /* the server's TLS failed, or it could not be reached */
	WORKER_RECORD_INFERENCE = 5, /* a request to inference.local; PROTOCOL is its API */
};

enum worker_record_verdict {
	WORKER_RECORD_DENIED = 0,
	WORKER_RECORD_ALLOWED = 1,
	WORKER_RECORD_AUDIT = 2, /* went through, and would have been denied */
	WORKER_RECORD_TOLD = 3,	 /* nothing was decided: FINDING, UPSTREAM */
};

/* Bits of worker_record.flags, INFERENCE; never both TOKENS and ESTIMATED. */
#define WORKER_RECORD_STREAM	(1u << 0) /* the response was a stream */
#define WORKER_RECORD_TOKENS	(1u << 1) /* the response said how many tokens */
#define WORKER_RECORD_ESTIMATED (1u << 2) /* it did not: they are a guess by size */
#define WORKER_RECORD_FAILOVER	(1u << 3) /* another route was tried before */

enum worker_record_scheme {
	WORKER_RECORD_HTTP = 0,
	WORKER_RECORD_HTTPS = 1,
	WORKER_RECORD_WS = 2,
	WORKER_RECORD_WSS = 3,
};

/* Texts of a record, each with its most bytes. A longer one is cut by the writer. */
#define WORKER_RECORD_TEXTS(X)                                                                     \
	X(METHOD, method, 32)                                                                      \
	X(HOST, host, 253)	  /* as ORIGIN told it */                                          \
	X(PATH, path, 1024)	  /* canonical; what follows a '?' is cut off */                   \
	X(PROTOCOL, protocol, 16) /* "rest", "websocket", "graphql" ...: struct l7_verdict */      \
	X(POLICY, policy, 255)	  /* key of the rule whose endpoint decided, "" = none */          \
	X(RULE, rule, 160)	  /* the L7 rule that decided, "" = none */                        \
	X(REASON, reason, 512)	  /* a sentence's end; FINDING, UPSTREAM: all of the sentence */   \
	X(BINARY, binary, 512)	  /* as ORIGIN told it */                                          \
	X(ERROR, error, 64)	  /* code of the answer: "policy_denied"; "" = none */             \
	X(ROUTE, route, 64)	  /* INFERENCE: the route's name, "" = none was chosen */          \
	X(PROVIDER, provider, 64) /* INFERENCE: its provider's name */                             \
	X(MODEL, model, 128)	  /* INFERENCE: the model that was used */                         \
	X(ASKED, asked, 128)	  /* INFERENCE: the model that the agent asked for; its word */

enum worker_record_text {
#define WORKER_RECORD_TEXT_ENUM(id, name, max) WORKER_RECORD_##id,
	WORKER_RECORD_TEXTS(WORKER_RECORD_TEXT_ENUM)
#undef WORKER_RECORD_TEXT_ENUM
		WORKER_RECORD_TEXT_COUNT,
};

struct worker_record_string {
	const char *data; /* ends nowhere; NULL only if size is 0 */
	size_t size;
};

#define WORKER_RECORD_NO_ENDPOINT UINT32_MAX

struct worker_record {
	uint64_t time;	     /* CLOCK_BOOTTIME ns, of the decision */
	uint64_t start_time; /* of the process */
	uint64_t up, down;   /* bytes of the bodies toward the server, and toward the agent */
	/*
	 * These four are told as at most UINT32_MAX. microseconds: from the request's head to the
	 * response's end; first_byte: to its head, 0 = none came.
	 */
	uint64_t microseconds, first_byte;
	uint64_t tokens_in, tokens_out; /* INFERENCE, as is first_byte */
	uint32_t pid, ns_pid;
	uint32_t endpoint;   /* index into CompiledPolicy.endpoints, or NO_ENDPOINT */
	uint32_t generation; /* of the policy that decided */
	uint16_t status;     /* of the response that the agent got, 0 = none; 100..999 */
	uint16_t port;	     /* host order */
	uint8_t kind;	     /* enum worker_record_kind */
	uint8_t verdict;     /* enum worker_record_verdict */
	uint8_t scheme;	     /* enum worker_record_scheme */
	uint8_t flags;	     /* WORKER_RECORD_STREAM ..; 0 for all but INFERENCE */
	struct worker_record_string text[WORKER_RECORD_TEXT_COUNT];
};

/* The worker's side */

#define WORKER_RECORDS_BYTES 65536 /* of a batch */
#define WORKER_RECORDS_HEAD  16	   /* of these, the batch's own */

struct worker_records {
	uint64_t lost;	/* records dropped that no batch has told of yet */
	uint32_t count; /* of records in `data` */
	uint32_t used;	/* bytes of `data`, without the head; 0 = empty */
	uint8_t data[WORKER_RECORDS_BYTES];
};

/* All zero is an empty batch. True if there is something to send: records, or a count of lost ones.
 */
static inline bool worker_records_pending(const struct worker_records *records)
{
	return records->count || records->lost;
}

/*
 * Add @record, with each text cut to its size. False: there is no room; flush, and add it again,
 * which then always works. Takes a fraction of a microsecond.
 */
bool worker_records_add(struct worker_records *records, const struct worker_record *record);

/*
 * Send the batch over @fd without ever waiting, and begin the next. -EAGAIN: the reader is behind,
 * and the batch was dropped and counted; -EPIPE: there is none.
 */
int worker_records_flush(struct worker_records *records, int fd);

/* worker_records_add(), and a flush where that is needed. */
void worker_records_tell(struct worker_records *records, int fd,
			 const struct worker_record *record);

/* The supervisor's side */

struct worker_records_reader {
	const uint8_t *data;
	size_t size, place;
	uint32_t left; /* records that are still to come */
	uint64_t lost; /* records that were dropped before this batch */
};

/* Begin to read one batch, borrowed until the last record. -EBADMSG. */
int worker_records_read(const uint8_t *data, size_t size, struct worker_records_reader *ret_reader);

/* 1 and *ret_record, whose texts point into the batch; 0 after the last; -EBADMSG. */
int worker_records_next(struct worker_records_reader *reader, struct worker_record *ret_record);
