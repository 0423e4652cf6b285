/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run.h"

#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/run_loop.h"
#include "cli/verb.h"
#include "common/cleanup.h"
#include "common/policy.h"
#include "common/provider_profile.h"
#include "supervisor/agent_trust.h"
#include "supervisor/identity.h"
#include "supervisor/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const struct option_row rows[] = {
	{"policy", 0, OPTION_STRING, offsetof(struct run_options, policy), "FILE",
	 "policy (or OPENSHELL_SANDBOX_POLICY); default: no network, write below DIR"},
	{"env", 0, OPTION_STRINGS, offsetof(struct run_options, env), "K=V",
	 "set a variable for the agent; may be repeated"},
	{"provider", 0, OPTION_STRINGS, offsetof(struct run_options, provider), "P",
	 "give credentials of a service, TYPE or NAME=TYPE; may be repeated"},
	{"inference", 0, OPTION_STRINGS, offsetof(struct run_options, inference), "ROUTE|FILE",
	 "answer https://inference.local by provider=P,model=M[,base-url=URL]; may be repeated"},
	{"no-verify", 0, OPTION_FLAG, offsetof(struct run_options, no_verify), NULL,
	 "do not try the routes of --inference first"},
	{"upstream-ca", 0, OPTION_STRINGS, offsetof(struct run_options, upstream_ca), "FILE",
	 "CA certificates that servers are believed by besides the host's; may be repeated"},
	{"workdir", 0, OPTION_STRING, offsetof(struct run_options, workdir), "DIR",
	 "working directory (default: the current one)"},
	{"name", 0, OPTION_STRING, offsetof(struct run_options, name), "NAME",
	 "name of the sandbox in the log (default: made up)"},
	{"cpu", 0, OPTION_STRING, offsetof(struct run_options, cpu), "N",
	 "processors at most, such as 1.5"},
	{"memory", 0, OPTION_STRING, offsetof(struct run_options, memory), "SIZE",
	 "memory at most, such as 512M"},
	{"gpu", 0, OPTION_FLAG, offsetof(struct run_options, gpu), NULL, "let it use NVIDIA GPUs"},
	{"audit", 0, OPTION_FLAG, offsetof(struct run_options, audit), NULL,
	 "allow everything and log what would be denied"},
	{"learn", 0, OPTION_STRING, offsetof(struct run_options, learn), "FILE",
	 "as --audit, and write the tightest policy that allows this run"},
	{"require-lsm", 0, OPTION_FLAG, offsetof(struct run_options, require_lsm), NULL,
	 "refuse to run where BPF-LSM is not available"},
	{"log", 0, OPTION_STRING, offsetof(struct run_options, log), "FILE",
	 "write events there instead of standard error"},
	{"log-format", 0, OPTION_STRING, offsetof(struct run_options, log_format), "shorthand|ocsf",
	 "lines for people (default) or OCSF JSON lines"},
	{"tty", 0, OPTION_FLAG, offsetof(struct run_options, tty), NULL,
	 "give the agent a terminal even if standard input is none"},
	{"no-tty", 0, OPTION_FLAG, offsetof(struct run_options, no_tty), NULL,
	 "use pipes even if standard input is a terminal"},
};

static int help(FILE *out)
{
	fputs("Usage: openshell run [OPTION].. -- COMMAND [ARG]..\n\n"
	      "Run one command in a sandbox that the kernel holds to a policy. Setting up needs "
	      "root;\n"
	      "the command runs as the user who ran sudo, or as the policy says, never as "
	      "root.\n\n",
	      out);
	options_help(rows, ARRAY_LEN(rows), out);
	fputs("\nExit status: the command's own, or 128 + N if signal N ended it; 2 for wrong "
	      "usage;\n"
	      "1 if it could not be started, or the log or its output could not be written.\n\n"
	      "Examples:\n"
	      "  sudo openshell run -- bash\n"
	      "  sudo openshell run --policy policy.yaml --log events.log -- ./agent --task "
	      "fix-tests\n"
	      "  sudo openshell run --learn policy.yaml -- make\n"
	      "  sudo openshell run --inference "
	      "provider=ollama,model=qwen3:8b,base-url=http://127.0.0.1:11434 \\\n"
	      "    -- ./agent\n",
	      out);
	return EXIT_DONE;
}

