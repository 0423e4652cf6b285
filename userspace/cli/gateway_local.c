/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/gateway_local.h"

#include "cli/client.h"
#include "cli/runtime_dir.h"
#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAME	 "local"
#define PORT	 "17670"
#define ENDPOINT "https://127.0.0.1:" PORT
#define READY_MS 15000

struct local {
	struct command_call *call;
	char state[PATH_MAX / 2], certs[PATH_MAX / 2 + 32];
	char gateway[PATH_MAX], supervisor[PATH_MAX];
};

/* The programs beside this one. */
static int find_program(const char *name, char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 64);
	char *slash;

	if (n < 0)
		return -errno;
	path[n] = 0;
	slash = strrchr(path, '/');
	snprintf(slash + 1, PATH_MAX - (size_t)(slash + 1 - path), "%s", name);
	return access(path, X_OK) ? -errno : 0;
}

static int prepare(struct command_call *call, struct local *local)
{
	struct error err = {};

	*local = (struct local){.call = call};
	if (state_dir(local->state, sizeof(local->state) - 64, &err))
		return command_fail(call, "%s", err.message);
	snprintf(local->certs, sizeof(local->certs), "%s/certs", local->state);
	if (find_program("openshell-gateway", local->gateway) ||
	    find_program("openshell-supervisor", local->supervisor))
		return command_fail(call,
				    "openshell-gateway and openshell-supervisor are not beside "
				    "this program");
	return EXIT_DONE;
}

static int run(char *const *argv)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execv(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int make_certificates(struct local *local)
{
	char *argv[] = {local->gateway,
			(char *)"generate-certs",
			(char *)"--dir",
			local->certs,
			(char *)"--node",
			(char *)NAME,
			NULL};
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/node.key", local->certs);
	if (!access(path, F_OK))
		return EXIT_DONE;
	return run(argv) ? command_fail(local->call, "no certificates could be made in %s",
					local->certs)
			 : EXIT_DONE;
}

/* A file with the process's number, locked by the process for as long as it lives. */
static void pid_file(const struct local *local, const char *what, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s.pid", local->state, what);
}

/* 0 = it does not run. */
static pid_t running(const struct local *local, const char *what)
{
	char path[PATH_MAX], text[32] = "";
	_cleanup_close_ int fd = -1;

	pid_file(local, what, path);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || !flock(fd, LOCK_EX | LOCK_NB) || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	return (pid_t)strtol(text, NULL, 10);
}

/* Its lock is inherited, and goes with the process. */
static void become(const struct local *local, const char *what, char *const *argv)
{
	char path[PATH_MAX], log[PATH_MAX], text[32];
	int fd, n;

	if (setsid() < 0 || chdir("/"))
		_exit(126);
	pid_file(local, what, path);
	snprintf(log, sizeof(log), "%s/%s.log", local->state, what);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	n = snprintf(text, sizeof(text), "%d\n", getpid());
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) || ftruncate(fd, 0) ||
	    write(fd, text, (size_t)n) != n)
		_exit(126);
	fd = open("/dev/null", O_RDONLY);
	dup2(fd, STDIN_FILENO);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	execv(argv[0], argv);
	_exit(127);
}

static int spawn(struct local *local, const char *what, char *const *argv)
{
	pid_t pid;

	if (running(local, what))
		return EXIT_DONE;
	pid = fork();
	if (!pid)
		become(local, what, argv);
	return pid < 0 ? command_fail(local->call, "cannot start %s: %s", argv[0], strerror(errno))
		       : EXIT_DONE;
}

static int start_gateway(struct local *local)
{
	char cert[PATH_MAX], key[PATH_MAX], ca[PATH_MAX], database[PATH_MAX];
	char *argv[] = {local->gateway,
			(char *)"--listen",
			(char *)"127.0.0.1:" PORT,
			(char *)"--tls-cert",
			cert,
			(char *)"--tls-key",
			key,
			(char *)"--tls-client-ca",
			ca,
			(char *)"--database",
			database,
			NULL};

	snprintf(cert, sizeof(cert), "%s/server.crt", local->certs);
	snprintf(key, sizeof(key), "%s/server.key", local->certs);
	snprintf(ca, sizeof(ca), "%s/ca.crt", local->certs);
	snprintf(database, sizeof(database), "%s/gateway", local->state);
	if (mkdir(database, 0700) && errno != EEXIST)
		return command_fail(local->call, "cannot make %s: %s", database, strerror(errno));
	snprintf(database, sizeof(database), "%s/gateway/openshell.db", local->state);
	return spawn(local, "gateway", argv);
}

