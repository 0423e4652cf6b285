/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inference_answer.h"

#include "common/cleanup.h"

#include <jansson.h>
#include <stdlib.h>

#define MESSAGES OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_MESSAGES

/* What is not UTF-8 is left out rather than sent as something else. */
static json_t *string(const char *text)
{
	json_t *value = json_string(text);

	return value ? value : json_string("");
}

/* {"type":"error","error":{..},"hint":".."} as text, to be freed; NULL without memory. */
static char *write_json(const char *code, const char *message, const char *hint)
{
	json_t *error = json_object(), *object = json_object();
	char *text = NULL;
	int r = 0;

	r |= json_object_set_new(error, "type", string(code));
	r |= json_object_set_new(error, "code", string(code));
	r |= json_object_set_new(error, "message", string(message));
	r |= json_object_set_new(error, "param", json_null());
	r |= json_object_set_new(object, "type", string("error"));
	r |= json_object_set(object, "error", error);
	if (hint)
		r |= json_object_set_new(object, "hint", string(hint));
	if (!r)
		text = json_dumps(object, JSON_COMPACT);
	json_decref(error);
	json_decref(object);
	return text;
}

static int format(struct arena *arena, struct text *ret_text, const char *before, const char *json,
		  const char *after)
{
	char *text = arena_format(arena, "%s%s%s", before, json, after);

	if (!text)
		return -ENOMEM;
	*ret_text = (struct text){text, (uint32_t)strlen(text)};
	return 0;
}

int inference_answer_body(struct arena *arena, const char *code, const char *message,
			  const char *hint, struct text *ret_text)
{
	_cleanup_free_ char *json = write_json(code, message, hint);

	return json ? format(arena, ret_text, "", json, "\n") : -ENOMEM;
}

/*
 * A blank line ends the event that was begun, if one was: else its data and the frame's would be
 * one. In a line it takes one end of line more; nobody minds a blank line too many.
 */
int inference_answer_frame(struct arena *arena, inference_api api, const char *code,
			   const char *message, bool in_line, struct text *ret_text)
{
	_cleanup_free_ char *json = write_json(code, message, NULL);
	const char *before;

	if (!json)
		return -ENOMEM;
	if (api == MESSAGES)
		before = in_line ? "\n\nevent: error\ndata: " : "\nevent: error\ndata: ";
	else
		before = in_line ? "\n\ndata: " : "\ndata: ";
	return format(arena, ret_text, before, json, "\n\n");
}
