/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/worker_record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

static struct worker_records records;
static uint8_t batch[WORKER_RECORDS_BYTES + 1];

static struct worker_record_string text(const char *string)
{
	return (struct worker_record_string){string, strlen(string)};
}

static struct worker_record make(void)
{
	return (struct worker_record){
		.time = 1,
		.start_time = 2,
		.up = 3,
		.down = UINT64_MAX,
		.pid = 4,
		.ns_pid = 5,
		.endpoint = WORKER_RECORD_NO_ENDPOINT,
		.generation = 6,
		.microseconds = 7,
		.status = 403,
		.port = 443,
		.kind = WORKER_RECORD_REQUEST,
		.verdict = WORKER_RECORD_DENIED,
		.scheme = WORKER_RECORD_HTTPS,
		.text = {[WORKER_RECORD_METHOD] = text("POST"),
			 [WORKER_RECORD_HOST] = text("api.example.com"),
			 [WORKER_RECORD_PATH] = text("/user/repos"),
			 [WORKER_RECORD_PROTOCOL] = text("rest"),
			 [WORKER_RECORD_POLICY] = text("api"),
			 [WORKER_RECORD_REASON] = text("no rule admits it"),
			 [WORKER_RECORD_BINARY] = text("/usr/bin/curl"),
			 [WORKER_RECORD_ERROR] = text("policy_denied")},
	};
}

static struct worker_record make_inference(void)
{
	struct worker_record record = make();

	record.kind = WORKER_RECORD_INFERENCE;
	record.verdict = WORKER_RECORD_ALLOWED;
	record.status = 200;
	record.first_byte = 8;
	record.tokens_in = 9;
	record.tokens_out = UINT32_MAX;
	record.flags = WORKER_RECORD_STREAM | WORKER_RECORD_TOKENS | WORKER_RECORD_FAILOVER;
	record.text[WORKER_RECORD_HOST] = text("inference.local");
	record.text[WORKER_RECORD_PATH] = text("/v1/chat/completions");
	record.text[WORKER_RECORD_PROTOCOL] = text("chat_completions");
	record.text[WORKER_RECORD_ROUTE] = text("fast");
	record.text[WORKER_RECORD_PROVIDER] = text("openai");
	record.text[WORKER_RECORD_MODEL] = text("gpt-4o-mini");
	record.text[WORKER_RECORD_ASKED] = text("gpt-5");
	return record;
}

static int begin(void **state)
{
	memset(&records, 0, sizeof(records));
	return 0;
}

/* The batch as it goes over a socket. */
static size_t sent(void)
{
	int pair[2];
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(worker_records_flush(&records, pair[0]), 0);
	n = recv(pair[1], batch, sizeof(batch), 0);
	close(pair[0]);
	close(pair[1]);
	assert_true(n > 0);
	return (size_t)n;
}

static bool text_is(const struct worker_record *record, enum worker_record_text which,
		    const char *string)
{
	return record->text[which].size == strlen(string) &&
	       !memcmp(record->text[which].data, string, strlen(string));
}

static void same(const struct worker_record *got, const struct worker_record *told)
{
	assert_memory_equal(got, told, offsetof(struct worker_record, text));
	for (int i = 0; i < WORKER_RECORD_TEXT_COUNT; i++) {
		assert_int_equal(got->text[i].size, told->text[i].size);
		if (got->text[i].size)
			assert_memory_equal(got->text[i].data, told->text[i].data,
					    got->text[i].size);
	}
}

static void what_is_told_arrives(void **state)
{
	const struct worker_record one = make(), three = make_inference();
	struct worker_record two = one, got;
	struct worker_records_reader reader;
	size_t size;

	two.kind = WORKER_RECORD_FINDING;
	two.verdict = WORKER_RECORD_TOLD;
	two.status = 0;
	memset(two.text, 0, sizeof(two.text));
	assert_false(worker_records_pending(&records));
	assert_int_equal(worker_records_flush(&records, -1), 0);
	assert_true(worker_records_add(&records, &one));
	assert_true(worker_records_add(&records, &two));
	assert_true(worker_records_add(&records, &three));
	assert_true(worker_records_pending(&records));
	size = sent();
	assert_false(worker_records_pending(&records));

	assert_int_equal(worker_records_read(batch, size, &reader), 0);
	assert_int_equal(reader.lost, 0);
	assert_int_equal(worker_records_next(&reader, &got), 1);
	same(&got, &one);
	assert_int_equal(worker_records_next(&reader, &got), 1);
	same(&got, &two);
	assert_int_equal(worker_records_next(&reader, &got), 1);
	same(&got, &three);
	assert_int_equal(worker_records_next(&reader, &got), 0);
	assert_int_equal(worker_records_next(&reader, &got), 0);
}

