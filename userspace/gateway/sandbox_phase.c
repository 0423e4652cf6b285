/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/sandbox_phase.h"

#include "common/cleanup.h"
#include "gateway/replace_string.h"

#include <errno.h>
#include <string.h>
#include <time.h>

const char *sandbox_phase_name(Openshell__V1__SandboxPhase phase)
{
	static const char prefix[] = "SANDBOX_PHASE_";
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
		&openshell__v1__sandbox_phase__descriptor, (int)phase);

	return value ? value->name + sizeof(prefix) - 1 : "UNKNOWN";
}

static int ensure_condition(Openshell__V1__SandboxStatus *status)
{
	Openshell__V1__SandboxCondition *condition;

	if (status->n_conditions)
		return 0;
	condition = malloc(sizeof(*condition));
	status->conditions = calloc(1, sizeof(*status->conditions));
	if (!condition || !status->conditions) {
		free(condition);
		free(status->conditions);
		status->conditions = NULL;
		return -ENOMEM;
	}
	openshell__v1__sandbox_condition__init(condition);
	status->conditions[0] = condition;
	status->n_conditions = 1;
	return replace_string(&condition->type, "Ready");
}

int sandbox_phase_set(struct sandbox_record *record, Openshell__V1__SandboxPhase phase,
		      const char *reason, const char *message)
{
	Openshell__V1__SandboxStatus *status = record->stored->sandbox->status;
	Openshell__V1__SandboxCondition *condition;
	bool ready = phase == OPENSHELL__V1__SANDBOX_PHASE__SANDBOX_PHASE_READY;
	time_t now = time(NULL);
	char when[32];
	struct tm tm;
	int r = ensure_condition(status);

	if (r)
		return r;
	status->phase = phase;
	condition = status->conditions[0];
	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%FT%TZ", &tm);
	r = replace_string(&condition->status, ready ? "True" : "False");
	if (!r)
		r = replace_string(&condition->reason, reason);
	if (!r)
		r = replace_string(&condition->message, message);
	return r ? r : replace_string(&condition->last_transition_time, when);
}

int sandbox_phase_new_instance(struct sandbox_record *record)
{
	Openshell__V1__SandboxStatus *status = record->stored->sandbox->status;
	char id[37];
	int r;

	store_make_id(id);
	status->optional_exit_code_case =
		OPENSHELL__V1__SANDBOX_STATUS__OPTIONAL_EXIT_CODE__NOT_SET;
	r = replace_string(&record->stored->instance_id, id);
	return r ? r : replace_string(&status->main_process_instance_id, id);
}
