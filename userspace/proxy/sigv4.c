/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/sigv4.h"
#include "common/cleanup.h"
#include "proxy/sigv4_internal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <strings.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define UNSIGNED  "UNSIGNED-PAYLOAD"
#define TRAILER	  "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
/* A target of which each byte takes three, the fields, and their names again. */
#define CANONICAL_MAX (3u * HTTP_TARGET_MAX + 2u * HTTP_HEAD_MAX)
#define HEX_SIZE      (2 * SHA256_DIGEST_LENGTH)

#define MODE(name) OPENSHELL__COMPILED__V1__SIGNING__SIGNING_##name

/* Of one request */
struct signing {
	const struct sigv4 *sign;
	const char *region;
	char region_buf[SIGV4_REGION_MAX];
	char time[17]; /* 20150830T123600Z */
	char date[9];
	char payload[HEX_SIZE + 1]; /* or what says that there is no hash */
};

static void to_hex(const uint8_t *data, char *ret_hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
		ret_hex[2 * i] = digits[data[i] >> 4];
		ret_hex[2 * i + 1] = digits[data[i] & 15];
	}
	ret_hex[HEX_SIZE] = '\0';
}

static int hash(const void *data, size_t size, char *ret_hex)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];

	if (!SHA256(data ? data : "", size, digest))
		return -EIO;
	to_hex(digest, ret_hex);
	return 0;
}

/* Keys */

int sigv4_keys(const struct credentials *credentials, const struct credential_scope *scope,
	       struct sigv4_keys *ret_keys)
{
	struct sigv4_keys keys = {};
	int r = credentials_find(credentials, scope, "AWS_ACCESS_KEY_ID", &keys.id);

	if (!r)
		r = credentials_find(credentials, scope, "AWS_SECRET_ACCESS_KEY", &keys.secret);
	if (r < 0)
		return r;
	r = credentials_find(credentials, scope, "AWS_SESSION_TOKEN", &keys.token);
	if (r == -EACCES)
		return r;
	*ret_keys = keys;
	return 0;
}

/* Regions */

/* Two letters, words, and a number: us-east-1, us-gov-west-1, ap-southeast-2. */
static bool is_region(struct text label)
{
	uint32_t hyphens = 0;

	if (label.size < 6 || label.size >= SIGV4_REGION_MAX || label.data[2] != '-' ||
	    label.data[label.size - 2] != '-' || label.data[label.size - 1] < '0' ||
	    label.data[label.size - 1] > '9')
		return false;
	for (uint32_t i = 0; i + 1 < label.size; i++) {
		hyphens += label.data[i] == '-';
		if (label.data[i] != '-' && (label.data[i] < 'a' || label.data[i] > 'z'))
			return false;
	}
	return hyphens >= 2;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && !strcmp(text + len - end_len, end);
}

/* From the right: on the left is what a customer named. */
const char *sigv4_region(const char *host, char *buf)
{
	size_t end = strlen(host);

	while (end > 0) {
		size_t start = end;
		struct text label;

		while (start > 0 && host[start - 1] != '.')
			start--;
		label = (struct text){host + start, (uint32_t)(end - start)};
		/* As S3 once had it: s3-eu-west-1. */
		if (label.size > 3 && !memcmp(label.data, "s3-", 3))
			label = (struct text){label.data + 3, label.size - 3};
		if (is_region(label)) {
			memcpy(buf, label.data, label.size);
			buf[label.size] = '\0';
			return buf;
		}
		end = start > 0 ? start - 1 : 0;
	}
	return ends_with(host, ".amazonaws.com.cn") ? "cn-north-1" : "us-east-1";
}

/* The agent's own signature */

static bool is_signature_field(struct text name)
{
	return text_is(name, "authorization") || text_is(name, "x-amz-date") ||
	       text_is(name, "x-amz-security-token") || text_is(name, "x-amz-region-set");
}

static void drop_fields(struct http_head *head, bool (*drop)(struct text name))
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < head->fields; i++)
		if (!drop(head->field[i].name))
			head->field[kept++] = head->field[i];
	head->fields = kept;
}

static struct text query_of(struct text target, struct text *ret_path)
{
	const char *mark = target.size ? memchr(target.data, '?', target.size) : NULL;

	*ret_path = target;
	if (!mark)
		return (struct text){};
	ret_path->size = (uint32_t)(mark - target.data);
	return (struct text){mark + 1, target.size - ret_path->size - 1};
}

/* The target with its query as sigv4_put_query() writes it. */
static int write_target(struct text target, bool strip, struct arena *arena, struct text *ret)
{
	struct text path, query = query_of(target, &path);
	struct sigv4_buffer buffer = {.max = HTTP_TARGET_MAX};

	buffer.data = arena_alloc(arena, HTTP_TARGET_MAX);
	if (!buffer.data)
		return -ENOMEM;
	sigv4_put(&buffer, path.data, path.size);
	sigv4_put(&buffer, "?", 1);
	sigv4_put_query(&buffer, query, strip);
	if (buffer.failed)
		return -E2BIG;
	if (buffer.size == path.size + 1)
		buffer.size--;
	*ret = (struct text){buffer.data, (uint32_t)buffer.size};
	return 0;
}

