/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signatures named after their cases are those of AWS's published Signature Version 4 test
 * suite; the two of S3 are of the examples in its API reference.
 */
#include "proxy/sigv4.h"
#include "common/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define MODE(name) OPENSHELL__COMPILED__V1__SIGNING__SIGNING_##name
#define EMPTY	   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4 suite = {
	.keys = {.id = {"AKIDEXAMPLE", 11},
		 .secret = {"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 40}},
	.mode = MODE(SIGV4),
	.service = "service",
	.region = "us-east-1",
	.host = "example.amazonaws.com",
	.now = 1440938160, /* 20150830T123600Z */
};

static const struct sigv4 storage = {
	.keys = {.id = {"AKIAIOSFODNN7EXAMPLE", 20},
		 .secret = {"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 40}},
	.mode = MODE(SIGV4),
	.service = "s3",
	.region = "",
	.host = "examplebucket.s3.amazonaws.com",
	.now = 1369353600, /* 20130524T000000Z */
};

static struct text text(const char *string)
{
	return (struct text){string, (uint32_t)strlen(string)};
}

static void head_init(struct http_head *head, const char *method, const char *target)
{
	*head = (struct http_head){.version = 11,
				   .method = text(method),
				   .target = text(target),
				   .authority = TEXT("example.amazonaws.com")};
}

static void add(struct http_head *head, const char *name, const char *value)
{
	head->field[head->fields++] = (struct http_field){text(name), text(value)};
}

static const char *field(const struct http_head *head, const char *name)
{
	static char value[2048];
	const struct http_field *found = http_field_find(head, name);

	if (!found)
		return NULL;
	assert_true(found->value.size < sizeof(value));
	memcpy(value, found->value.data, found->value.size);
	value[found->value.size] = '\0';
	return value;
}

static void signed_as(const struct sigv4 *sign, struct http_head *head, struct arena *arena,
		      const char *names, const char *signature)
{
	char wanted[512];
	int r = sigv4_sign(sign, head, arena);

	if (r)
		fail_msg("%.*s: %d", (int)head->target.size, head->target.data, r);
	snprintf(wanted, sizeof(wanted), "SignedHeaders=%s, Signature=%s", names, signature);
	if (!strstr(field(head, "authorization"), wanted))
		fail_msg("%.*s: %s, not %s", (int)head->target.size, head->target.data,
			 field(head, "authorization"), wanted);
}

static void the_suites_requests(void **state)
{
	static const struct {
		const char *method, *target, *signature;
	} plain[] = {
		/* get-vanilla, and what is the same as it */
		{"GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"GET", "//", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"GET", "/./", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"GET", "/example/..",
		 "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		/* post-vanilla */
		{"POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		/* get-unreserved */
		{"GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
		 "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		/* get-utf8 */
		{"GET", "/\xe1\x88\xb4",
		 "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
		/* get-space */
		{"GET", "/example space/",
		 "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
		/* get-vanilla-query-order-key-case */
		{"GET", "/?Param2=value2&Param1=value1",
		 "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		/* get-vanilla-empty-query-key */
		{"GET", "/?Param1=value1",
		 "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
		/* get-vanilla-query-unreserved */
		{"GET",
		 "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz="
		 "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
		 "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
	};

	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		_cleanup_arena_ struct arena *arena = arena_new(1u << 20);
		struct http_head head;

		head_init(&head, plain[i].method, plain[i].target);
		signed_as(&suite, &head, arena, "host;x-amz-date", plain[i].signature);
	}
}

static void the_suites_fields(void **state)
{
	_cleanup_arena_ struct arena *arena = arena_new(4u << 20);
	static const uint8_t form[] = "Param1=value1";
	struct sigv4 sign = suite;
	struct http_head head;

	/* get-header-key-duplicate */
	head_init(&head, "GET", "/");
	add(&head, "my-header1", "value2");
	add(&head, "my-header1", "value2");
	add(&head, "my-header1", "value1");
	signed_as(&suite, &head, arena, "host;my-header1;x-amz-date",
		  "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea");
	/* get-header-value-trim */
	head_init(&head, "GET", "/");
	add(&head, "my-header1", " value1");
	add(&head, "my-header2", " \"a   b   c\"");
	signed_as(&suite, &head, arena, "host;my-header1;my-header2;x-amz-date",
		  "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
	/* post-x-www-form-urlencoded */
	head_init(&head, "POST", "/");
	head.body = HTTP_BODY_LENGTH;
	head.length = sizeof(form) - 1;
	add(&head, "content-type", "application/x-www-form-urlencoded");
	sign.body = form;
	sign.body_size = sizeof(form) - 1;
	signed_as(&sign, &head, arena, "content-type;host;x-amz-date",
		  "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
	/* post-sts-header-before */
	sign = suite;
	sign.keys.token =
		text("AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQW"
		     "LWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGd"
		     "QrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU"
		     "9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz"
		     "+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==");
	head_init(&head, "POST", "/");
	signed_as(&sign, &head, arena, "host;x-amz-date;x-amz-security-token",
		  "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead");
}

static void storages_requests(void **state)
{
	_cleanup_arena_ struct arena *arena = arena_new(4u << 20);
	static const uint8_t body[] = "Welcome to Amazon S3.";
	struct sigv4 sign = storage;
	struct http_head head;

	/* GET Object */
	head_init(&head, "GET", "/test.txt");
	head.authority = TEXT("examplebucket.s3.amazonaws.com");
	add(&head, "range", "bytes=0-9");
	signed_as(&storage, &head, arena, "host;range;x-amz-content-sha256;x-amz-date",
		  "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	assert_string_equal(field(&head, "x-amz-content-sha256"), EMPTY);
	/* PUT Object: a dollar sign that is sent as it is */
	head_init(&head, "PUT", "/test$file.text");
	head.authority = TEXT("examplebucket.s3.amazonaws.com");
	head.body = HTTP_BODY_LENGTH;
	head.length = sizeof(body) - 1;
	add(&head, "date", "Fri, 24 May 2013 00:00:00 GMT");
	add(&head, "x-amz-storage-class", "REDUCED_REDUNDANCY");
	sign.body = body;
	sign.body_size = sizeof(body) - 1;
	signed_as(&sign, &head, arena,
		  "date;host;x-amz-content-sha256;x-amz-date;"
		  "x-amz-storage-class",
		  "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
	/* GET Bucket Lifecycle */
	head_init(&head, "GET", "/?lifecycle");
	head.authority = TEXT("examplebucket.s3.amazonaws.com");
	signed_as(&storage, &head, arena, "host;x-amz-content-sha256;x-amz-date",
		  "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	assert_true(text_is(head.target, "/?lifecycle"));
}

static void the_agents_signature_goes(void **state)
{
	_cleanup_arena_ struct arena *arena = arena_new(1u << 20);
	struct http_head head;

	head_init(&head, "GET",
		  "/a?X-Amz-Algorithm=A&x=1&X-Amz-Credential=openshell%3Aresolve&"
		  "x-amz-signature=0&y=a+b%20c&X-Amz-SignedHeaders=host");
	add(&head, "authorization",
	    "AWS4-HMAC-SHA256 Credential=openshell:resolve:env:"
	    "AWS_ACCESS_KEY_ID/20150830/us-east-1/service/aws4_request");
	add(&head, "x-amz-date", "20200101T000000Z");
	add(&head, "x-amz-security-token", "openshell:resolve:env:AWS_SESSION_TOKEN");
	add(&head, "accept", "*/*");
	assert_int_equal(sigv4_strip(&head, arena), 0);
	assert_int_equal(head.fields, 1);
	assert_true(text_is(head.target, "/a?x=1&y=a%20b%20c"));
	assert_int_equal(sigv4_sign(&suite, &head, arena), 0);
	assert_int_equal(head.fields, 3);
	assert_string_equal(field(&head, "x-amz-date"), "20150830T123600Z");
	assert_null(field(&head, "x-amz-security-token"));
	/* a query that was nothing but a signature */
	head_init(&head, "GET", "/a?X-Amz-Signature=A");
	assert_int_equal(sigv4_strip(&head, arena), 0);
	assert_true(text_is(head.target, "/a"));
}

static int payload(const char *claim, int mode, enum http_body body)
{
	struct http_head head;

	head_init(&head, "PUT", "/");
	head.body = (uint8_t)body;
	head.length = body == HTTP_BODY_LENGTH ? 3 : 0;
	if (claim)
		add(&head, "x-amz-content-sha256", claim);
	return sigv4_payload(&head, (Openshell__Compiled__V1__Signing)mode);
}

#define CLAIM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void payloads(void **state)
{
	static const char chunks[] = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
	static const char trailer[] = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

	assert_int_equal(payload(NULL, MODE(SIGV4), HTTP_BODY_NONE), 0);
	assert_int_equal(payload(NULL, MODE(SIGV4), HTTP_BODY_LENGTH), 1);
	assert_int_equal(payload(NULL, MODE(SIGV4), HTTP_BODY_CHUNKED), 1);
	assert_int_equal(payload(CLAIM, MODE(SIGV4), HTTP_BODY_CHUNKED), 0);
	assert_int_equal(payload("UNSIGNED-PAYLOAD", MODE(SIGV4), HTTP_BODY_LENGTH), 0);
	assert_int_equal(payload(trailer, MODE(SIGV4), HTTP_BODY_CHUNKED), 0);
	assert_int_equal(payload(chunks, MODE(SIGV4), HTTP_BODY_CHUNKED), -EOPNOTSUPP);
	assert_int_equal(payload(CLAIM, MODE(SIGV4_BODY), HTTP_BODY_LENGTH), 0);
	assert_int_equal(payload("UNSIGNED-PAYLOAD", MODE(SIGV4_BODY), HTTP_BODY_LENGTH), 1);
	assert_int_equal(payload("0123", MODE(SIGV4_BODY), HTTP_BODY_LENGTH), 1);
	assert_int_equal(payload(trailer, MODE(SIGV4_BODY), HTTP_BODY_CHUNKED), -EOPNOTSUPP);
	assert_int_equal(payload(NULL, MODE(SIGV4_NO_BODY), HTTP_BODY_LENGTH), 0);
	assert_int_equal(payload(trailer, MODE(SIGV4_NO_BODY), HTTP_BODY_LENGTH), 0);
	assert_int_equal(payload(chunks, MODE(SIGV4_NO_BODY), HTTP_BODY_LENGTH), -EOPNOTSUPP);
}

static void what_is_sent_says_how_it_was_signed(void **state)
{
	static const struct {
		const char *claim;
		int mode;
		const char *wanted;
	} rows[] = {
		{CLAIM, MODE(SIGV4), CLAIM},
		{"UNSIGNED-PAYLOAD", MODE(SIGV4), "UNSIGNED-PAYLOAD"},
		{CLAIM, MODE(SIGV4_NO_BODY), "UNSIGNED-PAYLOAD"},
		{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", MODE(SIGV4),
		 "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_arena_ struct arena *arena = arena_new(1u << 20);
		struct sigv4 sign = suite;
		struct http_head head;

		sign.mode = (Openshell__Compiled__V1__Signing)rows[i].mode;
		head_init(&head, "PUT", "/");
		head.body = HTTP_BODY_CHUNKED;
		add(&head, "x-amz-content-sha256", rows[i].claim);
		assert_int_equal(sigv4_sign(&sign, &head, arena), 0);
		assert_string_equal(field(&head, "x-amz-content-sha256"), rows[i].wanted);
		assert_non_null(strstr(field(&head, "authorization"), "x-amz-content-sha256"));
	}
}

static void what_cannot_be_signed_stays_as_it_was(void **state)
{
	_cleanup_arena_ struct arena *arena = arena_new(1u << 20);
	struct http_head head;

	head_init(&head, "PUT", "/?a=+");
	head.body = HTTP_BODY_CHUNKED;
	assert_int_equal(sigv4_sign(&suite, &head, arena), -EAGAIN);
	add(&head, "x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
	assert_int_equal(sigv4_sign(&suite, &head, arena), -EOPNOTSUPP);
	assert_true(text_is(head.target, "/?a=+"));
	head.fields = 0;
	head.body = HTTP_BODY_NONE;
	while (head.fields < HTTP_FIELDS_MAX)
		add(&head, "a", "b");
	assert_int_equal(sigv4_sign(&suite, &head, arena), -E2BIG);
	assert_int_equal(head.fields, HTTP_FIELDS_MAX);
}

static void regions(void **state)
{
	static const char *const rows[][2] = {
		{"bedrock-runtime.us-east-1.amazonaws.com", "us-east-1"},
		{"sts.amazonaws.com", "us-east-1"},
		{"s3.amazonaws.com", "us-east-1"},
		{"bucket.s3.eu-west-1.amazonaws.com", "eu-west-1"},
		{"us-west-2.s3.eu-west-1.amazonaws.com", "eu-west-1"},
		{"s3-ap-southeast-2.amazonaws.com", "ap-southeast-2"},
		{"bucket.s3.dualstack.us-gov-west-1.amazonaws.com", "us-gov-west-1"},
		{"lambda.eu-central-1.api.aws", "eu-central-1"},
		{"vpce-0a.ssm.us-east-2.vpce.amazonaws.com", "us-east-2"},
		{"ec2.cn-northwest-1.amazonaws.com.cn", "cn-northwest-1"},
		{"iam.amazonaws.com.cn", "cn-north-1"},
		{"localhost", "us-east-1"},
		{"", "us-east-1"},
		{"-.--1", "us-east-1"},
	};
	char buf[SIGV4_REGION_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(sigv4_region(rows[i][0], buf), rows[i][1]);
}

static void keys_come_from_credentials(void **state)
{
	static Openshell__Worker__V1__Binding binding;
	Openshell__Worker__V1__Binding *bindings[] = {&binding};
	Openshell__Worker__V1__Credential c[3], *list[] = {&c[0], &c[1], &c[2]};
	static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
					    "AWS_SESSION_TOKEN"};
	struct credential_scope scope = {
		.host = "sts.amazonaws.com", .port = 443, .secure = true, .provider = ""};

	binding = (Openshell__Worker__V1__Binding)OPENSHELL__WORKER__V1__BINDING__INIT;
	binding.host = (char *)"**.amazonaws.com";
	for (size_t i = 0; i < 3; i++) {
		c[i] = (Openshell__Worker__V1__Credential)OPENSHELL__WORKER__V1__CREDENTIAL__INIT;
		c[i].provider = (char *)"aws";
		c[i].key = (char *)names[i];
		c[i].value = (char *)names[i];
		c[i].signing_only = true;
		c[i].n_bindings = 1;
		c[i].bindings = bindings;
	}
	for (size_t len = 0; len <= 3; len++) {
		struct credentials *credentials = NULL;
		struct sigv4_keys keys;
		struct error err;

		assert_int_equal(credentials_new(list, len, &credentials, &err), 0);
		assert_int_equal(sigv4_keys(credentials, &scope, &keys), len < 2 ? -ENOENT : 0);
		if (len >= 2) {
			assert_true(text_is(keys.secret, "AWS_SECRET_ACCESS_KEY"));
			assert_int_equal(keys.token.size > 0, len == 3);
			scope.port = 80;
			assert_int_equal(sigv4_keys(credentials, &scope, &keys), -EACCES);
			scope.port = 443;
		}
		credentials_free(credentials);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_suites_requests),
		cmocka_unit_test(the_suites_fields),
		cmocka_unit_test(storages_requests),
		cmocka_unit_test(the_agents_signature_goes),
		cmocka_unit_test(payloads),
		cmocka_unit_test(what_is_sent_says_how_it_was_signed),
		cmocka_unit_test(what_cannot_be_signed_stays_as_it_was),
		cmocka_unit_test(regions),
		cmocka_unit_test(keys_come_from_credentials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
