/* SPDX-License-Identifier: Apache-2.0 */
#include "common/caller_variable.h"
#include "common/cleanup.h"
#include "common/inference_config_internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

char *inference_secret_copy(struct inference_config *config, const char *text)
{
	struct inference_secret *secret = arena_alloc(config->arena, sizeof(*secret));
	char *copy = secret ? arena_copy(config->arena, text, strlen(text)) : NULL;

	if (!copy)
		return NULL;
	*secret = (struct inference_secret){config->secrets, copy};
	config->secrets = secret;
	return copy;
}

/* It becomes one field of a request, as it is. */
static const char *unfit(const char *value)
{
	if (!*value)
		return "it is empty";
	if (strlen(value) > INFERENCE_KEY_MAX)
		return "it is longer than 8000 bytes";
	for (const char *c = value; *c; c++) {
		if (*c == '\r' || *c == '\n')
			return "it has a line break";
		if (*c <= ' ' || *c > '~')
			return "it has a space or something else that is no printable ASCII";
	}
	return NULL;
}

static const struct inference_variable *known(const struct inference_config *config,
					      const char *name)
{
	for (const struct inference_variable *v = config->variables; v; v = v->next)
		if (!strcmp(v->name, name))
			return v;
	return NULL;
}

static const struct inference_variable *remember(struct inference_config *config, const char *name,
						 const char *value)
{
	struct inference_variable *variable = arena_alloc(config->arena, sizeof(*variable));

	if (!variable)
		return NULL;
	variable->name = arena_copy(config->arena, name, strlen(name));
	variable->value = inference_secret_copy(config, value);
	if (!variable->name || !variable->value)
		return NULL;
	variable->next = config->variables;
	config->variables = variable;
	return variable;
}

int inference_keys_inherit(struct inference_config *config, const struct inference_config *before)
{
	const struct inference_variable *v = before ? before->variables : NULL;

	for (; v; v = v->next)
		if (!remember(config, v->name, v->value))
			return -ENOMEM;
	return 0;
}

static int find(struct inference_config *config, const struct inference_report *report,
		struct policy_place at, const char *name, const char **ret_value)
{
	const struct inference_variable *variable = known(config, name);
	const char *value = variable ? variable->value : caller_variable(name), *why;

	if (!value || !*value)
		return 0;
	why = unfit(value);
	/* Without the value: it is a secret. */
	if (why)
		return inference_refuse(report, at, -EINVAL, "the value of %s is refused: %s", name,
					why);
	if (!variable)
		variable = remember(config, name, value);
	if (!variable)
		return inference_no_memory(report);
	*ret_value = variable->value;
	return 0;
}

int inference_keys_find(struct inference_config *config, const struct inference_report *report,
			struct policy_place at, const struct profile_credential *credential,
			const char **ret_value)
{
	const char *value = NULL;
	int r = 0;

	if (!credential->env.count)
		r = find(config, report, at, credential->key.value, &value);
	for (size_t i = 0; !r && !value && i < credential->env.count; i++)
		r = find(config, report, at, credential->env.items[i].value, &value);
	if (!r)
		*ret_value = value;
	return r;
}

static int open_key(const struct inference_report *report, struct policy_place at, const char *path,
		    int *ret_fd)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return inference_refuse(report, at, -errno, "the key file %s cannot be read: %s",
					path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return inference_refuse(report, at, -EINVAL,
					"the key file %s is not a regular file", path);
	if (st.st_mode & 007)
		return inference_refuse(report, at, -EACCES,
					"the key file %s is open to everybody: chmod o= %s", path,
					path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int inference_keys_read_file(struct inference_config *config, const struct inference_report *report,
			     struct policy_place at, const char *path, const char **ret_value)
{
	char text[INFERENCE_KEY_MAX + 2] = "";
	_cleanup_close_ int fd = -1;
	size_t len = 0, line;
	const char *why = NULL, *value = NULL;
	int r = open_key(report, at, path, &fd);

	if (r < 0)
		return r;
	while (len < sizeof(text) - 1) {
		ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			why = strerror(errno);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	line = (size_t)(strchrnul(text, '\n') - text);
	if (!why && line < len && !text[line])
		why = "it has a NUL";
	/* A file that was written elsewhere. */
	if (line && line < len && text[line - 1] == '\r')
		line--;
	text[line] = '\0';
	if (!why)
		why = unfit(text);
	if (!why)
		value = inference_secret_copy(config, text);
	explicit_bzero(text, sizeof(text));
	if (why)
		return inference_refuse(report, at, -EINVAL,
					"the first line of the key file %s is refused: %s", path,
					why);
	if (!value)
		return inference_no_memory(report);
	*ret_value = value;
	return 0;
}
