/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/names_internal.h"

#include "common/cleanup.h"
#include "supervisor/slot.h"

const struct names_addresses names_no_addresses;

struct names_maps names_maps_of(const struct names *names, uint32_t generation)
{
	return (struct names_maps){
		.kernel = names->kernel, .slot = names->slot, .generation = generation};
}

const struct names_addresses *names_addresses_of(const struct name *name)
{
	return name->addresses ? name->addresses : &names_no_addresses;
}

int names_publish_keys(struct names *names, struct names_keys *keys, const struct name *name)
{
	const struct names_ports *ports = &names->ports;
	bool every_port = names->audit && !names_is_ours(name->text);
	int r = every_port ? names_keys_add(keys, name->number, 0) : 0;

	for (size_t i = 0; !r && i < ports->len; i += names_ports_group(ports, i))
		r = names_keys_add(keys, name->number, ports->item[i].port);
	return r;
}

int names_publish_enter(struct names *names, const struct names_index *index, uint32_t generation,
			const struct name *name)
{
	const struct names_maps maps = names_maps_of(names, generation);
	const struct names_ports *ports = &names->ports;
	int r = 0;

	for (size_t i = 0, len; !r && i < ports->len; i += len) {
		uint16_t port = ports->item[i].port;
		struct names_verdict verdict;

		len = names_ports_group(ports, i);
		verdict = names_admit(index, &ports->item[i], len, names_addresses_of(name));
		if (verdict.valid)
			r = names_maps_set_name(&maps, name, port, verdict.valid);
		/* Last: who may connect finds where to, or nothing, but nobody else's addresses. */
		if (!r)
			r = names_maps_set_endpoint(&maps, name->number, port, &verdict);
	}
	if (!r && names->audit && name->addresses)
		r = names_maps_set_name(&maps, name, 0, names_admit_any(name->addresses));
	return r;
}

static bool mask_within(const struct os_rule_mask *inner, const struct os_rule_mask *outer)
{
	for (size_t i = 0; i < OS_RULE_WORDS; i++)
		if (inner->word[i] & ~outer->word[i])
			return false;
	return true;
}

static struct names_verdict common_to(const struct names_verdict *a, const struct names_verdict *b)
{
	struct names_verdict both = *b;

	for (size_t i = 0; i < OS_RULE_WORDS; i++) {
		both.rules.word[i] &= a->rules.word[i];
		both.ask.word[i] &= a->ask.word[i];
	}
	return both;
}

int names_publish_replace(struct names *names, const struct name *name,
			  const struct names_addresses *earlier)
{
	const struct names_maps maps = names_maps_of(names, names->now.generation);
	const struct names_ports *ports = &names->ports;
	bool narrower = false;
	int r = 0;

	for (size_t i = 0, len; !r && i < ports->len; i += len) {
		struct names_verdict old, new;

		len = names_ports_group(ports, i);
		old = names_admit(&names->index, &ports->item[i], len, earlier);
		new = names_admit(&names->index, &ports->item[i], len, names_addresses_of(name));
		if (mask_within(&old.rules, &new.rules))
			continue;
		narrower = true;
		old = common_to(&old, &new);
		r = names_maps_set_endpoint(&maps, name->number, ports->item[i].port, &old);
	}
	if (!r && narrower)
		slot_settle();
	for (size_t i = 0, len; !r && i < ports->len; i += len) {
		uint16_t port = ports->item[i].port;
		struct names_verdict verdict;

		len = names_ports_group(ports, i);
		verdict =
			names_admit(&names->index, &ports->item[i], len, names_addresses_of(name));
		r = names_maps_set_name(&maps, name, port, verdict.valid);
		if (!r)
			r = names_maps_set_endpoint(&maps, name->number, port, &verdict);
	}
	if (!r && names->audit)
		r = names_maps_set_name(&maps, name, 0, names_admit_any(names_addresses_of(name)));
	return r;
}

void names_publish_withdraw(struct names *names, struct name *name)
{
	const struct names_maps maps = names_maps_of(names, names->now.generation);

	for (size_t i = 0; name->addresses && i < names->now.len; i++)
		if (names->now.item[i].number == name->number)
			names_maps_set_name(&maps, name, names->now.item[i].port, 0);
	free(name->addresses);
	name->addresses = NULL;
}