static int start_supervisor(struct local *local)
{
	char cert[PATH_MAX], key[PATH_MAX], ca[PATH_MAX];
	char *argv[] = {local->supervisor,
			(char *)"--gateway",
			(char *)ENDPOINT,
			(char *)"--node",
			(char *)NAME,
			(char *)"--ca",
			ca,
			(char *)"--cert",
			cert,
			(char *)"--key",
			key,
			NULL};

	snprintf(cert, sizeof(cert), "%s/node.crt", local->certs);
	snprintf(key, sizeof(key), "%s/node.key", local->certs);
	snprintf(ca, sizeof(ca), "%s/ca.crt", local->certs);
	return spawn(local, "supervisor", argv);
}

static int register_gateway(struct local *local)
{
	struct client_gateway gateway = {.name = NAME, .endpoint = ENDPOINT, .auth_mode = "mtls"};
	char cert[PATH_MAX], key[PATH_MAX], ca[PATH_MAX];
	struct error err = {};

	snprintf(cert, sizeof(cert), "%s/client.crt", local->certs);
	snprintf(key, sizeof(key), "%s/client.key", local->certs);
	snprintf(ca, sizeof(ca), "%s/ca.crt", local->certs);
	if (client_config_add(&gateway, ca, cert, key, NULL, &err) ||
	    client_config_select(NAME, &err))
		return command_fail(local->call, "%s", err.message);
	return EXIT_DONE;
}

static void say_why(const struct local *local, const char *what)
{
	char path[PATH_MAX], text[1024];
	_cleanup_close_ int fd = -1;
	off_t end;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s.log", local->state, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	end = lseek(fd, 0, SEEK_END);
	(void)lseek(fd, end > (off_t)sizeof(text) - 1 ? end - (off_t)sizeof(text) + 1 : 0,
		    SEEK_SET);
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return;
	text[n] = 0;
	fprintf(stderr, "--- the end of %s:\n%s", path, text);
}

/* A gateway that answers, with a supervisor. */
static bool is_ready(struct local *local)
{
	Openshell__V1__GetGatewayInfoRequest request =
		OPENSHELL__V1__GET_GATEWAY_INFO_REQUEST__INIT;
	Openshell__V1__GetGatewayInfoResponse *response;
	struct error err = {};
	struct client client;
	bool ready = false;

	if (client_open(local->call, &client))
		return false;
	if (!client_try(&client, RPC_GET_GATEWAY_INFO, &request, (ProtobufCMessage **)&response,
			&err)) {
		ready = response->n_compute_drivers > 0;
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return ready;
}

static int wait_ready(struct local *local)
{
	const struct timespec pause = {.tv_nsec = 50000000};

	for (int waited = 0; waited < READY_MS; waited += 50) {
		const char *dead = !running(local, "gateway")	   ? "gateway"
				   : !running(local, "supervisor") ? "supervisor"
								   : NULL;

		if (is_ready(local))
			return EXIT_DONE;
		if (dead && waited > 1000) {
			command_fail(local->call, "the %s ended", dead);
			say_why(local, dead);
			return EXIT_FAILED;
		}
		nanosleep(&pause, NULL);
	}
	command_fail(local->call, "they are not ready after %d seconds", READY_MS / 1000);
	say_why(local, "gateway");
	say_why(local, "supervisor");
	return EXIT_TIMEOUT;
}

int gateway_local_start(struct command_call *call)
{
	struct local local;
	int r;

	if (geteuid())
		return command_fail(call, "the supervisor needs root: sudo openshell gateway start "
					  "(or use systemd's units)");
	signal(SIGCHLD, SIG_DFL);
	r = prepare(call, &local);
	if (!r)
		r = make_certificates(&local);
	if (!r)
		r = start_gateway(&local);
	if (!r)
		r = register_gateway(&local);
	if (!r)
		r = start_supervisor(&local);
	if (!r)
		r = wait_ready(&local);
	if (!r)
		puts("gateway " NAME " is ready: openshell sandbox create -- COMMAND");
	return r;
}

int gateway_local_stop(struct command_call *call)
{
	static const char *const both[] = {"supervisor", "gateway"};
	struct local local;
	int r = prepare(call, &local), stopped = 0;

	for (size_t i = 0; !r && i < ARRAY_LEN(both); i++) {
		pid_t pid = running(&local, both[i]);

		if (pid <= 1 || kill(pid, SIGTERM))
			continue;
		stopped++;
		for (int k = 0; k < 100 && running(&local, both[i]); k++)
			nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	}
	if (!r)
		puts(stopped ? "stopped" : "nothing runs");
	return r;
}
