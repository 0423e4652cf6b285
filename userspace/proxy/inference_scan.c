/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inference_scan.h"

#include "common/cleanup.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define BEGINNING_MIN 4

#define FORMS 3 /* of a secret: as it is, as JSON, and as JSON with escaped slashes */

/* Knuth, Morris and Pratt, for what goes over the edges of pieces. */
struct word {
	char *text;
	uint16_t *shorter; /* [n]: of the first n + 1 bytes, the most that are also their end */
	uint32_t size;
	uint32_t matched; /* bytes of it that came last */
};

struct inference_scan {
	size_t len, room;
	struct word words[];
};

/* Words */

static void find_shorter(struct word *word)
{
	uint32_t k = 0;

	word->shorter[0] = 0;
	for (uint32_t i = 1; i < word->size; i++) {
		while (k && word->text[k] != word->text[i])
			k = word->shorter[k - 1];
		k += word->text[k] == word->text[i];
		word->shorter[i] = (uint16_t)k;
	}
}

static bool is_known(const struct inference_scan *scan, const char *text, size_t size)
{
	for (size_t i = 0; i < scan->len; i++)
		if (scan->words[i].size == size && !memcmp(scan->words[i].text, text, size))
			return true;
	return false;
}

static int add_word(struct inference_scan *scan, const char *text, size_t size)
{
	struct word *word = &scan->words[scan->len];

	if (size < INFERENCE_SECRET_MIN || size > UINT16_MAX || scan->len == scan->room ||
	    is_known(scan, text, size))
		return 0;
	word->text = malloc(size);
	word->shorter = malloc(size * sizeof(word->shorter[0]));
	if (!word->text || !word->shorter) {
		free(word->text);
		free(word->shorter);
		return -ENOMEM;
	}
	memcpy(word->text, text, size);
	word->size = (uint32_t)size;
	find_shorter(word);
	scan->len++;
	return 0;
}

static int add_escaped(struct inference_scan *scan, const char *text, const char *special)
{
	size_t room = 2 * strlen(text) + 1;
	char *escaped = malloc(room), *out = escaped;
	int r;

	if (!escaped)
		return -ENOMEM;
	for (; *text; text++) {
		if (strchr(special, *text))
			*out++ = '\\';
		*out++ = *text;
	}
	r = add_word(scan, escaped, (size_t)(out - escaped));
	OPENSSL_cleanse(escaped, room);
	free(escaped);
	return r;
}

static int add_secret(struct inference_scan *scan, const char *text)
{
	int r = strlen(text) < INFERENCE_SECRET_MIN ? 0 : add_word(scan, text, strlen(text));

	if (!r && strpbrk(text, "\"\\"))
		r = add_escaped(scan, text, "\"\\");
	if (!r && strchr(text, '/'))
		r = add_escaped(scan, text, "\"\\/");
	return r;
}

int inference_scan_new(const struct inference_route *route, struct inference_scan **ret_scan)
{
	const Openshell__Worker__V1__InferenceRoute *told = route->told;
	size_t room = FORMS * (told->n_secrets + (told->signing ? 2 : 0));
	struct inference_scan *scan = calloc(1, sizeof(*scan) + room * sizeof(scan->words[0]));
	int r = 0;

	if (!scan)
		return -ENOMEM;
	scan->room = room;
	for (size_t i = 0; i < told->n_secrets && !r; i++)
		r = add_secret(scan, told->secrets[i]);
	if (!r && told->signing)
		r = add_secret(scan, told->signing->secret_key);
	if (!r && told->signing)
		r = add_secret(scan, told->signing->session_token);
	if (r < 0 || !scan->len) {
		inference_scan_free(scan);
		scan = NULL;
	}
	if (!r)
		*ret_scan = scan;
	return r;
}

void inference_scan_free(struct inference_scan *scan)
{
	if (!scan)
		return;
	for (size_t i = 0; i < scan->len; i++) {
		OPENSSL_cleanse(scan->words[i].text, scan->words[i].size);
		free(scan->words[i].text);
		free(scan->words[i].shorter);
	}
	free(scan);
}

/* Bytes */

static uint32_t advance(const struct word *word, uint32_t matched, uint8_t byte)
{
	while (matched && (uint8_t)word->text[matched] != byte)
		matched = word->shorter[matched - 1];
	return matched + ((uint8_t)word->text[matched] == byte);
}

/* All of it, from what was matched before on. */
static bool find_in_few(struct word *word, const uint8_t *data, size_t size, int64_t *ret_begin)
{
	for (size_t i = 0; i < size; i++) {
		word->matched = advance(word, word->matched, data[i]);
		if (word->matched == word->size) {
			*ret_begin = (int64_t)i + 1 - word->size;
			return true;
		}
	}
	return false;
}

/* What begins before @data, then what is within, then what may go on after it. */
static bool find_in_many(struct word *word, const uint8_t *data, size_t size, int64_t *ret_begin)
{
	const uint8_t *found, *end = data + size;

	for (size_t i = 0; word->matched > i; i++) {
		word->matched = advance(word, word->matched, data[i]);
		if (word->matched == word->size) {
			*ret_begin = (int64_t)i + 1 - word->size;
			return true;
		}
	}
	found = memmem(data, size, word->text, word->size);
	if (found) {
		*ret_begin = found - data;
		return true;
	}
	word->matched = 0;
	for (const uint8_t *at = end - word->size + 1; at < end; at++) {
		if (!word->matched) {
			at = memchr(at, word->text[0], (size_t)(end - at));
			if (!at)
				break;
		}
		word->matched = advance(word, word->matched, *at);
	}
	return false;
}

bool inference_scan_find(struct inference_scan *scan, const uint8_t *data, size_t size,
			 int64_t *ret_begin)
{
	int64_t begin, first = INT64_MAX;

	for (size_t i = 0; i < scan->len; i++) {
		struct word *word = &scan->words[i];
		bool found = size < word->size ? find_in_few(word, data, size, &begin)
					       : find_in_many(word, data, size, &begin);

		if (found && begin < first)
			first = begin;
	}
	if (first == INT64_MAX)
		return false;
	*ret_begin = first;
	return true;
}

void inference_scan_reset(struct inference_scan *scan)
{
	for (size_t i = 0; i < scan->len; i++)
		scan->words[i].matched = 0;
}

struct text inference_scan_beginning(const struct inference_scan *scan)
{
	const struct word *longest = NULL;

	for (size_t i = 0; i < scan->len; i++)
		if (!longest || scan->words[i].matched > longest->matched)
			longest = &scan->words[i];
	if (!longest || longest->matched < BEGINNING_MIN)
		return (struct text){};
	return (struct text){longest->text, longest->matched};
}
