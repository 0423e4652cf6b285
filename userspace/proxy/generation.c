/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/generation.h"

#include "common/cleanup.h"
#include "common/policy_inference.h"

#include <openssl/crypto.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PB(name)     Openshell__Compiled__V1__##name
#define WORKER(name) Openshell__Worker__V1__##name

static int read_all(int fd, uint8_t *data, size_t size)
{
	size_t at = 0;

	while (at < size) {
		/* Its position is shared with the worker that was here before, and read it. */
		ssize_t n = pread(fd, data + at, size - at, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		at += (size_t)n;
	}
	return 0;
}

static int make_ready(struct generation *g, struct error *err)
{
	int r;

	g->policy = openshell__compiled__v1__compiled_policy__unpack(NULL, g->bundle->policy.len,
								     g->bundle->policy.data);
	if (!g->policy)
		return error_set(err, -EBADMSG, "the policy in the bundle does not unpack");
	g->audit = g->bundle->audit;
	r = l7_new(g->policy, &g->l7, err);
	if (!r)
		r = credentials_new(g->bundle->credentials, g->bundle->n_credentials,
				    &g->credentials, err);
	if (!r)
		r = middleware_new(g->policy, &g->middleware, err);
	if (!r)
		r = inference_new(g->bundle->inference, &g->inference, err);
	return r;
}

int generation_read(int fd, uint32_t number, size_t size, struct generation **ret_generation,
		    struct error *err)
{
	struct generation *g;
	uint8_t *data;
	int r;

	if (size > GENERATION_BUNDLE_MAX)
		return error_set(err, -E2BIG, "a bundle of %zu bytes is too large", size);
	g = calloc(1, sizeof(*g));
	data = malloc(size + 1);
	r = g && data ? read_all(fd, data, size) : -ENOMEM;
	if (!r) {
		g->references = 1;
		g->number = number;
		g->bundle = openshell__worker__v1__worker_bundle__unpack(NULL, size, data);
		r = g->bundle && g->bundle->generation == number ? make_ready(g, err) : -EBADMSG;
	}
	if (data)
		OPENSSL_cleanse(data, size);
	free(data);
	if (r) {
		generation_unref(g);
		return r;
	}
	*ret_generation = g;
	return 0;
}

struct generation *generation_ref(struct generation *generation)
{
	generation->references++;
	return generation;
}

static void wipe(char *text)
{
	OPENSSL_cleanse(text, strlen(text));
}

static void wipe_route(WORKER(InferenceRoute) * route)
{
	for (size_t i = 0; i < route->n_headers; i++)
		wipe(route->headers[i]->value);
	for (size_t i = 0; i < route->n_secrets; i++)
		wipe(route->secrets[i]);
	if (!route->signing)
		return;
	wipe(route->signing->access_key);
	wipe(route->signing->secret_key);
	wipe(route->signing->session_token);
}

static void wipe_secrets(WORKER(WorkerBundle) * bundle)
{
	for (size_t i = 0; i < bundle->n_credentials; i++)
		wipe(bundle->credentials[i]->value);
	for (size_t i = 0; bundle->inference && i < bundle->inference->n_routes; i++)
		wipe_route(bundle->inference->routes[i]);
}

void generation_unref(struct generation *g)
{
	if (!g || (g->references && --g->references))
		return;
	inference_free(g->inference);
	middleware_free(g->middleware);
	credentials_free(g->credentials);
	l7_free(g->l7);
	if (g->policy)
		openshell__compiled__v1__compiled_policy__free_unpacked(g->policy, NULL);
	if (g->bundle) {
		wipe_secrets(g->bundle);
		openshell__worker__v1__worker_bundle__free_unpacked(g->bundle, NULL);
	}
	free(g);
}

/* Its endpoint is alone: no policy may name that host (policy_inference.h). */
static bool is_inference(const struct l7_set *set)
{
	return set->count && policy_is_inference(l7_endpoint_policy(set->endpoint[0]));
}

int origin_new(struct generation *generation, const struct worker_origin *told,
	       struct origin **ret_origin)
{
	size_t host = told->host_length, binary = told->binary_length;
	struct os_rule_mask rules;
	struct origin *origin;
	char *text;
	int r;

	origin = calloc(1, sizeof(*origin) + host + binary + 2);
	if (!origin)
		return -ENOMEM;
	text = origin->text;
	memcpy(text, told->host, host);
	memcpy(text + host + 1, told->binary, binary);
	memcpy(&rules, told->rules, sizeof(rules));
	origin->references = 1;
	origin->host = text;
	origin->binary = text + host + 1;
	origin->generation = generation_ref(generation);
	origin->start_time = told->start_time;
	origin->pid = told->pid;
	origin->ns_pid = told->ns_pid;
	origin->port = told->port;
	memcpy(origin->asked, told->asked, sizeof(origin->asked));
	origin->literal = worker_name_check(told->host, host) != 0;
	origin->has_middleware = middleware_selects(generation->middleware, origin->host);
	r = l7_select(generation->l7, origin->host, origin->port, &rules, &origin->set);
	if (r == -ENOENT && generation->audit) {
		origin->set.count = 0;
		r = 0;
	}
	if (r) {
		origin_unref(origin);
		return r;
	}
	origin->inference = is_inference(&origin->set);
	*ret_origin = origin;
	return 0;
}

struct origin *origin_ref(struct origin *origin)
{
	origin->references++;
	return origin;
}

void origin_unref(struct origin *origin)
{
	if (!origin || --origin->references)
		return;
	generation_unref(origin->generation);
	free(origin);
}
