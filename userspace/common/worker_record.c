/* SPDX-License-Identifier: Apache-2.0 */
#include "common/worker_record.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* The batch's own head. */
struct batch {
	uint64_t lost;
	uint32_t count;
	uint32_t size; /* of all of it */
};

/* A record; its texts follow one after the other. */
struct fixed {
	uint64_t time, start_time, up, down;
	uint32_t pid, ns_pid, endpoint, generation, microseconds, first_byte, tokens_in, tokens_out;
	uint16_t status, port;
	uint8_t kind, verdict, scheme, flags;
	uint16_t length[WORKER_RECORD_TEXT_COUNT];
	uint16_t pad[3];
};

_Static_assert(sizeof(struct batch) == WORKER_RECORDS_HEAD, "no hidden padding");
_Static_assert(sizeof(struct fixed) == 72 + 2 * (WORKER_RECORD_TEXT_COUNT + 3),
	       "no hidden padding");

#define FLAGS                                                                                      \
	(WORKER_RECORD_STREAM | WORKER_RECORD_TOKENS | WORKER_RECORD_ESTIMATED |                   \
	 WORKER_RECORD_FAILOVER)

static const uint16_t longest[WORKER_RECORD_TEXT_COUNT] = {
#define WORKER_RECORD_TEXT_MAX(id, name, max) [WORKER_RECORD_##id] = (max),
	WORKER_RECORD_TEXTS(WORKER_RECORD_TEXT_MAX)
#undef WORKER_RECORD_TEXT_MAX
};

static size_t cut(enum worker_record_text which, const struct worker_record_string *text)
{
	size_t size = text->size < longest[which] ? text->size : longest[which];
	const char *end;

	if (!size)
		return 0;
	/* Neither may be in it; who put it there shall not be the reason why nothing is told. */
	end = memchr(text->data, '\0', size);
	if (end)
		size = (size_t)(end - text->data);
	end = which == WORKER_RECORD_PATH && size ? memchr(text->data, '?', size) : NULL;
	return end ? (size_t)(end - text->data) : size;
}

