/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/issue_token.h"

#include "gateway/authority.h"
#include "gateway/config.h"
#include "gateway/sandbox_record.h"
#include "gateway/store.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_S 3600

static int usage(FILE *out)
{
	fputs("Usage: openshell-gateway issue-token ID [OPTION]..\n\n"
	      "Prints a token by which the sandbox with that id is itself, for an hour. It is "
	      "signed "
	      "with the\nkey of the gateway's database, which has to be readable: options are "
	      "those of "
	      "the gateway.\n",
	      out);
	return out == stdout ? 0 : 2;
}

static int issue(const struct config *config, const char *id, struct error *err)
{
	const struct store_options options = {.path = config->database, .key_path = config->key};
	uv_loop_t loop;
	struct gateway gateway = {.config = config, .loop = &loop};
	struct sandbox_record record = {};
	int64_t expires;
	char *token = NULL;
	int r;

	uv_loop_init(&loop);
	r = store_open(&options, &gateway.store, err);
	if (!r)
		r = sandbox_record_get_id(&gateway, id, &record, err);
	sandbox_record_clear(&record);
	if (!r)
		r = authority_new(&gateway, &gateway.authority, err);
	if (!r)
		r = authority_issue(gateway.authority, id, TOKEN_S, &token, &expires, err);
	if (!r) {
		puts(token);
		OPENSSL_cleanse(token, strlen(token));
		free(token);
	}
	authority_free(gateway.authority);
	store_close(gateway.store);
	uv_run(&loop, UV_RUN_NOWAIT);
	uv_loop_close(&loop);
	return r;
}

int issue_token_main(int argc, char **argv)
{
	struct config *config;
	struct error err = {};
	int r;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return usage(stdout);
	if (argc < 2 || *argv[1] == '-')
		return usage(stderr);
	r = config_load(argc - 1, argv + 1, &config, &err);
	if (r > 0)
		return 0;
	if (!r) {
		r = issue(config, argv[1], &err);
		config_free(config);
	}
	if (r)
		fprintf(stderr, "openshell-gateway issue-token: %s\n", err.message);
	return r ? 1 : 0;
}
