/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the gateway is configured: flag > environment OPENSHELL_* > file > default, one table for all
 * of it. Filled once at start; constant from then on. Strings live as long as the config.
 */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct config {
	const char *file;     /* --config, YAML */
	const char *listen;   /* "127.0.0.1:17670", "[::1]:17670" */
	const char *health;   /* "127.0.0.1:17671"; "" = none */
	const char *services; /* "127.0.0.1:17672": HTTP to exposed services; "" = none */
	const char *socket;   /* a unix socket besides, for who is on this host; "" = none */
	const char *database; /* file; default: below XDG_STATE_HOME */
	const char *key;      /* file with the store's key; default: beside the database */
	const char *tls_cert, *tls_key, *tls_client_ca; /* files; all empty = h2c, loopback alone */
	const char *oidc_issuer, *oidc_audience, *oidc_roles_claim, *oidc_admin_role;
	const char *oidc_ca;	     /* file with the CA of the issuer; "" = the system's */
	const char *admins;	     /* subjects that are platform administrators, by commas */
	const char *node_token;	     /* file with the token of nodes that have no certificate; "" */
	const char *public_endpoint; /* what clients and URLs of services are told; "" = listen */
	const char *profiles;	     /* directory of provider profiles; "" = shipped ones */
	const char *log_level;
	uint32_t rate_user, rate_burst; /* requests a second of one principal; 0 = no limit */
	uint32_t sandboxes_max, connections_max;
	bool plaintext_remote; /* h2c on other addresses than loopback: said by the operator */
	bool local_user;       /* h2c on loopback: everybody there is the local user, an admin */
};

/* 0; 1: help or version was printed; -EINVAL with a sentence (and its place in the file). */
int config_load(int argc, char **argv, struct config **ret_config, struct error *err);
void config_free(struct config *config);