static int complain(const struct error *err)
{
	char text[ERROR_MESSAGE_MAX + 320];

	fprintf(stderr, "openshell run: %s\n", error_format(err, text, sizeof(text)));
	return EXIT_FAILED;
}

/* The agent's environment is made, not inherited: the caller's may hold secrets. */
static const char *const kept_variables[] = {"TERM", "LANG",	  "LC_ALL",  "LC_CTYPE",
					     "TZ",   "COLORTERM", "NO_COLOR"};

static int add_variable(struct run *run, const char *name, const char *value, struct error *err)
{
	char *text = NULL;
	size_t n = strlen(name);

	if (asprintf(&text, "%s=%s", name, value) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < run->envs; i++) {
		if (!strncmp(run->env[i], text, n + 1)) {
			free(run->env[i]);
			run->env[i] = text;
			return 0;
		}
	}
	if (run->envs + 1 == ARRAY_LEN(run->env)) {
		free(text);
		return error_set(err, -E2BIG, "more than %zu variables", run->envs);
	}
	run->env[run->envs++] = text;
	return 0;
}

/* Runtimes with CA certificates of their own learn of the proxy's. --env may say otherwise. */
static int add_trust(struct run *run, struct error *err)
{
	const struct agent_trust_variable *variable = agent_trust_variables;
	int r = 0;

	if (!agent_trust_wanted(run->compiled) && !run->inference.config)
		return 0;
	for (; !r && variable->name; variable++)
		r = add_variable(run, variable->name, variable->value, err);
	return r;
}

/* Before --env, which may say otherwise. */
static int add_placeholders(struct run *run, struct error *err)
{
	int r = 0;

	for (size_t i = 0; run->providers && i < run->providers->envs && !r; i++) {
		const char *text = run->providers->env[i], *equals = strchr(text, '=');
		_cleanup_free_ char *name = strndup(text, (size_t)(equals - text));

		if (!name)
			return error_set(err, -ENOMEM, "out of memory");
		r = add_variable(run, name, equals + 1, err);
	}
	return r;
}

static bool is_taken(const void *arg, const char *name)
{
	const struct run *run = arg;
	size_t n = strlen(name);

	for (size_t i = 0; i < run->envs; i++)
		if (!strncmp(run->env[i], name, n) && run->env[i][n] == '=')
			return true;
	for (size_t i = 0; i < run->options.env.len; i++)
		if (!strncmp(run->options.env.item[i], name, n) &&
		    run->options.env.item[i][n] == '=')
			return true;
	return false;
}

/* After what providers give, which means their own servers. */
static int add_inference(struct run *run, struct error *err)
{
	struct run_variable variables[RUN_INFERENCE_VARIABLES_MAX];
	size_t count = run_inference_variables(&run->inference, is_taken, run, variables);
	int r = 0;

	for (size_t i = 0; !r && i < count; i++)
		r = add_variable(run, variables[i].name, variables[i].value, err);
	return r;
}

