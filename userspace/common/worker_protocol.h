/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the supervisor and the processes of openshell-proxy say to each other: one message per
 * packet of a SOCK_SEQPACKET socketpair, fixed layouts in host order, since both ends are of one
 * build. Three kinds of process, each with a channel of its own:
 *
 *	zygote		forks the other two when asked; privileged only to change identity
 *	worker		one per sandbox: answers the agent's DNS queries, relays connections that
 *			wait for a verdict about their binary. It may ask what a name or a
 *			connection may do; it never says what is admitted
 *	resolver	looks admitted names up in the host's resolvers; no agent can talk to it
 *
 * worker_message_read() is the only way in, on both sides: pure, any thread, fuzzed. Fails closed:
 * a packet that is not exactly one valid message of a kind that the receiver expects is -EBADMSG,
 * and the receiver ends the process at the other end.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define WORKER_ZYGOTE_CHANNEL 3 /* the descriptor that openshell-proxy finds its channel at */

#define WORKER_NAME_MAX	       253 /* text, without the trailing dot; RFC 1035 section 2.3.4 */
#define WORKER_ADDRESSES_MAX   16
#define WORKER_OUTSTANDING_MAX 1024 /* questions without an answer; more is -EBADMSG */

enum worker_message_kind {
	/* to the zygote; descriptors ride along (SCM_RIGHTS) in the order given */
	WORKER_FORK = 1, /* worker_fork: [channel, then the sockets said in `sockets`] */
	/* from the zygote */
	WORKER_FORKED =
		2, /* worker_forked; with one descriptor of the process (pidfd) if it lives */

	/* from worker and resolver, once, when everything is given up and it is ready */
	WORKER_READY = 3, /* header alone */

	/* worker -> supervisor */
	WORKER_ASK_NAME = 10, /* worker_ask_name */
	WORKER_ASK_FLOW = 11, /* worker_ask_flow */
	/* supervisor -> worker */
	WORKER_NAME = 12,  /* worker_name, the answer to ASK_NAME */
	WORKER_FLOW = 13,  /* worker_flow, the answer to ASK_FLOW; one descriptor if ALLOWED: the
			    * connected (or connecting) socket to the real address */
	WORKER_FLUSH = 14, /* header alone: the policy changed, forget every answer */

	/* supervisor -> worker; always before the first ORIGIN of its generation */
	WORKER_POLICY = 15, /* worker_policy; one descriptor: a sealed memfd with a WorkerBundle */
	/* worker -> supervisor: connections that the kernel sent to the proxy */
	WORKER_ASK_ORIGIN = 16,	  /* worker_ask_origin */
	WORKER_ASK_UPSTREAM = 17, /* worker_ask_upstream */
	WORKER_CA = 18,		  /* worker_ca: the sandbox's CA, once, before READY */
	/* supervisor -> worker */
	WORKER_ORIGIN = 19,   /* worker_origin, the answer to ASK_ORIGIN */
	WORKER_UPSTREAM = 22, /* worker_upstream, the answer to ASK_UPSTREAM and ASK_ROUTE; one
			       * descriptor if FOUND: a socket that connects to the real address */

	/* worker -> supervisor: a socket to a model's provider */
	WORKER_ASK_ROUTE = 23, /* worker_ask_route */
	/* supervisor -> worker: try a route, before an agent does */
	WORKER_PROBE = 24, /* worker_probe; one descriptor: a stream socket, on which a request for
			    * inference.local follows in plaintext, and its response goes back */

	/* supervisor -> resolver */
	WORKER_LOOKUP = 20, /* worker_lookup */
	/* resolver -> supervisor */
	WORKER_FOUND = 21, /* worker_found, the answer to LOOKUP */
};

struct worker_header {
	uint16_t kind; /* enum worker_message_kind */
	uint16_t size; /* of the whole message */
	uint32_t id;   /* of a question, chosen by who asks and repeated in the answer; else 0 */
};

enum worker_role {
	WORKER_ROLE_WORKER = 1,
	WORKER_ROLE_RESOLVER = 2,
};

/* Bits of worker_fork.sockets, in the order of the descriptors. */
#define WORKER_SOCKET_DNS_UDP4 (1u << 0)
#define WORKER_SOCKET_DNS_TCP4 (1u << 1)
#define WORKER_SOCKET_DNS_UDP6 (1u << 2)
#define WORKER_SOCKET_DNS_TCP6 (1u << 3)
#define WORKER_SOCKET_ASK4     (1u << 4)
#define WORKER_SOCKET_ASK6     (1u << 5)
#define WORKER_SOCKET_PROXY    (1u << 6) /* the listener that bpf/redirect.bpf.c assigns to */
#define WORKER_SOCKET_RECORDS  (1u << 7) /* SOCK_SEQPACKET: batches of worker_record.h, one way */
#define WORKER_SOCKETS	       8
#define WORKER_SOCKETS_INET    7 /* the first of them: the others are no addresses */

