/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people call things: one row per kernel hook (its OCSF class and activity, who decided, how
 * grave a denial is) and the words for rights, capabilities, signals, socket families. Constant
 * tables; any thread. Unknown numbers get a numeric name, never an error.
 */
#pragma once

#include "abi.h"
#include "common/event_text.h"

#include <stdint.h>

/* OCSF class_uid. */
enum event_class {
	EVENT_CLASS_FILE = 1001,
	EVENT_CLASS_PROC = 1007,
	EVENT_CLASS_FINDING = 2004,
	EVENT_CLASS_NET = 4001,
	EVENT_CLASS_HTTP = 4002,
	EVENT_CLASS_DNS = 4003,
	EVENT_CLASS_CONFIG = 5019,
	EVENT_CLASS_LIFECYCLE = 6002,
	EVENT_CLASS_API = 6003,
};

/* OCSF severity_id. */
enum event_severity {
	EVENT_SEVERITY_INFO = 1,
	EVENT_SEVERITY_LOW = 2,
	EVENT_SEVERITY_MED = 3,
	EVENT_SEVERITY_HIGH = 4,
	EVENT_SEVERITY_CRIT = 5,
	EVENT_SEVERITY_FATAL = 6,
};

#define EVENT_ACTIVITY_OTHER 99 /* OCSF: the activity has a name of ours only */

struct event_hook {
	enum event_class class;
	const char *activity;	    /* "OPEN" */
	int activity_id;	    /* OCSF activity_id within the class */
	const char *engine;	    /* "lsm", "bpf", "dns" */
	enum event_severity denied; /* severity of a denial */
	const char *act;	    /* what was tried, for a sentence: "opening a file" */
};

/* The row of @hook; a number that is not enum os_hook gets the row of OS_HOOK_NONE. */
const struct event_hook *event_hook_get(uint32_t hook);

/* The kernel's name: "file_open", "cgroup/connect4"; "none" for an unknown number. */
const char *event_hook_name(uint32_t hook);

/* "FILE"; OCSF's name of the class, of its category and the category's number. */
const char *event_class_label(enum event_class class);
const char *event_class_name(enum event_class class);
const char *event_class_category(enum event_class class, int *ret_uid);

/* "MED", and OCSF's "Medium". */
const char *event_severity_label(enum event_severity severity);
const char *event_severity_name(enum event_severity severity);

/* "read,write"; nothing for 0. */
void event_rights_text(struct text *t, uint32_t rights, const char *separator);
void event_capability_text(struct text *t, uint32_t capability);
void event_signal_text(struct text *t, uint32_t signal);
void event_family_text(struct text *t, uint32_t family);
void event_protocol_text(struct text *t, uint32_t protocol);
void event_query_text(struct text *t, uint32_t type); /* a DNS QTYPE */
