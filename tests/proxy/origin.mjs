// SPDX-License-Identifier: Apache-2.0
//
// usage: node origin.mjs SEEN CERTIFICATE ADDRESS..
//
// The server behind most names of the proxy suite, on ports 80 and 443 (HTTP/1.1 and HTTP/2) of each
// ADDRESS: REST, server-sent events, WebSocket, GraphQL and MCP. SEEN gets a line of JSON for whatever
// arrives, when it arrives: what is not in there this server never saw. Answers do not repeat what a
// request carried, since that may be a secret. Prints `ready` when everything listens.
import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import process from "node:process";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { isInitializeRequest } from "@modelcontextprotocol/sdk/types.js";
import { buildSchema, graphql } from "graphql";
import { WebSocketServer } from "ws";
import { z } from "zod";

const [seenPath, certificate, ...addresses] = process.argv.slice(2);
const log = fs.openSync(seenPath, "a");
let connections = 0;

function seen(request, what, more) {
	const host = request.headers[":authority"] ?? request.headers.host ?? "";
	fs.writeSync(log, JSON.stringify({
		host: host.replace(/:\d+$/, ""), what, connection: request.socket?.number, ...more,
	}) + "\n");
}

function answer(request, response, status, body, headers = {}) {
	response.writeHead(status, { "content-type": "text/plain", ...headers });
	response.end(request.method === "HEAD" ? undefined : body);
}

async function gather(request) {
	const parts = [];
	for await (const part of request)
		parts.push(part);
	return Buffer.concat(parts).toString();
}

// Hashed as it comes: it may be a gigabyte.
async function take(request, response) {
	const hash = crypto.createHash("sha256");
	let bytes = 0, text = "";
	for await (const part of request) {
		hash.update(part);
		bytes += part.length;
		if (text.length < 65536)
			text += part.toString();
	}
	const sha256 = hash.digest("hex");
	const trailers = request.trailers;
	seen(request, "body", { bytes, sha256, trailers, text: text.length < 65536 ? text : undefined });
	// Which connection it was, so that a test sees what was reused.
	answer(request, response, 200, `reached origin ${request.method} ${bytes} bytes ${sha256}\n`,
		{ "x-connection": String(request.socket?.number) });
}

// The first event at once; each tells when it was sent.
function events(request, response, url) {
	const count = Number(url.searchParams.get("n") ?? 3);
	const gap = Number(url.searchParams.get("gap") ?? 200);
	let i = 0;
	response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
	const send = () => {
		response.write(`data: ${i} ${performance.timeOrigin + performance.now()}\n\n`);
		if (++i < count)
			setTimeout(send, gap);
		else
			response.end();
	};
	send();
}

// Bytes that are never twice the same, and known: AES-CTR of zeros.
function bytes(request, response, count) {
	const cipher = crypto.createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16));
	const zeros = Buffer.alloc(65536);
	let left = count;
	response.writeHead(200, { "content-type": "application/octet-stream",
		"content-length": String(count) });
	if (request.method === "HEAD")
		return response.end();
	const more = () => {
		while (left > 0) {
			const size = Math.min(left, zeros.length);
			left -= size;
			if (!response.write(cipher.update(zeros.subarray(0, size))))
				return response.once("drain", more);
		}
		response.end();
	};
	more();
}

function chunked(request, response) {
	response.writeHead(200, { "content-type": "text/plain", trailer: "x-sum" });
	for (let i = 0; i < 5; i++)
		response.write(`part ${i}\n`);
	response.addTrailers({ "x-sum": "five" });
	response.end();
}

const schema = buildSchema(`
	type Issue { id: ID! title: String! }
	type Query { viewer: String! issue(id: ID!): Issue secrets: String! }
	type Mutation { createIssue(title: String!): Issue! deleteRepository(id: ID!): Boolean! }
`);

// What is executed is seen, not what was asked for.
function resolvers(request) {
	const did = (field, value) => () => {
		seen(request, "graphql", { field });
		return value;
	};
	return {
		viewer: did("viewer", "somebody"),
		issue: did("issue", { id: "1", title: "One" }),
		secrets: did("secrets", "told"),
		createIssue: did("createIssue", { id: "2", title: "Two" }),
		deleteRepository: did("deleteRepository", true),
	};
}

