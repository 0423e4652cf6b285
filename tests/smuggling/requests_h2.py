# SPDX-License-Identifier: Apache-2.0
"""Hostile requests of HTTP/2: sequences of frames. Each begins a connection."""
import struct

from frames import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING,
                    PREFACE, PRIORITIZED, PRIORITY, PUSH, RST, SETTINGS, START, WINDOW, block, data,
                    frame, headers, indexed, integer, literal, pseudo, rst, settings, window)

A = ("GET", "/allowed/a")
P = ("POST", "/allowed/a")


def without(name):
    return [field for field in pseudo() if field[0] != name]


def with_fields(*fields, **changed):
    return START + headers(pseudo(**changed) + list(fields))


def posted(*fields, body=b"hello", **changed):
    return START + headers(pseudo(b"POST", **changed) + list(fields), end=False) + data(body)


def pseudo_fields(t):
    t = t.of("h2-pseudo", "h2")
    t.add("ok", with_fields(), may=[A], must=True)
    t.add("ok-post", posted((b"content-length", b"5")), may=[P + (b"hello",)], must=True)
    t.add("denied", with_fields(path=b"/denied/a"))
    for name in ("method", "path", "scheme"):
        t.add("no-" + name, START + headers(without(b":" + name.encode())))
    t.add("no-authority", START + headers(without(b":authority")))
    t.add("no-authority-host", START + headers(without(b":authority") + [(b"host", b"@HOST@")]),
          may=[A])
    t.add("no-authority-host-other", START
          + headers(without(b":authority") + [(b"host", b"denied.test")]))
    for name, value in ((b":method", b"DELETE"), (b":path", b"/denied/a"), (b":scheme", b"http"),
                        (b":authority", b"denied.test")):
        word = name[1:].decode()
        t.add("twice-" + word, with_fields((name, value)))
        t.add("late-" + word, START + headers(without(name) + [(b"x", b"y"), (name, value)]))
        t.add("first-" + word, START + headers([(name, value)] + pseudo()))
    for name, value in ((b":status", b"200"), (b":unknown", b"x"), (b":", b"x"),
                        (b":PATH", b"/denied/a"),
                        (b":path ", b"/denied/a"), (b":protocol", b"websocket")):
        t.add("alien-" + name.decode().strip(": ").lower()
              + ("-space" if name.endswith(b" ") else ""),
              with_fields((name, value)))
    t.add("host-differs", with_fields((b"host", b"denied.test")))
    t.add("host-twice", with_fields((b"host", b"@HOST@"), (b"host", b"denied.test")))
    t.add("host-same", with_fields((b"host", b"@HOST@")), may=[A])
    for name, value in (
        ("space", b"/allowed/a HTTP/1.1"),
        ("crlf", b"/allowed/a HTTP/1.1\r\nHost: denied.test\r\nX: "),
        ("lf", b"/allowed/a\nX: y"), ("nul", b"/allowed/a\x00"), ("empty", b""),
        ("relative", b"allowed/a"),
        ("star", b"*"), ("absolute", b"https://denied.test/allowed/a"),
        ("absolute-same", b"https://@HOST@/denied/a"),
        ("fragment", b"/allowed/a#x"), ("query-first", b"?/allowed/a"), ("tab", b"/allowed/a\t"),
        ("high", b"/allowed/\xe9"),
        ("smuggles", b"/allowed/a HTTP/1.1\r\nHost: a\r\n\r\nGET /denied/x"),
        ("dots", b"/allowed/../denied/a"), ("dots-escaped", b"/allowed/%2e%2e/denied/a"),
        ("slash", b"/allowed/..%2fdenied/a"),
        ("backslash", b"/allowed/..\\denied"), ("parameter", b"/allowed/..;/denied/a"),
        ("letters", b"/%64enied/a"),
        ("overlong", b"/allowed/..%c0%afdenied"), ("escaped-nul", b"/allowed/%00"),
        ("unicode", b"/allowed/%u002e%u002e/denied"),
        ("two-slashes", b"//denied.test/allowed/a"), ("long", b"/allowed/" + b"a" * 17000),
    ):
        t.add("path-" + name, with_fields(path=value))
    for name, value, seen in (("dot", b"/allowed/./a", "/allowed/a"),
                              ("back", b"/denied/../allowed/a", "/allowed/a"),
                              ("twice", b"/allowed/%252e%252e/a", "/allowed/%252e%252e/a")):
        t.add("path-ok-" + name, with_fields(path=value), may=[("GET", seen)], must=True)
    for name, value in (("space", b"GET /denied/x HTTP/1.1\r\nX: "), ("crlf", b"GET\r\n"),
                        ("lower", b"get"), ("empty", b""),
                        ("nul", b"G\x00T"), ("delete", b"DELETE"), ("trace", b"TRACE"),
                        ("long", b"A" * 100)):
        t.add("method-" + name, with_fields(method=value))
    for name, value in (("http", b"http"), ("crlf", b"https\r\nx: y"), ("word", b"file"),
                        ("empty", b""),
                        ("url", b"https://denied.test/?")):
        t.add("scheme-" + name, with_fields(scheme=value))
    for name, value in (("other", b"denied.test"), ("userinfo", b"u@@HOST@"),
                        ("path", b"@HOST@/denied"), ("empty", b""),
                        ("crlf", b"@HOST@\r\nX: y"), ("space", b"@HOST@ x"),
                        ("list", b"@HOST@, denied.test"), ("port", b"@HOST@:1:2"),
                        ("nul", b"@HOST@\x00.denied.test"), ("metadata", b"169.254.169.254"),
                        ("suffix", b"@HOST@.denied.test")):
        t.add("authority-" + name, with_fields(authority=value))
    t.add("connect", START
          + headers([(b":method", b"CONNECT"), (b":authority", b"denied.test:22")], end=False)
          + data(b"x"))
    t.add("connect-path", with_fields(method=b"CONNECT"))
    t.add("connect-websocket", START
          + headers(pseudo(b"CONNECT") + [(b":protocol", b"websocket")], end=False))


