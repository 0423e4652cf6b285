/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a GraphQL document would execute (https://spec.graphql.org/October2021/): the operation that
 * is chosen, and the fields of its root, by their own names and through every fragment. Texts point
 * into the document. Nothing is allocated: definitions are noted in scratch memory. Pure; any
 * thread.
 *
 * Fails closed. All of the document is read, by the grammar of executable documents and nothing
 * else, and refused with what validation would refuse where it decides about the root: operations
 * or fragments of one name, an anonymous operation beside others, fragments that are missing or
 * lead to themselves. @skip and @include count as if the field was selected.
 */
#pragma once

#include "proxy/http.h"

#include <stddef.h>
#include <stdint.h>

#define GRAPHQL_TOKENS_MAX	65536
#define GRAPHQL_DEPTH_MAX	64 /* of selections, values and types */
#define GRAPHQL_DEFINITIONS_MAX 256
#define GRAPHQL_FIELDS_MAX	256 /* distinct, in one root */
#define GRAPHQL_NAME_MAX	255

/* As OperationType of compiled_policy.proto. */
enum graphql_type {
	GRAPHQL_QUERY = 1,
	GRAPHQL_MUTATION,
	GRAPHQL_SUBSCRIPTION,
};

struct graphql_operation {
	enum graphql_type type;
	uint16_t fields;
	struct text name; /* size 0: anonymous */
	struct text field[GRAPHQL_FIELDS_MAX];
};

/*
 * @name chooses among several operations; NULL if the request has none. 32 KiB of @scratch are
 * enough for most documents, 8 bytes for each selection in them. -EBADMSG with @ret_why set to a
 * sentence's end: "has a fragment that leads to itself"; @ret_operation is undefined then.
 */
int graphql_read(struct text document, const struct text *name, void *scratch, size_t size,
		 struct graphql_operation *ret_operation, const char **ret_why);
