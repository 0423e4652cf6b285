// SPDX-License-Identifier: Apache-2.0
//
// usage: node provider.mjs SEEN FOLDER LISTENER..
//
// Every provider of the inference suites. A LISTENER is http://ADDRESS:PORT, https://ADDRESS:PORT
// (HTTP/1.1 and HTTP/2) or h1://ADDRESS:PORT (TLS, HTTP/1.1 alone); FOLDER has certificates, NAME.pem for
// NAME.svc.test and server.pem for all others. SEEN gets a line of JSON for each request as it
// arrived, each answer that was sent, and each that nobody was there for any more. Environment:
// PROVIDER_KEY, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN are what clients should have.
// Prints `ready` when everything listens.
import { Buffer } from "node:buffer";
import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";
import { answerTo, frame } from "./answers.mjs";
import { FAULTS } from "./faulty.mjs";
import { verify } from "./sigv4.mjs";

const [seenPath, folder, ...listeners] = process.argv.slice(2);
const { PROVIDER_KEY: key = "" } = process.env;
const aws = {
	accessKey: process.env.AWS_ACCESS_KEY_ID, secretKey: process.env.AWS_SECRET_ACCESS_KEY,
	sessionToken: process.env.AWS_SESSION_TOKEN ?? "",
};
const log = fs.openSync(seenPath, "a");
const connections = new Map();
let counted = 0;

function seen(host, what, more) {
	fs.writeSync(log, JSON.stringify({ host: host.replace(/:\d+$/, ""), what, ...more }) + "\n");
}

async function gather(request) {
	const parts = [];
	for await (const part of request)
		parts.push(part);
	return Buffer.concat(parts);
}

function arrived(request, host, url, body) {
	const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => name[0] !== ":"));
	const { method } = request;
	seen(host, "request", {
		method, url, headers, authority: host, version: request.httpVersion,
		tls: Boolean(request.socket.encrypted), bytes: body.length,
		sha256: crypto.createHash("sha256").update(body).digest("hex"),
		body: body.length < 65536 ? body.toString() : undefined,
		signature: headers.authorization?.startsWith("AWS4") ?
			verify({ method, url, headers, host, body }, aws) : undefined,
		raw: request.rawHeaders.filter((_, i) => i % 2 === 0),
	});
}

async function usual({ response, answer }) {
	if (!answer) {
		response.writeHead(404, { "content-type": "application/json" });
		response.end('{"error":{"message":"no such path here"}}');
	} else if (answer.json) {
		response.writeHead(200, { "content-type": "application/json", "x-request-id": "req-1" });
		response.end(JSON.stringify(answer.json));
	} else {
		response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "req-1" });
		for (const event of answer.events) {
			if (response.destroyed)
				return;
			response.write(frame(event));
			await sleep(answer.gap);
		}
		response.end();
	}
}

async function serve(request, response) {
	const host = request.headers[":authority"] ?? request.headers.host ?? "";
	const url = request.url;
	const raw = connections.get(request.socket.remotePort);
	const began = performance.now();
	let ended = false;
	response.on("error", () => {});
	response.on("finish", () => { ended = true; seen(host, "sent", { url }); });
	response.on("close", () => {
		if (!ended)
			seen(host, "gone", { url, ms: Math.round(performance.now() - began), at: Date.now() });
	});
	try {
		const body = await gather(request);
		arrived(request, host, url, body);
		const [, fault, rest] = /^\/x-([a-z0-9]+)(\/.*)$/.exec(url) ?? [null, null, url];
		const answer = answerTo(request.method, rest.split("?")[0], body.toString());
		const all = { request, response, raw, answer, body, key };
		if (!fault || await FAULTS[fault](all) === true)
			await usual(all);
	} catch (error) {
		seen(host, "failed", { url, error: String(error) });
		response.destroy();
	}
}

const contexts = new Map();

function context(name) {
	const file = `${folder}/${name}.pem`;
	if (!contexts.has(name)) {
		const pem = fs.readFileSync(fs.existsSync(file) ? file : `${folder}/server.pem`);
		contexts.set(name, tls.createSecureContext({ key: pem, cert: pem }));
	}
	return contexts.get(name);
}

function make(scheme) {
	if (scheme === "http:")
		return http.createServer(serve);
	const pem = fs.readFileSync(`${folder}/server.pem`);
	const options = {
		key: pem, cert: pem, allowHTTP1: true,
		SNICallback: (name, done) => done(null, context(name.split(".")[0])),
	};
	return scheme === "https:" ? http2.createSecureServer(options, serve) : https.createServer(options, serve);
}

await Promise.all(listeners.map((listener) => new Promise((resolve, reject) => {
	const [, scheme, address, port] = /^(\w+:)\/\/(.*):(\d+)$/.exec(listener);
	const server = make(scheme);
	server.keepAliveTimeout = 60000;
	server.requestTimeout = 0;
	server.on("connection", (socket) => {
		socket.number = ++counted;
		connections.set(socket.remotePort, socket);
		socket.on("error", () => {});
		socket.on("close", () => connections.delete(socket.remotePort));
	});
	server.on("tlsClientError", (error) => seen("tls", "handshake", { error: error.code }));
	server.on("error", reject);
	server.listen(Number(port), address.replace(/[[\]]/g, ""), 1024, resolve);
})));
console.log("ready");
