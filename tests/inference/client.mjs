// SPDX-License-Identifier: Apache-2.0
//
// What agents in node do: the public clients, as their documentation shows them.
//
// usage: node client.mjs WHAT [NAME=VALUE..]
//        WHAT: chat completions embeddings responses models model messages, or h2 (bare HTTP/2)
//        stream=1 model=M prompt=TEXT url=BASE key=KEY count=N (at once) after=N (abort after N chunks)
// Prints what came back; `error STATUS CODE MESSAGE` and exit status 1 if that is one.
import Anthropic from "@anthropic-ai/sdk";
import http2 from "node:http2";
import OpenAI from "openai";
import process from "node:process";

const [what, ...rest] = process.argv.slice(2);
const given = Object.fromEntries(rest.map((word) => word.split(/=(.*)/s).slice(0, 2)));
const { model = "agents-model", prompt = "hello", count = 1, after = 0 } = given;
const stream = given.stream === "1";
const defaultHeaders = {
	"x-agent-secret": "agents-secret", cookie: "agents=cookie", "x-goog-api-key": "agents-goog-key",
	"api-key": "agents-azure-key",
};

function openai() {
	// Without url= and key= from the environment.
	return new OpenAI({ baseURL: given.url, apiKey: given.key, organization: "org-agent",
		maxRetries: 0, defaultHeaders });
}

function anthropic() {
	return new Anthropic({ baseURL: given.url, apiKey: given.key, maxRetries: 0, defaultHeaders });
}

// @text: of a chunk, if it has any.
async function chunks(opened, text) {
	const got = [];
	let usage = null, number = 0;
	for await (const chunk of opened) {
		got.push(text(chunk) ?? "");
		usage = chunk.usage ?? chunk.response?.usage ?? usage;
		if (++number === Number(after)) {
			console.log("leaves after", number);
			opened.controller.abort();
			break;
		}
		if (given.progress && number === 1)
			console.log("began");
	}
	return { text: got.join(""), usage };
}

const messages = [{ role: "user", content: prompt }];

const verbs = {
	async chat() {
		const made = await openai().chat.completions.create({ model, messages, temperature: 0.5, stream,
			...(stream && { stream_options: { include_usage: true } }) });
		return stream ? chunks(made, (chunk) => chunk.choices[0]?.delta?.content) :
			{ text: made.choices[0].message.content, usage: made.usage, model: made.model };
	},
	async completions() {
		const made = await openai().completions.create({ model, prompt, stream });
		return stream ? chunks(made, (chunk) => chunk.choices[0].text) :
			{ text: made.choices[0].text, usage: made.usage };
	},
	async embeddings() {
		const made = await openai().embeddings.create({ model, input: prompt });
		return { numbers: made.data[0].embedding, usage: made.usage };
	},
	async responses() {
		const made = await openai().responses.create({ model, input: prompt, stream });
		return stream ? chunks(made, (event) => event.type === "response.output_text.delta" ? event.delta : "") :
			{ text: made.output_text, usage: made.usage };
	},
	async models() {
		const ids = [];
		for await (const one of openai().models.list())
			ids.push(one.id);
		return { ids };
	},
	async model() {
		return { id: (await openai().models.retrieve(model)).id };
	},
	async messages() {
		const made = await anthropic().messages.create({ model, max_tokens: 100, messages, stream });
		return stream ? chunks(made, (event) => event.delta?.text) :
			{ text: made.content[0].text, usage: made.usage, model: made.model };
	},
	// All on one connection.
	async h2() {
		const { origin, pathname } = new URL(given.url + "/chat/completions");
		const session = http2.connect(origin);
		const one = () => new Promise((resolve, reject) => {
			const request = session.request({ ":method": "POST", ":path": pathname,
				"content-type": "application/json", authorization: "Bearer agents-key",
				"x-agent-secret": "agents-secret", cookie: "agents=cookie" });
			let status, text = "";
			request.on("response", (headers) => { status = headers[":status"]; });
			request.on("data", (part) => { text += part; });
			request.on("end", () => resolve(`${status} ${stream ? text.match(/^data:/mg)?.length : text}`));
			request.on("error", reject);
			request.end(JSON.stringify({ model, messages, stream }));
		});
		const all = await Promise.all(Array.from({ length: Number(count) }, one));
		session.close();
		return { all };
	},
};

async function once() {
	try {
		const ok = JSON.stringify(await verbs[what]());
		return { ok: ok.length > 65536 ? `${ok.length} bytes` : ok };
	} catch (error) {
		const code = error.code ?? error.error?.error?.type ?? error.error?.type ?? error.name;
		return { error: `error ${error.status} ${code} ${error.message}` };
	}
}

const many = what === "h2" ? 1 : Number(count);
const ended = await Promise.all(Array.from({ length: many }, once));
const bad = ended.filter(({ error }) => error);
if (many === 1)
	console.log(ended[0].ok ?? ended[0].error);
else
	console.log(`ok ${many - bad.length} same ${new Set(ended.map(({ ok }) => ok)).size}`, bad[0]?.error ?? "");
process.exit(bad.length ? 1 : 0);
