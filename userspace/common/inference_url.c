/* SPDX-License-Identifier: Apache-2.0 */
#include "common/inference_url.h"
#include "common/inference.h"
#include "common/policy_address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *parse_path(const char *text, char *ret_path)
{
	size_t len = strlen(text);
	const char *at = text;

	if (len && text[len - 1] == '/')
		len--;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || strchr("%\\\"<>^`{|}", text[i]))
			return "a path has letters, digits and plain punctuation, without '%'";
	while (at < text + len) {
		size_t segment = strcspn(at + 1, "/");

		if (at + 1 + segment > text + len || !segment)
			return "its path has an empty segment";
		if ((segment == 1 && at[1] == '.') || (segment == 2 && !strncmp(at + 1, "..", 2)))
			return "its path has a segment '.' or '..'";
		at += 1 + segment;
	}
	memcpy(ret_path, text, len);
	ret_path[len] = '\0';
	return NULL;
}

static const char *parse_port(const char *text, uint16_t *ret_port)
{
	unsigned long port;

	if (!*text || strlen(text) > 5 || text[strspn(text, "0123456789")])
		return "its port is no number from 1 to 65535";
	port = strtoul(text, NULL, 10);
	if (!port || port > UINT16_MAX)
		return "its port is no number from 1 to 65535";
	*ret_port = (uint16_t)port;
	return NULL;
}

/* As for policies, but this host itself may be meant: that is where local models are. */
static const char *check_address(const char *host, bool *ret_loopback)
{
	struct policy_cidr address;

	if (policy_address_parse(host, &address) < 0) {
		*ret_loopback = !strcmp(host, "localhost");
		return strcmp(host, INFERENCE_HOST) ? NULL
						    : "that is where agents ask, not where "
						      "they are sent";
	}
	switch (policy_cidr_never(&address)) {
	case POLICY_NEVER_NO:
		*ret_loopback = false;
		return NULL;
	case POLICY_NEVER_LOOPBACK:
		*ret_loopback = true;
		return NULL;
	case POLICY_NEVER_UNSPECIFIED:
		return "its host is no address that something can be sent to";
	case POLICY_NEVER_METADATA:
		return "its host is an address of cloud metadata";
	case POLICY_NEVER_LINK_LOCAL:
		return "its host is a link-local address";
	default:
		return "its host is a multicast or broadcast address";
	}
}

static const char *parse_authority(char *text, struct inference_url *url)
{
	enum policy_host_kind kind;
	char *end = text, *host = text;
	const char *why = NULL;

	if (*text == '[') {
		host++;
		end = strchr(text, ']');
		if (!end)
			return "'[' has no ']'";
		*end++ = '\0';
		if (!strchr(host, ':'))
			return "only IPv6 addresses are written in brackets";
	} else {
		end += strcspn(text, ":");
	}
	url->port = url->tls ? 443 : 80;
	if (*end == ':') {
		*end = '\0';
		why = parse_port(end + 1, &url->port);
	} else if (*end) {
		why = "it has something behind ']'";
	}
	if (!why && !*host)
		why = "it has no host";
	if (why || policy_host_parse(host, &kind, url->host, &why) < 0)
		return why;
	if (kind == POLICY_HOST_WILDCARD)
		return "its host has a wildcard";
	return check_address(url->host, &url->loopback);
}

static const char *parse(const char *text, struct inference_url *url)
{
	char authority[INFERENCE_URL_MAX + 1];
	const char *why;
	size_t len;

	if (strlen(text) > INFERENCE_URL_MAX)
		return "it is longer than 1024 bytes";
	url->tls = !strncasecmp(text, "https://", 8);
	if (!url->tls && strncasecmp(text, "http://", 7))
		return "it begins with http:// or https://";
	text += url->tls ? 8 : 7;
	if (strchr(text, '?') || strchr(text, '#'))
		return "it has a query or a fragment";
	len = strcspn(text, "/");
	memcpy(authority, text, len);
	authority[len] = '\0';
	/* Without the text: it may be a password. */
	if (strchr(authority, '@'))
		return "it has a user name; keys come from the environment or a key file";
	why = parse_authority(authority, url);
	return why ? why : parse_path(text + len, url->path);
}

int inference_url_parse(const char *text, struct inference_url *ret_url, const char **ret_why)
{
	struct inference_url url = {};
	const char *why = parse(text, &url);

	if (why) {
		*ret_why = why;
		return -EINVAL;
	}
	*ret_url = url;
	return 0;
}

int inference_url_fill(const char *template, const char *region, const char *project,
		       char ret_text[INFERENCE_URL_MAX + 1])
{
	char text[INFERENCE_URL_MAX + 1];
	size_t used = 0;

	while (*template) {
		const char *value = NULL;
		size_t skip = 1, len = 1;

		if (!strncmp(template, "{region}-", 9) && !strcmp(region, "global")) {
			value = "";
			skip = 9;
		} else if (!strncmp(template, "{region}", 8)) {
			value = region;
			skip = 8;
		} else if (!strncmp(template, "{project}", 9)) {
			value = project;
			skip = 9;
		}
		if (value)
			len = strlen(value);
		if (used + len > INFERENCE_URL_MAX)
			return -E2BIG;
		memcpy(text + used, value ? value : template, len);
		used += len;
		template += skip;
	}
	memcpy(ret_text, text, used);
	ret_text[used] = '\0';
	return 0;
}
