/* SPDX-License-Identifier: Apache-2.0 */
#include "common/yaml_text.h"

#include "common/cleanup.h"
#include "common/policy_yaml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX  64
#define LINE_WIDTH 100

static int emit(yaml_emitter_t *emitter, yaml_event_t *event)
{
	return yaml_emitter_emit(emitter, event) ? 0 : -ENOMEM;
}

/* Text that would be read as something else is quoted. */
static int emit_text(yaml_emitter_t *emitter, const char *text, bool string)
{
	yaml_scalar_style_t style = YAML_PLAIN_SCALAR_STYLE;
	yaml_event_t event;

	if (string && yaml_plain_type(text, strlen(text)) != YAML_TYPE_STRING)
		style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	/* YAML 1.1's words, which other readers take for booleans. */
	if (string &&
	    (!strcasecmp(text, "yes") || !strcasecmp(text, "no") || !strcasecmp(text, "on") ||
	     !strcasecmp(text, "off") || !strcasecmp(text, "y") || !strcasecmp(text, "n")))
		style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	if (!yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
					  (int)strlen(text), 1, 1, style))
		return -ENOMEM;
	return emit(emitter, &event);
}

static int emit_node(yaml_emitter_t *emitter, const json_t *json, int depth);

static int emit_object(yaml_emitter_t *emitter, const json_t *json, int depth)
{
	yaml_event_t event;
	const char *key;
	json_t *item;
	int r = -ENOMEM;

	if (yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
						json_object_size(json) ? YAML_BLOCK_MAPPING_STYLE
								       : YAML_FLOW_MAPPING_STYLE))
		r = emit(emitter, &event);
	json_object_foreach((json_t *)json, key, item)
	{
		if (!r)
			r = emit_text(emitter, key, true);
		if (!r)
			r = emit_node(emitter, item, depth + 1);
	}
	if (r || !yaml_mapping_end_event_initialize(&event))
		return r ? r : -ENOMEM;
	return emit(emitter, &event);
}

static int emit_array(yaml_emitter_t *emitter, const json_t *json, int depth)
{
	yaml_event_t event;
	const json_t *item;
	size_t i;
	int r = -ENOMEM;

	if (yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
						 json_array_size(json) ? YAML_BLOCK_SEQUENCE_STYLE
								       : YAML_FLOW_SEQUENCE_STYLE))
		r = emit(emitter, &event);
	json_array_foreach(json, i, item)
	{
		if (!r)
			r = emit_node(emitter, item, depth + 1);
	}
	if (r || !yaml_sequence_end_event_initialize(&event))
		return r ? r : -ENOMEM;
	return emit(emitter, &event);
}

static int emit_node(yaml_emitter_t *emitter, const json_t *json, int depth)
{
	_cleanup_free_ char *text = NULL;

	if (depth > DEPTH_MAX)
		return -EINVAL;
	if (json_is_object(json))
		return emit_object(emitter, json, depth);
	if (json_is_array(json))
		return emit_array(emitter, json, depth);
	if (json_is_string(json))
		return emit_text(emitter, json_string_value(json), true);
	text = json_dumps(json, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
	return text ? emit_text(emitter, text, false) : -ENOMEM;
}

static int emit_document(yaml_emitter_t *emitter, const json_t *json)
{
	yaml_event_t event;
	int r = -ENOMEM;

	if (yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING))
		r = emit(emitter, &event);
	if (!r && yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1))
		r = emit(emitter, &event);
	if (!r)
		r = emit_node(emitter, json, 0);
	if (!r && yaml_document_end_event_initialize(&event, 1))
		r = emit(emitter, &event);
	if (!r && yaml_stream_end_event_initialize(&event))
		r = emit(emitter, &event);
	return r;
}

int yaml_text_of_json(const json_t *json, char **ret_text)
{
	yaml_emitter_t emitter;
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	int r;

	if (!file)
		return -ENOMEM;
	if (!yaml_emitter_initialize(&emitter)) {
		fclose(file);
		free(text);
		return -ENOMEM;
	}
	yaml_emitter_set_output_file(&emitter, file);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, LINE_WIDTH);
	r = emit_document(&emitter, json);
	yaml_emitter_delete(&emitter);
	if (fclose(file) && !r)
		r = -ENOMEM;
	if (r)
		free(text);
	else
		*ret_text = text;
	return r;
}
