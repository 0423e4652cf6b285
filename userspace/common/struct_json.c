/* SPDX-License-Identifier: Apache-2.0 */
#include "common/struct_json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX   32
#define INTEGER_MAX 9007199254740992.0 /* 2^53: what a double has exactly */

static json_t *fields_to_json(const Google__Protobuf__Struct *fields, int depth);

static json_t *value_to_json(const Google__Protobuf__Value *value, int depth)
{
	json_t *list;

	if (!value || depth > DEPTH_MAX)
		return NULL;
	switch (value->kind_case) {
	case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
		if (fabs(value->number_value) < INTEGER_MAX &&
		    value->number_value == floor(value->number_value))
			return json_integer((json_int_t)value->number_value);
		return json_real(value->number_value);
	case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
		return json_string(value->string_value);
	case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
		return json_boolean(value->bool_value);
	case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
		return fields_to_json(value->struct_value, depth + 1);
	case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
		list = json_array();
		for (size_t i = 0; i < value->list_value->n_values; i++) {
			if (json_array_append_new(
				    list, value_to_json(value->list_value->values[i], depth + 1))) {
				json_decref(list);
				return NULL;
			}
		}
		return list;
	default:
		return json_null();
	}
}

static json_t *fields_to_json(const Google__Protobuf__Struct *fields, int depth)
{
	json_t *object = json_object();

	for (size_t i = 0; i < fields->n_fields; i++) {
		json_t *value = value_to_json(fields->fields[i]->value, depth);

		if (!value || json_object_set_new(object, fields->fields[i]->key, value)) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

json_t *struct_to_json(const Google__Protobuf__Struct *fields)
{
	return fields_to_json(fields, 0);
}

static int fill_value(const json_t *json, Google__Protobuf__Value *value, int depth);

static int fill_struct(const json_t *json, Google__Protobuf__Struct *fields, int depth)
{
	const char *key;
	json_t *item;

	fields->fields = calloc(json_object_size(json) + 1, sizeof(*fields->fields));
	if (!fields->fields)
		return -ENOMEM;
	json_object_foreach((json_t *)json, key, item)
	{
		Google__Protobuf__Struct__FieldsEntry *entry = malloc(sizeof(*entry));
		int r;

		if (!entry)
			return -ENOMEM;
		google__protobuf__struct__fields_entry__init(entry);
		fields->fields[fields->n_fields++] = entry;
		entry->value = malloc(sizeof(*entry->value));
		if (!entry->value)
			return -ENOMEM;
		google__protobuf__value__init(entry->value);
		entry->key = strdup(key);
		if (!entry->key) {
			entry->key = (char *)protobuf_c_empty_string;
			return -ENOMEM;
		}
		r = fill_value(item, entry->value, depth + 1);
		if (r)
			return r;
	}
	return 0;
}

static int fill_list(const json_t *json, Google__Protobuf__ListValue *list, int depth)
{
	const json_t *item;
	size_t i;

	list->values = calloc(json_array_size(json) + 1, sizeof(*list->values));
	if (!list->values)
		return -ENOMEM;
	json_array_foreach(json, i, item)
	{
		Google__Protobuf__Value *value = malloc(sizeof(*value));
		int r;

		if (!value)
			return -ENOMEM;
		google__protobuf__value__init(value);
		list->values[list->n_values++] = value;
		r = fill_value(item, value, depth + 1);
		if (r)
			return r;
	}
	return 0;
}

static int fill_value(const json_t *json, Google__Protobuf__Value *value, int depth)
{
	if (depth > DEPTH_MAX)
		return -EINVAL;
	if (json_is_object(json)) {
		value->struct_value = malloc(sizeof(*value->struct_value));
		if (!value->struct_value)
			return -ENOMEM;
		google__protobuf__struct__init(value->struct_value);
		value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
		return fill_struct(json, value->struct_value, depth);
	}
	if (json_is_array(json)) {
		value->list_value = malloc(sizeof(*value->list_value));
		if (!value->list_value)
			return -ENOMEM;
		google__protobuf__list_value__init(value->list_value);
		value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
		return fill_list(json, value->list_value, depth);
	}
	if (json_is_string(json)) {
		value->string_value = strdup(json_string_value(json));
		if (!value->string_value)
			return -ENOMEM;
		value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
	} else if (json_is_number(json)) {
		value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
		value->number_value = json_number_value(json);
	} else if (json_is_boolean(json)) {
		value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
		value->bool_value = json_is_true(json);
	} else {
		value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
		value->null_value = 0;
	}
	return 0;
}

int struct_from_json(const json_t *json, Google__Protobuf__Struct **ret_struct)
{
	Google__Protobuf__Struct *fields;
	int r;

	if (!json_is_object(json))
		return -EINVAL;
	fields = malloc(sizeof(*fields));
	if (!fields)
		return -ENOMEM;
	google__protobuf__struct__init(fields);
	r = fill_struct(json, fields, 0);
	if (r) {
		google__protobuf__struct__free_unpacked(fields, NULL);
		return r;
	}
	*ret_struct = fields;
	return 0;
}
