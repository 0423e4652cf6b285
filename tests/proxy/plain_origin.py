#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 and HTTPS with nothing but python, for guests, which have no node.

usage: plain_origin.py LOG PEM ADDRESS..

Each request becomes a line of JSON in LOG, before it is answered. UDP on port 443 is echoed. Prints
`ready` when everything listens.
"""
import http.server
import json
import socket
import socketserver
import ssl
import sys
import threading

seen = open(sys.argv[1], "a", encoding="utf-8", buffering=1)
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *args):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with lock:
            seen.write(json.dumps({
                "host": self.headers.get("Host", ""), "method": self.command, "url": self.path,
                "tls": isinstance(self.connection, ssl.SSLSocket),
                "headers": {key.lower(): value for key, value in self.headers.items()},
                "text": body.decode("latin-1")}) + "\n")
        said = b"here you are\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_PUT = do_DELETE = answer


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64
    context = None

    def get_request(self):
        connection, peer = super().get_request()
        if self.context:
            # The handshake happens in the connection's own thread, at its first read.
            connection = self.context.wrap_socket(connection, server_side=True,
                                                  do_handshake_on_connect=False)
        return connection, peer

    def handle_error(self, request, client_address):
        pass  # a client that went away


def forever(target, *args):
    threading.Thread(target=target, args=args, daemon=True).start()


def echo(sock):
    while True:
        data, peer = sock.recvfrom(2048)
        sock.sendto(data, peer)


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    for address in sys.argv[3:]:
        for port in (80, 443):
            server = Server((address, port), Handler)
            server.context = context if port == 443 else None
            forever(server.serve_forever)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address, 443))
        forever(echo, sock)
    print("ready", flush=True)
    threading.Event().wait()


main()
