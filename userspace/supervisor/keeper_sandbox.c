/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox of a keeper: starting it as it was assigned, and changing it while it runs. */
#include "supervisor/keeper_internal.h"

#include "common/cleanup.h"
#include "common/inference.h"
#include "common/rpc.h"
#include "supervisor/agent_trust.h"
#include "supervisor/image.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_VARIABLE "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Variables by which public clients find inference.local (docs/inference.md). */
static const struct {
	const char *name, *value;
} inference_variables[] = {
	{"OPENAI_BASE_URL", "https://" INFERENCE_HOST "/v1"},
	{"OPENAI_API_KEY", INFERENCE_HOST},
	{"ANTHROPIC_BASE_URL", "https://" INFERENCE_HOST},
	{"ANTHROPIC_API_KEY", INFERENCE_HOST},
};

static int unpack_policy(const Openshell__Node__V1__Policy *policy,
			 Openshell__Compiled__V1__CompiledPolicy **ret_policy, struct error *err)
{
	if (policy->digest.len != 32)
		return error_set(err, -EBADMSG, "the policy has no digest");
	*ret_policy = openshell__compiled__v1__compiled_policy__unpack(NULL, policy->compiled.len,
								       policy->compiled.data);
	return *ret_policy ? 0 : error_set(err, -EBADMSG, "the compiled policy is malformed");
}

/* What the host's account says is about the host's programs. */
static const char *shell_of(const struct keeper *keeper)
{
	return *keeper->assign->image ? "/bin/sh" : keeper->identity.shell;
}

static int set_basics(const struct keeper *keeper, struct environment *environment,
		      struct error *err)
{
	const struct {
		const char *name, *value;
	} basics[] = {
		{"PATH", PATH_VARIABLE},
		{"HOME", SANDBOX_HOME},
		{"SHELL", shell_of(keeper)},
		{"USER", keeper->identity.name},
		{"LOGNAME", keeper->identity.name},
		{"LANG", "C.UTF-8"},
		{"TERM", "xterm-256color"},
		{"OPENSHELL_SANDBOX", keeper->assign->name},
	};
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_LEN(basics); i++)
		r = environment_set(environment, basics[i].name, basics[i].value, err);
	return r;
}

static int set_trust(const struct keeper *keeper, struct environment *environment,
		     struct error *err)
{
	const struct agent_trust_variable *v = agent_trust_variables;
	bool inference = keeper->assign->inference && keeper->assign->inference->inference;
	int r = 0;

	for (; !r && v->name && (inference || agent_trust_wanted(keeper->policy)); v++)
		r = environment_set(environment, v->name, v->value, err);
	/* What a provider gives is meant for its own servers. */
	for (size_t i = 0; !r && inference && i < ARRAY_LEN(inference_variables); i++)
		r = environment_set(environment, inference_variables[i].name,
				    inference_variables[i].value, err);
	return r;
}

/*
 * Anew, for commands that start from now on: providers' variables come and go. Later ones win: what
 * was asked for comes last.
 */
static int make_environment(struct keeper *keeper,
			    const Openshell__Node__V1__Credentials *credentials, struct error *err)
{
	const Openshell__Node__V1__Assign *assign = keeper->assign;
	struct environment environment = {};
	int r = set_basics(keeper, &environment, err);

	if (!r)
		r = set_trust(keeper, &environment, err);
	for (size_t i = 0; !r && credentials && i < credentials->n_environment; i++)
		r = environment_set(&environment, credentials->environment[i]->key,
				    credentials->environment[i]->value, err);
	for (size_t i = 0; !r && i < assign->n_environment; i++)
		r = environment_set(&environment, assign->environment[i]->key,
				    assign->environment[i]->value, err);
	if (r) {
		environment_clear(&environment);
		return r;
	}
	environment_clear(&keeper->environment);
	keeper->environment = environment;
	return 0;
}

/* The sandbox's own directory, its user's. */
static int prepare_home(struct keeper *keeper, char *home, size_t size, struct error *err)
{
	struct stat st;

	snprintf(home, size, "%s/files", keeper->directory);
	if (mkdir(SANDBOX_HOME, 0755) && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s, where sandboxes see their files: %s",
				 SANDBOX_HOME, strerror(errno));
	if (lstat(home, &st) || !S_ISDIR(st.st_mode))
		return error_set(err, -ENOENT, "the sandbox's directory %s is missing", home);
	if (st.st_uid != keeper->identity.uid &&
	    lchown(home, keeper->identity.uid, keeper->identity.gid))
		return error_set(err, -errno, "cannot give %s to the sandbox's user: %s", home,
				 strerror(errno));
	return 0;
}

