/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's events, as lines of its log, to the daemon. */
#include "supervisor/keeper_internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PIPE_BYTES (1 << 20)
#define BATCH_MAX  200

/* ---- lines ---- */

static char *copy(const char *text)
{
	return *text ? strdup(text) : (char *)protobuf_c_empty_string;
}

static void drop_first(struct keeper *keeper)
{
	openshell__v1__sandbox_log_line__free_unpacked(keeper->waiting[0], NULL);
	keeper->waiting_count--;
	memmove(keeper->waiting, keeper->waiting + 1,
		keeper->waiting_count * sizeof(*keeper->waiting));
	keeper->dropped++;
}

static void send_lines(struct keeper *keeper)
{
	Openshell__Node__V1__Logs logs = OPENSHELL__NODE__V1__LOGS__INIT;
	size_t sent = 0;

	/* A daemon that is behind gets them when it has caught up. */
	while (keeper->link && keeper_link_queued(keeper->link) < 16 &&
	       sent < keeper->waiting_count) {
		size_t left = keeper->waiting_count - sent;

		logs.sandbox_id = (char *)keeper->id;
		logs.lines = keeper->waiting + sent;
		logs.n_lines = left < BATCH_MAX ? left : BATCH_MAX;
		logs.dropped = keeper->dropped;
		if (keeper_link_send(keeper->link, KEEPER_LOGS, 0, 0, &logs.base, NULL, 0))
			break;
		keeper->dropped = 0;
		sent += logs.n_lines;
	}
	for (size_t i = 0; i < sent; i++)
		openshell__v1__sandbox_log_line__free_unpacked(keeper->waiting[i], NULL);
	keeper->waiting_count -= sent;
	memmove(keeper->waiting, keeper->waiting + sent,
		keeper->waiting_count * sizeof(*keeper->waiting));
}

void keeper_log(struct keeper *keeper, const char *level, const char *text)
{
	Openshell__V1__SandboxLogLine *line = malloc(sizeof(*line));
	struct timespec now;

	if (!line)
		return;
	if (keeper->waiting_count == KEEPER_LOGS_MAX)
		drop_first(keeper);
	clock_gettime(CLOCK_REALTIME, &now);
	openshell__v1__sandbox_log_line__init(line);
	line->sandbox_id = copy(keeper->id);
	line->timestamp_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	line->level = copy(level);
	line->target = copy("ocsf");
	line->source = copy("sandbox");
	line->message = copy(text);
	keeper->waiting[keeper->waiting_count++] = line;
}

/* "2026-04-01T04:04:32.118Z OCSF CLASS:ACTIVITY [SEVERITY] ..." */
static void take_line(struct keeper *keeper, char *text)
{
	static const struct {
		const char *mark, *level;
	} levels[] = {
		{"[MED]", "warn"},    {"[HIGH]", "error"}, {"[CRIT]", "error"},
		{"[FATAL]", "error"}, {"[INFO]", "info"},
	};
	char *rest = strchr(text, ' '), *bracket;
	const char *level = "info";

	if (!rest)
		return;
	bracket = strchr(rest, '[');
	for (size_t i = 0; bracket && i < ARRAY_LEN(levels); i++)
		if (!strncmp(bracket, levels[i].mark, strlen(levels[i].mark)))
			level = levels[i].level;
	keeper_log(keeper, level, rest + 1);
}

static void read_log(struct keeper *keeper)
{
	for (;;) {
		size_t room = sizeof(keeper->line) - 1 - keeper->line_size;
		ssize_t n = read(keeper->log_fd[0], keeper->line + keeper->line_size, room);
		char *begin = keeper->line, *end;

		if (n <= 0)
			break;
		keeper->line_size += (size_t)n;
		keeper->line[keeper->line_size] = 0;
		while ((end = strchr(begin, '\n'))) {
			*end = 0;
			take_line(keeper, begin);
			begin = end + 1;
		}
		keeper->line_size -= (size_t)(begin - keeper->line);
		memmove(keeper->line, begin, keeper->line_size);
		/* A line that is longer than all lines may be is none. */
		if (keeper->line_size == sizeof(keeper->line) - 1)
			keeper->line_size = 0;
	}
	send_lines(keeper);
}

static void on_log(uv_poll_t *poll, int status, int events)
{
	read_log(poll->data);
}

/* ---- events ---- */

static void on_events(uv_poll_t *poll, int status, int events)
{
	struct keeper *keeper = poll->data;

	observe_consume(keeper->observe);
}

static void on_network(uv_poll_t *poll, int status, int events)
{
	struct keeper *keeper = poll->data;

	network_poll(keeper->sandbox->network);
}

