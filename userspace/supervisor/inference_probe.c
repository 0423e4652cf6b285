/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/inference_probe.h"

#include "common/cleanup.h"
#include "common/inference.h"
#include "supervisor/inference_trial.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define SECOND	 UINT64_C(1000000000)
#define MS	 UINT64_C(1000000)
#define RETRY_MS 20 /* a worker that cannot be told now */

/* One route under trial. */
struct trial {
	const Openshell__Worker__V1__InferenceRoute *route;
	int fd; /* -1 = not begun, or done */
	bool begun, done, late;
	uint64_t deadline;
	enum inference_trial outcome;
	int status;
	size_t size;
	uint8_t response[INFERENCE_TRIAL_RESPONSE_MAX];
};

struct probe {
	struct network *network;
	size_t len;
	struct trial trial[];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static struct probe *probe_new(struct network *network,
			       const Openshell__Worker__V1__Inference *inference)
{
	size_t len = inference->n_routes < INFERENCE_ROUTES_MAX ? inference->n_routes
								: INFERENCE_ROUTES_MAX;
	struct probe *probe = calloc(1, sizeof(*probe) + len * sizeof(probe->trial[0]));
	uint64_t now = now_ns();

	if (!probe)
		return NULL;
	probe->network = network;
	probe->len = len;
	for (size_t i = 0; i < len; i++) {
		const Openshell__Worker__V1__InferenceRoute *route = inference->routes[i];
		uint64_t most = INFERENCE_PROBE_SECONDS * SECOND, own = route->timeout_ms * MS;

		probe->trial[i].route = route;
		probe->trial[i].fd = -1;
		probe->trial[i].deadline = now + (own && own < most ? own : most);
	}
	return probe;
}

static void probe_freep(struct probe **probe)
{
	if (!*probe)
		return;
	for (size_t i = 0; i < (*probe)->len; i++)
		safe_close((*probe)->trial[i].fd);
	free(*probe);
}

static void finish(struct trial *trial, enum inference_trial outcome)
{
	trial->fd = safe_close(trial->fd);
	trial->outcome = outcome;
	trial->done = true;
}

static void begin(struct probe *probe, struct trial *trial)
{
	char request[INFERENCE_TRIAL_REQUEST_MAX];
	int size = inference_trial_request(trial->route, request);
	int r;

	if (size < 0) {
		finish(trial, INFERENCE_TRIAL_UNSURE);
		return;
	}
	r = network_probe(probe->network, (uint32_t)(trial - probe->trial), &trial->fd);
	if (r == -EAGAIN)
		return;
	trial->begun = true;
	/* It fits into an empty socket. */
	if (r || send(trial->fd, request, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT) != size)
		finish(trial, INFERENCE_TRIAL_FAILED);
}

static void hear(struct trial *trial)
{
	size_t room = sizeof(trial->response) - trial->size;
	ssize_t n = recv(trial->fd, trial->response + trial->size, room, MSG_DONTWAIT);
	enum inference_trial outcome;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	trial->size += n > 0 ? (size_t)n : 0;
	outcome = inference_trial_judge(trial->response, trial->size,
					n <= 0 || trial->size == sizeof(trial->response),
					&trial->status);
	if (outcome != INFERENCE_TRIAL_MORE)
		finish(trial, outcome);
}

/* Begin what can be begun, end what took too long. The next deadline, 0 = all are done. */
static uint64_t look(struct probe *probe)
{
	uint64_t now = now_ns(), next = 0;

	for (size_t i = 0; i < probe->len; i++) {
		struct trial *trial = &probe->trial[i];
		uint64_t wake = trial->deadline;

		if (!trial->begun && !trial->done)
			begin(probe, trial);
		if (!trial->done && now >= trial->deadline) {
			trial->late = true;
			finish(trial, INFERENCE_TRIAL_FAILED);
		}
		if (trial->done)
			continue;
		if (!trial->begun && now + RETRY_MS * MS < wake)
			wake = now + RETRY_MS * MS;
		if (!next || wake < next)
			next = wake;
	}
	return next;
}

static void run(struct probe *probe)
{
	struct pollfd fds[INFERENCE_ROUTES_MAX + 1];
	uint64_t next;

	while ((next = look(probe))) {
		uint64_t now = now_ns();
		int wait = next > now ? (int)((next - now) / MS) + 1 : 0;

		for (size_t i = 0; i < probe->len; i++)
			fds[i] = (struct pollfd){.fd = probe->trial[i].fd, .events = POLLIN};
		fds[probe->len] =
			(struct pollfd){.fd = network_fd(probe->network), .events = POLLIN};
		if (poll(fds, probe->len + 1, wait) <= 0)
			continue;
		if (fds[probe->len].revents)
			network_poll(probe->network);
		for (size_t i = 0; i < probe->len; i++)
			if (probe->trial[i].fd >= 0 && fds[i].revents)
				hear(&probe->trial[i]);
	}
}

static int tell_unsure(const struct trial *trial, struct sentences *findings)
{
	char name[512];
	struct text text;

	text_init(&text, name, sizeof(name));
	inference_trial_name(trial->route, &text);
	if (!trial->status)
		return sentences_add(findings, "%s serves nothing that can be tried", name);
	return sentences_add(findings,
			     "%s: the provider answers %d to a trial request: its key is accepted, "
			     "whether it has the model is not known",
			     name, trial->status);
}

static void tell_failed(const struct trial *trial, struct text *to)
{
	text_add(to, "%s", to->len ? "; " : "");
	inference_trial_name(trial->route, to);
	if (!trial->status) {
		text_add(to, " gives no answer to a trial request%s",
			 trial->late ? " in time" : "");
		return;
	}
	text_add(to, " answers %d to a trial request: ", trial->status);
	if (!inference_trial_reason(trial->response, trial->size, to))
		text_add(to, "it does not say why");
}

int inference_probe(struct network *network, const Openshell__Worker__V1__Inference *inference,
		    struct sentences *findings, struct error *err)
{
	__attribute__((cleanup(probe_freep))) struct probe *probe = probe_new(network, inference);
	char failed[ERROR_MESSAGE_MAX - 128];
	struct text text;

	if (!probe)
		return error_set(err, -ENOMEM, "out of memory");
	text_init(&text, failed, sizeof(failed));
	run(probe);
	for (size_t i = 0; i < probe->len; i++) {
		const struct trial *trial = &probe->trial[i];

		if (trial->outcome == INFERENCE_TRIAL_FAILED)
			tell_failed(trial, &text);
		else if (trial->outcome == INFERENCE_TRIAL_UNSURE && tell_unsure(trial, findings))
			return error_set(err, -ENOMEM, "out of memory");
	}
	if (!text.len)
		return 0;
	return error_set(err, -ECONNREFUSED, "%s%s; --no-verify starts all the same", failed,
			 text.cut ? "..." : "");
}
