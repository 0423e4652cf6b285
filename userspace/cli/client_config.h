/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gateways that this user knows: `$XDG_CONFIG_HOME/openshell/active_gateway` and
 * `gateways/NAME/{metadata.json,mtls/{ca.crt,tls.crt,tls.key}}`, as the published clients read
 * them; with /etc/openshell behind it, which is not written. Fails closed: names that are none are
 * refused, so that none leads out of the directory.
 */
#pragma once

#include "common/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define CLIENT_NAME_MAX 63

struct client_gateway {
	char name[CLIENT_NAME_MAX + 1];
	char endpoint[512];
	char auth_mode[16]; /* "mtls", "plaintext", "oidc" */
	bool is_remote;
	/* Files; "" = there is none. */
	char ca[PATH_MAX], cert[PATH_MAX], key[PATH_MAX], token[PATH_MAX];
};

bool client_name_is_valid(const char *name);

/* @name NULL: the active one. -ENOENT with a sentence. */
int client_config_get(const char *name, struct client_gateway *ret_gateway, struct error *err);

/* Write it; files of @ca, @cert and @key (NULL: none) are copied. */
int client_config_add(const struct client_gateway *gateway, const char *ca, const char *cert,
		      const char *key, const char *token, struct error *err);
int client_config_remove(const char *name, struct error *err);
int client_config_select(const char *name, struct error *err);

/* "" = none is. */
void client_config_active(char ret_name[CLIENT_NAME_MAX + 1]);

/* Names, sorted; free() each and the list. */
int client_config_list(char ***ret_names, size_t *ret_count, struct error *err);
