/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 toward a server: many exchanges, one connection. */
#include "common/cleanup.h"
#include "proxy/agent.h"
#include "proxy/proxy_internal.h"
#include "proxy/upstream_internal.h"

int upstream_http2_start(struct upstream *upstream)
{
	const struct http2_options options = {
		.tls = upstream->key.tls,
		.arg = upstream,
	};

	return http2_upstream_new(&options, &upstream->http2);
}

static void gone(struct upstream *upstream)
{
	upstream_lost(upstream, EXCHANGE_UNREACHABLE, "the server closed the connection");
}

void upstream_http2_ready(struct upstream *upstream)
{
	struct wire *wire = &upstream->wire;
	struct proxy *proxy = wire->proxy;
	int turn = WIRE_TURN, r;
	ssize_t n;

	do {
		r = wire_http2_drain(wire, upstream->http2);
		if (wire->closed)
			return;
		if ((r && r != -EAGAIN) || http2_finished(upstream->http2)) {
			gone(upstream);
			return;
		}
		wire->deadline = proxy->now + (http2_idle(upstream->http2) ? PROXY_UPSTREAM_TIMEOUT
									   : PROXY_STALL_TIMEOUT);
		n = wire_read(wire, proxy->scratch, PROXY_SCRATCH);
		if (n == 0 || (n < 0 && n != -EAGAIN)) {
			http2_disconnect(upstream->http2);
			upstream_leave(upstream);
			if (!wire->closed && http2_finished(upstream->http2))
				gone(upstream);
			return;
		}
		if (n > 0 && http2_feed(upstream->http2, proxy->scratch, (size_t)n) &&
		    !wire->closed) {
			wire_http2_drain(wire, upstream->http2);
			gone(upstream);
			return;
		}
	} while (n > 0 && !wire->closed && --turn);
	if (!turn)
		wire_schedule(wire);
	if (!wire->closed && !upstream->listed && http2_idle(upstream->http2))
		gone(upstream);
}
