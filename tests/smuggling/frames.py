# SPDX-License-Identifier: Apache-2.0
"""Frames of HTTP/2 by hand (RFC 9113, RFC 7541): a library would refuse to send most of these."""
import struct

# What @HOST@ becomes; measured with the string that it is in.
HOST = b"@HOST@"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def integer(value, bits, first=0):
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out = [first | most]
    value -= most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + [value])


def literal(name, value):
    """Without indexing, neither of the two looked at nor compressed."""
    value = value.replace(b"@HOST@", HOST)
    return b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value


def indexed(name, value):
    return b"\x40" + integer(len(name), 7) + name + integer(len(value), 7) + value


def block(fields):
    return b"".join(literal(name, value) for name, value in fields)


def pseudo(method=b"GET", path=b"/allowed/a", scheme=b"https", authority=b"@HOST@"):
    return [(b":method", method), (b":path", path), (b":scheme", scheme),
            (b":authority", authority)]


def headers(fields, stream=1, end=True, flags=END_HEADERS):
    return frame(HEADERS, flags | (END_STREAM if end else 0), stream, block(fields))


def data(payload, stream=1, end=True):
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", key, value) for key, value in pairs))


def rst(stream, code=8):
    return frame(RST, 0, stream, struct.pack(">I", code))


def window(stream, increment):
    return frame(WINDOW, 0, stream, struct.pack(">I", increment))


START = PREFACE + settings()


class Reader:
    """What came back, taken apart; the bodies are not looked at."""

    def __init__(self):
        try:
            import hpack
            self.decoder = hpack.Decoder()
        except ImportError:
            self.decoder = None
        self.rest = b""
        self.statuses, self.rst, self.ended = {}, {}, set()
        self.goaway = None
        self.acks = 0
        self.answers = b""

    def feed(self, received):
        self.rest += received
        while len(self.rest) >= 9:
            size = int.from_bytes(self.rest[:3], "big")
            if len(self.rest) < 9 + size:
                return
            kind, flags = self.rest[3], self.rest[4]
            stream = int.from_bytes(self.rest[5:9], "big") & 0x7FFFFFFF
            payload = self.rest[9:9 + size]
            self.rest = self.rest[9 + size:]
            self.take(kind, flags, stream, payload)

    def take(self, kind, flags, stream, payload):
        if kind == HEADERS:
            self.take_head(flags, stream, payload)
        elif kind == RST:
            self.rst[stream] = int.from_bytes(payload[:4], "big")
            self.ended.add(stream)
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        elif kind == SETTINGS and not flags & ACK:
            self.answers += frame(SETTINGS, ACK)
        elif kind == PING and not flags & ACK:
            self.answers += frame(PING, ACK, 0, payload)
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.ended.add(stream)

    def take_head(self, flags, stream, payload):
        if flags & PADDED:
            payload = payload[1:len(payload) - payload[0]]
        if flags & PRIORITIZED:
            payload = payload[5:]
        status = 0
        if self.decoder and flags & END_HEADERS:
            try:
                fields = self.decoder.decode(payload, raw=True)
                status = int(dict(fields).get(b":status", b"0"))
            except Exception:  # whatever it is, it is no answer
                status = 0
        self.statuses.setdefault(stream, status)