static int make_environment(struct run *run, struct error *err)
{
	const struct run_options *o = &run->options;
	int r = add_variable(run, "PATH",
			     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", err);

	for (size_t i = 0; !r && i < ARRAY_LEN(kept_variables); i++) {
		const char *value = getenv(kept_variables[i]);

		if (value)
			r = add_variable(run, kept_variables[i], value, err);
	}
	if (!r)
		/* An identity without a home of its own gets the sandbox's own writable place. */
		r = add_variable(run, "HOME",
				 strcmp(run->identity.home, "/") ? run->identity.home : "/tmp",
				 err);
	if (!r)
		r = add_variable(run, "SHELL", run->identity.shell, err);
	if (!r)
		r = add_variable(run, "USER", run->identity.name, err);
	if (!r)
		r = add_variable(run, "LOGNAME", run->identity.name, err);
	if (!r)
		r = add_variable(run, "OPENSHELL_SANDBOX", run->id, err);
	if (!r)
		r = add_trust(run, err);
	if (!r)
		r = add_placeholders(run, err);
	if (!r)
		r = add_inference(run, err);
	for (size_t i = 0; !r && i < o->env.len; i++) {
		const char *equals = strchr(o->env.item[i], '=');
		_cleanup_free_ char *name = NULL;

		name = strndup(o->env.item[i], (size_t)(equals - o->env.item[i]));
		if (!name)
			return error_set(err, -ENOMEM, "out of memory");
		r = add_variable(run, name, equals + 1, err);
	}
	return r;
}

static void print_diagnostics(const char *file, const struct diagnostics *diag)
{
	for (size_t i = 0; i < diag->count; i++) {
		const struct policy_diagnostic *d = &diag->items[i];

		fprintf(stderr, "%s:%d:%d: %s: %s\n", file, d->at.line, d->at.col,
			d->is_error ? "error" : "warning", d->message);
	}
}

static int load_policy(struct run *run, struct error *err)
{
	_cleanup_diagnostics_ struct diagnostics diag = {};
	const char *file = run->options.policy;
	int r;

	if (!file)
		file = getenv("OPENSHELL_SANDBOX_POLICY");
	if (file && !*file)
		file = NULL;
	run->policy_file = file;
	r = file ? policy_load_file(file, &run->policy, &diag, err)
		 : policy_default(&run->policy, err);
	if (file)
		print_diagnostics(file, &diag);
	if (r == -EBADMSG)
		return error_set(err, r, "%s is not a valid policy; nothing was started", file);
	if (r)
		return r;
	r = policy_compile(run->policy, &run->compiled, err);
	if (!r)
		r = policy_digest(run->compiled, run->digest, err);
	return r;
}

/* --learn starts from the policy's own text. */
static int read_base(struct run *run, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	ssize_t n;

	if (!run->options.learn || !run->policy_file)
		return 0;
	fd = open(run->policy_file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return error_set(err, -errno, "cannot read %s: %s", run->policy_file,
				 strerror(errno));
	run->policy_text = malloc((size_t)st.st_size + 1);
	if (!run->policy_text)
		return error_set(err, -ENOMEM, "out of memory");
	n = read(fd, run->policy_text, (size_t)st.st_size);
	if (n != st.st_size)
		return error_set(err, -EIO, "cannot read %s whole", run->policy_file);
	run->policy_text_len = (size_t)n;
	return 0;
}

static int choose_workdir(struct run *run, struct error *err)
{
	const char *dir = run->options.workdir ? run->options.workdir : ".";
	struct stat st;

	run->workdir = realpath(dir, NULL);
	if (!run->workdir)
		return error_set(err, -errno, "the working directory %s: %s", dir, strerror(errno));
	if (stat(run->workdir, &st) || !S_ISDIR(st.st_mode))
		return error_set(err, -ENOTDIR, "the working directory %s is not a directory",
				 run->workdir);
	if (!strcmp(run->workdir, "/") && run->compiled->include_workdir)
		return error_set(err, -EINVAL,
				 "the working directory is /, and include_workdir would make the "
				 "whole host writable: give another --workdir");
	return 0;
}

/* Unique on the host, fit for a cgroup and a host name: run-<pid>-<low bits of the clock>. */
static void make_id(struct run *run)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	snprintf(run->id, sizeof(run->id), "run-%d-%06x", getpid(),
		 (unsigned)(now.tv_nsec ^ now.tv_sec << 12) & 0xffffff);
}

static int choose_identity(struct run *run, struct error *err)
{
	const struct identity_request request = {
		.run_as_user = run->compiled->run_as_user,
		.run_as_group = run->compiled->run_as_group,
		.sudo_uid = getenv("SUDO_UID"),
		.sudo_gid = getenv("SUDO_GID"),
	};

	return identity_resolve(&request, &run->identity, err);
}

static int check_name(const char *name, struct error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	size_t len = strlen(name);

	if (!len || len > RUN_NAME_MAX || strspn(name, allowed) != len || strchr("-_.", name[0]))
		return error_set(err, -EINVAL,
				 "--name: a sandbox's name has 1 to %d letters, digits, '-', '_' "
				 "and '.', and starts with a letter or digit",
				 RUN_NAME_MAX);
	return 0;
}

static int check_variables(const struct option_strings *env, struct error *err)
{
	for (size_t i = 0; i < env->len; i++) {
		const char *equals = strchr(env->item[i], '=');

		if (!equals || equals == env->item[i])
			return error_set(err, -EINVAL, "--env %s: expected NAME=VALUE",
					 env->item[i]);
		/* Without the value, which may be a secret. */
		if (!strncmp(env->item[i], "OPENSHELL_", 10))
			return error_set(err, -EINVAL,
					 "--env %.*s: names that start with OPENSHELL_ are ours",
					 (int)(equals - env->item[i]), env->item[i]);
	}
	return 0;
}

/* What can be said of the options alone; whatever is wrong here is wrong usage. */
static int check_options(struct run *run, struct error *err)
{
	const struct run_options *o = &run->options;
	int r;

	if (o->tty && o->no_tty)
		return error_set(err, -EINVAL, "--tty and --no-tty exclude each other");
	run->tty = o->tty || (!o->no_tty && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
	make_id(run);
	if (!run->options.name)
		run->options.name = run->id;
	r = check_name(run->options.name, err);
	if (!r)
		r = check_variables(&o->env, err);
	for (size_t i = 0; !r && i < o->provider.len; i++)
		r = provider_request_check(o->provider.item[i], err);
	if (!r)
		r = run_inference_check(&o->inference, err);
	if (!r && o->log_format && event_format_parse(o->log_format, &run->log_format))
		r = error_set(err, -EINVAL, "--log-format %s: expected shorthand or ocsf",
			      o->log_format);
	if (!r && o->cpu)
		r = limits_parse_cpu(o->cpu, &run->limits.cpu_milli, err);
	if (!r && o->memory)
		r = limits_parse_memory(o->memory, &run->limits.memory_bytes, err);
	return r;
}

static int load_providers(struct run *run, struct error *err)
{
	const struct option_strings *asked = &run->options.provider;
	char directory[PATH_MAX];
	const char *forgotten, *rule;
	int r;

	forgotten = provider_forgotten(asked->item, asked->len, run->compiled, &rule);
	if (forgotten)
		fprintf(stderr,
			"openshell run: warning: rule '%s' binds provider '%s', which no "
			"--provider gives\n",
			rule, forgotten);
	if (!asked->len)
		return 0;
	r = provider_profile_directory(directory, sizeof(directory), err);
	if (!r)
		r = provider_set_new(directory, asked->item, asked->len, run->compiled,
				     &run->providers, err);
	return r;
}

/* Both may read the same variables, so they are hidden when both have. */
static int load_secrets(struct run *run, struct error *err)
{
	int r = load_providers(run, err);

	if (!r)
		r = run_inference_load(&run->options.inference, &run->options.provider,
				       &run->inference, err);
	if (run->providers)
		provider_set_hide(run->providers);
	if (run->inference.config)
		inference_config_hide(run->inference.config);
	return r;
}

static int prepare(struct run *run, struct error *err)
{
	int r = load_policy(run, err);

	if (!r)
		r = read_base(run, err);
	if (!r)
		r = choose_workdir(run, err);
	if (!r && geteuid() != 0)
		r = error_set(
			err, -EPERM,
			"setting up a sandbox needs root: run it with sudo (the agent then runs "
			"as you)");
	if (!r)
		r = choose_identity(run, err);
	if (!r)
		r = load_secrets(run, err);
	if (!r)
		r = make_environment(run, err);
	return r;
}

static void run_clear(struct run *run)
{
	policy_free(run->policy);
	policy_compiled_free(run->compiled);
	provider_set_free(run->providers);
	run_inference_clear(&run->inference);
	free(run->policy_text);
	free(run->workdir);
	for (size_t i = 0; i < run->envs; i++)
		free(run->env[i]);
}

int verb_run(int argc, char **argv)
{
	struct run run = {};
	struct error err = {};
	int rest = 0, status = EXIT_FAILED, r;

	r = options_parse(rows, ARRAY_LEN(rows), argc, argv, &run.options, &rest, &err);
	if (r > 0)
		return help(stdout);
	if (!r)
		r = check_options(&run, &err);
	if (r < 0) {
		complain(&err);
		return EXIT_USAGE;
	}
	if (rest >= argc) {
		fputs("openshell run: no command given: openshell run [OPTION].. -- COMMAND "
		      "[ARG]..; "
		      "see openshell run --help\n",
		      stderr);
		return EXIT_USAGE;
	}
	run.argv = argv + rest;
	r = prepare(&run, &err);
	if (!r) {
		interrupt_hold();
		r = run_loop(&run, &status, &err);
		/* The sandbox is gone; so are we, if that was asked for meanwhile. */
		interrupt_release();
	}
	run_clear(&run);
	return r ? complain(&err) : status;
}
