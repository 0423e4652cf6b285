#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
//
// The server behind the proxy, which shares no code with it: node's own parsers tell which requests
// arrived. One JSON line in --log for each, and for whatever is no request:
//
//   {"server","version","method","url","host","headers":[..],"body":sha256,"size","complete"}
//   {"server","malformed":code,"bytes":first bytes}
//
// usage: oracle.js --log FILE [--plain ADDRESS:PORT] [--lenient ADDRESS:PORT]
//                  [--tls ADDRESS:PORT] [--old ADDRESS:PORT] [--key FILE --cert FILE]
//
// --old is of TLS and has no HTTP/2: what was said in frames arrives there as lines.
//
// Port 0 takes any. Says {"plain":port,..} when it serves, and ends with its standard input.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const https = require('https');

const options = {};
for (let i = 2; i < process.argv.length; i += 2)
	options[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];
const log = fs.openSync(options.log, 'a');

function tell(record) {
	fs.writeSync(log, JSON.stringify(record) + '\n');
}

function serve(name) {
	return (request, response) => {
		const hash = crypto.createHash('sha256');
		let size = 0, told = false;
		const end = (complete) => {
			if (told)
				return;
			told = true;
			tell({
				server: name, version: request.httpVersion, method: request.method,
				url: request.url, host: request.headers[':authority'] || request.headers.host,
				headers: request.rawHeaders, body: hash.digest('hex'), size, complete,
			});
		};
		request.on('data', (data) => {
			hash.update(data);
			size += data.length;
		});
		request.on('end', () => {
			// Of HTTP/2's, a stream that was reset ends as well.
			end(request.complete !== false && !request.aborted);
			response.setHeader('x-oracle', 'seen');
			response.end('seen ' + request.method + ' ' + request.url + '\n');
		});
		request.on('aborted', () => end(false));
		request.on('close', () => end(false));
		request.on('error', () => end(false));
		response.on('error', () => {});
	};
}

function watch(server, name) {
	server.on('clientError', (error, socket) => {
		// Ends in the middle of a message are told as requests that are not complete.
		if (/^HPE_/.test(error.code || '') && error.code !== 'HPE_INVALID_EOF_STATE')
			tell({
				server: name, malformed: error.code,
				bytes: (error.rawPacket || Buffer.alloc(0)).toString('latin1').slice(0, 300),
			});
		if (socket.writable)
			socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
		else
			socket.destroy();
	});
	server.on('connect', (request, socket) => {
		tell({ server: name, method: 'CONNECT', url: request.url, host: request.headers.host,
			version: request.httpVersion, complete: true });
		if (socket.end)
			socket.end('HTTP/1.1 200 OK\r\n\r\n');
	});
	server.on('sessionError', (error) => {
		if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE')
			tell({ server: name, malformed: error.code + ' ' + error.message });
	});
}

const servers = {};
if (options.plain)
	servers.plain = http.createServer({ maxHeaderSize: 65536 }, serve('plain'));
if (options.lenient)
	servers.lenient = http.createServer(
		{ maxHeaderSize: 65536, insecureHTTPParser: true, requireHostHeader: false }, serve('lenient'));
if (options.tls)
	servers.tls = http2.createSecureServer(
		{ key: fs.readFileSync(options.key), cert: fs.readFileSync(options.cert), allowHTTP1: true,
			maxHeaderSize: 65536 }, serve('tls'));
if (options.old)
	servers.old = https.createServer(
		{ key: fs.readFileSync(options.key), cert: fs.readFileSync(options.cert),
			maxHeaderSize: 65536 }, serve('old'));

const ports = {};
let waiting = Object.keys(servers).length;
for (const name of Object.keys(servers)) {
	const at = options[name].lastIndexOf(':');
	watch(servers[name], name);
	servers[name].keepAliveTimeout = 60000;
	servers[name].listen(
		{ host: options[name].slice(0, at).replace(/^\[|\]$/g, ''), port: +options[name].slice(at + 1) },
		() => {
			ports[name] = servers[name].address().port;
			if (--waiting === 0)
				process.stdout.write(JSON.stringify(ports) + '\n');
		});
}
process.stdin.on('end', () => process.exit(0)).resume();