static int parse_limits(const Openshell__Node__V1__Assign *assign, struct limits *limits,
			struct error *err)
{
	int r = *assign->cpu ? limits_parse_cpu(assign->cpu, &limits->cpu_milli, err) : 0;

	if (!r && *assign->memory)
		r = limits_parse_memory(assign->memory, &limits->memory_bytes, err);
	return r;
}

static int prepare_root(const struct keeper *keeper, char ret_root[static PATH_MAX],
			struct error *err)
{
	char above[PATH_MAX], path[PATH_MAX];

	/* Beside `sandboxes`, where each has its directory. */
	snprintf(path, sizeof(path), "%s/../..", keeper->directory);
	if (!realpath(path, above) ||
	    (size_t)snprintf(path, sizeof(path), "%s/images", above) >= sizeof(path))
		return error_set(err, -ENOENT, "cannot find the place for images: %s", path);
	return image_root(keeper->assign->image, path, ret_root, err);
}

static int launch_sandbox(struct keeper *keeper, struct error *err)
{
	const Openshell__Node__V1__Assign *assign = keeper->assign;
	const Openshell__Node__V1__Credentials *credentials = assign->credentials;
	char *shell[] = {(char *)shell_of(keeper), (char *)"-l", NULL};
	_cleanup_free_ char **argv = calloc(assign->n_command + 1, sizeof(*argv));
	char home[4096], root[PATH_MAX];
	struct sandbox_spec spec = {
		.id = keeper->id,
		.name = assign->name,
		.policy = keeper->policy,
		.digest = keeper->digest,
		.argv = assign->n_command ? argv : shell,
		.envp = keeper->environment.item,
		.workdir = *assign->workdir ? assign->workdir : SANDBOX_HOME,
		.home = home,
		.uid = keeper->identity.uid,
		.gid = keeper->identity.gid,
		.groups = keeper->identity.groups,
		.groups_len = keeper->identity.groups_len,
		.tty = assign->tty,
		.gpu = assign->gpu,
		.sink = &keeper->sink,
	};
	int r;

	if (!argv)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < assign->n_command; i++)
		argv[i] = assign->command[i];
	r = *assign->image ? prepare_root(keeper, root, err) : 0;
	if (!r && *assign->image)
		spec.root = root;
	if (!r)
		r = prepare_home(keeper, home, sizeof(home), err);
	if (!r)
		r = parse_limits(assign, &spec.limits, err);
	if (!r)
		r = keeper_terminal_new(&keeper->loop, assign->tty, keeper->identity.uid,
					&keeper->terminal, err);
	if (r)
		return r;
	for (int i = 0; i < 3; i++)
		spec.stdio[i] = keeper_terminal_fd(keeper->terminal, i);
	spec.terminal = keeper_terminal_name(keeper->terminal);
	if (credentials) {
		spec.credentials =
			(const Openshell__Worker__V1__Credential *const *)credentials->credentials;
		spec.credentials_len = credentials->n_credentials;
	}
	if (assign->inference)
		spec.inference = assign->inference->inference;
	r = sandbox_start(keeper->kernel, &spec, &keeper->sandbox, err);
	keeper_terminal_started(keeper->terminal);
	return r;
}

int keeper_start_sandbox(struct keeper *keeper, struct error *err)
{
	const Openshell__Node__V1__Policy *policy = keeper->assign->policy;
	struct identity_request identity = {};
	int r = unpack_policy(policy, &keeper->policy, err);

	if (r)
		return r;
	memcpy(keeper->digest, policy->digest.data, sizeof(keeper->digest));
	keeper->policy_version = policy->version;
	identity.run_as_user = keeper->policy->run_as_user;
	identity.run_as_group = keeper->policy->run_as_group;
	r = identity_resolve(&identity, &keeper->identity, err);
	if (!r)
		r = make_environment(keeper, keeper->assign->credentials, err);
	if (!r)
		r = keeper_open_logs(keeper, err);
	if (!r)
		r = kernel_open(&keeper->kernel, err);
	if (!r)
		r = launch_sandbox(keeper, err);
	return r ? r : keeper_watch(keeper, err);
}