int sigv4_strip(struct http_head *head, struct arena *arena)
{
	struct text path, query = query_of(head->target, &path), target = head->target;
	int r = 0;

	if (sigv4_query_is_signed(query))
		r = write_target(head->target, true, arena, &target);
	if (r < 0)
		return r;
	head->target = target;
	drop_fields(head, is_signature_field);
	return 0;
}

/* Payloads */

static const struct text *claimed(const struct http_head *head)
{
	const struct http_field *field = http_field_find(head, "x-amz-content-sha256");

	return field ? &field->value : NULL;
}

static bool is_hash(struct text text)
{
	for (uint32_t i = 0; i < text.size; i++)
		if (!(text.data[i] >= '0' && text.data[i] <= '9') &&
		    !(text.data[i] >= 'a' && text.data[i] <= 'f'))
			return false;
	return text.size == HEX_SIZE;
}

static bool has_body(const struct http_head *head)
{
	return head->body != HTTP_BODY_NONE && !(head->body == HTTP_BODY_LENGTH && !head->length);
}

/* What says that a payload is not hashed, NULL if it is, and what the hash is does not matter. */
static int unhashed(const struct http_head *head, Openshell__Compiled__V1__Signing mode,
		    const char **ret_word)
{
	const struct text *claim = claimed(head);

	*ret_word = NULL;
	if (claim && claim->size >= 10 && !memcmp(claim->data, "STREAMING-", 10)) {
		if (!text_is(*claim, TRAILER) || mode == MODE(SIGV4_BODY))
			return -EOPNOTSUPP;
		*ret_word = TRAILER;
	} else if (mode == MODE(SIGV4_NO_BODY) ||
		   (mode == MODE(SIGV4) && claim && text_is(*claim, UNSIGNED))) {
		*ret_word = UNSIGNED;
	}
	return 0;
}

int sigv4_payload(const struct http_head *head, Openshell__Compiled__V1__Signing mode)
{
	const struct text *claim = claimed(head);
	const char *word;
	int r = unhashed(head, mode, &word);

	if (r < 0)
		return r;
	return !word && has_body(head) && !(claim && is_hash(*claim));
}

static int hash_payload(const struct http_head *head, struct signing *signing)
{
	const struct sigv4 *sign = signing->sign;
	const struct text *claim = claimed(head);
	const char *word;
	int r = unhashed(head, sign->mode, &word);

	if (r < 0)
		return r;
	if (word) {
		snprintf(signing->payload, sizeof(signing->payload), "%s", word);
		return 0;
	}
	if (sign->body || !has_body(head))
		return hash(sign->body, sign->body ? sign->body_size : 0, signing->payload);
	if (!claim || !is_hash(*claim))
		return -EAGAIN;
	memcpy(signing->payload, claim->data, HEX_SIZE);
	signing->payload[HEX_SIZE] = '\0';
	return 0;
}

/* Signing */

static int put_canonical(struct sigv4_buffer *buffer, const struct http_head *head,
			 const struct signing *signing)
{
	struct text path, query = query_of(head->target, &path);

	sigv4_put(buffer, head->method.data, head->method.size);
	sigv4_put(buffer, "\n", 1);
	sigv4_put_path(buffer, path, sigv4_is_storage(signing->sign->service));
	sigv4_put(buffer, "\n", 1);
	if (!sigv4_put_sorted_query(buffer, query))
		return -E2BIG;
	sigv4_put(buffer, "\n", 1);
	sigv4_put_fields(buffer, head);
	sigv4_put(buffer, "\n", 1);
	sigv4_put_names(buffer, head);
	sigv4_put(buffer, "\n", 1);
	sigv4_put_string(buffer, signing->payload);
	return buffer->failed ? -E2BIG : 0;
}

static int mac(const void *key, size_t key_size, const char *data, size_t size,
	       uint8_t ret[SHA256_DIGEST_LENGTH])
{
	return HMAC(EVP_sha256(), key, (int)key_size, (const unsigned char *)data, size, ret, NULL)
		       ? 0
		       : -EIO;
}

/* Each step's key is the last one's result. */
static int signature(const struct signing *signing, const char *to_sign, size_t size, char *ret_hex)
{
	const char *const steps[] = {signing->date, signing->region, signing->sign->service,
				     "aws4_request"};
	const struct text secret = signing->sign->keys.secret;
	_cleanup_free_ char *first = malloc(4 + secret.size);
	uint8_t key[SHA256_DIGEST_LENGTH];
	int r;

	if (!first)
		return -ENOMEM;
	memcpy(first, "AWS4", 4);
	memcpy(first + 4, secret.data, secret.size);
	r = mac(first, 4 + secret.size, steps[0], strlen(steps[0]), key);
	OPENSSL_cleanse(first, 4 + secret.size);
	for (size_t i = 1; i < ARRAY_LEN(steps) && !r; i++)
		r = mac(key, sizeof(key), steps[i], strlen(steps[i]), key);
	if (!r)
		r = mac(key, sizeof(key), to_sign, size, key);
	if (!r)
		to_hex(key, ret_hex);
	OPENSSL_cleanse(key, sizeof(key));
	return r;
}

