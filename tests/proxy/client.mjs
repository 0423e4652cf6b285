// SPDX-License-Identifier: Apache-2.0
//
// What agents in node do.
//
// usage: node client.mjs fetch URL [METHOD [BODY]]
//        node client.mjs many URL COUNT         that many streams of one HTTP/2 connection at once
//        node client.mjs ws URL TEXT..          each text, and what comes back; TEXT 0xN: N binary bytes
//        node client.mjs gql URL QUERY..        one operation, or several as a batch
//        node client.mjs mcp URL TOOL TEXT      the MCP SDK: connect, list tools, call one
// Prints what came back; exit status 0 if everything was answered with success.
import http2 from "node:http2";
import process from "node:process";

const [verb, url, ...words] = process.argv.slice(2);

async function tell(response) {
	const text = await response.text();
	console.log(response.status, text.trim());
	return response.ok ? 0 : 1;
}

const verbs = {
	async fetch(method = "GET", body = undefined) {
		return tell(await fetch(url, { method, body }));
	},

	async many(count) {
		const session = http2.connect(url);
		const { pathname } = new URL(url);
		const one = (i) => new Promise((resolve, reject) => {
			const stream = session.request({ ":path": `${pathname}/${i}` });
			let status, size = 0;
			stream.on("response", (headers) => { status = headers[":status"]; });
			stream.on("data", (part) => { size += part.length; });
			stream.on("end", () => resolve(status));
			stream.on("error", reject);
		});
		const all = await Promise.all(Array.from({ length: Number(count) }, (_, i) => one(i)));
		session.close();
		const counts = {};
		for (const status of all)
			counts[status] = (counts[status] ?? 0) + 1;
		console.log(JSON.stringify(counts));
		return 0;
	},

	async ws() {
		const { default: WebSocket } = await import("ws");
		const socket = new WebSocket(url, { perMessageDeflate: false });
		return new Promise((resolve) => {
			let at = 0;
			const next = () => {
				if (at === words.length)
					return socket.close(1000);
				const word = words[at++];
				socket.send(word.startsWith("0x") ? Buffer.alloc(Number(word), 1) : word);
			};
			socket.on("open", next);
			socket.on("message", (data, binary) => {
				console.log(binary ? `binary ${data.length}` : `text ${data}`);
				next();
			});
			socket.on("unexpected-response", (request, response) => {
				let body = "";
				response.on("data", (part) => { body += part; });
				response.on("end", () => {
					console.log(response.statusCode, body);
					resolve(1);
				});
			});
			socket.on("close", (code, reason) => {
				console.log(`closed ${code} ${reason}`);
				resolve(code === 1000 && at === words.length ? 0 : 1);
			});
			socket.on("error", (error) => {
				console.log(error.code ?? String(error));
				resolve(1);
			});
		});
	},

	async gql() {
		const asked = words.map((query) => ({ query }));
		return tell(await fetch(url, {
			method: "POST", headers: { "content-type": "application/json" },
			body: JSON.stringify(asked.length === 1 ? asked[0] : asked),
		}));
	},

	async mcp(tool, text) {
		const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
		const { StreamableHTTPClientTransport } =
			await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
		const client = new Client({ name: "agent", version: "1.0.0" });
		await client.connect(new StreamableHTTPClientTransport(new URL(url)));
		const { tools } = await client.listTools();
		console.log("tools", tools.map(({ name }) => name).join(" "));
		const { content, isError } = await client.callTool({ name: tool, arguments: { text } });
		console.log("result", JSON.stringify(content));
		await client.close();
		return isError ? 1 : 0;
	},
};

// Not when the last connection is idle no more: who keeps one for the next request keeps us as well.
try {
	process.exit(await verbs[verb](...words));
} catch (error) {
	console.log(error.cause ? error.cause.code ?? String(error.cause.errors ?? error.cause) : String(error));
	process.exit(1);
}
