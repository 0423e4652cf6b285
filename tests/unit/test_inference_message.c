/* SPDX-License-Identifier: Apache-2.0 */
#include "common/inference_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define PB(name) Openshell__Worker__V1__##name

struct fixture {
	PB(Inference) inference;
	PB(InferenceRoute) route[2], *routes[2];
	PB(InferenceHeader) header, *headers, fallback, *defaults;
	PB(InferenceSigning) signing;
	char *secrets[1];
};

/* The second has nothing that is not the constant of an absent field. */
static void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	openshell__worker__v1__inference__init(&f->inference);
	f->inference.routes = f->routes;
	f->inference.n_routes = 2;
	for (size_t i = 0; i < 2; i++) {
		openshell__worker__v1__inference_route__init(&f->route[i]);
		f->routes[i] = &f->route[i];
	}
	openshell__worker__v1__inference_header__init(&f->header);
	openshell__worker__v1__inference_header__init(&f->fallback);
	openshell__worker__v1__inference_signing__init(&f->signing);
	f->headers = &f->header;
	f->defaults = &f->fallback;
	f->header.name = (char *)"authorization";
	f->header.value = (char *)"Bearer s3cret";
	f->fallback.value = (char *)"s3cret";
	f->secrets[0] = (char *)"s3cret";
	f->signing.secret_key = (char *)"s3cret";
	f->route[0].name = (char *)"a";
	f->route[0].headers = &f->headers;
	f->route[0].n_headers = 1;
	f->route[0].defaults = &f->defaults;
	f->route[0].n_defaults = 1;
	f->route[0].secrets = f->secrets;
	f->route[0].n_secrets = 1;
	f->route[0].signing = &f->signing;
}

static void a_copy_is_the_same_and_is_wiped(void **state)
{
	PB(Inference) *copy = NULL;
	struct fixture f;

	fixture_init(&f);
	assert_int_equal(inference_message_copy(&f.inference, &copy), 0);
	assert_int_equal(copy->n_routes, 2);
	assert_string_equal(copy->routes[0]->headers[0]->value, "Bearer s3cret");
	assert_string_equal(copy->routes[0]->signing->secret_key, "s3cret");
	inference_message_wipe(copy);
	assert_string_equal(copy->routes[0]->headers[0]->name, "authorization");
	assert_string_equal(copy->routes[0]->headers[0]->value, "");
	assert_string_equal(copy->routes[0]->defaults[0]->value, "");
	assert_string_equal(copy->routes[0]->secrets[0], "");
	assert_string_equal(copy->routes[0]->signing->secret_key, "");
	assert_string_equal(f.header.value, "Bearer s3cret");
	inference_message_free(copy);
	inference_message_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_is_the_same_and_is_wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