async function graph(request, response, url) {
	const asked = request.method === "GET"
		? { query: url.searchParams.get("query"), operationName: url.searchParams.get("operationName") }
		: JSON.parse(await gather(request));
	const one = (q) => graphql({ schema, source: String(q.query), rootValue: resolvers(request),
		variableValues: q.variables, operationName: q.operationName });
	const result = Array.isArray(asked) ? await Promise.all(asked.map(one)) : await one(asked);
	answer(request, response, 200, JSON.stringify(result) + "\n", { "content-type": "application/json" });
}

const sessions = new Map();

function tools(request) {
	const server = new McpServer({ name: "origin", version: "1.0.0" });
	for (const name of ["search_web", "read_document", "send_email"])
		server.registerTool(name, { description: name, inputSchema: { text: z.string() } },
			async ({ text }) => {
				seen(request, "tool", { name, text });
				return { content: [{ type: "text", text: `did ${name}` }] };
			});
	return server;
}

async function mcp(request, response) {
	const body = request.method === "POST" ? JSON.parse(await gather(request)) : undefined;
	let transport = sessions.get(request.headers["mcp-session-id"]);
	for (const message of [body].flat())
		if (message)
			seen(request, "mcp", { rpc: message.method, tool: message.params?.name });
	if (!transport && body && isInitializeRequest(body)) {
		transport = new StreamableHTTPServerTransport({
			sessionIdGenerator: () => crypto.randomUUID(),
			onsessioninitialized: (id) => { sessions.set(id, transport); },
		});
		transport.onclose = () => sessions.delete(transport.sessionId);
		await tools(request).connect(transport);
	}
	if (!transport)
		return answer(request, response, 404, "no such session\n");
	await transport.handleRequest(request, response, body);
}

async function handle(request, response) {
	const url = new URL(request.url, "http://origin/");
	const headers = Object.fromEntries(Object.entries(request.headers));
	seen(request, "request", { method: request.method, url: request.url,
		version: request.httpVersion, headers });
	const words = url.pathname.split("/").filter(Boolean);
	const [first, second] = words.slice(words[0] === "v1" ? 1 : 0);
	switch (first) {
	case "sse": return events(request, response, url);
	case "bytes": return bytes(request, response, Number(second));
	case "chunked": return chunked(request, response);
	case "status": return answer(request, response, Number(second), `status ${second}\n`);
	case "graphql": return graph(request, response, url);
	case "mcp": return mcp(request, response);
	case "hang": return; // for the client to give up
	default: return take(request, response);
	}
}

function listener(request, response) {
	// A client that goes away is no error of ours.
	request.on("error", () => {});
	response.on("error", () => {});
	handle(request, response).catch((error) => {
		seen(request, "error", { error: String(error) });
		if (response.headersSent)
			response.destroy();
		else
			answer(request, response, 500, "failed\n");
	});
}

const sockets = new WebSocketServer({ noServer: true });

function upgrade(request, socket, head) {
	socket.on("error", () => {});
	seen(request, "upgrade", { url: request.url, headers: request.headers });
	sockets.handleUpgrade(request, socket, head, (ws) => {
		ws.on("error", () => {});
		ws.on("message", (data, binary) => {
			seen(request, "message", { binary, text: binary ? data.length : String(data) });
			// A close is asked for by name; everything else comes back with its size.
			if (String(data) === "close")
				ws.close(4000, "as asked");
			else
				ws.send(binary ? data : `echo ${data.length}`, { binary });
		});
		ws.on("close", (code) => seen(request, "closed", { code }));
	});
}

const pem = fs.readFileSync(certificate);
let waiting = addresses.length * 2;
for (const address of addresses) {
	for (const port of [80, 443]) {
		const server = port === 80 ? http.createServer(listener)
			: http2.createSecureServer({ allowHTTP1: true, key: pem, cert: pem }, listener);
		server.on(port === 80 ? "connection" : "secureConnection", (socket) => {
			socket.number = ++connections;
			socket.on("error", () => {});
		});
		server.on("upgrade", upgrade);
		server.on("checkContinue", (request, response) => {
			// A body that must not come must not have been asked for.
			seen(request, "continue", {});
			response.writeContinue();
			listener(request, response);
		});
		server.on("sessionError", () => {});
		server.on("tlsClientError", () => {});
		server.timeout = 0;
		server.listen(port, address, () => {
			if (--waiting === 0)
				console.log("ready");
		});
	}
}
