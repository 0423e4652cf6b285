/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "supervisor/event_reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static size_t seen;
static uint8_t last;

static void on_event(void *arg, const void *data, size_t size)
{
	assert_ptr_equal(arg, &seen);
	assert_true(size >= 8);
	last = *(const uint8_t *)data;
	seen++;
}

/* A program that puts eight bytes, the first of them @mark, into the ring buffer; @wake: BPF_RB_*
 */
static int make_producer(int ring_fd, uint8_t mark, int wake)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .off = -8, .imm = mark},
		{.code = BPF_LD | BPF_IMM | BPF_DW,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = ring_fd},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_2, .imm = -8},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = 8},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_4, .imm = wake},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ringbuf_output},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "producer", "GPL", insns,
			     sizeof(insns) / sizeof(insns[0]), NULL);
}

/* Number of events that fitted. */
static int produce(int prog_fd, int n)
{
	uint8_t packet[64] = {0};
	int fitted = 0;

	for (int i = 0; i < n; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet,
			    .data_size_in = sizeof(packet));

		assert_int_equal(bpf_prog_test_run_opts(prog_fd, &opts), 0);
		fitted += opts.retval == 0;
	}
	return fitted;
}

static int ring_fd = -1, prog_fd = -1;

static void need_bpf(void)
{
	if (ring_fd >= 0)
		return;
	if (event_ring_create("test_ring", 65536, &ring_fd, NULL) < 0) {
		print_message("# SKIP bpf() is not to be had here\n");
		skip();
	}
	prog_fd = make_producer(ring_fd, 0x5a, 0);
	assert_true(prog_fd >= 0);
}

static void events_come_through(void **state)
{
	const struct event_sink sink = {on_event, &seen};
	struct event_reader *reader;
	struct pollfd p;

	need_bpf();
	seen = 0;
	assert_int_equal(event_reader_open(ring_fd, &sink, &reader, NULL), 0);
	p = (struct pollfd){.fd = event_reader_fd(reader), .events = POLLIN};
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(event_reader_consume(reader), 0);
	assert_int_equal(produce(prog_fd, 3), 3);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(event_reader_consume(reader), 3);
	assert_int_equal(seen, 3);
	assert_int_equal(last, 0x5a);
	assert_int_equal(poll(&p, 1, 0), 0);
	event_reader_free(reader);
}

/* Programs tell of some events without waking anybody: after others the reader looks by itself. */
static void what_woke_nobody_is_found(void **state)
{
	const struct event_sink sink = {on_event, &seen};
	struct event_reader *reader;
	struct pollfd p;
	int quiet_fd;

	need_bpf();
	quiet_fd = make_producer(ring_fd, 0x5b, BPF_RB_NO_WAKEUP);
	assert_true(quiet_fd >= 0);
	assert_int_equal(event_reader_open(ring_fd, &sink, &reader, NULL), 0);
	p = (struct pollfd){.fd = event_reader_fd(reader), .events = POLLIN};
	assert_int_equal(produce(prog_fd, 1), 1);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(event_reader_consume(reader), 1);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(produce(quiet_fd, 1), 1);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(event_reader_consume(reader), 1);
	assert_int_equal(last, 0x5b);
	/* once more, and then it is quiet */
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(event_reader_consume(reader), 0);
	assert_int_equal(poll(&p, 1, 100), 0);
	event_reader_free(reader);
	close(quiet_fd);
}

/* One call hands out a batch; the descriptor stays readable; draining hands out the rest. */
static void batches_are_bounded_and_nothing_is_lost(void **state)
{
	const struct event_sink sink = {on_event, &seen};
	struct event_reader *reader;
	struct pollfd p;
	int n;

	need_bpf();
	seen = 0;
	assert_int_equal(event_reader_open(ring_fd, &sink, &reader, NULL), 0);
	n = produce(prog_fd, 2 * EVENT_READER_BATCH + 10);
	assert_int_equal(n, 2 * EVENT_READER_BATCH + 10);
	assert_int_equal(event_reader_consume(reader), EVENT_READER_BATCH);
	assert_int_equal(seen, EVENT_READER_BATCH);
	p = (struct pollfd){.fd = event_reader_fd(reader), .events = POLLIN};
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(event_reader_drain(reader), EVENT_READER_BATCH + 10);
	assert_int_equal(seen, n);
	assert_int_equal(event_reader_drain(reader), 0);
	event_reader_free(reader);
}

static void what_is_not_a_ring_is_refused(void **state)
{
	const struct event_sink sink = {on_event, &seen};
	struct event_reader *reader = (void *)1;
	struct error err = {0};

	assert_true(event_reader_open(-1, &sink, &reader, &err) < 0);
	assert_ptr_equal(reader, (void *)1);
	assert_true(strlen(err.message) > 0);
	event_reader_free(NULL);
}

static void counters_are_summed_over_cpus(void **state)
{
	int cpus = libbpf_num_possible_cpus();
	struct event_counters before = {0}, now, since;
	uint64_t *values = calloc((size_t)cpus, sizeof(*values));
	uint32_t key = OS_COUNT_DENIED;
	int fd;

	need_bpf();
	fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "test_count", 4, 8, OS_COUNT_MAX, NULL);
	assert_true(fd >= 0);
	for (int i = 0; i < cpus; i++)
		values[i] = (uint64_t)i + 10;
	assert_int_equal(bpf_map_update_elem(fd, &key, values, BPF_ANY), 0);
	assert_int_equal(event_counters_read(fd, &now), 0);
	assert_int_equal(now.value[OS_COUNT_DENIED], cpus * 10 + cpus * (cpus - 1) / 2);
	assert_int_equal(now.value[OS_COUNT_ALLOWED], 0);
	before.value[OS_COUNT_DENIED] = 5;
	event_counters_since(&before, &now, &since);
	assert_int_equal(since.value[OS_COUNT_DENIED], now.value[OS_COUNT_DENIED] - 5);
	assert_true(event_counters_read(-1, &now) < 0);
	close(fd);
	free(values);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_come_through),
		cmocka_unit_test(what_woke_nobody_is_found),
		cmocka_unit_test(batches_are_bounded_and_nothing_is_lost),
		cmocka_unit_test(what_is_not_a_ring_is_refused),
		cmocka_unit_test(counters_are_summed_over_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