static void a_query_is_never_told(void **state)
{
	struct worker_record record = make();
	struct worker_records_reader reader;
	size_t size;

	record.text[WORKER_RECORD_PATH] = text("/find?token=secret");
	record.text[WORKER_RECORD_REASON] = text("what? this may ask");
	record.text[WORKER_RECORD_POLICY] = (struct worker_record_string){"a\0b", 3};
	assert_true(worker_records_add(&records, &record));
	size = sent();
	assert_null(memmem(batch, size, "secret", 6));
	assert_int_equal(worker_records_read(batch, size, &reader), 0);
	assert_int_equal(worker_records_next(&reader, &record), 1);
	assert_true(text_is(&record, WORKER_RECORD_PATH, "/find"));
	assert_true(text_is(&record, WORKER_RECORD_REASON, "what? this may ask"));
	assert_true(text_is(&record, WORKER_RECORD_POLICY, "a"));

	/* Not by a worker that has another writer either. */
	*(char *)memmem(batch, size, "/find", 5) = '?';
	assert_int_equal(worker_records_read(batch, size, &reader), 0);
	assert_int_equal(worker_records_next(&reader, &record), -EBADMSG);
}

static void texts_are_cut(void **state)
{
	static char long_text[8192];
	struct worker_record record = make_inference(), got;
	struct worker_records_reader reader;
	size_t size;

	memset(long_text, 'x', sizeof(long_text));
	for (int i = 0; i < WORKER_RECORD_TEXT_COUNT; i++)
		record.text[i] = (struct worker_record_string){long_text, sizeof(long_text)};
	assert_true(worker_records_add(&records, &record));
	size = sent();
	assert_int_equal(worker_records_read(batch, size, &reader), 0);
	assert_int_equal(worker_records_next(&reader, &got), 1);
	assert_int_equal(got.text[WORKER_RECORD_PATH].size, 1024);
	assert_int_equal(got.text[WORKER_RECORD_METHOD].size, 32);
	assert_int_equal(got.text[WORKER_RECORD_REASON].size, 512);
	assert_int_equal(got.text[WORKER_RECORD_ROUTE].size, 64);
	assert_int_equal(got.text[WORKER_RECORD_ASKED].size, 128);
}

static void what_does_not_fit_is_counted(void **state)
{
	const struct worker_record record = make();
	struct worker_record got;
	struct worker_records_reader reader;
	unsigned int added = 0, read = 0;
	int pair[2], r;
	uint64_t lost = 0;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	/* Full, and then three batches more. */
	do {
		while (worker_records_add(&records, &record))
			added++;
		assert_true(WORKER_RECORDS_BYTES - records.used < 1024);
		r = worker_records_flush(&records, pair[0]);
		assert_int_equal(records.used, 0);
	} while (!r);
	assert_int_equal(r, -EAGAIN);
	assert_true(records.lost > 0);
	for (int i = 0; i < 1000; i++, added++)
		worker_records_tell(&records, pair[0], &record);
	assert_int_equal(worker_records_flush(&records, pair[0]), -EAGAIN);
	/* Nothing is left but the count, and that is something to send. */
	assert_true(worker_records_pending(&records));
	for (int turn = 0; turn < 2; turn++) {
		while ((n = recv(pair[1], batch, sizeof(batch), 0)) > 0) {
			assert_int_equal(worker_records_read(batch, (size_t)n, &reader), 0);
			lost += reader.lost;
			while ((r = worker_records_next(&reader, &got)) == 1)
				read++;
			assert_int_equal(r, 0);
		}
		assert_int_equal(worker_records_flush(&records, pair[0]), 0);
	}
	assert_true(lost > 0);
	assert_int_equal(read + lost, added);
	close(pair[1]);
	assert_true(worker_records_add(&records, &record));
	assert_int_equal(worker_records_flush(&records, pair[0]), -EPIPE);
	close(pair[0]);
}

static int reads(size_t size)
{
	/* Behind the batch is nothing that may be looked at. */
	_cleanup_free_ uint8_t *copy = malloc(size + 1);
	struct worker_records_reader reader;
	struct worker_record record;
	int r;

	assert_non_null(copy);
	memcpy(copy + 1, batch, size);
	r = worker_records_read(copy + 1, size, &reader);
	while (r == 0) {
		r = worker_records_next(&reader, &record);
		if (r == 0)
			return 0;
		r = r == 1 ? 0 : r;
	}
	return r;
}

/* Write @value over @bytes at @offset, see it refused, and put back what was there. */
static void refused(size_t size, size_t offset, size_t bytes, uint64_t value)
{
	uint8_t saved[8];

	memcpy(saved, batch + offset, bytes);
	memcpy(batch + offset, &value, bytes);
	if (reads(size) != -EBADMSG)
		fail_msg("%llu at %zu was taken", (unsigned long long)value, offset);
	memcpy(batch + offset, saved, bytes);
}

