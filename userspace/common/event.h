/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One decision, as people and programs read it. event_decode() turns what a kernel program wrote
 * into a struct event: full paths, names, the reason as a sentence, the policy line that would have
 * granted it. Other events (start and stop of a sandbox, policy changes, findings) are made here by
 * userspace and go the same way, so that everything is written once and in one form.
 *
 * A struct event owns nothing but its own bytes: no allocation, plain assignment copies it. It is
 * large (about 30 KiB), so keep one and use it again. Any thread. Only tells what was decided and
 * cannot change it: an event that does not decode is refused with an error and to be counted.
 *
 * Strings in it are raw, as the kernel has them, any byte but NUL; whoever writes them escapes.
 */
#pragma once

#include "abi.h"
#include "common/event_hook.h"
#include "compiled_policy.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_PATH_SIZE	   8192 /* a mount point and a path below it, each of up to 4096 */
#define EVENT_NAME_SIZE	   256
#define EVENT_MESSAGE_SIZE 4096

enum event_action {
	EVENT_DENIED,
	EVENT_ALLOWED,
	EVENT_AUDIT, /* allowed in audit mode, would have been denied */
	EVENT_TOLD,  /* made by userspace: says something, decides nothing */
};

enum event_path_state {
	EVENT_PATH_NONE = 0, /* there is no path */
	EVENT_PATH_FULL,     /* as a process of the sandbox would name it */
	EVENT_PATH_CUT,	     /* the top is missing: too long or too deep to be told */
	EVENT_PATH_INSIDE,   /* of a filesystem that is mounted nowhere: [dev M:N]/path */
	EVENT_PATH_UNNAMED,  /* a pipe, socket, memfd: "pipe:[123]" */
};

/* A request as the proxy judged it, and what became of it. Raw like all else. */
struct event_http {
	const char *scheme; /* "https"; a constant */
	bool plain_port;    /* it is the scheme's own, which is left out */
	uint16_t status;    /* that the agent got, 0 = none */
	uint64_t up, down;  /* bytes of the bodies; of a sum, of all of them */
	uint32_t microseconds;
	char method[33], path[1025]; /* "" of a sum of others; without the query */
	char protocol[17];	     /* "rest", "graphql" ... */
	char rule[161];		     /* that decided, for people, or "" */
	char error[65];		     /* code of the answer, or "" */
};

struct event {
	uint64_t time; /* CLOCK_REALTIME, ns since the epoch */
	enum event_class class;
	enum event_action action;
	enum event_severity severity;
	const char *activity; /* "OPEN"; a constant */
	int activity_id;      /* OCSF activity_id */
	const char *engine;   /* "lsm", "bpf", "landlock", "seccomp", "-"; a constant */
	char sandbox[EVENT_NAME_SIZE];

	/*
	 * A decision: the kernel's, or the refusal of a name. All zero for what only tells
	 * something.
	 */
	bool decided;
	struct os_event raw;
	enum event_path_state exe_state, path_state, path2_state;
	char exe[EVENT_PATH_SIZE];   /* executable of the process */
	char path[EVENT_PATH_SIZE];  /* the object */
	char path2[EVENT_PATH_SIZE]; /* the second object: where a rename or link puts it */
	char rule[EVENT_NAME_SIZE];  /* key of the network rule that names the endpoint, or "" */
	char host[EVENT_NAME_SIZE];  /* the name that was used, or the endpoint's host; or "" */
	bool limited;	  /* DNS: too many new names, whatever the policy says of this one */
	uint32_t missing; /* OS_RIGHT_* that would have been needed besides */
	bool listed_deny; /* filesystem_policy.deny names it: no grant can help */
	bool exec_listed; /* exec_policy.allow is given: it decides what may be executed */
	char reason[EVENT_MESSAGE_SIZE]; /* a sentence, or ""; what is quoted in it is escaped */

	struct event_http request; /* EVENT_CLASS_HTTP; raw has neither address nor hook then */

	/* Not decided, only told. */
	const char *verb;		  /* "STARTED", "LOADED"; a constant */
	char message[EVENT_MESSAGE_SIZE]; /* "" for a kernel event */
	char context[EVENT_NAME_SIZE];	  /* what goes between brackets: "backend:bpf-lsm" */
	int exit_code;			  /* LIFECYCLE:STOP */