def fields(t):
    """What becomes something else when it is written as HTTP/1."""
    t = t.of("h2-field", "h2")
    for name, field in (
        ("upper", (b"X-Upper", b"y")), ("name-empty", (b"", b"y")), ("name-space", (b"x y", b"z")),
        ("name-colon", (b"x:", b"y")),
        ("name-crlf", (b"x\r\ny", b"z")),
        ("name-smuggles", (b"x: y\r\ntransfer-encoding", b"chunked")),
        ("name-nul", (b"x\x00", b"y")),
        ("name-high", (b"x\xe9", b"y")), ("name-line", (b"get / http/1.1\r\nhost", b"denied.test")),
        ("value-crlf", (b"x", b"y\r\nz: a")), ("value-lf", (b"x", b"y\nz: a")),
        ("value-cr", (b"x", b"y\rz")), ("value-nul", (b"x", b"y\x00")),
        ("value-smuggles", (b"x", b"y\r\n\r\nGET /denied/x HTTP/1.1\r\nHost: a\r\n\r\n")),
        ("value-chunked", (b"x", b"y\r\nTransfer-Encoding: chunked\r\n")),
        ("value-delete", (b"x", b"\x7f")),
        ("transfer-encoding", (b"transfer-encoding", b"chunked")),
        ("connection", (b"connection", b"close")),
        ("keep-alive", (b"keep-alive", b"timeout=5")),
        ("proxy-connection", (b"proxy-connection", b"close")),
        ("upgrade", (b"upgrade", b"websocket")), ("te-gzip", (b"te", b"gzip")),
    ):
        t.add(name, with_fields(field))
        t.add(name + "-post", posted(field))
    t.add("te-trailers", with_fields((b"te", b"trailers")), may=[A], must=True)
    t.add("value-space", with_fields((b"x", b" y ")), may=[A])
    t.add("expect", posted((b"expect", b"200-ok")))
    for name, lengths_, body in (
        ("more", [b"3"], b"hello"), ("less", [b"50"], b"hello"),
        ("zero", [b"0"], b"GET /denied/x HTTP/1.1\r\n\r\n"),
        ("twice", [b"5", b"5"], b"hello"), ("differ", [b"5", b"50"], b"hello"),
        ("list", [b"5, 5"], b"hello"), ("plus", [b"+5"], b"hello"),
        ("minus", [b"-5"], b"hello"), ("hex", [b"0x5"], b"hello"), ("empty", [b""], b"hello"),
        ("space", [b"5 5"], b"hello"),
        ("overflow", [b"18446744073709551621"], b"hello"),
    ):
        t.add("length-" + name, posted(*[(b"content-length", one) for one in lengths_], body=body),
              broken=[P])
    t.add("length-of-none", with_fields((b"content-length", b"5")), broken=[A])
    t.add("fields-many", with_fields(*[(b"x-%d" % i, b"y") for i in range(1500)]))
    t.add("value-long", START + frame(HEADERS, END_STREAM, 1, block(pseudo()))
          + b"".join(frame(CONTINUATION, END_HEADERS if i == 4 else 0, 1, piece)
                     for i,
                     piece in enumerate(literal(b"x", b"a" * 70000)[n:n + 15000]
                                        for n in range(0, 75000, 15000))))
    t.add("cookies", with_fields(*[(b"cookie", b"a=%d" % i) for i in range(20)]), may=[A],
          must=True)


