/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 toward the agent: the codec's bytes to and from the connection. */
#include "common/cleanup.h"
#include "proxy/agent.h"
#include "proxy/exchange.h"
#include "proxy/proxy_internal.h"

static int on_request(void *arg, struct stream *stream)
{
	struct agent *agent = arg;

	agent->requests++;
	stream->wire = &agent->wire;
	return exchange_new(agent, stream);
}

int agent_http2_start(struct agent *agent)
{
	const struct http2_options options = {
		.tls = agent->tls,
		.on_request = on_request,
		.arg = agent,
	};

	return http2_agent_new(&options, &agent->http2);
}

/* What a blocked connection does not take of them waits in its buffer. */
_Static_assert(HTTP2_DRAIN_MAX + WIRE_BUFFER <= WIRE_BUFFER_MAX, "frames that are drained fit");

int wire_http2_drain(struct wire *wire, struct http2 *http2)
{
	int r = wire_flush(wire);

	while (r == 0 || (r == -EAGAIN && wire->out.end - wire->out.at < WIRE_BUFFER)) {
		const uint8_t *data;
		ssize_t n = http2_drain(http2, &data), sent;

		if (wire->closed)
			return -ECONNRESET;
		if (n <= 0)
			return n ? (int)n : r;
		sent = wire_send(wire, data, (size_t)n);
		if (sent < 0)
			return (int)sent;
		r = sent < n ? wire_put(wire, data + sent, (size_t)(n - sent)) : 0;
		if (r)
			return r;
		r = wire_flush(wire);
	}
	return r;
}

void agent_http2_ready(struct agent *agent)
{
	struct wire *wire = &agent->wire;
	struct proxy *proxy = wire->proxy;
	int turn = WIRE_TURN, r;
	ssize_t n;

	do {
		r = wire_http2_drain(wire, agent->http2);
		if (wire->closed)
			return;
		if (wire->broken || (r && r != -EAGAIN)) {
			agent_close(agent, true);
			return;
		}
		if (agent->no_more && http2_idle(agent->http2) && !r) {
			agent_linger(agent);
			return;
		}
		if (http2_finished(agent->http2)) {
			if (!r)
				agent_linger(agent);
			return;
		}
		/* Also when it is only told something, as of events that come for hours. */
		wire->deadline = proxy->now + (r ? PROXY_STALL_TIMEOUT : PROXY_IDLE_TIMEOUT);
		/* Who takes nothing is not listened to, so that its answers cannot pile up. */
		if (r == -EAGAIN)
			return;
		n = wire_read(wire, proxy->scratch, PROXY_SCRATCH);
		if (n == 0 || (n < 0 && n != -EAGAIN)) {
			agent_close(agent, n < 0);
			return;
		}
		if (n > 0) {
			if (http2_feed(agent->http2, proxy->scratch, (size_t)n) && !wire->closed) {
				agent->no_more = true;
				wire_http2_drain(wire, agent->http2);
				if (!wire->closed)
					agent_linger(agent);
				return;
			}
		}
	} while (n > 0 && !wire->closed && --turn);
	if (!turn)
		wire_schedule(wire);
}
