// SPDX-License-Identifier: Apache-2.0
/*
 * usage: netdriver ADDRESS SERVER-COMMAND..
 *
 * The network benchmark: starts the server by the command given (in its own network namespace) and
 * four clients, which take turns round after round:
 *
 *	outside		no sandbox
 *	agent		in a sandbox, to a name, one endpoint in the policy
 *	agent-10000	the same with 10,000 endpoints more
 *	proxy		outside, through a plain userspace CONNECT proxy
 *
 * Prints `OPERATION CONTENDER RATIO Q1..Q3 MEDIAN`, ratios being medians of the rounds' own ratios
 * to `outside`; then `switch-p50` and `switch-p99`: ms from the call of sandbox_update() to the
 * last packet of a revoked stream. Programs netclient and netserver are in the working directory.
 */
#include "agent.h"
#include "figures.h"
#include "network.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/wait.h>

#define ROUNDS	  11
#define SWITCHES  120
#define ENDPOINTS 10000
#define ANSWER_MS 60000
#define SANDBOXES 2

struct client {
	const char *name;
	FILE *in;
	int out;
	struct sandbox *sandbox;
};

static struct client client[4] = {
	{.name = "outside"}, {.name = "agent"}, {.name = "agent-10000"}, {.name = "proxy"}};
enum { OUTSIDE, AGENT, AGENT_MANY, PROXY };

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "netdriver: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The sandboxes' workers are ours to listen to while anything is waited for. */
static void wait_for(int fd)
{
	struct pollfd p[1 + SANDBOXES] = {{.fd = fd, .events = POLLIN}};
	double end = figures_now_ms() + ANSWER_MS;

	while (figures_now_ms() < end) {
		for (int i = 0; i < SANDBOXES; i++) {
			struct sandbox *sandbox = client[AGENT + i].sandbox;

			p[1 + i] =
				(struct pollfd){.fd = sandbox ? network_fd(sandbox->network) : -1,
						.events = POLLIN};
		}
		if (poll(p, 1 + SANDBOXES, 1000) < 0)
			die("poll");
		for (int i = 0; i < SANDBOXES; i++)
			if (p[1 + i].revents)
				network_poll(client[AGENT + i].sandbox->network);
		if (p[0].revents)
			return;
	}
	errno = ETIMEDOUT;
	die("no answer");
}

static void read_line(int fd, char *line, size_t size)
{
	size_t len = 0;

	do {
		wait_for(fd);
		if (len + 1 >= size || read(fd, line + len, 1) != 1)
			die("a client ended");
	} while (line[len++] != '\n');
	line[len - 1] = '\0';
}

static double ask(struct client *c, const char *what, size_t n)
{
	char line[256];

	fprintf(c->in, "%s %zu\n", what, n);
	fflush(c->in);
	read_line(c->out, line, sizeof(line));
	if (!strncmp(line, "error", 5)) {
		fprintf(stderr, "netdriver: %s, %s: %s\n", c->name, what, line);
		exit(1);
	}
	return strtod(line, NULL);
}

/* Pipes to a child: what we keep is close-on-exec. */
static void make_pipes(struct client *c, int ret_theirs[2])
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		die("pipe");
	c->in = fdopen(in[1], "w");
	c->out = out[0];
	ret_theirs[0] = in[0];
	ret_theirs[1] = out[1];
}

