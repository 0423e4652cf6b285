// SPDX-License-Identifier: Apache-2.0
// @grpc/grpc-js, which nobody here wrote, against our server (echo_server.c), with our proto files as
// they are: usage: interop.mjs ECHO_SERVER PROTO_DIR. Prints TAP.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

const [echoServer, protoDir] = process.argv.slice(2);
const MAX = 4 << 20;
let count = 0;
let failed = 0;

function ok(good, what, note = '') {
  count++;
  failed += good ? 0 : 1;
  console.log(`${good ? 'ok' : 'not ok'} ${count} - grpc-js: ${what}${good ? '' : ` # ${note}`}`);
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const definition = loader.loadSync('openshell.proto', {
  includeDirs: [protoDir, '/usr/include'], keepCase: true, longs: Number, enums: String, defaults: true,
});
const { OpenShell } = grpc.loadPackageDefinition(definition).openshell.v1;

const server = spawn(echoServer, [], { stdio: ['pipe', 'pipe', 'inherit'] });
const port = await new Promise((resolve) => {
  createInterface({ input: server.stdout }).once('line', resolve);
});
const client = new OpenShell(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
  'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1,
});

function metadata(fields) {
  const m = new grpc.Metadata();
  for (const [key, value] of Object.entries(fields)) m.set(key, value);
  return m;
}

// [code, sentence, answer]
function unary(method, request, fields = {}, options = {}) {
  return new Promise((resolve) => {
    client[method](request, metadata(fields), options, (error, answer) => {
      resolve(error ? [error.code, error.details] : [0, '', answer]);
    });
  });
}

function collect(call, each = () => {}) {
  return new Promise((resolve) => {
    const got = [];
    call.on('data', (message) => { got.push(message); each(message); });
    call.on('error', (error) => resolve([error.code, error.details, got]));
    call.on('end', () => resolve([0, '', got]));
  });
}

{
  const [code, , answer] = await unary('Health', {});
  ok(code === 0 && answer.version.startsWith('cancelled='), 'an answer to a request');
}
for (const [name, number] of Object.entries(grpc.status).filter(([, n]) => typeof n === 'number' && n)) {
  const [code, text] = await unary('Health', {}, { 'x-code': String(number), 'x-text': `sentence of ${name} %` });
  ok(code === number && text === `sentence of ${name} %`, `status ${name}`, `${code} ${text}`);
}
for (const [size, want] of [[MAX - 5, 0], [MAX - 4, grpc.status.RESOURCE_EXHAUSTED]]) {
  const [code, text] = await unary('GetSandbox', { name: 'x'.repeat(size) });
  ok(code === want, `a message of ${size} bytes`, `${code} ${text}`);
}
{
  const [code, , answer] = await unary('GetSandbox', { name: 'ä ✓' });
  ok(code === 0 && answer.sandbox.metadata.name === 'ä ✓', 'text beyond ASCII');
}
{
  const [code] = await unary('Health', {}, { 'x-hang': '1' }, { deadline: Date.now() + 300 });
  ok(code === grpc.status.DEADLINE_EXCEEDED, 'a deadline passes', code);
  const pending = new Promise((resolve) => {
    const call = client.Health({}, metadata({ 'x-hang': '1' }), (error) => resolve(error.code));
    setTimeout(() => call.cancel(), 100);
  });
  ok(await pending === grpc.status.CANCELLED, 'a call is cancelled');
  await sleep(200);
  const [, , answer] = await unary('Health', {});
  ok(answer.version.endsWith('open=1'), 'and ends at the server', answer.version);
}
{
  const [code, , got] = await collect(client.WatchSandbox({ log_tail_lines: 5000, event_tail: 500 }));
  ok(code === 0 && got.length === 5000 && got.every((e, i) => e.log.timestamp_ms === 5000 - i),
    '5,000 events in order', `${code} ${got.length}`);
  const call = client.WatchSandbox({ log_tail_lines: 100000, event_tail: 500 });
  let seen = 0;
  const [cancelled] = await collect(call, () => { if (++seen === 100) call.cancel(); });
  ok(cancelled === grpc.status.CANCELLED, 'a stream is cancelled in its middle', cancelled);
}
{
  const result = await new Promise((resolve) => {
    const call = client.PushSandboxLogs((error) => { if (error) resolve(error.details); });
    call.on('status', (status) => resolve(status.details));
    for (let i = 0; i < 2000; i++) call.write({ sandbox_id: 'x'.repeat(100) });
    call.end();
  });
  ok(result === '2000 messages, 200000 bytes', '2,000 messages of a client', result);
}
{
  const call = client.ExecSandboxInteractive();
  const done = collect(call);
  const blob = Buffer.alloc(50000, 'b');
  for (let i = 0; i < 200; i++) call.write({ stdin: blob });
  call.end();
  const [code, , got] = await done;
  ok(code === 0 && got.length === 200 && got.every((e) => e.stdout.data.equals(blob)), '10 MB there and back', code);
}
{
  const calls = [];
  for (let i = 0; i < 1000; i++) {
    const call = client.ExecSandboxInteractive();
    const first = new Promise((resolve) => { call.once('data', (e) => resolve(e.stdout.data.toString())); });
    call.on('error', () => {});
    call.write({ stdin: Buffer.from(`first ${i}`) });
    calls.push({ call, first });
  }
  const first = await Promise.all(calls.map((c) => c.first));
  ok(first.every((text, i) => text === `first ${i}`), '1,000 streams at once');
  const ends = calls.map((c) => new Promise((resolve) => { c.call.on('status', (s) => resolve(s.code)); }));
  for (const { call } of calls) call.end();
  ok((await Promise.all(ends)).every((code) => code === 0), 'which all end');
}
client.close();
server.stdin.end();
ok(await new Promise((resolve) => { server.on('exit', resolve); }) === 0, 'the server ends without a leak');
console.log(`1..${count}`);
process.exit(failed ? 1 : 0);
