#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What one host of the test's world serves: echo over TCP and UDP, HTTP and HTTPS with a git
repository behind them, and resolvers that never answer or always fail.

usage: servers.py NAME DIR ADDRESS..   (a marker: silent=ADDRESS, failing=ADDRESS)

Every answer over HTTP says which host and which of its addresses was reached, so that a test sees
where a connection really went. Prints `ready` when everything listens.
"""
import http.server
import os
import select
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import urllib.parse

HTTP_PORTS = (80, 8080, 6443)
HTTPS_PORT = 443
ECHO_PORT = 7

name, folder = sys.argv[1:3]


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *args):
        pass

    def answer(self, body, kind="text/plain"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def git(self):
        """git's own CGI program, for clone, fetch and push."""
        url = urllib.parse.urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        environment = dict(
            PATH=os.environ["PATH"],
            GIT_PROJECT_ROOT=folder + "/repositories",
            GIT_HTTP_EXPORT_ALL="1",
            GIT_CONFIG_COUNT="1",
            GIT_CONFIG_KEY_0="safe.directory",
            GIT_CONFIG_VALUE_0="*",
            REMOTE_ADDR=self.client_address[0],
            REQUEST_METHOD=self.command,
            PATH_INFO=url.path[len("/git"):],
            QUERY_STRING=url.query,
            CONTENT_TYPE=self.headers.get("Content-Type", ""),
            CONTENT_LENGTH=str(length),
        )
        for header in ("Content-Encoding", "Git-Protocol"):
            if header in self.headers:
                environment["HTTP_" + header.upper().replace("-", "_")] = self.headers[header]
        done = subprocess.run(
            ["git", "http-backend"],
            env=environment,
            input=self.rfile.read(length),
            stdout=subprocess.PIPE,
            check=False,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for key, value in fields.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/git/"):
            self.git()
            return
        address, port = self.connection.getsockname()[:2]
        if address.startswith("::ffff:"):
            address = address[7:]
        host = self.headers.get("Host", "")
        self.answer(("reached %s %s %d as %s\n" % (name, address, port, host)).encode())

    do_POST = do_GET


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 64
    context = None

    def get_request(self):
        connection, peer = super().get_request()
        if self.context:
            # The handshake happens in the connection's own thread, at its first read.
            connection = self.context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, peer

    def handle_error(self, request, client_address):
        pass  # a client that went away


class Echo(socketserver.ThreadingMixIn, socketserver.TCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    class RequestHandlerClass(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                while data := self.request.recv(65536):
                    self.request.sendall(data)
            except OSError:
                pass


def forever(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()


def datagrams(sockets):
    """One thread for all of them: what is to be echoed, ignored, or refused."""
    while True:
        for sock in select.select(list(sockets), [], [])[0]:
            data, peer = sock.recvfrom(2048)
            what = sockets[sock]
            if what == "echo":
                sock.sendto(data, peer)
            elif what == "failing" and len(data) > 12:
                # The question again, as an answer, with SERVFAIL.
                sock.sendto(data[:2] + b"\x81\x82" + data[4:], peer)


def bound(address, port):
    sock = socket.socket(family(address), socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock


def main():
    sockets = {}
    for word in sys.argv[3:]:
        what, equals, address = word.partition("=")
        if equals:
            sockets[bound(address, 53)] = what
        else:
            sockets[bound(word, ECHO_PORT)] = "echo"
    threading.Thread(target=datagrams, args=(sockets,), daemon=True).start()
    forever(Echo(("::", ECHO_PORT), Echo.RequestHandlerClass))
    for port in HTTP_PORTS:
        forever(Server(("::", port), Handler))
    if os.path.exists(folder + "/server.pem"):
        server = Server(("::", HTTPS_PORT), Handler)
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(folder + "/server.pem")
        forever(server)
    print("ready", flush=True)
    threading.Event().wait()


main()
