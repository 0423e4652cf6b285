/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/names_internal.h"

#include "common/cleanup.h"
#include "common/inference.h"

#include <errno.h>
#include <string.h>

#define PB(name) Openshell__Compiled__V1__##name

_Static_assert(NAMES_MAX <= OS_SYNTHETIC_MAX, "every number has a synthetic address");

static void index_cleanup(struct names_index *index)
{
	names_index_free(index);
}

int names_new(const struct kernel *kernel, uint32_t slot, bool audit, struct names **ret_names,
	      struct error *err)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return error_set(err, -ENOMEM, "out of memory");
	names->kernel = kernel;
	names->slot = slot;
	names->audit = audit;
	names->credit = NAMES_WILDCARD_BURST * WILDCARD_COST;
	*ret_names = names;
	return 0;
}

void names_free(struct names *names)
{
	if (!names)
		return;
	names_keys_remove(names->kernel, names->slot, &names->before);
	names_keys_remove(names->kernel, names->slot, &names->now);
	names_table_free(&names->table);
	names_index_free(&names->index);
	names_ports_free(&names->ports);
	free(names);
}

void names_listen(struct names *names, void (*forbidden)(void *arg, const char *sentence),
		  void *arg)
{
	names->forbidden = forbidden;
	names->arg = arg;
}

bool names_is_ours(const char *text)
{
	return !strcmp(text, INFERENCE_HOST);
}

bool names_wanted(const PB(CompiledPolicy) * policy)
{
	for (size_t i = 0; i < policy->n_endpoints; i++)
		if (names_index_takes(policy, policy->endpoints[i]))
			return true;
	return false;
}

/* The names that @policy spells out, in its order. */
static int add_exact(struct names *names, const PB(CompiledPolicy) * policy, struct error *err)
{
	for (size_t i = 0; i < policy->n_endpoints; i++) {
		const PB(Endpoint) *endpoint = policy->endpoints[i];
		size_t length = strlen(endpoint->host);
		struct name *name;
		int r;

		if (!names_index_takes(policy, endpoint) || strchr(endpoint->host, '*') ||
		    names_table_find(&names->table, endpoint->host, length))
			continue;
		r = names_table_add(&names->table, endpoint->host, length, NAMES_MAX, &name);
		if (r == -E2BIG)
			return error_set(err, r,
					 "this sandbox has had %d names, and every name keeps its "
					 "address: start it anew",
					 NAMES_MAX);
		if (r)
			return error_set(err, r, "out of memory");
	}
	return 0;
}

static int enter_all(struct names *names, const struct names_index *index, struct names_keys *keys,
		     struct error *err)
{
	for (size_t i = 0; i < names->table.len; i++) {
		const struct name *name = &names->table.name[i];
		int r = names_index_find(index, name->text, &names->ports);

		if (!r)
			r = names_publish_keys(names, keys, name);
		if (!r)
			r = names_publish_enter(names, index, keys->generation, name);
		if (r == -ENOSPC)
			return error_set(err, r,
					 "the maps os_endpoint and os_name take no more names: "
					 "fewer names per policy, or fewer sandboxes on this host");
		if (r)
			return error_set(err, r, "cannot enter the name %s: %s", name->text,
					 strerror(-r));
	}
	return 0;
}

/* @keys are in force, or will be; those before them are forgotten if they are the same ones. */
static void keep_keys(struct names *names, const struct names_keys *keys)
{
	if (names->before.generation == keys->generation)
		names_keys_forget(&names->before);
	if (names->now.generation == keys->generation) {
		names_keys_forget(&names->now);
	} else {
		names_keys_remove(names->kernel, names->slot, &names->before);
		names->before = names->now;
	}
	names->now = *keys;
}

int names_write(struct names *names, uint32_t generation, const PB(CompiledPolicy) * policy,
		struct error *err)
{
	_cleanup_(index_cleanup) struct names_index index = {};
	struct names_keys keys = {.generation = generation};
	size_t len = names->table.len;
	int r;

	r = names_index_build(policy, &index, err);
	if (r)
		return r;
	r = add_exact(names, policy, err);
	if (!r)
		r = enter_all(names, &index, &keys, err);
	if (r) {
		names_keys_remove(names->kernel, names->slot, &keys);
		names_table_cut(&names->table, len);
		return r;
	}
	for (size_t i = 0; i < names->table.len; i++) {
		struct name *name = &names->table.name[i];

		name->admitted = names->audit && !names_is_ours(name->text);
		name->entered = name->told = false;
	}
	for (size_t i = 0; i < keys.len; i++) {
		struct name *name = names_table_at(&names->table, keys.item[i].number);

		name->admitted = name->entered = true;
	}
	names->told = 0;
	keep_keys(names, &keys);
	names_index_free(&names->index);
	names->index = index;
	index = (struct names_index){};
	return 0;
}

void names_erase(struct names *names, uint32_t generation)
{
	if (names->before.generation == generation)
		names_keys_remove(names->kernel, names->slot, &names->before);
}

const char *names_text(const struct names *names, const uint8_t *address)
{
	const struct name *name = names_table_at(&names->table, names_maps_number(address));

	return name ? name->text : NULL;
}
