#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The agent of the smuggling suite: sends the bytes of one case after the other, each on a
connection of its own, and says what came back. Looks into nothing that it sends.

usage: client.py --plain HOST:PORT --tls HOST:PORT [--ca FILE]

Reads names of cases from its standard input, and "alive h1|tls|h2 N", an honest request of that
protocol; writes a line of JSON for each:
    {"name", "statuses":[..], "end":"closed"|"reset"|"idle"|"refused", "rst":{stream:code},
     "goaway":code}
"""
import argparse
import json
import os
import re
import select
import socket
import ssl
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import frames
import requests
from case import HOST, Case

STATUS = re.compile(rb"HTTP/1\.[01] ([2-5]\d\d)")
FIRST_SECONDS, NEXT_SECONDS, MUST_SECONDS = 2.5, 0.25, 10
SEND_SECONDS = 5


def place(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def authority(address, port, usual):
    host = "[%s]" % address if ":" in address else address
    return (host if port == usual else "%s:%d" % (host, port)).encode()


class Client:
    def __init__(self, plain, tls, ca):
        self.places = {False: plain, True: tls}
        self.hosts = {
            False: authority(*plain, 80) if plain else b"",
            True: authority(*tls, 443) if tls else b"",
        }
        self.ca = ca

    def connect(self, case):
        host, port = self.places[case.tls]
        link = socket.create_connection((host, port), SEND_SECONDS)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not case.tls:
            return link
        context = ssl.create_default_context(cafile=self.ca)
        # Whose certificate it is matters only where the name is the one that was meant.
        context.check_hostname = case.sni is None
        context.set_alpn_protocols(["h2" if case.protocol == "h2" else "http/1.1"])
        name = host if case.sni is None else case.sni or None
        link = context.wrap_socket(link, server_hostname=name)
        if case.protocol == "h2" and link.selected_alpn_protocol() != "h2":
            raise OSError("HTTP/2 is not offered")
        return link

    def send(self, link, case):
        for piece in case.send:
            if isinstance(piece, tuple):
                time.sleep(piece[1])
                continue
            link.sendall(piece.replace(HOST, self.hosts[case.tls]))
            if len(case.send) > 20:
                time.sleep(0.002)

    def receive(self, link, case):
        got, reader = b"", frames.Reader()
        wanted = len(case.may) if case.must else 1
        end, since = "idle", time.monotonic()
        limit = MUST_SECONDS if case.must else FIRST_SECONDS
        first = since
        while time.monotonic() - since < limit and time.monotonic() - first < 3 * MUST_SECONDS:
            # What TLS has already read is not seen by select().
            pending = getattr(link, "pending", lambda: 0)()
            if not pending and not select.select([link], [], [], 0.02)[0]:
                continue
            try:
                more = link.recv(65536)
            except ssl.SSLWantReadError:
                continue
            except OSError:
                end = "reset"
                break
            if not more:
                end = "closed"
                break
            since = time.monotonic()
            if case.protocol == "h2":
                reader.feed(more)
                if reader.answers:
                    answers, reader.answers = reader.answers, b""
                    try:
                        link.sendall(answers)
                    except OSError:
                        pass
                done = len(reader.ended) >= wanted
            else:
                got += more
                done = len(STATUS.findall(got)) >= wanted
            if done:
                limit = NEXT_SECONDS
        statuses = [int(code) for code in STATUS.findall(got)]
        if case.protocol == "h2":
            statuses = [reader.statuses[stream] for stream in sorted(reader.statuses)]
            # A client may say HTTP/2 and be answered in HTTP/1.
            if reader.rest.startswith(b"HTTP/1."):
                statuses = [int(code) for code in STATUS.findall(reader.rest)]
        return {"statuses": statuses, "end": end, "rst": reader.rst, "goaway": reader.goaway}

    def run(self, case):
        try:
            link = self.connect(case)
        except OSError as error:
            return {"name": case.name, "statuses": [], "end": "refused", "rst": {}, "goaway": None,
                    "why": str(error)}
        with link:
            cut = None
            try:
                self.send(link, case)
            except OSError as error:
                cut = str(error)
            result = self.receive(link, case)
        result["name"] = case.name
        if cut:
            result["cut"] = cut
        return result


def alive(protocol, number):
    """What the policy admits, said as everybody says it."""
    path = "/allowed/alive/%s" % number
    if protocol == "h2":
        send = frames.START + frames.headers(frames.pseudo(path=path.encode()))
    else:
        send = requests.get(path.encode())
    return Case("alive", "alive", send, may=[("GET", path)], must=True, protocol="h2"
                if protocol == "h2" else "h1",
                tls=protocol == "tls")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plain")
    parser.add_argument("--tls")
    parser.add_argument("--ca")
    options = parser.parse_args()
    client = Client(place(options.plain) if options.plain else None,
                    place(options.tls) if options.tls else None, options.ca)
    frames.HOST = client.hosts[True]
    cases = {case.name: case for case in requests.table()}
    for asked in sys.stdin:
        words = asked.split()
        case = alive(words[1], words[2]) if words[0] == "alive" else cases[words[0]]
        print(json.dumps(client.run(case)), flush=True)


if __name__ == "__main__":
    main()
