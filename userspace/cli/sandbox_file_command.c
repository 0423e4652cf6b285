/* SPDX-License-Identifier: Apache-2.0 */
/* openshell sandbox upload, download, ssh-config. */
#include "cli/client.h"
#include "cli/sandbox_transfer.h"

#include "common/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int with_sandbox(struct command_call *call,
			int (*use)(struct command_call *call, struct client *client,
				   const char *id))
{
	Openshell__V1__SandboxResponse *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	r = client_sandbox(&client, call->words[0], &response);
	if (!r) {
		r = use(call, &client, response->sandbox->metadata->id);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static int upload_to(struct command_call *call, struct client *client, const char *id)
{
	_cleanup_free_ char *text = NULL;

	if (call->count < 3)
		return sandbox_upload(client, id, call->words[1]);
	if (asprintf(&text, "%s:%s", call->words[1], call->words[2]) < 0)
		return command_fail(call, "out of memory");
	return sandbox_upload(client, id, text);
}

static int upload(struct command_call *call)
{
	return with_sandbox(call, upload_to);
}

static int download_from(struct command_call *call, struct client *client, const char *id)
{
	return sandbox_download(client, id, call->words[1], call->count > 2 ? call->words[2] : ".");
}

static int download(struct command_call *call)
{
	return with_sandbox(call, download_from);
}

static int ssh_config(struct command_call *call)
{
	char self[4096] = "openshell";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0)
		self[n] = 0;
	printf("Host openshell-%s\n"
	       "    User sandbox\n"
	       "    ProxyCommand %s sandbox exec -n %s --no-tty -- /usr/sbin/sshd -i -e "
	       "-o HostKey=/sandbox/.openshell/host_key "
	       "-o AuthorizedKeysFile=/sandbox/.openshell/authorized_keys -o PidFile=none "
	       "-o UsePAM=no -o StrictModes=no\n"
	       "    # The keys: ssh-keygen in the sandbox, and yours:\n"
	       "    # openshell sandbox exec -n %s -- sh -c 'mkdir -p .openshell; ssh-keygen -q -t "
	       "ed25519 -N \"\" -f .openshell/host_key; cat >.openshell/authorized_keys' "
	       "<~/.ssh/id_ed25519.pub\n",
	       call->words[0], self, call->words[0], call->words[0]);
	return EXIT_DONE;
}

const struct command sandbox_file_commands[] = {
	{"sandbox", "upload", "NAME LOCAL [REMOTE]", 2, 3, upload,
	 "copy files into it; what .gitignore names stays", NO_ROWS},
	{"sandbox", "download", "NAME REMOTE [LOCAL]", 2, 3, download, "copy files out of it",
	 NO_ROWS},
	{"sandbox", "ssh-config", "NAME", 1, 1, ssh_config, "lines for ~/.ssh/config", NO_ROWS},
	{},
};