def bodies(t):
    t = t.of("h2-trailer", "h2")
    first = START + headers(pseudo(b"POST"), end=False) + data(b"hello", end=False)
    t.add("ok", first + headers([(b"x-sum", b"y")]), may=[P + (b"hello",)], must=True)
    for name, field in (("pseudo", (b":path", b"/denied/a")), ("status", (b":status", b"200")),
                        ("upper", (b"X-Sum", b"y")),
                        ("crlf", (b"x", b"y\r\n\r\nGET /denied/x HTTP/1.1\r\n\r\n")),
                        ("length", (b"content-length", b"0")),
                        ("coding", (b"transfer-encoding", b"chunked")),
                        ("host", (b"host", b"denied.test")),
                        ("authorization", (b"authorization", b"x")),
                        ("connection", (b"connection", b"close")), ("cookie", (b"cookie", b"x"))):
        t.add(name, first + headers([field]), broken=[P])
    t.add("no-end", first + headers([(b"x-sum", b"y")], end=False) + data(b"more"), broken=[P])
    t.add("many", first + headers([(b"x-%d" % i, b"y") for i in range(500)]), broken=[P])
    t.add("data-after-end", posted() + data(b" more"), may=[P + (b"hello",)])
    t.add("head-after-end", with_fields() + headers(pseudo(path=b"/denied/a")), may=[A])
    t.add("data-first", START + data(b"hello") + headers(pseudo()))
    t.add("data-no-stream", START + data(b"hello", stream=0))
    t.add("body-is-request", posted(body=b"GET /denied/x HTTP/1.1\r\nHost: a\r\n\r\n"),
          may=[P + (b"GET /denied/x HTTP/1.1\r\nHost: a\r\n\r\n",)], must=True)
    t.add("body-is-chunk", posted(body=b"0\r\n\r\nGET /denied/x HTTP/1.1\r\nHost: a\r\n\r\n"),
          may=[P + (b"0\r\n\r\nGET /denied/x HTTP/1.1\r\nHost: a\r\n\r\n",)], must=True)


