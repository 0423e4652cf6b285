/* SPDX-License-Identifier: Apache-2.0 */
/* openshell status, whoami, completions. */
#include "cli/client.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

static int status(struct command_call *call)
{
	Openshell__V1__HealthRequest request = OPENSHELL__V1__HEALTH_REQUEST__INIT;
	Openshell__V1__HealthResponse *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	r = client_unary(&client, RPC_HEALTH, &request, (ProtobufCMessage **)&response);
	if (!r) {
		if (!output_message(call, &response->base, &r))
			printf("Gateway:   %s\nEndpoint:  %s\nStatus:    %s\nVersion:   %s\n",
			       *client.gateway.name ? client.gateway.name : "-",
			       client.gateway.endpoint,
			       output_enum(&openshell__v1__service_status__descriptor,
					   (int)response->status, "SERVICE_STATUS_"),
			       response->version);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static int whoami(struct command_call *call)
{
	Openshell__V1__GetCurrentUserRequest request =
		OPENSHELL__V1__GET_CURRENT_USER_REQUEST__INIT;
	Openshell__V1__GetCurrentUserResponse *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	r = client_unary(&client, RPC_GET_CURRENT_USER, &request, (ProtobufCMessage **)&response);
	if (!r) {
		if (!output_message(call, &response->base, &r)) {
			printf("%s (%s)\n", response->subject, response->identity_provider);
			for (size_t i = 0; i < response->n_roles; i++)
				printf("  %s\n", response->roles[i]);
		}
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

/* ---- completions: lines of words, which each shell's own few lines look through ---- */

static void print_words(void *arg, const struct command *c)
{
	printf("%s%s%s:", c->group ? c->group : "", c->group ? " " : "", c->name);
	for (size_t i = 0; i < c->rows_len; i++)
		printf(" --%s", c->rows[i].name);
	fputs(arg, stdout);
}

static void print_fish(void *arg, const struct command *c)
{
	if (c->group)
		printf("complete -c openshell -n '__fish_seen_subcommand_from %s' -a '%s' -d "
		       "'%s'\n",
		       c->group, c->name, strchr(c->help, '\'') ? "" : c->help);
	else
		printf("complete -c openshell -n __fish_use_subcommand -a '%s' -d '%s'\n", c->name,
		       strchr(c->help, '\'') ? "" : c->help);
	for (size_t i = 0; i < c->rows_len; i++)
		printf("complete -c openshell -n '__fish_seen_subcommand_from %s' -l %s\n",
		       c->group ? c->group : c->name, c->rows[i].name);
}

static void bash(void)
{
	puts("_openshell_words='\nrun:\ndoctor:\npolicy check:\npolicy compile:");
	command_each(print_words, (void *)"\n");
	puts("'\n"
	     "_openshell() {\n"
	     "	local cur=${COMP_WORDS[COMP_CWORD]} typed= word line out=\n"
	     "	for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
	     "		case $word in -*) ;; *) typed=\"$typed$word \";; esac\n"
	     "	done\n"
	     "	while IFS= read -r line; do\n"
	     "		case \"${line%%:*} \" in\n"
	     "		\"$typed\"?*) word=${line%%:*}; word=${word#\"$typed\"}; out=\"$out "
	     "${word%% *}\";;\n"
	     "		esac\n"
	     "		case $typed in \"${line%%:*} \"*) out=\"$out ${line#*:}\";; esac\n"
	     "	done <<<\"$_openshell_words\"\n"
	     "	COMPREPLY=($(compgen -W \"$out\" -- \"$cur\"))\n"
	     "}\n"
	     "complete -o default -F _openshell openshell");
}

static int completions(struct command_call *call)
{
	const char *shell = call->words[0];

	if (!strcmp(shell, "bash")) {
		bash();
	} else if (!strcmp(shell, "zsh")) {
		puts("#compdef openshell\nautoload -U +X bashcompinit && bashcompinit");
		bash();
	} else if (!strcmp(shell, "fish")) {
		for (const struct command_group *g = command_groups; g->name; g++)
			printf("complete -c openshell -f -n __fish_use_subcommand -a '%s' -d "
			       "'%s'\n",
			       g->name, strchr(g->help, '\'') ? "" : g->help);
		command_each(print_fish, NULL);
	} else {
		return command_usage(call, "bash, zsh or fish");
	}
	return EXIT_DONE;
}

const struct command status_commands[] = {
	{NULL, "status", NULL, 0, 0, status, "whether the gateway is well", NO_ROWS},
	{NULL, "whoami", NULL, 0, 0, whoami, "who you are there", NO_ROWS},
	{NULL, "completions", "bash|zsh|fish", 1, 1, completions, "for your shell", NO_ROWS},
	{},
};
