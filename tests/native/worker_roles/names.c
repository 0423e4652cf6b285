/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include "supervisor/names.h"

#include <errno.h>
#include <string.h>

#define KNOWN_MAX 64

static struct {
	char name[WORKER_NAME_MAX + 1];
	struct worker_found found;
} known[KNOWN_MAX];
static size_t known_len;
static const char *due_name;
unsigned int fake_asked;

static bool is_admitted(const char *name, size_t length)
{
	static const char suffix[] = ".example";
	size_t n = sizeof(suffix) - 1;

	return (length > n && !memcmp(name + length - n, suffix, n)) ||
	       (length == strlen(NAMES_HOST) && !memcmp(name, NAMES_HOST, length));
}

const struct worker_found *fake_found(const char *name)
{
	for (size_t i = 0; i < known_len; i++)
		if (!strcmp(known[i].name, name))
			return &known[i].found;
	return NULL;
}

void fake_forget(void)
{
	known_len = 0;
}

void fake_due(const char *due)
{
	due_name = due;
}

enum names_next names_ask(struct names *names, const char *name, size_t length, uint64_t now,
			  struct worker_name *ret_answer)
{
	char text[WORKER_NAME_MAX + 1] = "";
	const struct worker_found *found;
	struct worker_name answer = {};

	fake_asked++;
	memcpy(text, name, length);
	found = fake_found(text);
	if (!is_admitted(name, length)) {
		answer.status =
			strcmp(text, "limited.test") ? WORKER_NAME_REFUSED : WORKER_NAME_LIMITED;
	} else if (!found) {
		return NAMES_LOOK_UP;
	} else {
		answer.status = found->status;
		answer.ttl = found->ttl;
		if (found->status == WORKER_NAME_FOUND) {
			answer.has = WORKER_NAME_HAS_IPV4 | WORKER_NAME_HAS_IPV6;
			memcpy(answer.ipv4, (uint8_t[]){198, 18, 0, 7}, 4);
			answer.ipv6[15] = (uint8_t)found->count;
		}
	}
	*ret_answer = answer;
	return NAMES_ANSWER;
}

int names_found(struct names *names, const char *name, size_t length,
		const struct worker_found *found, uint64_t now)
{
	char text[WORKER_NAME_MAX + 1] = "";
	size_t i = 0;

	memcpy(text, name, length);
	while (i < known_len && strcmp(known[i].name, text))
		i++;
	if (!is_admitted(name, length) || i == KNOWN_MAX)
		return -ENOENT;
	known_len += i == known_len;
	memcpy(known[i].name, text, sizeof(text));
	known[i].found = *found;
	return 0;
}

const char *names_text(const struct names *names, const uint8_t *address)
{
	return address[15] == 7 ? "good.example" : NULL;
}

int names_where(struct names *names, const uint8_t *asked, uint16_t port, uint64_t now,
		struct names_addresses *ret_addresses)
{
	const struct worker_found *found = fake_found("good.example");

	if (asked[15] != 7)
		return -EPERM;
	if (!found)
		return -EINPROGRESS;
	if (found->status != WORKER_NAME_FOUND)
		return -ENOENT;
	ret_addresses->len = found->count;
	memcpy(ret_addresses->item, found->address, sizeof(found->address));
	return 0;
}

const char *names_due(struct names *names, uint64_t now, uint64_t ahead)
{
	const char *name = due_name;

	due_name = NULL;
	return name;
}
