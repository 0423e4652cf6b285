/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls_session.h"

#include "common/cleanup.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

struct entry {
	SSL_SESSION *session; /* NULL = unused */
	char *host;
	uint64_t used;
	uint16_t port;
};

struct tls_sessions {
	uint64_t turn;
	struct entry entry[TLS_SESSIONS];
};

int tls_sessions_new(struct tls_sessions **ret_sessions)
{
	struct tls_sessions *sessions = calloc(1, sizeof(*sessions));

	if (!sessions)
		return -ENOMEM;
	*ret_sessions = sessions;
	return 0;
}

static void clear(struct entry *entry)
{
	SSL_SESSION_free(entry->session);
	free(entry->host);
	*entry = (struct entry){};
}

void tls_sessions_forget_all(struct tls_sessions *sessions)
{
	for (size_t i = 0; i < TLS_SESSIONS; i++)
		clear(&sessions->entry[i]);
}

void tls_sessions_free(struct tls_sessions *sessions)
{
	if (!sessions)
		return;
	tls_sessions_forget_all(sessions);
	free(sessions);
}

static struct entry *find(struct tls_sessions *sessions, const char *host, uint16_t port)
{
	for (size_t i = 0; i < TLS_SESSIONS; i++) {
		struct entry *e = &sessions->entry[i];

		if (e->session && e->port == port && !strcmp(e->host, host))
			return e;
	}
	return NULL;
}

static struct entry *oldest(struct tls_sessions *sessions)
{
	struct entry *oldest = &sessions->entry[0];

	for (size_t i = 1; i < TLS_SESSIONS; i++)
		if (sessions->entry[i].used < oldest->used)
			oldest = &sessions->entry[i];
	return oldest;
}

int tls_sessions_put(struct tls_sessions *sessions, const char *host, uint16_t port,
		     SSL_SESSION *session)
{
	struct entry *entry = find(sessions, host, port);

	if (entry) {
		SSL_SESSION_free(entry->session);
		entry->session = session;
	} else {
		char *copy = strdup(host);

		if (!copy)
			return -ENOMEM;
		entry = oldest(sessions);
		clear(entry);
		*entry = (struct entry){.session = session, .host = copy, .port = port};
	}
	entry->used = ++sessions->turn;
	return 0;
}

/* A session is as good as the certificate that it began with, which nobody looks at again. */
static bool is_good(SSL_SESSION *session)
{
	const X509 *peer = SSL_SESSION_get0_peer(session);
	time_t now = time(NULL);

	return SSL_SESSION_is_resumable(session) && peer &&
	       X509_cmp_time(X509_get0_notAfter(peer), &now) > 0 &&
	       now - SSL_SESSION_get_time(session) < SSL_SESSION_get_timeout(session);
}

SSL_SESSION *tls_sessions_get(struct tls_sessions *sessions, const char *host, uint16_t port)
{
	struct entry *entry = find(sessions, host, port);

	if (!entry)
		return NULL;
	if (!is_good(entry->session)) {
		clear(entry);
		return NULL;
	}
	entry->used = ++sessions->turn;
	return entry->session;
}

void tls_sessions_forget(struct tls_sessions *sessions, const char *host, uint16_t port)
{
	struct entry *entry = find(sessions, host, port);

	if (entry)
		clear(entry);
}
