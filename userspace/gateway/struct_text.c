/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/struct_text.h"

#include <stdio.h>
#include <string.h>

static const Google__Protobuf__Value *find(const Google__Protobuf__Struct *fields, const char *name)
{
	for (size_t i = 0; i < fields->n_fields; i++)
		if (!strcmp(fields->fields[i]->key, name))
			return fields->fields[i]->value;
	return NULL;
}

char *struct_limit_text(const Google__Protobuf__Struct *resources, const char *name)
{
	const Google__Protobuf__Value *limits = find(resources, "limits"), *value;
	char text[64];

	if (limits && limits->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE)
		resources = limits->struct_value;
	value = find(resources, name);
	if (!value)
		return NULL;
	if (value->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE)
		return strdup(value->string_value);
	if (value->kind_case != GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE)
		return NULL;
	snprintf(text, sizeof(text), "%g", value->number_value);
	return strdup(text);
}
