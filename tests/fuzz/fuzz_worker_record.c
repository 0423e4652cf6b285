/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a batch of a worker's records: what is read is sound, and writing it again gives the
 * same bytes, so that there is one way only to say a thing. The line of its event is one line, and
 * the JSON is JSON, whatever a worker wrote.
 */
#include "common/event_line.h"
#include "common/event_ocsf.h"
#include "common/event_request.h"
#include "common/worker_record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct worker_records again;

static void check(const struct worker_record *record)
{
	for (int i = 0; i < WORKER_RECORD_TEXT_COUNT; i++)
		if (record->text[i].size > 1024 ||
		    (record->text[i].size && memchr(record->text[i].data, 0, record->text[i].size)))
			__builtin_trap();
	if (record->text[WORKER_RECORD_PATH].size &&
	    memchr(record->text[WORKER_RECORD_PATH].data, '?',
		   record->text[WORKER_RECORD_PATH].size))
		__builtin_trap();
	if (record->kind < 1 || record->kind > 5 || record->verdict > 3 || record->scheme > 3)
		__builtin_trap();
	if (record->kind != WORKER_RECORD_INFERENCE &&
	    (record->flags || record->first_byte || record->tokens_in || record->tokens_out ||
	     record->text[WORKER_RECORD_ROUTE].size || record->text[WORKER_RECORD_ASKED].size))
		__builtin_trap();
}

static void tell(const struct worker_record *record)
{
	static const struct event_context context = {.sandbox = "box"};
	static char line[EVENT_LINE_SIZE];
	static struct event event;
	struct text t;
	json_t *root;
	char *json;

	event_request(record, record->status, record->port & 1, &context, &event);
	text_init(&t, line, sizeof(line));
	event_line(&event, false, &t);
	for (size_t i = 0; i < t.len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			__builtin_trap();
	json = event_ocsf(&event);
	root = json ? json_loads(json, 0, NULL) : NULL;
	if (!root)
		__builtin_trap();
	json_decref(root);
	free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct worker_records_reader reader;
	struct worker_record record;
	int r;

	if (worker_records_read(data, size, &reader))
		return 0;
	again = (struct worker_records){.lost = reader.lost};
	while ((r = worker_records_next(&reader, &record)) == 1) {
		check(&record);
		tell(&record);
		if (!worker_records_add(&again, &record))
			__builtin_trap();
	}
	if (r == 0 &&
	    (WORKER_RECORDS_HEAD + again.used != size ||
	     memcmp(again.data + WORKER_RECORDS_HEAD, data + WORKER_RECORDS_HEAD, again.used)))
		__builtin_trap();
	return 0;
}
