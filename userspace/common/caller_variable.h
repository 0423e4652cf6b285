/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's variables, which hold credentials: this process's environment, or, where somebody
 * else is the caller (the gateway acts for its users), what was set for this thread. Fails closed:
 * while something is set, the environment is not looked at.
 */
#pragma once

struct caller_variables {
	const char *(*find)(void *arg, const char *name); /* NULL: there is none */
	void *arg;
	const char *place; /* for sentences, as "in the environment" */
};

/* The value, or NULL. */
const char *caller_variable(const char *name);

/* Where they are looked for, for sentences: "in the environment", or what was set. */
const char *caller_variables_place(void);

/* What sudo is to be told if it took a variable out of the environment; "" where it was not it. */
const char *caller_variables_sudo(void);

/* For this thread; NULL: the environment again. @variables must live as long as it is set. */
void caller_variables_use(const struct caller_variables *variables);