static int add_field(struct http_head *head, const char *name, const char *value, size_t size)
{
	if (head->fields == HTTP_FIELDS_MAX)
		return -E2BIG;
	head->field[head->fields++] =
		(struct http_field){{name, (uint32_t)strlen(name)}, {value, (uint32_t)size}};
	return 0;
}

static bool is_content_hash(struct text name)
{
	return text_is(name, "x-amz-content-sha256");
}

static int add_fields(struct http_head *head, const struct signing *signing, struct arena *arena)
{
	const struct sigv4 *sign = signing->sign;
	bool said = claimed(head) || sigv4_is_storage(sign->service) ||
		    !is_hash((struct text){signing->payload, (uint32_t)strlen(signing->payload)});
	char *now = arena_copy(arena, signing->time, strlen(signing->time));
	char *payload = arena_copy(arena, signing->payload, strlen(signing->payload));
	int r = 0;

	if (!now || !payload)
		return -ENOMEM;
	drop_fields(head, is_content_hash);
	r = add_field(head, "x-amz-date", now, strlen(now));
	if (!r && said)
		r = add_field(head, "x-amz-content-sha256", payload, strlen(payload));
	if (!r && sign->keys.token.size)
		r = add_field(head, "x-amz-security-token", sign->keys.token.data,
			      sign->keys.token.size);
	return r;
}

/* The value of Authorization, into @buffer, which is used for what is signed first. */
static int write_authorization(struct sigv4_buffer *buffer, const struct http_head *head,
			       const struct signing *signing)
{
	char digest[HEX_SIZE + 1], scope[256], to_sign[512];
	int size, r = put_canonical(buffer, head, signing);

	if (!r)
		r = hash(buffer->data, buffer->size, digest);
	if (r < 0)
		return r;
	size = snprintf(scope, sizeof(scope), "%s/%s/%s/aws4_request", signing->date,
			signing->region, signing->sign->service);
	if (size >= (int)sizeof(scope))
		return -E2BIG;
	size = snprintf(to_sign, sizeof(to_sign), ALGORITHM "\n%s\n%s\n%s", signing->time, scope,
			digest);
	r = signature(signing, to_sign, (size_t)size, digest);
	if (r < 0)
		return r;
	buffer->size = 0;
	sigv4_put_string(buffer, ALGORITHM " Credential=");
	sigv4_put(buffer, signing->sign->keys.id.data, signing->sign->keys.id.size);
	sigv4_put(buffer, "/", 1);
	sigv4_put_string(buffer, scope);
	sigv4_put_string(buffer, ", SignedHeaders=");
	sigv4_put_names(buffer, head);
	sigv4_put_string(buffer, ", Signature=");
	sigv4_put_string(buffer, digest);
	return buffer->failed || buffer->size > HTTP_HEAD_MAX ? -E2BIG : 0;
}

static int authorize(struct http_head *head, const struct signing *signing, struct arena *arena)
{
	_cleanup_free_ char *data = malloc(CANONICAL_MAX);
	struct sigv4_buffer buffer = {.data = data, .max = CANONICAL_MAX};
	char *value;
	int r;

	if (!data)
		return -ENOMEM;
	r = write_authorization(&buffer, head, signing);
	if (r < 0)
		return r;
	value = arena_copy(arena, buffer.data, buffer.size);
	return value ? add_field(head, "authorization", value, buffer.size) : -ENOMEM;
}

static int write_time(struct signing *signing)
{
	time_t now = (time_t)signing->sign->now;
	struct tm tm;

	if (!gmtime_r(&now, &tm) || tm.tm_year < 0 || tm.tm_year > 8099)
		return -EINVAL;
	strftime(signing->time, sizeof(signing->time), "%Y%m%dT%H%M%SZ", &tm);
	memcpy(signing->date, signing->time, 8);
	signing->date[8] = '\0';
	return 0;
}

int sigv4_sign(const struct sigv4 *sign, struct http_head *head, struct arena *arena)
{
	struct signing signing = {.sign = sign, .region = sign->region};
	struct http_head signed_head = *head;
	struct text path;
	int r = write_time(&signing);

	if (!r && !*sign->region)
		signing.region = sigv4_region(sign->host, signing.region_buf);
	if (!r)
		r = hash_payload(head, &signing);
	if (!r)
		r = sigv4_strip(&signed_head, arena);
	if (!r && query_of(signed_head.target, &path).data)
		r = write_target(signed_head.target, false, arena, &signed_head.target);
	if (!r)
		r = add_fields(&signed_head, &signing, arena);
	if (!r)
		r = authorize(&signed_head, &signing, arena);
	if (!r)
		*head = signed_head;
	return r;
}
