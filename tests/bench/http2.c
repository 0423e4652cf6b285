/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: http2 [requests [at-once [bytes]]]
 *
 * What HTTP/2's codec costs: a client's end and a server's end in memory, so many requests of the
 * fields that a gRPC client sends, so many at once, each with a body of so many bytes that comes
 * back. Prints requests a second of one core for both ends together, nanoseconds of each, MiB/s,
 * and the bytes of a connection that is idle: as it is new, and after that.
 */
#include "common/cleanup.h"
#include "proxy/http2.h"

#include <malloc.h>
#include <string.h>
#include <time.h>

static struct http2 *client, *server;
static size_t bytes = 100, left, open_now;
static uint8_t body[STREAM_CHUNK_MAX];

struct side {
	bool server, ended;
	size_t left;
};

static const struct http_head request = {
	.method = TEXT("POST"),
	.target = TEXT("/helloworld.Greeter/SayHello"),
	.authority = TEXT("greeter.example.org"),
	.body = HTTP_BODY_CHUNKED,
	.fields = 5,
	.field = {{TEXT("content-type"), TEXT("application/grpc")},
		  {TEXT("te"), TEXT("trailers")},
		  {TEXT("grpc-timeout"), TEXT("10S")},
		  {TEXT("user-agent"), TEXT("grpc-go/1.60.0")},
		  {TEXT("authorization"), TEXT("Bearer 0123456789abcdef0123456789abcdef")}},
};

static const struct http_head response = {
	.status = 200,
	.body = HTTP_BODY_CHUNKED,
	.fields = 2,
	.field = {{TEXT("content-type"), TEXT("application/grpc")},
		  {TEXT("date"), TEXT("Mon, 01 Jan 2024 00:00:00 GMT")}},
};

static const struct http_field trailers[] = {
	{TEXT("grpc-status"), TEXT("0")},
	{TEXT("grpc-message"), TEXT("")},
};

static void send_body(struct side *side, struct stream *stream)
{
	while (side->left) {
		size_t size = side->left < sizeof(body) ? side->left : sizeof(body);
		ssize_t n =
			stream->ops->data(stream, body, size, !side->server && size == side->left);

		if (n < 0)
			abort();
		side->left -= (size_t)n;
		if ((size_t)n < size)
			return;
	}
	if (side->server && side->ended) {
		stream->ops->trailers(stream, trailers, ARRAY_LEN(trailers));
		stream->ops->release(stream, STREAM_NO_ERROR);
		free(side);
	}
}

static void finish(struct side *side, struct stream *stream)
{
	side->ended = true;
	if (side->server) {
		send_body(side, stream);
		return;
	}
	stream->ops->release(stream, STREAM_NO_ERROR);
	free(side);
	open_now--;
}

static void on_head(void *owner, struct stream *stream, const struct http_head *head, bool end)
{
	struct side *side = owner;

	if (side->server)
		stream->ops->head(stream, &response, false);
	if (end)
		finish(side, stream);
}

static bool on_data(void *owner, struct stream *stream, const uint8_t *data, size_t size, bool end)
{
	struct side *side = owner;

	if (side->server)
		side->left += size;
	if (end)
		finish(side, stream);
	return true;
}

static void on_trailers(void *owner, struct stream *stream, const struct http_field *field,
			size_t fields)
{
	finish(owner, stream);
}

static void on_writable(void *owner, struct stream *stream)
{
	send_body(owner, stream);
}

static void on_closed(void *owner, struct stream *stream, enum stream_error error)
{
	abort();
}

static const struct stream_events events = {on_head, on_data, on_trailers, on_writable, on_closed};

static int on_request(void *arg, struct stream *stream)
{
	struct side *side = calloc(1, sizeof(*side));

	if (!side)
		return -ENOMEM;
	side->server = true;
	stream->owner = side;
	stream->events = &events;
	return 0;
}

static void ask(void)
{
	struct side *side = calloc(1, sizeof(*side));
	struct stream *stream;

	if (!side || http2_open(client, side, &events, &stream))
		abort();
	side->left = bytes;
	open_now++;
	left--;
	stream->ops->head(stream, &request, !bytes);
	send_body(side, stream);
}

static bool carry(struct http2 *from, struct http2 *to)
{
	const uint8_t *data;
	bool any = false;
	ssize_t n;

	while ((n = http2_drain(from, &data)) > 0) {
		any = true;
		if (http2_feed(to, data, (size_t)n))
			abort();
	}
	return any;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void begin(void)
{
	const struct http2_options options = {.tls = true, .on_request = on_request};

	if (http2_agent_new(&options, &server) || http2_upstream_new(&options, &client))
		abort();
	while (carry(client, server) | carry(server, client))
		;
}

static void end(void)
{
	http2_free(client);
	http2_free(server);
}

static void run(size_t requests, size_t at_once)
{
	left = requests;
	while (left || open_now) {
		while (left && open_now < at_once)
			ask();
		carry(client, server);
		carry(server, client);
	}
	while (carry(client, server) | carry(server, client))
		;
}

int main(int argc, char **argv)
{
	size_t requests = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
	size_t at_once = argc > 2 ? strtoul(argv[2], NULL, 10) : 10;
	size_t before, fresh;
	double begun, took;

	if (argc > 3)
		bytes = strtoul(argv[3], NULL, 10);
	if (!requests || at_once < 1 || at_once > HTTP2_STREAMS_MAX)
		return 1;
	/* What all connections share is there from the first one on. */
	begin();
	run(1, 1);
	end();

	before = mallinfo2().uordblks;
	begin();
	fresh = mallinfo2().uordblks - before;
	begun = seconds();
	run(requests, at_once);
	took = seconds() - begun;
	printf("%.0f requests/s\t%.0f ns\t%.0f MiB/s\t%zu B idle\t%zu B idle afterwards\n",
	       (double)requests / took, took * 1e9 / (double)requests,
	       (double)requests * 2 * (double)bytes / took / 1048576, fresh / 2,
	       (mallinfo2().uordblks - before) / 2);
	end();
	return 0;
}