struct worker_fork {
	struct worker_header header;
	uint32_t role;	  /* enum worker_role */
	uint32_t uid;	  /* and gid that it gets; not 0 */
	uint32_t sockets; /* WORKER_SOCKET_*; 0 for a resolver */
	uint32_t pad;
};

struct worker_forked {
	struct worker_header header;
	int32_t pid; /* as the zygote sees it, or a negative errno */
	uint32_t pad;
};

/* Who sent a query or opened a connection: the agent's end as the worker's socket shows it. */
struct worker_peer {
	uint8_t address[16]; /* v4-mapped for IPv4 */
	uint16_t port;	     /* host order */
	uint16_t protocol;   /* IPPROTO_TCP, IPPROTO_UDP */
	uint32_t pad;
};

struct worker_ask_name {
	struct worker_header header;
	struct worker_peer peer;
	uint16_t type; /* DNS QTYPE, for the log */
	uint8_t length;
	char name[WORKER_NAME_MAX]; /* lower case, labels of letters, digits, '-', '_' and dots */
};

enum worker_name_status {
	WORKER_NAME_FOUND = 0,	 /* has the addresses given; a family without one: NODATA */
	WORKER_NAME_REFUSED = 1, /* admitted to nobody in this sandbox: REFUSED, never forwarded */
	WORKER_NAME_NONE = 2,	 /* the host's resolvers say NXDOMAIN */
	WORKER_NAME_FAILED = 3,	 /* they cannot say, or it resolves to forbidden addresses only */
	WORKER_NAME_LIMITED = 4, /* too many new names under a wildcard for now: REFUSED */
};

struct worker_name {
	struct worker_header header;
	uint16_t status; /* enum worker_name_status */
	uint16_t has;	 /* bit 0: ipv4 is valid; bit 1: ipv6 is valid */
	uint32_t ttl;	 /* seconds: how long the answer may be kept, and is told to the agent */
	uint8_t ipv4[4]; /* synthetic, network order */
	uint8_t ipv6[16];
};

#define WORKER_NAME_HAS_IPV4 (1u << 0)
#define WORKER_NAME_HAS_IPV6 (1u << 1)

struct worker_ask_flow {
	struct worker_header header;
	struct worker_peer peer;  /* the agent's end */
	struct worker_peer local; /* the worker's end, as accepted */
};

enum worker_flow_status {
	WORKER_FLOW_ALLOWED = 0,
	WORKER_FLOW_DENIED = 1,
};

struct worker_flow {
	struct worker_header header;
	uint32_t status; /* enum worker_flow_status */
	uint32_t pad;
};

#define WORKER_BUNDLE_MAX (16u << 20)

struct worker_policy {
	struct worker_header header;
	uint32_t generation; /* not 0 */
	uint32_t size;	     /* bytes of the bundle, 1..WORKER_BUNDLE_MAX */
};

/* Who is behind a connection that came to the proxy's listener. */
struct worker_ask_origin {
	struct worker_header header;
	struct worker_peer peer;  /* the agent's end */
	struct worker_peer local; /* the worker's end, as accepted: in 127.64.0.0/10 */
};

#define WORKER_BINARY_MAX 512

struct worker_origin {
	struct worker_header header;
	uint32_t status;     /* enum worker_flow_status; all else is zero if DENIED */
	uint32_t generation; /* that decided */
	uint64_t start_time; /* of the process, CLOCK_BOOTTIME ns */
	uint64_t rules[4];   /* os_rule_mask: binary sets that the caller is in */
	uint8_t asked[16];   /* the address that the agent gave: synthetic, or a literal one */
	uint32_t pid;	     /* in the host's pid namespace */
	uint32_t ns_pid;     /* as the sandbox sees it, 0 = not known */
	uint16_t port;	     /* host order */
	uint16_t host_length;
	uint16_t binary_length;
	uint16_t pad;
	char host[WORKER_NAME_MAX + 3]; /* canonical name, or the canonical text of `asked` */
	char binary[WORKER_BINARY_MAX]; /* path of the executable; raw, cut at its beginning */
};

/* Connect to where an inspected endpoint is. */
struct worker_ask_upstream {
	struct worker_header header;
	uint8_t asked[16]; /* as ORIGIN told it */
	uint16_t port;
	uint16_t pad;
	uint32_t generation; /* of the policy that admitted the request */
};