	uint64_t repeated; /* how many more like this were left out before it; 0 = none */
	/*
	 * `repeated` are this program's questions for any names, not for this one; or its requests
	 * to this host, whatever for.
	 */
	bool others;
};

/* What decoding needs to know. Pointers are borrowed for the call. */
struct event_context {
	const char *sandbox;				       /* its name */
	const Openshell__Compiled__V1__CompiledPolicy *policy; /* in force, or NULL */
	uint32_t generation;  /* of @policy: events of another one get no rules from it */
	int64_t clock_offset; /* CLOCK_REALTIME - CLOCK_BOOTTIME, ns; event_clock_offset() */
	/*
	 * Full path of @inside, the path within the superblock of @file (starts with '/'; "/" is
	 * its root), or of an object without a name. Returns enum event_path_state and fills
	 * @ret_path, or -ENAMETOOLONG. NULL: every path is EVENT_PATH_INSIDE. mount_table_path()
	 * fits with a struct mount_table as @path_arg.
	 */
	int (*path)(const void *arg, const struct os_file_id *file, const char *inside,
		    char *ret_path, size_t size);
	const void *path_arg;
	/*
	 * The name behind a synthetic address (v4-mapped), whatever the generation, or NULL. What
	 * it returns is borrowed until the next call. NULL: names are not known.
	 */
	const char *(*name)(const void *arg, const uint8_t address[16]);
	const void *name_arg;
};

/* CLOCK_REALTIME - CLOCK_BOOTTIME now, ns. */
int64_t event_clock_offset(void);

/*
 * Decode one record of a sandbox's ring buffer. A longer record than its lengths say is taken (the
 * ring pads). Errors: -EBADMSG: too short, lengths past the end, an unknown verdict or kind, a
 * string that does not end; @ret_event is then unspecified but safe to use again.
 */
int event_decode(const void *data, size_t size, const struct event_context *ctx,
		 struct event *ret_event);

/* What a policy would need to say for an event to be allowed. */
enum event_remedy_kind {
	EVENT_REMEDY_READ_ONLY = 1, /* filesystem_policy.read_only: path */
	EVENT_REMEDY_READ_WRITE,    /* filesystem_policy.read_write: path */
	EVENT_REMEDY_EXEC,	    /* exec_policy.allow: path */
	EVENT_REMEDY_NETWORK,	    /* a network rule: host, port, binary */
	EVENT_REMEDY_NAME,	    /* one too, but which port is not known: a name was asked for */
};

struct event_remedy {
	enum event_remedy_kind kind;
	uint32_t rights;	    /* OS_RIGHT_* that were missing there */
	char path[EVENT_PATH_SIZE]; /* raw; "" for a network rule: event_host() has it */
};

#define EVENT_REMEDIES_MAX 4

#define EVENT_HOST_SIZE 256

/* The host that a rule for a network event would name: the name used, else the address. */
const char *event_host(const struct event *event, char buf[EVENT_HOST_SIZE]);

/* True if the connection was sent on to raw.real, which is not the address that was given. */
bool event_is_rewritten(const struct event *event);

/*
 * The policy lines that would have granted a denied or audited event, all of them needed; 0 if it
 * was allowed, no policy can allow it, or the path is not known. Returns how many.
 */
size_t event_remedies(const struct event *event, struct event_remedy ret[EVENT_REMEDIES_MAX]);

/*
 * Events made by userspace. Each sets @ret whole, with the time of now. Strings may come from
 * outside: whoever writes the event escapes them. A longer one is cut.
 */
void event_started(struct event *ret, const char *sandbox, const char *backend, char *const *argv);
void event_stopped(struct event *ret, const char *sandbox, int exit_code);
/* @digest: SHA-256 of the compiled policy, 32 bytes. */
void event_policy_loaded(struct event *ret, const char *sandbox, const char *file,
			 uint32_t generation, const uint8_t digest[32]);
/* Of inference.local; @file NULL: from the command line. */
void event_routes_loaded(struct event *ret, const char *sandbox, const char *file, size_t routes);
/* Something that the policy wants and this host cannot give, or another thing to look at. */
void event_finding(struct event *ret, const char *sandbox, enum event_severity severity,
		   const char *engine, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
