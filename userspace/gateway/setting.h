/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings, for all sandboxes or for one, whose own wins. Only keys of the table exist, and only
 * values of their type. The gateway's thread.
 */
#pragma once

#include "common/error.h"
#include "gateway/gateway.h"
#include "sandbox.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_MAX 8

struct setting {
	const char *key;
	Openshell__Sandbox__V1__SettingValue *value;
	bool global;
};

struct settings {
	struct setting item[SETTINGS_MAX];
	size_t count;
	uint64_t revision; /* rises with each change of any */
};

void settings_clear(struct settings *settings);

/* What holds for a sandbox, or for all when @sandbox_id is NULL. */
int settings_get(struct gateway *gateway, const char *sandbox_id, struct settings *ret_settings,
		 struct error *err);

/* @sandbox_id NULL: for all. @value NULL: delete it; *ret_existed says whether it was there. */
int setting_change(struct gateway *gateway, const char *sandbox_id, const char *key,
		   const Openshell__Sandbox__V1__SettingValue *value, bool *ret_existed,
		   uint64_t *ret_revision, struct error *err);
