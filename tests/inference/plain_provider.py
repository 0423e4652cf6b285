#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A model provider with nothing but python, for guests, which have no node.

usage: plain_provider.py LOG PORT

On 127.0.0.1, without TLS. Each request becomes a line of JSON in LOG, before it is answered. Prints
`ready` when it listens.
"""
import http.server
import json
import sys
import time

seen = open(sys.argv[1], "a", encoding="utf-8", buffering=1)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        seen.write(json.dumps({
            "url": self.path, "text": text,
            "headers": {key.lower(): value for key, value in self.headers.items()}}) + "\n")
        body = json.loads(text)
        self.send_response(200)
        if body.get("stream"):
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for i in range(3):
                self.chunk(json.dumps({"model": body["model"],
                                       "choices": [{"index": 0, "delta": {"content": "word%d" % i}}]}))
                time.sleep(0.05)
            self.chunk("[DONE]")
            self.wfile.write(b"0\r\n\r\n")
            return
        said = json.dumps({"model": body["model"], "usage": {"prompt_tokens": 11, "completion_tokens": 7},
                           "choices": [{"index": 0, "message": {"content": "word0"}}]}).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def chunk(self, text):
        data = ("data: %s\n\n" % text).encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
print("ready", flush=True)
server.serve_forever()
