#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""git over HTTP, as git's own CGI program serves it: clone, fetch and push.

usage: gitserver.py SEEN CERTIFICATE REPOSITORIES ADDRESS     (ports 80 and 443)

SEEN gets a line of JSON for each request. Prints `ready` when both ports listen.
"""
import http.server
import json
import os
import socketserver
import ssl
import subprocess
import sys
import threading
import urllib.parse

seen, certificate, repositories, address = sys.argv[1:5]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *args):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def serve(self):
        with open(seen, "a", encoding="utf-8") as out:
            out.write(json.dumps({
                "host": self.headers.get("Host", "").partition(":")[0], "what": "request",
                "method": self.command, "url": self.path, "version": self.request_version[5:],
                "headers": {key.lower(): value for key, value in self.headers.items()},
            }) + "\n")
        url = urllib.parse.urlsplit(self.path)
        body = self.body()
        environment = dict(
            PATH=os.environ["PATH"],
            GIT_PROJECT_ROOT=repositories,
            GIT_HTTP_EXPORT_ALL="1",
            GIT_CONFIG_COUNT="2",
            GIT_CONFIG_KEY_0="safe.directory",
            GIT_CONFIG_VALUE_0="*",
            GIT_CONFIG_KEY_1="http.receivepack",
            GIT_CONFIG_VALUE_1="true",
            REMOTE_ADDR=self.client_address[0],
            REQUEST_METHOD=self.command,
            PATH_INFO=url.path,
            QUERY_STRING=url.query,
            CONTENT_TYPE=self.headers.get("Content-Type", ""),
            CONTENT_LENGTH=str(len(body)),
        )
        for header in ("Content-Encoding", "Git-Protocol"):
            if header in self.headers:
                environment["HTTP_" + header.upper().replace("-", "_")] = self.headers[header]
        done = subprocess.run(["git", "http-backend"], env=environment, input=body,
                              stdout=subprocess.PIPE, check=False)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for key, value in fields.items():
            self.send_header(key, value)
        # In chunks, as a server that does not know the size beforehand sends it.
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(answer), 8192):
            part = answer[at:at + 8192]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = serve


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64
    context = None

    def get_request(self):
        connection, peer = super().get_request()
        if self.context:
            # The handshake happens in the connection's own thread, at its first read.
            connection = self.context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False)
        return connection, peer

    def handle_error(self, request, client_address):
        pass  # a client that went away


def main():
    for port in (80, 443):
        server = Server((address, port), Handler)
        if port == 443:
            server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.context.load_cert_chain(certificate)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
