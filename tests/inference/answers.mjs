// SPDX-License-Identifier: Apache-2.0
//
// What a provider answers, for each API: the public formats, with fixed texts and counts. A prompt
// that says `n=N` has that many words in its answer, and `gap=MS` waits between a stream's chunks.
import { Buffer } from "node:buffer";

const INPUT = 11, OUTPUT = 7;

function words(prompt) {
	const count = Number(/\bn=(\d+)/.exec(prompt)?.[1] ?? 3);
	return Array.from({ length: count }, (_, i) => `word${i} `);
}

function chat(body, prompt, { stream }) {
	const base = { id: "chatcmpl-1", created: 1, model: body.model };
	const usage = { prompt_tokens: INPUT, completion_tokens: OUTPUT, total_tokens: INPUT + OUTPUT };
	if (!stream) {
		const message = { role: "assistant", content: words(prompt).join("") };
		return { json: { ...base, object: "chat.completion", usage,
			choices: [{ index: 0, message, finish_reason: "stop" }] } };
	}
	const chunk = (choices, more) => ({ data: { ...base, object: "chat.completion.chunk", choices, ...more } });
	const events = words(prompt).map((content) =>
		chunk([{ index: 0, delta: { content }, finish_reason: null }]));
	events.push(chunk([{ index: 0, delta: {}, finish_reason: "stop" }]));
	if (body.stream_options?.include_usage)
		events.push(chunk([], { usage }));
	return { events: [...events, { data: "[DONE]" }] };
}

function completions(body, prompt, { stream }) {
	const base = { id: "cmpl-1", object: "text_completion", created: 1, model: body.model };
	const usage = { prompt_tokens: INPUT, completion_tokens: OUTPUT, total_tokens: INPUT + OUTPUT };
	const one = (text, more) => ({ ...base, choices: [{ index: 0, text, finish_reason: "stop" }], ...more });
	if (!stream)
		return { json: one(words(prompt).join(""), { usage }) };
	return { events: [...words(prompt).map((text) => ({ data: one(text) })), { data: "[DONE]" }] };
}

function embeddings(body) {
	const numbers = new Float32Array([0.5, -0.25, 0.125]);
	const embedding = body.encoding_format === "base64" ?
		Buffer.from(numbers.buffer).toString("base64") : [...numbers];
	return { json: { object: "list", model: body.model, data: [{ object: "embedding", index: 0, embedding }],
		usage: { prompt_tokens: INPUT, total_tokens: INPUT } } };
}

function responses(body, prompt, { stream }) {
	const text = words(prompt).join("");
	const usage = { input_tokens: INPUT, output_tokens: OUTPUT, total_tokens: INPUT + OUTPUT };
	const output = [{ id: "msg_1", type: "message", role: "assistant", status: "completed",
		content: [{ type: "output_text", text, annotations: [] }] }];
	const whole = { id: "resp_1", object: "response", created_at: 1, model: body.model, status: "completed",
		output, usage };
	if (!stream)
		return { json: whole };
	const event = (type, more) => ({ event: type, data: { type, ...more } });
	return { events: [
		event("response.created", { response: { ...whole, status: "in_progress", output: [], usage: null } }),
		...words(prompt).map((delta) => event("response.output_text.delta",
			{ item_id: "msg_1", output_index: 0, content_index: 0, delta })),
		event("response.completed", { response: whole }),
	] };
}

function messages(body, prompt, { stream }, model) {
	const base = { id: "msg_1", type: "message", role: "assistant", model: model ?? body.model };
	if (!stream)
		return { json: { ...base, content: [{ type: "text", text: words(prompt).join("") }],
			stop_reason: "end_turn", stop_sequence: null,
			usage: { input_tokens: INPUT, output_tokens: OUTPUT } } };
	const event = (type, more) => ({ event: type, data: { type, ...more } });
	return { events: [
		event("message_start", { message: { ...base, content: [], stop_reason: null, stop_sequence: null,
			usage: { input_tokens: INPUT, output_tokens: 1 } } }),
		event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
		...words(prompt).map((text) => event("content_block_delta",
			{ index: 0, delta: { type: "text_delta", text } })),
		event("content_block_stop", { index: 0 }),
		event("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null },
			usage: { output_tokens: OUTPUT } }),
		event("message_stop", {}),
	] };
}

function model(id) {
	return { id, object: "model", created: 1, owned_by: "provider" };
}

// The end of a path, whatever base it has; what follows the method: (body, prompt, { stream }, id).
const ROUTES = [
	["POST", /\/chat\/completions$/, chat],
	["POST", /\/completions$/, completions],
	["POST", /\/embeddings$/, embeddings],
	["POST", /\/responses$/, responses],
	["POST", /\/v1\/messages$/, messages],
	["POST", /\/model\/([^/]+)\/invoke$/, (body, prompt, _, id) => messages(body, prompt, {}, id)],
	["POST", /\/models\/([^/]+):rawPredict$/, (body, prompt, _, id) => messages(body, prompt, {}, id)],
	["POST", /\/models\/([^/]+):streamRawPredict$/,
		(body, prompt, _, id) => messages(body, prompt, { stream: true }, id)],
	["GET", /\/models$/, () => ({ json: { object: "list", data: [model("real-a"), model("real-b")] } })],
	["GET", /\/models\/([^/]+)$/, (_body, _prompt, _, id) => ({ json: model(id) })],
];

// { json }, or { events, gap }; or null for what no API has.
export function answerTo(method, path, text) {
	for (const [verb, pattern, make] of ROUTES) {
		const found = pattern.exec(path);
		if (verb !== method || !found)
			continue;
		let body = {};
		if (verb === "POST")
			body = JSON.parse(text);
		const prompt = text.length < 65536 ? text : "";
		const gap = Number(/\bgap=(\d+)/.exec(prompt)?.[1] ?? 5);
		const id = found[1] && decodeURIComponent(found[1]);
		return { ...make(body, prompt, { stream: body.stream === true }, id), gap };
	}
	return null;
}

export function frame({ event, data }) {
	const text = typeof data === "string" ? data : JSON.stringify(data);
	return (event ? `event: ${event}\n` : "") + `data: ${text}\n\n`;
}