int keeper_exec(struct keeper *keeper, uint32_t id, const Openshell__Node__V1__Exec *exec,
		const int fd[3], struct error *err)
{
	struct environment environment = {};
	_cleanup_free_ char **argv = calloc(exec->n_command + 1, sizeof(*argv));
	struct launch_command command = {
		.argv = argv,
		.envp = environment.item,
		.workdir = *exec->workdir ? exec->workdir : SANDBOX_HOME,
		.stdio = {fd[0], fd[1], fd[2]},
		.tty = exec->tty,
	};
	int r;

	if (!argv || fd[2] < 0)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < exec->n_command; i++)
		argv[i] = exec->command[i];
	r = environment_copy(&keeper->environment, &environment, err);
	for (size_t i = 0; !r && i < exec->n_environment; i++)
		r = environment_set(&environment, exec->environment[i]->key,
				    exec->environment[i]->value, err);
	/* The terminal is the user's, as the main one is. */
	if (!r && exec->tty &&
	    (fchown(fd[0], keeper->identity.uid, (gid_t)-1) || fchmod(fd[0], 0620)))
		r = error_set(err, -errno, "cannot give the terminal to the sandbox's user: %s",
			      strerror(errno));
	if (!r)
		r = launch_exec(&keeper->sandbox->launch, id, &command, err);
	environment_clear(&environment);
	return r;
}

/* ---- changes ---- */

/* What was in force stays so on any failure. */
static int put_in_force(struct keeper *keeper, const Openshell__Node__V1__Policy *policy,
			struct error *err)
{
	Openshell__Compiled__V1__CompiledPolicy *compiled = NULL;
	int r;

	if (!keeper->sandbox)
		return error_set(err, -EBUSY, "the sandbox does not run");
	r = unpack_policy(policy, &compiled, err);
	if (!r && memcmp(policy->digest.data, keeper->digest, sizeof(keeper->digest)))
		r = sandbox_update(keeper->sandbox, compiled, policy->digest.data, err);
	if (r) {
		if (compiled)
			openshell__compiled__v1__compiled_policy__free_unpacked(compiled, NULL);
		return r;
	}
	observe_set_policy(keeper->observe, compiled, policy->digest.data);
	openshell__compiled__v1__compiled_policy__free_unpacked(keeper->policy, NULL);
	keeper->policy = compiled;
	memcpy(keeper->digest, policy->digest.data, sizeof(keeper->digest));
	keeper->policy_version = policy->version;
	return 0;
}

void keeper_update_policy(struct keeper *keeper, const struct keeper_message *message)
{
	Openshell__Node__V1__Policy *policy =
		openshell__node__v1__policy__unpack(NULL, message->size, message->body);
	struct error err = {};
	int r;

	if (!policy)
		return;
	r = put_in_force(keeper, policy, &err);
	keeper_tell_policy(keeper, policy->version, r ? &err : NULL);
	openshell__node__v1__policy__free_unpacked(policy, NULL);
}

void keeper_update_credentials(struct keeper *keeper, const struct keeper_message *message)
{
	Openshell__Node__V1__Credentials *credentials =
		openshell__node__v1__credentials__unpack(NULL, message->size, message->body);
	struct error err = {};
	int r = 0;

	if (!credentials)
		return;
	if (keeper->sandbox)
		r = sandbox_set_credentials(
			keeper->sandbox,
			(const Openshell__Worker__V1__Credential *const *)credentials->credentials,
			credentials->n_credentials, &err);
	if (!r && keeper->sandbox)
		r = make_environment(keeper, credentials, &err);
	if (r)
		keeper_log(keeper, "error", err.message);
	rpc_scrub(&credentials->base);
	openshell__node__v1__credentials__free_unpacked(credentials, NULL);
}

void keeper_update_inference(struct keeper *keeper, const struct keeper_message *message)
{
	Openshell__Node__V1__Inference *inference =
		openshell__node__v1__inference__unpack(NULL, message->size, message->body);
	struct error err = {};

	if (!inference)
		return;
	if (keeper->sandbox &&
	    sandbox_set_inference(keeper->sandbox, inference->inference, inference->verify, &err) &&
	    inference->inference)
		keeper_log(keeper, "warn", err.message);
	rpc_scrub(&inference->base);
	openshell__node__v1__inference__free_unpacked(inference, NULL);
}