static void start_plain(struct client *c, char *const *argv)
{
	int theirs[2];
	pid_t pid;

	make_pipes(c, theirs);
	pid = fork();
	if (pid == 0) {
		dup2(theirs[0], 0);
		dup2(theirs[1], 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(theirs[0]);
	close(theirs[1]);
	if (pid < 0)
		die("fork");
}

static void start_agent(const struct kernel *kernel, struct client *c, const char *id,
			const struct agent_policy *policy, const char *workdir)
{
	char *argv[] = {(char *)"./netclient", (char *)NETWORK_NAME, NULL}, *envp[] = {NULL};
	struct error err = {};
	struct sandbox_spec spec = {
		.id = id,
		.policy = policy->compiled,
		.digest = policy->digest,
		.argv = argv,
		.envp = envp,
		.workdir = workdir,
		.uid = AGENT_ID,
		.gid = AGENT_ID,
	};
	int theirs[2];

	make_pipes(c, theirs);
	spec.stdio[0] = theirs[0];
	spec.stdio[1] = theirs[1];
	spec.stdio[2] = STDERR_FILENO;
	if (sandbox_start(kernel, &spec, &c->sandbox, &err))
		agent_fail(&err);
	close(theirs[0]);
	close(theirs[1]);
}

/* The policy of one agent: the server's name on @ports, and @more other names. */
static void load_policy(struct agent_policy *policy, const char *workdir, const char *ports,
			size_t more)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		die("memory");
	fprintf(f,
		"version: 1\n"
		"filesystem_policy:\n"
		"  include_workdir: true\n"
		"  read_only: [/usr, /lib, /lib64, /bin, /etc, /proc]\n"
		"  read_write: [/tmp, /dev/null]\n"
		"network_policies:\n"
		"  one:\n"
		"    endpoints:\n"
		"      - {host: " NETWORK_NAME ", ports: [%s]}\n",
		ports);
	for (size_t i = 0; i < more; i++)
		fprintf(f, "      - {host: host-%zu.other.test, port: 443}\n", i);
	fprintf(f, "    binaries: [{path: %s/netclient}]\n", workdir);
	fclose(f);
	agent_policy_load(text, policy);
	free(text);
}

static void compare(const char *what, size_t n, bool more_is_better)
{
	static double value[4][ROUNDS], ratio[ROUNDS];

	/* Once to warm up. */
	for (int c = 0; c < 4; c++)
		ask(&client[c], what, n / 4 + 1);
	for (int round = 0; round < ROUNDS; round++)
		for (int c = 0; c < 4; c++)
			value[(c + round) % 4][round] = ask(&client[(c + round) % 4], what, n);
	/* `outside` last: sorted, its values are no rounds any more. */
	for (int c = 3; c >= 0; c--) {
		for (int round = 0; round < ROUNDS; round++)
			ratio[round] = more_is_better ? value[c][round] / value[OUTSIDE][round]
						      : value[OUTSIDE][round] / value[c][round];
		figures_sort(ratio, ROUNDS);
		figures_sort(value[c], ROUNDS);
		printf("%s %s %.3f %.3f..%.3f %.1f\n", what, client[c].name,
		       figures_at(ratio, ROUNDS, 0.5), figures_at(ratio, ROUNDS, 0.25),
		       figures_at(ratio, ROUNDS, 0.75), figures_at(value[c], ROUNDS, 0.5));
	}
	fflush(stdout);
}

static void update(struct sandbox *sandbox, const struct agent_policy *policy)
{
	struct error err = {};

	if (sandbox_update(sandbox, policy->compiled, policy->digest, &err))
		agent_fail(&err);
}

static void switches(struct client *server, const char *workdir)
{
	static struct agent_policy policy[2];
	static double ms[SWITCHES];
	char line[64];

	load_policy(&policy[0], workdir, "7001, 7002, 7003, 7004", 0);
	load_policy(&policy[1], workdir, "7001, 7002, 7003", 0);
	for (int i = 0; i < SWITCHES; i++) {
		double start;

		update(client[AGENT].sandbox, &policy[0]);
		ask(&client[AGENT], "stream", 1);
		usleep(30000);
		start = figures_now_ms();
		update(client[AGENT].sandbox, &policy[1]);
		read_line(server->out, line, sizeof(line));
		ms[i] = strtod(line, NULL) / 1e6 - start;
	}
	figures_sort(ms, SWITCHES);
	printf("switch-p50 %.3f\nswitch-p99 %.3f\n", figures_at(ms, SWITCHES, 0.5),
	       figures_at(ms, SWITCHES, 0.99));
}

int main(int argc, char **argv)
{
	static struct agent_policy one, many;
	struct client server = {.name = "server"};
	struct kernel *kernel = NULL;
	struct error err = {};
	char workdir[4096], line[64];

	if (argc < 3 || !getcwd(workdir, sizeof(workdir))) {
		fprintf(stderr, "usage: netdriver ADDRESS SERVER-COMMAND..\n");
		return 2;
	}
	agent_raise_limits();
	start_plain(&server, argv + 2);
	read_line(server.out, line, sizeof(line));
	start_plain(&client[OUTSIDE], (char *[]){(char *)"./netclient", argv[1], NULL});
	start_plain(&client[PROXY], (char *[]){(char *)"./netclient", argv[1], argv[1], NULL});
	if (kernel_open(&kernel, &err))
		agent_fail(&err);
	load_policy(&one, workdir, "7001, 7002, 7003, 7004", 0);
	load_policy(&many, workdir, "7001, 7002, 7003, 7004", ENDPOINTS);
	start_agent(kernel, &client[AGENT], "bench-one", &one, workdir);
	start_agent(kernel, &client[AGENT_MANY], "bench-many", &many, workdir);
	printf("backend %s\n", kernel->lsm ? "bpf-lsm" : "landlock");
	compare("bulk", 512, true);
	compare("echo", 4000, false);
	compare("connect", 2000, true);
	switches(&server, workdir);
	for (int i = 0; i < SANDBOXES; i++)
		sandbox_free(client[AGENT + i].sandbox);
	kernel_close(kernel);
	return 0;
}
