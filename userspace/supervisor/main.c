/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openshell-supervisor: keeps the kernel side loaded and proven, so that starting a sandbox loads
 * nothing, and sweeps what died without cleaning up. It holds no decision: if it is killed, what is
 * pinned goes on enforcing, and the next one adopts it.
 */
#include "common/cleanup.h"
#include "supervisor/host_lock.h"
#include "supervisor/kernel.h"
#include "supervisor/slot.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <poll.h>

#define SWEEP_INTERVAL_MS 10000

static int usage(FILE *out)
{
	fprintf(out, "Usage: openshell-supervisor [--version]\n\n"
		     "Keeps the kernel side of openshell loaded until SIGTERM or SIGINT.\n");
	return out == stderr ? 2 : 0;
}

static int wait_for_end(const struct kernel *kernel)
{
	_cleanup_close_ int signals = -1;
	struct pollfd poll_fd;
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signals = signalfd(-1, &mask, SFD_CLOEXEC);
	if (signals < 0)
		return -errno;
	poll_fd = (struct pollfd){.fd = signals, .events = POLLIN};
	for (;;) {
		int n = poll(&poll_fd, 1, SWEEP_INTERVAL_MS);

		if (n > 0)
			return 0;
		if (n == 0) {
			_cleanup_close_ int lock = -1;

			if (!host_lock(&lock, NULL))
				slot_sweep(kernel);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
}

int main(int argc, char **argv)
{
	struct kernel *kernel = NULL;
	struct error err = {};
	char text[ERROR_MESSAGE_MAX + 320];
	int r;

	if (argc > 1 && (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version"))) {
		printf("openshell-supervisor %s\n", OPENSHELL_VERSION);
		return 0;
	}
	if (argc > 1)
		return usage(strcmp(argv[1], "-h") && strcmp(argv[1], "--help") ? stderr : stdout);
	r = kernel_open(&kernel, &err);
	if (r) {
		fprintf(stderr, "openshell-supervisor: %s\n",
			error_format(&err, text, sizeof(text)));
		return 1;
	}
	fprintf(stderr, "openshell-supervisor: ready, files are held by %s%s%s\n",
		kernel->lsm ? "BPF-LSM" : "Landlock: ", kernel->lsm ? "" : kernel->lsm_reason, "");
	r = wait_for_end(kernel);
	kernel_close(kernel);
	return r ? 1 : 0;
}
