/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/inference_trial.h"

#include "common/cleanup.h"
#include "common/inference.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define API(name)     OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_##name
#define REASON_BYTES  300 /* of what a provider says */
#define INTERIM_HEADS 8	  /* RFC 9110 section 15.2 */

#define CHAT                                                                                       \
	"{\"model\":\"probe\",\"messages\":[{\"role\":\"user\",\"content\":\"ping\"}],"            \
	"\"max_tokens\":1}"

/* The model is the worker's to set. */
static const struct {
	Openshell__Worker__V1__InferenceApi api;
	const char *path, *body;
} trials[] = {
	{API(CHAT_COMPLETIONS), "/v1/chat/completions", CHAT},
	{API(MESSAGES), "/v1/messages", CHAT},
	{API(COMPLETIONS), "/v1/completions",
	 "{\"model\":\"probe\",\"prompt\":\"ping\",\"max_tokens\":1}"},
	{API(RESPONSES), "/v1/responses",
	 "{\"model\":\"probe\",\"input\":\"ping\",\"max_output_tokens\":16}"},
	{API(EMBEDDINGS), "/v1/embeddings", "{\"model\":\"probe\",\"input\":\"ping\"}"},
	{API(BEDROCK_INVOKE), "/model/probe/invoke", "{\"inputText\":\"ping\"}"},
};

static const char claude_on_bedrock[] =
	"{\"anthropic_version\":\"bedrock-2023-05-31\",\"max_tokens\":1,"
	"\"messages\":[{\"role\":\"user\",\"content\":\"ping\"}]}";

int inference_trial_request(const Openshell__Worker__V1__InferenceRoute *route,
			    char ret_request[INFERENCE_TRIAL_REQUEST_MAX])
{
	for (size_t i = 0; i < route->n_apis; i++) {
		for (size_t j = 0; j < ARRAY_LEN(trials); j++) {
			const char *body = trials[j].body;

			if (trials[j].api != route->apis[i])
				continue;
			if (route->apis[i] == API(BEDROCK_INVOKE) &&
			    strstr(route->model, "anthropic"))
				body = claude_on_bedrock;
			return snprintf(ret_request, INFERENCE_TRIAL_REQUEST_MAX,
					"POST %s HTTP/1.1\r\n"
					"Host: " INFERENCE_HOST ":%d\r\n"
					"Accept: application/json\r\n"
					"User-Agent: openshell\r\n"
					"Content-Type: application/json\r\n"
					"Content-Length: %zu\r\n"
					"Connection: close\r\n\r\n%s",
					trials[j].path, INFERENCE_PORT, strlen(body), body);
		}
	}
	return -ENOENT;
}

/* RFC 9112 section 4. 0: it is not whole yet; -EBADMSG: it is none. */
static int read_status(const uint8_t *data, size_t size)
{
	static const char start[] = "HTTP/1.1 ";
	const size_t before = sizeof(start) - 1;
	int status = 0;

	if (memcmp(data, start, size < before ? size : before))
		return -EBADMSG;
	for (size_t i = before; i < before + 3 && i < size; i++) {
		if (data[i] < '0' || data[i] > '9')
			return -EBADMSG;
		status = status * 10 + data[i] - '0';
	}
	if (size <= before + 3)
		return 0;
	return status < 100 || (data[before + 3] != ' ' && data[before + 3] != '\r') ? -EBADMSG
										     : status;
}

/* What follows a head, NULL: it is not whole. */
static const uint8_t *head_end(const uint8_t *data, size_t size)
{
	const uint8_t *end = memmem(data, size, "\r\n\r\n", 4);

	return end ? end + 4 : NULL;
}

/* The final status, and where its head begins. As read_status(). */
static int find_status(const uint8_t **data, size_t *size)
{
	for (int i = 0; i < INTERIM_HEADS; i++) {
		int status = read_status(*data, *size);
		const uint8_t *next;

		if (status <= 0 || status >= 200 || status == 101)
			return status;
		next = head_end(*data, *size);
		if (!next)
			return 0;
		*size -= (size_t)(next - *data);
		*data = next;
	}
	return -EBADMSG;
}

enum inference_trial inference_trial_judge(const uint8_t *data, size_t size, bool ended,
					   int *ret_status)
{
	int status = find_status(&data, &size);

	*ret_status = status > 0 ? status : 0;
	if (status < 0 || (ended && !status))
		return INFERENCE_TRIAL_FAILED;
	if (!status)
		return INFERENCE_TRIAL_MORE;
	if (status >= 200 && status < 300)
		return INFERENCE_TRIAL_FINE;
	if (status == 400 || status == 422)
		return INFERENCE_TRIAL_UNSURE;
	return ended ? INFERENCE_TRIAL_FAILED : INFERENCE_TRIAL_MORE;
}

/* Where the worker and the providers that there are put it. */
static const char *find_reason(const json_t *root)
{
	const json_t *error = json_object_get(root, "error");
	const char *keys[] = {"message", "detail"};
	const char *text;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		text = json_string_value(json_object_get(error, keys[i]));
		if (!text)
			text = json_string_value(json_object_get(root, keys[i]));
		if (text)
			return text;
	}
	return json_string_value(error);
}

bool inference_trial_reason(const uint8_t *data, size_t size, struct text *to)
{
	const uint8_t *body, *start;
	const char *reason;
	size_t length;
	json_t *root;

	if (find_status(&data, &size) <= 0)
		return false;
	body = head_end(data, size);
	start = body ? memchr(body, '{', size - (size_t)(body - data)) : NULL;
	if (!start)
		return false;
	/* A body in chunks has its size before it, and what ends it behind. */
	root = json_loadb((const char *)start, size - (size_t)(start - data),
			  JSON_DISABLE_EOF_CHECK, NULL);
	reason = find_reason(root);
	length = reason ? strnlen(reason, REASON_BYTES + 1) : 0;
	if (length) {
		text_add_escaped(to, reason, length > REASON_BYTES ? REASON_BYTES : length);
		text_add(to, "%s", length > REASON_BYTES ? "..." : "");
	}
	json_decref(root);
	return length > 0;
}

void inference_trial_name(const Openshell__Worker__V1__InferenceRoute *route, struct text *to)
{
	bool six = strchr(route->host, ':');

	text_add(to, "route ");
	text_add_word(to, route->name);
	text_add(to, " (%s://%s", route->tls ? "https" : "http", six ? "[" : "");
	text_add_escaped(to, route->host, strlen(route->host));
	text_add(to, "%s", six ? "]" : "");
	if (route->port != (route->tls ? 443 : 80))
		text_add(to, ":%u", route->port);
	text_add_escaped(to, route->base_path, strlen(route->base_path));
	text_add(to, ")");
}
