/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files to and from a sandbox, as a tar stream through a tar that runs in it. What .gitignore names
 * stays here. What comes from a sandbox is hostile: nothing of it lands outside of the directory
 * that was named, no link is followed, nothing special is made. The client's loop.
 */
#pragma once

#include "cli/client.h"

/* "LOCAL[:REMOTE]"; REMOTE is a directory, default /sandbox. EXIT_DONE or a status that was
 * explained. */
int sandbox_upload(struct client *client, const char *sandbox_id, const char *text);
int sandbox_download(struct client *client, const char *sandbox_id, const char *remote,
		     const char *local);
