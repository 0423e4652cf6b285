// SPDX-License-Identifier: Apache-2.0
//
// Providers that misbehave, by name: what follows /x- at the beginning of a path. Each takes
// { request, response, raw, answer, body, key } and answers, or does not; one that returns true leaves it
// to what is usual. `raw` is the TCP connection.
import { Buffer } from "node:buffer";
import { setTimeout as sleep } from "node:timers/promises";
import zlib from "node:zlib";
import { frame } from "./answers.mjs";

const SSE = { "content-type": "text/event-stream" };
const JSON_TYPE = { "content-type": "application/json" };

// Two chunks, then @end.
async function begins({ response, answer }, end) {
	response.writeHead(200, SSE);
	for (const event of answer.events.slice(0, 2))
		response.write(frame(event));
	await sleep(100);
	await end(response);
}

async function gone(response, write) {
	while (!response.destroyed && !response.socket?.destroyed) {
		if (write(response) === false)
			await Promise.race([new Promise((resolve) => response.once("drain", resolve)), sleep(1000)]);
		else
			await sleep(20);
	}
}

// The agent's request as it arrived here, with the key in it.
function told({ request, body }) {
	return { headers: request.headers, body: body.toString().slice(0, 4096) };
}

// @text in pieces of @size bytes, each in a packet of its own.
async function pieces(response, text, size) {
	for (let at = 0; at < text.length && !response.destroyed; at += size) {
		response.write(text.slice(at, at + size));
		await sleep(2);
	}
	response.end();
}

export const FAULTS = {
	denies({ response, key }) {
		response.writeHead(401, JSON_TYPE);
		response.end(JSON.stringify({ error: { message: `provider-says-no to ${key}` } }));
	},
	keyed({ request, response, key }) {
		const had = request.headers.authorization?.replace(/^Bearer /, "") ?? request.headers["x-api-key"];
		if (had === key)
			return true;
		response.writeHead(401, JSON_TYPE);
		return response.end(JSON.stringify({ error: { message: "provider-says-no" } }));
	},
	async slow() {
		await sleep(3000);
		return true;
	},
	silent: () => sleep(60000, undefined, { ref: false }),
	async stall({ response }) {
		response.writeHead(200, JSON_TYPE);
		response.write('{"id":"half');
		await sleep(60000, undefined, { ref: false });
	},
	rst: (all) => begins(all, () => all.raw.resetAndDestroy()),
	fin: (all) => begins(all, () => all.raw.destroy()),
	async line(all) {
		await begins(all, async (response) => {
			response.write('data: {"choices":[{"ind');
			await sleep(100);
			all.raw.destroy();
		});
	},
	async gap(all) {
		await begins(all, async (response) => {
			await sleep(5000);
			for (const event of all.answer.events.slice(2))
				response.write(frame(event));
			response.end();
		});
	},
	garbage({ raw, request }) {
		request.socket.write(Buffer.from("\0\x01\x02 this is no HTTP at all\r\n\r\n\r\n"));
		setTimeout(() => raw.destroy(), 200);
	},
	closes({ raw }) {
		raw.destroy();
	},
	async big({ response }) {
		const part = "x".repeat(1 << 20);
		response.writeHead(200, JSON_TYPE);
		response.write('{"id":"big","choices":[{"message":{"content":"');
		for (let i = 0; i < 40 && !response.destroyed; i++)
			if (!response.write(part))
				await Promise.race([new Promise((resolve) => response.once("drain", resolve)), sleep(30000)]);
		response.end('"}}],"usage":{"prompt_tokens":21,"completion_tokens":22}}');
	},
	async heads({ request }) {
		const { socket } = request;
		socket.on("error", () => {});
		socket.write("HTTP/1.1 200 OK\r\n");
		const line = "x-filler: " + "y".repeat(1000) + "\r\n";
		for (let i = 0; i < 40 && !socket.destroyed; i++)
			if (!socket.write(line.repeat(1000)))
				await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), sleep(5000)]);
		socket.end("\r\n");
	},
	gzip({ response, answer }) {
		const text = answer.events ? answer.events.map(frame).join("") : JSON.stringify(answer.json);
		response.writeHead(200, { ...(answer.events ? SSE : JSON_TYPE), "content-encoding": "gzip" });
		response.end(zlib.gzipSync(text));
	},
	async endless({ response }) {
		response.writeHead(200, SSE);
		await gone(response, () => response.write('data: {"choices":[{"index":0,"delta":{"content":"x "}}]}\n\n'));
	},
	async flood({ response }) {
		const text = ('data: {"choices":[{"index":0,"delta":{"content":"' + "z".repeat(1000) + '"}}]}\n\n').repeat(64);
		response.writeHead(200, SSE);
		await gone(response, () => response.write(text));
	},

	// Providers that tell everything they heard, each in another way.
	echo(all) {
		all.response.writeHead(200, JSON_TYPE);
		all.response.end(JSON.stringify(told(all)));
	},
	echohead({ response, request, key }) {
		response.writeHead(200, { ...JSON_TYPE, "x-seen": `had ${key}`, "x-request-id": "fine",
			"www-authenticate": `Bearer ${key}`, "set-cookie": `k=${key}`,
			"x-all": JSON.stringify(request.headers) });
		response.end("{}");
	},
	async echosplit(all) {
		all.response.writeHead(200, JSON_TYPE);
		await pieces(all.response, JSON.stringify(told(all)), 3);
	},
	async echostream(all) {
		all.response.writeHead(200, SSE);
		await pieces(all.response, `data: {"n":1}\n\ndata: ${JSON.stringify(told(all))}\n\ndata: [DONE]\n\n`, 5);
	},
	async echogzip(all) {
		all.response.writeHead(200, { ...JSON_TYPE, "content-encoding": "gzip" });
		await pieces(all.response, zlib.gzipSync(JSON.stringify(told(all))), 7);
	},
	async echodeflate(all) {
		all.response.writeHead(200, { ...JSON_TYPE, "content-encoding": "deflate" });
		await pieces(all.response, zlib.deflateSync(JSON.stringify(told(all))), 7);
	},
	echoerror(all) {
		all.response.writeHead(400, JSON_TYPE);
		all.response.end(JSON.stringify({ error: { message: JSON.stringify(told(all)) } }));
	},
	echodenied(all) {
		all.response.writeHead(403, JSON_TYPE);
		all.response.end(JSON.stringify({ error: { message: JSON.stringify(told(all)) } }));
	},
};
