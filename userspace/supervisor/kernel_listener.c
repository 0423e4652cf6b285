/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners of proxies. The program that gives connections to them belongs to a network namespace,
 * and costs something for every connection that is opened to it: it is attached where a sandbox has
 * a proxy, and pinned under the namespace's inode number until everything is unloaded.
 */
#include "common/cleanup.h"
#include "supervisor/kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINK_PREFIX "link_egress_redirect_"

/* The namespace that a link is attached to, 0 if that is gone: numbers are used again. */
static uint32_t namespace_of(int link)
{
	struct bpf_link_info info = {};
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(link, &info, &size) || info.type != BPF_LINK_TYPE_NETNS
		       ? 0
		       : info.netns.netns_ino;
}

static uint32_t namespace_of_pin(const char *path)
{
	_cleanup_close_ int link = bpf_obj_get(path);

	return link < 0 ? 0 : namespace_of(link);
}

/* Links of namespaces that are gone. */
static void sweep(void)
{
	_cleanup_closedir_ DIR *dir = opendir(KERNEL_PIN_DIR);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char path[sizeof(KERNEL_PIN_DIR) + sizeof(entry->d_name) + 1];

		if (strncmp(entry->d_name, LINK_PREFIX, sizeof(LINK_PREFIX) - 1))
			continue;
		snprintf(path, sizeof(path), KERNEL_PIN_DIR "/%s", entry->d_name);
		if (!namespace_of_pin(path))
			unlink(path);
	}
}

static int attach(const struct kernel *kernel)
{
	_cleanup_close_ int ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int link = -1;
	char path[sizeof(KERNEL_PIN_DIR LINK_PREFIX) + 24];
	struct stat st;
	int r;

	if (ns < 0 || fstat(ns, &st))
		return -errno;
	snprintf(path, sizeof(path), KERNEL_PIN_DIR "/" LINK_PREFIX "%u", (unsigned int)st.st_ino);
	if (namespace_of_pin(path) == st.st_ino)
		return 0;
	sweep();
	link = bpf_link_create(kernel->redirect_fd, ns, BPF_SK_LOOKUP, NULL);
	if (link < 0)
		return link;
	r = bpf_obj_pin(link, path);
	/* Somebody else was as quick: one is enough. */
	return r == -EEXIST && namespace_of_pin(path) == st.st_ino ? 0 : r;
}

int kernel_set_listener(const struct kernel *kernel, uint32_t slot, int fd)
{
	uint64_t socket = (uint64_t)fd;
	int r, on = 1;

	/*
	 * What it accepts has the port that the agent asked for: the host's own server on that port
	 * must be able to start meanwhile.
	 */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		return -errno;
	r = attach(kernel);
	return r ? r : bpf_map_update_elem(kernel->maps.listener, &slot, &socket, BPF_ANY);
}

void kernel_clear_listener(const struct kernel *kernel, uint32_t slot)
{
	bpf_map_delete_elem(kernel->maps.listener, &slot);
}

int kernel_find_flow(const struct kernel *kernel, const struct os_flow_key *key,
		     struct os_flow *ret_flow)
{
	struct os_flow flow;

	/* What is closed meanwhile is in the second before it leaves the first. */
	if (bpf_map_lookup_elem(kernel->maps.proxied, key, &flow) &&
	    bpf_map_lookup_elem(kernel->maps.flow, key, &flow))
		return -ENOENT;
	*ret_flow = flow;
	return 0;
}