static uint32_t at_most_32(uint64_t number)
{
	return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

bool worker_records_add(struct worker_records *records, const struct worker_record *record)
{
	struct fixed fixed = {
		.time = record->time,
		.start_time = record->start_time,
		.up = record->up,
		.down = record->down,
		.pid = record->pid,
		.ns_pid = record->ns_pid,
		.endpoint = record->endpoint,
		.generation = record->generation,
		.microseconds = at_most_32(record->microseconds),
		.first_byte = at_most_32(record->first_byte),
		.tokens_in = at_most_32(record->tokens_in),
		.tokens_out = at_most_32(record->tokens_out),
		.status = record->status,
		.port = record->port,
		.kind = record->kind,
		.verdict = record->verdict,
		.scheme = record->scheme,
		.flags = record->flags,
	};
	size_t size = sizeof(fixed);
	uint8_t *to;

	for (size_t i = 0; i < WORKER_RECORD_TEXT_COUNT; i++) {
		fixed.length[i] = (uint16_t)cut((enum worker_record_text)i, &record->text[i]);
		size += fixed.length[i];
	}
	if (size > WORKER_RECORDS_BYTES - WORKER_RECORDS_HEAD - records->used)
		return false;
	to = records->data + WORKER_RECORDS_HEAD + records->used;
	memcpy(to, &fixed, sizeof(fixed));
	to += sizeof(fixed);
	for (size_t i = 0; i < WORKER_RECORD_TEXT_COUNT; i++) {
		if (fixed.length[i])
			memcpy(to, record->text[i].data, fixed.length[i]);
		to += fixed.length[i];
	}
	records->used += (uint32_t)size;
	records->count++;
	return true;
}

int worker_records_flush(struct worker_records *records, int fd)
{
	struct batch batch = {
		.lost = records->lost,
		.count = records->count,
		.size = WORKER_RECORDS_HEAD + records->used,
	};
	ssize_t n;

	if (!worker_records_pending(records))
		return 0;
	memcpy(records->data, &batch, sizeof(batch));
	do
		n = send(fd, records->data, batch.size, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		records->lost += records->count;
	else
		records->lost = 0;
	records->count = records->used = 0;
	if (n >= 0)
		return 0;
	return errno == EWOULDBLOCK || errno == ENOBUFS ? -EAGAIN : -errno;
}

void worker_records_tell(struct worker_records *records, int fd, const struct worker_record *record)
{
	if (worker_records_add(records, record))
		return;
	worker_records_flush(records, fd);
	worker_records_add(records, record);
}

int worker_records_read(const uint8_t *data, size_t size, struct worker_records_reader *ret_reader)
{
	struct batch batch;

	if (size < sizeof(batch) || size > WORKER_RECORDS_BYTES)
		return -EBADMSG;
	memcpy(&batch, data, sizeof(batch));
	/* Each record has a fixed part, so a number that cannot be is known here. */
	if (batch.size != size || (!batch.count && !batch.lost) ||
	    batch.count > (size - sizeof(batch)) / sizeof(struct fixed))
		return -EBADMSG;
	*ret_reader = (struct worker_records_reader){
		.data = data,
		.size = size,
		.place = sizeof(batch),
		.left = batch.count,
		.lost = batch.lost,
	};
	return 0;
}

/* What only one kind has. */
static bool check_inference(const struct fixed *fixed)
{
	const uint8_t counted = WORKER_RECORD_TOKENS | WORKER_RECORD_ESTIMATED;

	if (fixed->kind == WORKER_RECORD_INFERENCE)
		return fixed->verdict <= WORKER_RECORD_ALLOWED && !(fixed->flags & ~FLAGS) &&
		       (fixed->flags & counted) != counted;
	return !fixed->flags && !fixed->first_byte && !fixed->tokens_in && !fixed->tokens_out &&
	       !fixed->length[WORKER_RECORD_ROUTE] && !fixed->length[WORKER_RECORD_PROVIDER] &&
	       !fixed->length[WORKER_RECORD_MODEL] && !fixed->length[WORKER_RECORD_ASKED];
}

static bool check_fixed(const struct fixed *fixed)
{
	static const uint16_t zero[ARRAY_LEN(fixed->pad)];
	bool told = fixed->kind == WORKER_RECORD_FINDING || fixed->kind == WORKER_RECORD_UPSTREAM;

	if (fixed->kind < WORKER_RECORD_REQUEST || fixed->kind > WORKER_RECORD_INFERENCE ||
	    fixed->verdict > WORKER_RECORD_TOLD || fixed->scheme > WORKER_RECORD_WSS ||
	    memcmp(fixed->pad, zero, sizeof(zero)))
		return false;
	if (told != (fixed->verdict == WORKER_RECORD_TOLD) || !check_inference(fixed))
		return false;
	if (fixed->status && (fixed->status < 100 || fixed->status > 999))
		return false;
	for (size_t i = 0; i < WORKER_RECORD_TEXT_COUNT; i++)
		if (fixed->length[i] > longest[i])
			return false;
	return true;
}

static bool check_text(enum worker_record_text which, const uint8_t *data, size_t size)
{
	return !memchr(data, '\0', size) &&
	       (which != WORKER_RECORD_PATH || !memchr(data, '?', size));
}

int worker_records_next(struct worker_records_reader *reader, struct worker_record *ret_record)
{
	struct worker_record record;
	struct fixed fixed;
	size_t place = reader->place;

	if (!reader->left)
		return reader->place == reader->size ? 0 : -EBADMSG;
	if (reader->size - place < sizeof(fixed))
		return -EBADMSG;
	memcpy(&fixed, reader->data + place, sizeof(fixed));
	place += sizeof(fixed);
	if (!check_fixed(&fixed))
		return -EBADMSG;
	record = (struct worker_record){
		.time = fixed.time,
		.start_time = fixed.start_time,
		.up = fixed.up,
		.down = fixed.down,
		.pid = fixed.pid,
		.ns_pid = fixed.ns_pid,
		.endpoint = fixed.endpoint,
		.generation = fixed.generation,
		.microseconds = fixed.microseconds,
		.first_byte = fixed.first_byte,
		.tokens_in = fixed.tokens_in,
		.tokens_out = fixed.tokens_out,
		.status = fixed.status,
		.port = fixed.port,
		.kind = fixed.kind,
		.verdict = fixed.verdict,
		.scheme = fixed.scheme,
		.flags = fixed.flags,
	};
	for (size_t i = 0; i < WORKER_RECORD_TEXT_COUNT; i++) {
		const uint8_t *text = reader->data + place;

		if (fixed.length[i] > reader->size - place ||
		    !check_text((enum worker_record_text)i, text, fixed.length[i]))
			return -EBADMSG;
		record.text[i].data = (const char *)text;
		record.text[i].size = fixed.length[i];
		place += fixed.length[i];
	}
	reader->place = place;
	reader->left--;
	*ret_record = record;
	return 1;
}