static void another_batch_is_refused(void **state)
{
	const struct worker_record record = make();
	const size_t fixed = WORKER_RECORDS_HEAD, length = fixed + 72;
	size_t size;

	assert_true(worker_records_add(&records, &record));
	assert_true(worker_records_add(&records, &record));
	size = sent();
	assert_int_equal(reads(size), 0);
	for (size_t n = 0; n < size; n++)
		assert_int_equal(reads(n), -EBADMSG);
	refused(size, 8, 4, 1); /* a record less than there is */
	refused(size, 8, 4, 3); /* and one more */
	refused(size, 8, 4, UINT32_MAX);
	refused(size, 12, 4, size - 1);
	refused(size, fixed + 68, 1, 0); /* the kind */
	refused(size, fixed + 68, 1, 6);
	refused(size, fixed + 68, 1, WORKER_RECORD_FINDING); /* which decides nothing */
	refused(size, fixed + 69, 1, WORKER_RECORD_TOLD);    /* which is no request's */
	refused(size, fixed + 69, 1, 4);
	refused(size, fixed + 70, 1, 4);
	refused(size, fixed + 71, 1, WORKER_RECORD_STREAM); /* which is no request's */
	refused(size, fixed + 64, 2, 99);
	refused(size, fixed + 64, 2, 1000);
	refused(size, fixed + 52, 4, 1); /* nor is a first byte, */
	refused(size, fixed + 56, 4, 1); /* nor are tokens */
	refused(size, fixed + 60, 4, 1);
	refused(size, length, 2, 33);
	refused(size, length, 2, UINT16_MAX);
	refused(size, length + 2 * WORKER_RECORD_TEXT_COUNT, 2, 1); /* padding */
	refused(size, size - 1, 1, 0);				    /* a NUL in a text */
	assert_int_equal(reads(size), 0);
	/* Nothing at all is not worth a packet. */
	memset(batch, 0, WORKER_RECORDS_HEAD);
	batch[12] = WORKER_RECORDS_HEAD;
	assert_int_equal(reads(WORKER_RECORDS_HEAD), -EBADMSG);
	batch[0] = 1;
	assert_int_equal(reads(WORKER_RECORDS_HEAD), 0);
}

static void another_inference_is_refused(void **state)
{
	const size_t fixed = WORKER_RECORDS_HEAD;
	struct worker_record record = make_inference();
	size_t size;

	assert_true(worker_records_add(&records, &record));
	size = sent();
	assert_int_equal(reads(size), 0);
	refused(size, fixed + 68, 1, WORKER_RECORD_REQUEST); /* which has no tokens */
	refused(size, fixed + 69, 1, WORKER_RECORD_AUDIT);
	refused(size, fixed + 69, 1, WORKER_RECORD_TOLD);
	refused(size, fixed + 71, 1, 1 << 4); /* no such flag */
	refused(size, fixed + 71, 1, WORKER_RECORD_TOKENS | WORKER_RECORD_ESTIMATED);

	/* Each of the texts is no other kind's. */
	for (int i = WORKER_RECORD_ROUTE; i <= WORKER_RECORD_ASKED; i++) {
		record = make();
		record.text[i] = text("x");
		assert_true(worker_records_add(&records, &record));
		size = sent();
		assert_int_equal(reads(size), -EBADMSG);
	}
}

/* Sums are the supervisor's; of one request a worker tells no more than this. */
static void numbers_are_cut(void **state)
{
	struct worker_record record = make_inference(), got;
	struct worker_records_reader reader;
	size_t size;

	record.microseconds = record.first_byte = UINT64_MAX;
	record.tokens_in = record.tokens_out = UINT64_C(1) << 32;
	assert_true(worker_records_add(&records, &record));
	size = sent();
	assert_int_equal(worker_records_read(batch, size, &reader), 0);
	assert_int_equal(worker_records_next(&reader, &got), 1);
	assert_true(got.microseconds == UINT32_MAX && got.first_byte == UINT32_MAX);
	assert_true(got.tokens_in == UINT32_MAX && got.tokens_out == UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_told_arrives, begin),
		cmocka_unit_test_setup(a_query_is_never_told, begin),
		cmocka_unit_test_setup(texts_are_cut, begin),
		cmocka_unit_test_setup(what_does_not_fit_is_counted, begin),
		cmocka_unit_test_setup(another_batch_is_refused, begin),
		cmocka_unit_test_setup(another_inference_is_refused, begin),
		cmocka_unit_test_setup(numbers_are_cut, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
