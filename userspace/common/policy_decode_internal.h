/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the two files of the decoder: policy_decode.c walks objects and plain values,
 * policy_decode_value.c reads matchers and free-form configuration.
 */
#pragma once

#include "common/policy_decode.h"

struct decoder {
	struct arena *arena;
	struct diagnostics *diag;
};

void decode_wrong_kind(struct decoder *decoder, const struct yaml_node *node, const char *name,
		       const char *wanted);

/* False, with a finding, when @text holds a control character or a leftover template. */
bool decode_text_is_clean(struct decoder *decoder, struct policy_place at, const char *name,
			  const char *text, size_t len);

/* Each returns 0 or -ENOMEM. */
int decode_strings(struct decoder *decoder, const struct yaml_node *node, const char *name,
		   struct policy_strings *target);
int decode_matcher(struct decoder *decoder, const struct yaml_node *node, const char *name,
		   struct policy_matcher *target);
int decode_matchers(struct decoder *decoder, const struct yaml_node *node, const char *name,
		    struct policy_list *target);
int decode_params(struct decoder *decoder, const struct yaml_node *node, const char *name,
		  struct policy_list *target);
int decode_json(struct decoder *decoder, const struct yaml_node *node, const char *name,
		struct policy_string *target);