def sessions(t):
    """Frames where they may not be, or more of them than anybody needs."""
    t = t.of("h2-frame", "h2")
    request = headers(pseudo())
    split = block(pseudo())
    t.add("continuation", START + frame(HEADERS, END_STREAM, 1, split[:9])
          + frame(CONTINUATION, 0, 1, split[9:20])
          + frame(CONTINUATION, END_HEADERS, 1, split[20:]), may=[A], must=True)
    t.add("continuation-empty", START + frame(HEADERS, END_STREAM, 1, split)
          + frame(CONTINUATION, 0, 1) * 20000, broken=[A])
    t.add("continuation-flood", START + frame(HEADERS, END_STREAM, 1, split)
          + frame(CONTINUATION, 0, 1, literal(b"x", b"y" * 100)) * 5000, broken=[A])
    t.add("continuation-other", START + frame(HEADERS, END_STREAM, 1, split)
          + frame(CONTINUATION, END_HEADERS, 3, split))
    t.add("continuation-alone", START + frame(CONTINUATION, END_HEADERS, 1, split))
    t.add("continuation-between", START + frame(HEADERS, END_STREAM, 1, split)
          + frame(PING, 0, 0, b"12345678")
          + frame(CONTINUATION, END_HEADERS, 1))
    t.add("continuation-data", START + frame(HEADERS, 0, 1, split) + data(b"x"))
    t.add("block-cut", START + frame(HEADERS, END_HEADERS | END_STREAM, 1, split[:-3]))
    t.add("index-zero", START + frame(HEADERS, END_HEADERS | END_STREAM, 1, split + b"\x80"))
    t.add("index-beyond", START
          + frame(HEADERS, END_HEADERS | END_STREAM, 1, split + integer(5000, 7, 0x80)))
    t.add("index-huge", START + frame(HEADERS, END_HEADERS | END_STREAM, 1, split + b"\xff" * 20))
    t.add("huffman-bad", START
          + frame(HEADERS, END_HEADERS | END_STREAM, 1, split + b"\0\x84\xff\xff\xff\xff\x01y"))
    t.add("string-long", START
          + frame(HEADERS, END_HEADERS | END_STREAM, 1, split + b"\0" + integer(1 << 30, 7) + b"x"))
    t.add("table-size", START
          + frame(HEADERS, END_HEADERS | END_STREAM, 1, integer(1 << 24, 5, 0x20) + split))
    t.add("table-size-late", START
          + frame(HEADERS, END_HEADERS | END_STREAM, 1, split + integer(0, 5, 0x20)))
    bomb = indexed(b"x", b"y" * 4000) + integer(62, 7, 0x80) * 12000
    t.add("hpack-bomb", START + frame(HEADERS, END_HEADERS | END_STREAM, 1, split + bomb[:16000]))
    t.add("hpack-bomb-many", START + b"".join(
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, split
              + (bomb[:16000] if not i else integer(62, 7, 0x80) * 12000))
        for i in range(20)))
    t.add("stream-even", START + headers(pseudo(), stream=2))
    t.add("stream-zero", START + headers(pseudo(), stream=0))
    t.add("stream-back", START + headers(pseudo(), stream=5)
          + headers(pseudo(path=b"/denied/a"), stream=3), may=[A])
    t.add("stream-again", with_fields() + headers(pseudo(path=b"/denied/a"), stream=1), may=[A])
    t.add("streams", START + headers(pseudo(), 1) + headers(pseudo(path=b"/denied/a"), 3)
          + headers(pseudo(path=b"/allowed/b"), 5), may=[A, ("GET", "/allowed/b")], must=True)
    t.add("streams-authority", START + headers(pseudo(), 1)
          + headers(pseudo(authority=b"denied.test"), 3),
          may=[A], must=True)
    t.add("padding-long", START
          + frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\xff" + split))
    t.add("padding", START
          + frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\x05" + split + b"\0" * 5),
          may=[A], must=True)
    t.add("priority-self", START
          + frame(HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, 1, struct.pack(">IB", 1, 5)
                  + split), may=[A])
    t.add("push", START + frame(PUSH, END_HEADERS, 1, struct.pack(">I", 2) + split))
    t.add("too-large", START + frame(DATA, 0, 1, b"x" * 20000))
    t.add("length-lies", START
          + frame(HEADERS, END_HEADERS | END_STREAM, 1, split, length=len(split) + 40))
    t.add("settings-odd", PREFACE + frame(SETTINGS, 0, 0, b"12345") + request)
    t.add("settings-stream", PREFACE + frame(SETTINGS, 0, 1, b"") + request)
    t.add("settings-ack-payload", START + frame(SETTINGS, ACK, 0, b"123456") + request)
    t.add("settings-window", PREFACE + settings((4, 0x80000000)) + request)
    t.add("settings-frame", PREFACE + settings((5, 1)) + request)
    t.add("settings-none", PREFACE + request)
    t.add("settings-flood", START + settings((1, 4096)) * 20000, quiet=True)
    t.add("ping-flood", START + frame(PING, 0, 0, b"12345678") * 20000, quiet=True)
    t.add("ping-short", START + frame(PING, 0, 0, b"1234") + request)
    t.add("window-zero", START + window(0, 0) + request)
    t.add("window-overflow", START + window(0, 0x7FFFFFFF) + window(0, 0x7FFFFFFF) + request)
    t.add("window-short", START + frame(WINDOW, 0, 0, b"12") + request)
    t.add("rst-idle", START + rst(1) + request)
    t.add("rst-short", START + frame(RST, 0, 1, b"12") + request)
    t.add("goaway-more", START + frame(GOAWAY, 0, 0, b"\0" * 8) + request, may=[A])
    t.add("unknown", START + frame(0xFA, 0xFF, 0x7FFFFFFF, b"whatever") + request, may=[A],
          must=True)
    t.add("preface-cut", PREFACE[:10] + b"XX" + request)
    t.add("preface-http1", b"GET /allowed/a HTTP/1.1\r\nHost: @HOST@\r\n\r\n")
    t.add("preface-twice", START + PREFACE + request)
    t.add("rapid-reset", START
          + b"".join(headers(pseudo(path=b"/denied/a"), 2 * i + 1) + rst(2 * i + 1)
                     for i in range(3000)))
    t.add("rapid-reset-allowed", START
          + b"".join(headers(pseudo(), 2 * i + 1) + rst(2 * i + 1) for i in range(1000)), may=[A],
          many=True, broken=[A])
    t.add("streams-many", START
          + b"".join(headers(pseudo(b"POST"), 2 * i + 1, end=False) for i in range(2000)),
          broken=[P], quiet=True)
    t.add("priority-flood", START + frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 5)) * 20000,
          quiet=True)
    t.add("empty-data", START + headers(pseudo(b"POST"), end=False) + data(b"", end=False) * 20000,
          broken=[P], quiet=True)


def add(t):
    for part in (pseudo_fields, fields, bodies, sessions):
        part(t)
