/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/generation.h"

#include "common/cleanup.h"
#include "inference_fixture.h"

#include <stdlib.h>
#include <sys/mman.h>

/* What a worker makes of a bundle with these routes, NULL for none. */
static int read_bundle(OPENSHELL(Inference) * inference, uint32_t number,
		       struct generation **ret_generation)
{
	OPENSHELL(WorkerBundle) bundle = OPENSHELL_INIT(WORKER_BUNDLE);
	_cleanup_close_ int fd = memfd_create("bundle", MFD_CLOEXEC);
	_cleanup_free_ uint8_t *packed = NULL;
	struct error err = {0};
	size_t size;
	int r;

	bundle.generation = 3;
	bundle.sandbox = "test";
	bundle.inference = inference;
	size = openshell__worker__v1__worker_bundle__get_packed_size(&bundle);
	packed = malloc(size);
	openshell__worker__v1__worker_bundle__pack(&bundle, packed);
	assert_int_equal(write(fd, packed, size), size);
	r = generation_read(fd, number, size, ret_generation, &err);
	assert_true(r != -EINVAL || strstr(err.message, "inference.local"));
	return r;
}

static void without_routes(void **state)
{
	struct generation *generation = NULL;

	assert_int_equal(read_bundle(NULL, 3, &generation), 0);
	assert_non_null(generation->inference);
	assert_false(inference_is_configured(generation->inference));
	generation_unref(generation);
	assert_int_equal(read_bundle(NULL, 4, &generation), -EBADMSG);
}

/* Everything that is wiped is there, or is not. */
static void with_routes(void **state)
{
	OPENSHELL(InferenceHeader) key = OPENSHELL_INIT(INFERENCE_HEADER), empty = key;
	OPENSHELL(InferenceHeader) * headers[] = {&key, &empty};
	OPENSHELL(InferenceSigning) signing = OPENSHELL_INIT(INFERENCE_SIGNING);
	char *secrets[] = {"sk-test-0123456789"};
	struct generation *generation = NULL;
	const struct inference_route *route;
	struct fixture f;

	fixture_init(&f, 2);
	key.name = "authorization";
	key.value = "Bearer sk-test-0123456789";
	empty.name = "x-empty";
	signing.service = "bedrock";
	signing.access_key = "id";
	signing.secret_key = "secret";
	f.routes[0].headers = headers;
	f.routes[0].n_headers = ARRAY_LEN(headers);
	f.routes[0].secrets = secrets;
	f.routes[0].n_secrets = 1;
	f.routes[1].signing = &signing;
	assert_int_equal(read_bundle(&f.told, 3, &generation), 0);
	assert_true(inference_is_configured(generation->inference));
	route = inference_route_at(generation->inference, 0);
	assert_string_equal(route->told->headers[0]->value, "Bearer sk-test-0123456789");
	assert_int_equal(route->revision, 7);
	generation_unref(generation_ref(generation));
	generation_unref(generation);
}

static void with_a_bad_route(void **state)
{
	struct generation *generation = NULL;
	struct fixture f;

	fixture_init(&f, 2);
	f.routes[1].port = 0;
	assert_int_equal(read_bundle(&f.told, 3, &generation), -EINVAL);
	assert_null(generation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_routes),
		cmocka_unit_test(with_routes),
		cmocka_unit_test(with_a_bad_route),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
