/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the request of any method, as it reaches a gateway: unpacked, then checked. What
 * passes holds what request_check() promises: text with an end, and it is packed again as it is.
 *
 * The first byte chooses the method.
 */
#include "common/cleanup.h"
#include "common/rpc.h"
#include "gateway/request_check.h"

#include <stdlib.h>

#define CHECK(held)                                                                                \
	do {                                                                                       \
		if (!(held))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct rpc_method *method;
	_cleanup_free_ uint8_t *packed = NULL;
	ProtobufCMessage *message;
	struct error err = {};
	int r;

	if (!size)
		return 0;
	method = &rpc_methods[data[0] % RPC_COUNT];
	message = protobuf_c_message_unpack(method->request, NULL, size - 1, data + 1);
	if (!message)
		return 0;
	r = request_check(message, &err);
	CHECK(r <= 0 && (!r || *err.message));
	packed = malloc(protobuf_c_message_get_packed_size(message) + 1);
	CHECK(packed);
	protobuf_c_message_pack(message, packed);
	CHECK(request_check(message, &err) == r);
	protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}
