/* SPDX-License-Identifier: Apache-2.0 */
/* A profile as a client sends it: what is taken can be told, and is taken again as it was told. */
#include "common/cleanup.h"
#include "gateway/provider_profile_wire.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Openshell__V1__ProviderProfile *message, *told;
	struct provider_profile *profile, *again;
	struct error err = {};
	int r;

	message = openshell__v1__provider_profile__unpack(NULL, size, data);
	if (!message)
		return 0;
	r = profile_from_wire(message, &profile, NULL, &err);
	openshell__v1__provider_profile__free_unpacked(message, NULL);
	if (r) {
		if (!*err.message)
			__builtin_trap();
		return 0;
	}
	if (profile_to_wire(profile, "imported", &told))
		__builtin_trap();
	if (profile_from_wire(told, &again, NULL, &err) ||
	    strcmp(again->type.value, profile->type.value) != 0 ||
	    again->credentials.count != profile->credentials.count ||
	    again->bindings.count != profile->bindings.count)
		__builtin_trap();
	openshell__v1__provider_profile__free_unpacked(told, NULL);
	provider_profile_free(again);
	provider_profile_free(profile);
	return 0;
}
