/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openshell-supervisor: keeps the kernel side loaded and proven, so that starting a sandbox loads
 * nothing, and sweeps what died without cleaning up; with --gateway, runs the sandboxes that its
 * gateway assigns to this host. It holds no decision: if it is killed, what is pinned goes on
 * enforcing, and the next one adopts it.
 */
#include "common/cleanup.h"
#include "supervisor/daemon.h"
#include "supervisor/host_lock.h"
#include "supervisor/keeper.h"
#include "supervisor/kernel.h"
#include "supervisor/slot.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#define SWEEP_INTERVAL_MS 10000
#define NODE_MAX	  64

static int usage(FILE *out)
{
	fputs("Usage: openshell-supervisor [OPTION]..\n\n"
	      "Keeps the kernel side of openshell loaded until SIGTERM or SIGINT. With --gateway "
	      "it runs "
	      "that\ngateway's sandboxes on this host; they run on when it ends.\n\n"
	      "  --gateway URL      https://HOST:PORT, http://HOST:PORT or unix:/PATH\n"
	      "  --node NAME        this host's name there [its host name]\n"
	      "  --ca FILE          CA of the gateway's certificate [the system's]\n"
	      "  --cert FILE        this host's certificate (O=openshell-node, CN=its name)\n"
	      "  --key FILE         its key\n"
	      "  --token-file FILE  the gateway's token for nodes, in the place of a certificate\n"
	      "  --state-dir DIR    sandboxes' files [/var/lib/openshell]\n"
	      "  --run-dir DIR      sockets [/run/openshell]\n"
	      "  -h, --help; -V, --version\n",
	      out);
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

static int complain(const struct error *err)
{
	char text[ERROR_MESSAGE_MAX + 320];

	fprintf(stderr, "openshell-supervisor: %s\n", error_format(err, text, sizeof(text)));
	return 1;
}

/* Without a gateway. */
static int keep_loaded(void)
{
	struct kernel *kernel = NULL;
	struct error err = {};
	int r = kernel_open(&kernel, &err);

	if (r)
		return complain(&err);
	fprintf(stderr, "openshell-supervisor: ready, files are held by %s%s%s\n",
		kernel->lsm ? "BPF-LSM" : "Landlock: ", kernel->lsm ? "" : kernel->lsm_reason, "");
	r = wait_for_end(kernel);
	kernel_close(kernel);
	return r ? 1 : 0;
}

/* The host's name as a DNS-1123 label. */
static const char *host_name(char name[NODE_MAX])
{
	if (gethostname(name, NODE_MAX - 1))
		snprintf(name, NODE_MAX, "localhost");
	name[NODE_MAX - 1] = 0;
	name[strcspn(name, ".")] = 0;
	for (char *p = name; *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
		else if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", *p))
			*p = '-';
	}
	return name;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"gateway", required_argument, NULL, 'g'},
		{"node", required_argument, NULL, 'n'},
		{"ca", required_argument, NULL, 'a'},
		{"cert", required_argument, NULL, 'c'},
		{"key", required_argument, NULL, 'k'},
		{"token-file", required_argument, NULL, 't'},
		{"state-dir", required_argument, NULL, 's'},
		{"run-dir", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{},
	};
	struct daemon_options o = {.state_dir = "/var/lib/openshell", .run_dir = KERNEL_STATE_DIR};
	char name[NODE_MAX] = "";
	struct error err = {};
	int c;

	if (argc == 4 && !strcmp(argv[1], "--keeper"))
		return keeper_main(argv[2], argv[3]);
	while ((c = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		switch (c) {
		case 'g':
			o.gateway = optarg;
			break;
		case 'n':
			o.node = optarg;
			break;
		case 'a':
			o.ca = optarg;
			break;
		case 'c':
			o.cert = optarg;
			break;
		case 'k':
			o.key = optarg;
			break;
		case 't':
			o.token_file = optarg;
			break;
		case 's':
			o.state_dir = optarg;
			break;
		case 'r':
			o.run_dir = optarg;
			break;
		case 'h':
			return usage(stdout);
		case 'V':
			printf("openshell-supervisor %s\n", OPENSHELL_VERSION);
			return 0;
		default:
			return usage(stderr);
		}
	}
	if (optind < argc || !!o.cert != !!o.key)
		return usage(stderr);
	if (!o.gateway)
		return keep_loaded();
	if (!o.node)
		o.node = host_name(name);
	signal(SIGPIPE, SIG_IGN);
	return daemon_run(&o, &err) ? complain(&err) : 0;
}
