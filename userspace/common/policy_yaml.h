/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML as policies use it: one document of mappings, sequences and scalars, read into a tree that
 * knows the place of every node. Refused, each with a sentence: anchors and aliases (no billion
 * laughs, no cycles), tags, duplicate keys, several documents, text that is not UTF-8, and whatever
 * passes the caps below. Pure function over bytes; the tree lives in the caller's arena.
 */
#pragma once

#include "common/arena.h"
#include "common/policy_diagnostic.h"

#include <stdbool.h>
#include <stddef.h>

#define POLICY_SIZE_MAX	 (4u << 20) /* bytes of a file */
#define POLICY_DEPTH_MAX 32
#define POLICY_NODES_MAX 200000

enum yaml_kind {
	YAML_KIND_SCALAR,
	YAML_KIND_SEQUENCE,
	YAML_KIND_MAPPING,
};

/* What a plain scalar means in YAML 1.2's core schema; a quoted one is always a string. */
enum yaml_type {
	YAML_TYPE_STRING,
	YAML_TYPE_NULL,
	YAML_TYPE_BOOL,
	YAML_TYPE_INTEGER,
	YAML_TYPE_FLOAT,
};

struct yaml_node {
	enum yaml_kind kind;
	enum yaml_type type;	/* of a scalar */
	struct policy_place at; /* of the value */
	const char *text;	/* scalar: NUL-terminated; it may hold NULs before that */
	size_t len;
	/* children of a sequence or mapping, in the order of the file */
	struct yaml_node *first, *last, *next;
	size_t count;
	/* as a child of a mapping */
	const char *key;
	size_t key_len;
	struct policy_place key_at;
};

/*
 * Parse @size bytes. Findings go to @diag.
 * 0, -EBADMSG (findings say why), -ENOMEM.
 */
int yaml_parse(const void *data, size_t size, struct arena *arena, struct diagnostics *diag,
	       struct yaml_node **ret_root);

/* The core-schema type of a plain scalar. */
enum yaml_type yaml_plain_type(const char *text, size_t len);
