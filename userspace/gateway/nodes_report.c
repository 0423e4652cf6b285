/* SPDX-License-Identifier: Apache-2.0 */
/* What a node says has become of a sandbox, into its record. */
#include "gateway/nodes_internal.h"

#include "common/cleanup.h"
#include "gateway/journal.h"
#include "gateway/logs.h"
#include "gateway/sandbox_phase.h"
#include "gateway/watch.h"

#include <string.h>

#define PHASE(name) OPENSHELL__V1__SANDBOX_PHASE__SANDBOX_PHASE_##name

/* A report may be older than what was asked for since. */
static bool is_current(const struct sandbox_record *record,
		       const Openshell__Node__V1__SandboxReport *report)
{
	if (record->stored->deleting)
		return false;
	if (record->stored->stopped)
		return report->phase == PHASE(STOPPED) || report->phase == PHASE(STOPPING);
	if (*report->instance_id && strcmp(report->instance_id, record->stored->instance_id) != 0)
		return false;
	return report->phase == PHASE(READY) || report->phase == PHASE(ERROR) ||
	       report->phase == PHASE(PROVISIONING) || report->phase == PHASE(STARTING);
}

static bool is_same(const struct sandbox_record *record,
		    const Openshell__Node__V1__SandboxReport *report)
{
	const Openshell__V1__SandboxStatus *status = record->stored->sandbox->status;
	bool has = status->optional_exit_code_case ==
		   OPENSHELL__V1__SANDBOX_STATUS__OPTIONAL_EXIT_CODE_EXIT_CODE;

	return status->phase == report->phase && has == report->exited &&
	       (!has || status->exit_code == report->exit_code);
}

static const char *reason_of(const Openshell__Node__V1__SandboxReport *report)
{
	if (report->exited)
		return "MainProcessExited";
	if (report->phase == PHASE(ERROR))
		return "StartFailed";
	return report->phase == PHASE(READY) ? "Running" : "Changing";
}

static void tell(struct gateway *gateway, const struct sandbox_record *record,
		 const Openshell__Node__V1__SandboxReport *report)
{
	const char *id = record->object.id;

	watch_sandbox_changed(gateway, id);
	if (report->exited)
		logs_gateway(gateway, id, report->exit_code ? "warn" : "info",
			     "its main process exited with %d", report->exit_code);
	else if (report->phase == PHASE(ERROR))
		logs_gateway(gateway, id, "error", "it could not be started: %s", report->message);
	else
		logs_gateway(gateway, id, "info", "it is %s", sandbox_phase_name(report->phase));
	watch_event(gateway, id, "supervisor", report->phase == PHASE(ERROR) ? "Warning" : "Normal",
		    reason_of(report), report->message);
	for (size_t i = 0; i < report->n_findings; i++)
		logs_gateway(gateway, id, "warn", "not enforced on its host: %s",
			     report->findings[i]);
}

static int apply(struct sandbox_record *record, const Openshell__Node__V1__SandboxReport *report)
{
	Openshell__V1__SandboxStatus *status = record->stored->sandbox->status;

	status->optional_exit_code_case =
		report->exited ? OPENSHELL__V1__SANDBOX_STATUS__OPTIONAL_EXIT_CODE_EXIT_CODE
			       : OPENSHELL__V1__SANDBOX_STATUS__OPTIONAL_EXIT_CODE__NOT_SET;
	status->exit_code = report->exit_code;
	return sandbox_phase_set(record, report->phase, reason_of(report), report->message);
}

void node_reported(struct node *node, const Openshell__Node__V1__SandboxReport *report)
{
	struct gateway *gateway = node->nodes->gateway;
	struct sandbox_record record = {};
	struct error err = {};
	int r = sandbox_record_get_id(gateway, report->sandbox_id, &record, &err);

	/* Who was deleted meanwhile is removed after `synced`. */
	if (r)
		return;
	if (strcmp(record.stored->node, node->name) != 0) {
		journal(JOURNAL_WARN, "node %s reports on sandbox %s, which is not there",
			node->name, report->sandbox_id);
	} else if (is_current(&record, report) && !is_same(&record, report)) {
		r = apply(&record, report);
		if (!r)
			r = sandbox_record_save(gateway, &record, 0, &err);
		if (r)
			journal(JOURNAL_ERROR, "sandbox %s: its state cannot be written: %s",
				report->sandbox_id, err.message);
		else
			tell(gateway, &record, report);
	}
	sandbox_record_clear(&record);
}