enum worker_upstream_status {
	WORKER_UPSTREAM_FOUND = 0,
	WORKER_UPSTREAM_DENIED = 1, /* the policy has no such inspected endpoint (any more) */
	WORKER_UPSTREAM_SSRF = 2,   /* it has, but its addresses are forbidden ones */
	/*
	 * No address (-ENOENT: there is no such name; -EAGAIN: the resolvers do not say), or no
	 * socket: what connect() says.
	 */
	WORKER_UPSTREAM_FAILED = 3,
};

struct worker_upstream {
	struct worker_header header;
	uint32_t status;  /* enum worker_upstream_status */
	int32_t error;	  /* negative errno, FAILED; else 0 */
	uint8_t real[16]; /* FOUND: where the socket connects to; SSRF, FAILED: what was tried */
	uint16_t port;	  /* of `real`; 0 where that is all zero */
	uint16_t pad[3];
};

/* Connect to where a route of inference.local leads. Only what a route in force names is connected
 * to: DENIED otherwise. */
struct worker_ask_route {
	struct worker_header header;
	uint16_t port;
	uint16_t length;
	char host[WORKER_NAME_MAX + 3]; /* InferenceRoute.host */
};

struct worker_probe {
	struct worker_header header;
	uint32_t route; /* index into Inference.routes of the bundle sent last */
	uint32_t pad;
};

#define WORKER_CA_MAX 1024

struct worker_ca {
	struct worker_header header;
	uint32_t length;	    /* of `der`; the rest is zero */
	uint8_t der[WORKER_CA_MAX]; /* one X.509 certificate; the key stays where it is */
};

struct worker_lookup {
	struct worker_header header;
	uint8_t pad;
	uint8_t length;
	char name[WORKER_NAME_MAX + 1];
};

struct worker_found {
	struct worker_header header;
	uint16_t status; /* WORKER_NAME_FOUND, _NONE or _FAILED */
	uint16_t count;
	uint32_t ttl;				   /* seconds, the smallest of all records */
	uint8_t address[WORKER_ADDRESSES_MAX][16]; /* v4-mapped, network order */
};

union worker_message {
	struct worker_header header;
	struct worker_fork fork;
	struct worker_forked forked;
	struct worker_ask_name ask_name;
	struct worker_ask_flow ask_flow;
	struct worker_name name;
	struct worker_flow flow;
	struct worker_lookup lookup;
	struct worker_found found;
	struct worker_policy policy;
	struct worker_ask_origin ask_origin;
	struct worker_origin origin;
	struct worker_ask_upstream ask_upstream;
	struct worker_upstream upstream;
	struct worker_ask_route ask_route;
	struct worker_probe probe;
	struct worker_ca ca;
};

/* Who receives: decides which kinds are expected. */
enum worker_receiver {
	WORKER_TO_ZYGOTE,
	WORKER_FROM_ZYGOTE,
	WORKER_TO_WORKER,
	WORKER_FROM_WORKER,
	WORKER_TO_RESOLVER,
	WORKER_FROM_RESOLVER,
};

/*
 * Check @size bytes of @data as one message for @receiver and copy it. Padding must be zero, counts
 * within bounds, enumerators known, names as worker_name_check() wants them. -EBADMSG.
 */
int worker_message_read(enum worker_receiver receiver, const uint8_t *data, size_t size,
			union worker_message *ret_message);

/*
 * 0 if the first @length bytes of @name are a host name in canonical form: 1 to 253 characters,
 * labels of 1 to 63 of `a-z 0-9 - _`, no trailing dot, not an address in text. -EINVAL.
 */
int worker_name_check(const char *name, size_t length);

/* Set kind, size and id, and zero the rest of a message of @kind; returns its size. */
size_t worker_message_init(union worker_message *message, enum worker_message_kind kind,
			   uint32_t id);

/*
 * Send, with @fds; retries EINTR. -EAGAIN if the channel is full and non-blocking, -EPIPE if nobody
 * is at the other end.
 */
int worker_message_send(int channel, const union worker_message *message, const int *fds,
			size_t fds_len);

/*
 * Receive one message. 1 and *ret_message, 0 at the end of file, -EAGAIN, -EBADMSG. At most
 * @fds_max descriptors are taken, close-on-exec, the rest are closed and -EBADMSG; on success
 * @ret_fds and @ret_fds_len are the caller's. @fds_max 0: any descriptor is -EBADMSG.
 */
int worker_message_receive(int channel, enum worker_receiver receiver,
			   union worker_message *ret_message, int *ret_fds, size_t fds_max,
			   size_t *ret_fds_len);