static void on_flush(uv_timer_t *timer)
{
	struct keeper *keeper = timer->data;

	observe_flush(keeper->observe);
	send_lines(keeper);
}

static void on_refused(void *arg, const struct worker_refusal *refusal)
{
	struct keeper *keeper = arg;

	if (keeper->watching)
		observe_refusal(keeper->observe, refusal);
}

static void on_problem(void *arg, const char *sentence)
{
	struct keeper *keeper = arg;

	if (keeper->watching)
		observe_problem(keeper->observe, sentence);
	else
		keeper_log(keeper, "error", sentence);
}

static void on_request(void *arg, const struct worker_request *request)
{
	struct keeper *keeper = arg;

	if (keeper->watching)
		observe_request(keeper->observe, request);
}

static void on_record(void *arg, const void *data, size_t size)
{
	struct keeper *keeper = arg;

	if (keeper->watching)
		observe_record(keeper->observe, data, size);
}

static void tell_network(void *arg, const struct event *event)
{
	network_event(arg, event);
}

int keeper_open_logs(struct keeper *keeper, struct error *err)
{
	if (pipe2(keeper->log_fd, O_CLOEXEC | O_NONBLOCK))
		return error_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
	(void)fcntl(keeper->log_fd[1], F_SETPIPE_SZ, PIPE_BYTES);
	keeper->sink = (struct network_sink){
		.refused = on_refused,
		.problem = on_problem,
		.record = on_record,
		.request = on_request,
		.arg = keeper,
	};
	return 0;
}

static int watch_fd(struct keeper *keeper, uv_poll_t *poll, int fd, uv_poll_cb callback)
{
	int r = uv_poll_init(&keeper->loop, poll, fd);

	poll->data = keeper;
	return r ? r : uv_poll_start(poll, UV_READABLE, callback);
}

int keeper_watch(struct keeper *keeper, struct error *err)
{
	static char *const shell[] = {(char *)"a login shell", NULL};
	const struct observe_options options = {
		.name = keeper->assign->name,
		.policy = keeper->policy,
		.digest = keeper->digest,
		.log_fd = keeper->log_fd[1],
		.format = EVENT_FORMAT_SHORTHAND,
		.argv = keeper->assign->n_command ? keeper->assign->command : shell,
		.workdir = SANDBOX_HOME,
	};
	const struct observe_network network = {
		.event = tell_network,
		.name = network_name,
		.arg = keeper->sandbox->network,
	};
	int fd = network_fd(keeper->sandbox->network), r;

	r = observe_new(&options, &keeper->observe, err);
	if (r)
		return r;
	observe_set_network(keeper->observe, &network);
	r = observe_attach(keeper->observe, keeper->sandbox, err);
	if (r)
		return r;
	r = watch_fd(keeper, &keeper->log, keeper->log_fd[0], on_log);
	if (!r)
		r = watch_fd(keeper, &keeper->events, observe_fd(keeper->observe), on_events);
	if (!r && fd >= 0)
		r = watch_fd(keeper, &keeper->network, fd, on_network);
	if (!r)
		r = watch_fd(keeper, &keeper->notices, keeper->sandbox->launch.control_fd,
			     keeper_on_notice);
	if (r)
		return error_set(err, r, "cannot watch the sandbox: %s", uv_strerror(r));
	uv_timer_init(&keeper->loop, &keeper->flush);
	keeper->flush.data = keeper;
	uv_timer_start(&keeper->flush, on_flush, EVENT_WRITER_FLUSH_MS, EVENT_WRITER_FLUSH_MS);
	keeper->watching = true;
	return 0;
}

static void close_if_open(void *handle)
{
	uv_handle_t *h = handle;

	if (h->loop && !uv_is_closing(h))
		uv_close(h, NULL);
}

void keeper_unwatch(struct keeper *keeper)
{
	close_if_open(&keeper->events);
	close_if_open(&keeper->network);
	close_if_open(&keeper->notices);
	close_if_open(&keeper->main);
	keeper->watching = false;
	if (keeper->observe && keeper->log_fd[0] >= 0)
		read_log(keeper);
	close_if_open(&keeper->log);
	observe_free(TAKE_PTR(keeper->observe));
	/* What waits for a daemon waits on. */
	if (keeper->flush.loop)
		uv_timer_stop(&keeper->flush);
}

void keeper_finish_logs(struct keeper *keeper, int exit_code)
{
	_cleanup_fclose_ FILE *nowhere = fopen("/dev/null", "we");
	struct error err = {};

	if (!keeper->observe || !nowhere)
		return;
	network_finish(keeper->sandbox->network);
	(void)observe_finish(keeper->observe, exit_code, nowhere, &err);
	keeper->watching = false;
	read_log(keeper);
}
