# SPDX-License-Identifier: Apache-2.0
"""Hostile requests of HTTP/1, as the bytes that are sent, and (requests_h2.py) of HTTP/2."""
import requests_h2
from case import Table

HOST = b"Host: @HOST@\r\n"
END = b"\r\n"
# Of a fixed length, whatever the host is.
SMUGGLED = b"GET /denied/smuggled HTTP/1.1\r\nHost: smuggled.test\r\n\r\n"


def get(path=b"/allowed/a", *fields):
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"".join(f + END for f in fields) + END


def post(fields, body=b"", path=b"/allowed/a"):
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + b"".join(f + END
        for f in fields) + END + body


def line(text, fields=HOST):
    return text + END + fields + END


CHUNKED = b"Transfer-Encoding: chunked"
A = ("GET", "/allowed/a")
P = ("POST", "/allowed/a")
HELLO = P + (b"hello",)
EMPTY = b"0\r\n\r\n"


def lengths(t):
    """Two ways to say how long a body is, or one that can be read in two ways."""
    t = t.of("length")
    smuggle = b"0\r\n\r\n" + SMUGGLED
    t.add("cl-te", post([b"Content-Length: %d" % len(smuggle), CHUNKED], smuggle), status=400)
    t.add("te-cl", post([CHUNKED, b"Content-Length: 4"], b"5c\r\n" + SMUGGLED + EMPTY), status=400)
    t.add("cl-te-short", post([b"Content-Length: 6", CHUNKED], b"0\r\n\r\nG"), status=400)
    t.add("cl-te-equal", post([b"Content-Length: 15", CHUNKED], b"5\r\nhello\r\n" + EMPTY),
          status=400)
    two = b"hello" + SMUGGLED
    t.add("cl-cl", post([b"Content-Length: 5", b"Content-Length: %d" % len(two)], two), status=400)
    t.add("cl-cl-reverse", post([b"Content-Length: %d" % len(two), b"Content-Length: 5"], two),
          status=400)
    t.add("cl-cl-equal", post([b"Content-Length: 5"] * 2, b"hello"), status=400)
    t.add("cl-list", post([b"Content-Length: 5, 5"], b"hello"), status=400)
    t.add("cl-list-differs", post([b"Content-Length: 5, %d" % len(two)], two), status=400)
    for name, value in (
        ("plus", b"+5"), ("minus", b"-5"), ("hex", b"0x5"), ("space", b"5 5"), ("empty", b""),
        ("junk", b"5;a=b"), ("point", b"5.0"), ("exponent", b"5e0"), ("quoted", b'"5"'),
        ("nul", b"5\x00"), ("vertical-tab", b"\x0b5"), ("full-width", "\uff15".encode()),
        ("nbsp", b"\xa05"), ("overflow", b"18446744073709551621"),
        ("overflow-32", b"-4294967291"), ("underscore", b"1_0"), ("comma", b"5,"),
        ("octal-word", b"0o5"), ("newline", b"5\n0"), ("return", b"5\r0"),
    ):
        t.add("cl-" + name, post([b"Content-Length: " + value], b"hello"), status=400)
    t.add("cl-zeros", post([b"Content-Length: 005"], b"hello"), may=[HELLO])
    t.add("cl-tabs", post([b"Content-Length:\t5\t"], b"hello"), may=[HELLO])
    t.add("cl-space-colon", post([b"Content-Length : 5"], b"hello"), status=400)
    t.add("cl-tab-colon", post([b"Content-Length\t: 5"], b"hello"), status=400)
    t.add("cl-folded", post([b"Content-Length:\r\n 5"], b"hello"), status=400)
    t.add("cl-underscored", post([b"Content_Length: 60", b"Content-Length: 5"], two), may=[HELLO])
    t.add("cl-of-get", get(b"/allowed/a", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,
          may=[A + (SMUGGLED,)])
    t.add("cl-none", post([], b"hello"), may=[P + (b"",)])

    for name, value, status in (
        ("other", b"xchunked", 501), ("cow", b"cow", 501), ("gzip", b"gzip, chunked", 501),
        ("identity", b"identity", 501), ("before", b"chunked, identity", 400),
        ("twice", b"chunked, chunked", 400), ("quoted", b'"chunked"', 400),
        ("parameter", b"chunked;q=1", 400), ("vertical-tab", b"\x0bchunked", 400),
        ("form-feed", b"\x0cchunked", 400), ("nul", b"chunked\x00", 400),
        ("nbsp", b"\xa0chunked", 400),
        ("nel", b"\x85chunked", 400), ("semicolon", b"chunked;", 400), ("empty", b"", 400),
        ("null-word", b"null", 501), ("dotless", "chun\u212aed".encode(), 400),
        ("newline", b"\nchunked", 400), ("return", b"\rchunked", 400), ("word", b"x chunked", 400),
        ("folded", b"\r\n chunked", 400), ("folded-tab", b"\r\n\tchunked", 400),
    ):
        t.add("te-" + name,
              post([b"Transfer-Encoding: " + value], b"5\r\nhello\r\n" + EMPTY + SMUGGLED),
              status=status)
    t.add("te-comma", post([b"Transfer-Encoding: chunked,"], b"5\r\nhello\r\n" + EMPTY),
          may=[HELLO])
    t.add("te-case", post([b"tRANSFER-eNCODING: cHUNKED"], b"5\r\nhello\r\n" + EMPTY), may=[HELLO])
    t.add("te-tabs", post([b"Transfer-Encoding:\tchunked \t"], b"5\r\nhello\r\n" + EMPTY),
          may=[HELLO])
    t.add("te-te", post([CHUNKED, CHUNKED], b"5\r\nhello\r\n" + EMPTY), status=400)
    t.add("te-te-cow", post([CHUNKED, b"Transfer-encoding: cow"], b"5\r\nhello\r\n" + EMPTY),
          status=400)
    t.add("te-te-identity",
          post([b"Transfer-Encoding: identity", CHUNKED], b"5\r\nhello\r\n" + EMPTY),
          status=400)
    t.add("te-space-colon", post([b"Transfer-Encoding : chunked"], EMPTY), status=400)
    t.add("te-name-nul", post([b"Transfer-Encoding\x00: chunked"], EMPTY), status=400)
    t.add("te-name-high", post([b"Transfer-Encoding\xff: chunked"], EMPTY), status=400)
    t.add("te-name-folded", post([b"Transfer-\r\n Encoding: chunked"], EMPTY), status=400)
    t.add("te-name-quoted", post([b'"Transfer-Encoding": chunked'], EMPTY), status=400)
    t.add("te-name-split", post([b"Transfer-Encoding\r\n: chunked"], EMPTY), status=400)
    t.add("te-leading-space",
          post([b" Transfer-Encoding: chunked", b"Content-Length: 5"], b"hello"),
          status=400)
    t.add("te-after-lf", post([b"X: y\nTransfer-Encoding: chunked"], EMPTY), status=400)
    t.add("te-after-cr", post([b"X: y\rTransfer-Encoding: chunked"], EMPTY), status=400)
    t.add("te-after-nul", post([b"X: y\x00Transfer-Encoding: chunked"], EMPTY), status=400)
    t.add("te-underscored", post([b"Transfer_Encoding: chunked", b"Content-Length: 5"], two),
          may=[HELLO])
    t.add("te-1.0", b"POST /allowed/a HTTP/1.0\r\n" + HOST + CHUNKED + END + END + EMPTY + SMUGGLED,
          status=400)
    t.add("te-1.0-cl", b"POST /allowed/a HTTP/1.0\r\n" + HOST + CHUNKED
          + b"\r\nContent-Length: 5\r\n\r\n" + EMPTY, status=400)
    t.add("te-of-get", get(b"/allowed/a", CHUNKED) + b"5\r\nhello\r\n" + EMPTY,
          may=[A + (b"hello",)])
    t.add("te-in-connection", post([b"Connection: transfer-encoding", CHUNKED], EMPTY), status=400)
    t.add("cl-in-connection", post([b"Connection: content-length", b"Content-Length: 5"], b"hello"),
          status=400)


def heads(t):
    """Field lines that are none, or that say who is asked twice."""
    t = t.of("head")
    for name, fields in (
        ("host-twice", HOST * 2), ("host-other-second", HOST + b"Host: denied.test\r\n"),
        ("host-other-first", b"Host: denied.test\r\n" + HOST), ("host-none", b"X: y\r\n"),
        ("host-empty", b"Host:\r\n"), ("host-list", b"Host: @HOST@, denied.test\r\n"),
        ("host-userinfo", b"Host: u@@HOST@\r\n"),
        ("host-userinfo-other", b"Host: @HOST@@denied.test\r\n"),
        ("host-path", b"Host: @HOST@/denied\r\n"), ("host-query", b"Host: @HOST@?x\r\n"),
        ("host-fragment", b"Host: @HOST@#x\r\n"), ("host-space", b"Host: @HOST@ denied.test\r\n"),
        ("host-tab", b"Host: @HOST@\tx\r\n"), ("host-nul", b"Host: @HOST@\x00.denied.test\r\n"),
        ("host-port-none", b"Host: denied.test:\r\n"), ("host-port-word", b"Host: a:b\r\n"),
        ("host-port-two", b"Host: a:1:2\r\n"), ("host-url", b"Host: http://@HOST@/\r\n"),
        ("host-escaped", b"Host: a%2eb\r\n"), ("host-high", b"Host: a\xe9b\r\n"),
        ("host-backslash", b"Host: a\\b\r\n"), ("host-folded", b"Host:\r\n @HOST@\r\n"),
        ("host-space-colon", b"Host : @HOST@\r\n"), ("host-after-lf", b"X: y\nHost: @HOST@\r\n"),
        ("fold", HOST + b"X: y\r\n z\r\n"), ("fold-tab", HOST + b"X: y\r\n\tz\r\n"),
        ("fold-blank", HOST + b"X: y\r\n \r\n"), ("fold-first", b" X: y\r\n" + HOST),
        ("no-colon", HOST + b"X\r\n"), ("no-name", HOST + b": y\r\n"),
        ("name-space", HOST + b"X y: z\r\n"), ("name-paren", HOST + b"X(y): z\r\n"),
        ("name-nul", HOST + b"X\x00: z\r\n"), ("name-control", HOST + b"X\x01: z\r\n"),
        ("value-nul", HOST + b"X: a\x00b\r\n"), ("value-escape", HOST + b"X: \x1b[31m\r\n"),
        ("value-delete", HOST + b"X: \x7f\r\n"), ("value-bell", HOST + b"X: \x07\r\n"),
        ("value-lf", HOST + b"X: a\nY: b\r\n"), ("value-cr", HOST + b"X: a\rY: b\r\n"),
        ("value-crcrlf", HOST + b"X: a\r\r\n"),
        ("connection-host", HOST + b"Connection: host\r\n"),
        ("connection-authorization", HOST + b"Connection: authorization\r\n"),
        ("connection-cookie", HOST + b"Connection: close, Cookie\r\n"),
        ("connection-word", HOST + b"Connection: a b\r\n"),
    ):
        t.add(name, line(b"GET /allowed/a HTTP/1.1", fields), status=400)
    t.add("lf-alone", b"GET /allowed/a HTTP/1.1\nHost: @HOST@\n\n", status=400)
    t.add("lf-last", b"GET /allowed/a HTTP/1.1\r\nHost: @HOST@\r\n\n", status=400)
    t.add("lf-smuggles", get(b"/allowed/a", b"X: y\n\nGET /denied/x HTTP/1.1\nHost: @HOST@"),
          status=400)
    t.add("host-other", line(b"GET /allowed/a HTTP/1.1", b"Host: denied.test\r\n"))
    t.add("host-other-port", line(b"GET /allowed/a HTTP/1.1", b"Host: denied.test:1\r\n"))
    t.add("host-metadata", line(b"GET /allowed/a HTTP/1.1", b"Host: 169.254.169.254\r\n"))
    t.add("host-localhost", line(b"GET /allowed/a HTTP/1.1", b"Host: localhost\r\n"))
    t.add("host-suffix", line(b"GET /allowed/a HTTP/1.1", b"Host: @HOST@.denied.test\r\n"))
    t.add("expect-other", post([b"Expect: 200-ok", b"Content-Length: 5"], b"hello"), status=417)
    t.add("expect-list", post([b"Expect: 100-continue, x", b"Content-Length: 5"], b"hello"),
          status=417)
    t.add("forwarded-host", get(b"/allowed/a", b"X-Forwarded-Host: denied.test",
                                b"X-Original-URL: /denied/x", b"X-Rewrite-URL: /denied/x"), may=[A])
    t.add("h2c", get(b"/allowed/a", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
                     b"HTTP2-Settings: AAMAAABkAAQAAP__")
          + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", may=[A])
    t.add("upgrade-body", get(b"/allowed/a", b"Connection: Upgrade", b"Upgrade: websocket",
                              b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED, status=400)
    t.add("upgrade-unknown", get(b"/allowed/a", b"Connection: Upgrade", b"Upgrade: x") + SMUGGLED,
          may=[A])
    t.add("keep-alive", get(b"/allowed/a", b"Proxy-Connection: close", b"Keep-Alive: timeout=9"),
          may=[A],
          must=True)


def request_lines(t):
    t = t.of("line")
    for name, text, status in (
        ("lower", b"get /allowed/a HTTP/1.1", 400), ("mixed", b"Get /allowed/a HTTP/1.1", 400),
        ("nul", b"G\x00ET /allowed/a HTTP/1.1", 400), ("tab", b"GET\t/allowed/a\tHTTP/1.1", 400),
        ("spaces", b"GET  /allowed/a HTTP/1.1", 400),
        ("spaces-after", b"GET /allowed/a  HTTP/1.1", 400),
        ("leading", b" GET /allowed/a HTTP/1.1", 400),
        ("trailing", b"GET /allowed/a HTTP/1.1 ", 400),
        ("vertical-tab", b"GET\x0b/allowed/a HTTP/1.1", 400),
        ("two-targets", b"GET /allowed/a /denied/x HTTP/1.1", 400),
        ("two-versions", b"GET /denied/x HTTP/1.1 /allowed/a HTTP/1.1", 400),
        ("cr", b"GET /allowed/a HTTP/1.1\r", 400),
        ("version-lower", b"GET /allowed/a http/1.1", 400),
        ("version-long", b"GET /allowed/a HTTP/1.10", 400),
        ("version-zero", b"GET /allowed/a HTTP/01.1", 400),
        ("version-none", b"GET /allowed/a", 400), ("version-empty", b"GET /allowed/a ", 400),
        ("version-1.2", b"GET /allowed/a HTTP/1.2", 505),
        ("version-2.0", b"GET /allowed/a HTTP/2.0", 505),
        ("version-0.9", b"GET /allowed/a HTTP/0.9", 505),
        ("version-9.9", b"GET /allowed/a HTTP/9.9", 505),
        ("version-minus", b"GET /allowed/a HTTP/-1.1", 400),
        ("icy", b"GET /allowed/a ICY/1.1", 400),
        ("connect", b"CONNECT @HOST@:443 HTTP/1.1", 405),
        ("connect-other", b"CONNECT denied.test:22 HTTP/1.1", 405),
        ("connect-path", b"CONNECT /allowed/a HTTP/1.1", 405),
        ("authority", b"GET denied.test:443 HTTP/1.1", 400), ("star", b"GET * HTTP/1.1", 400),
        ("relative", b"GET allowed/a HTTP/1.1", 400), ("query", b"GET ?/allowed/a HTTP/1.1", 400),
        ("absolute-other", b"GET http://denied.test/allowed/a HTTP/1.1", 400),
        ("absolute-userinfo", b"GET http://u:p@@HOST@/allowed/a HTTP/1.1", 400),
        ("absolute-confused", b"GET http://@HOST@@denied.test/allowed/a HTTP/1.1", 400),
        ("absolute-backslash", b"GET http://denied.test\\@@HOST@/allowed/a HTTP/1.1", 400),
        ("absolute-case", b"GET HTTP://@HOST@/allowed/a HTTP/1.1", 400),
        ("absolute-ftp", b"GET ftp://@HOST@/allowed/a HTTP/1.1", 400),
        ("absolute-file", b"GET file:///allowed/a HTTP/1.1", 400),
        ("absolute-empty", b"GET http:///allowed/a HTTP/1.1", 400),
        ("absolute-one-slash", b"GET http:/allowed/a HTTP/1.1", 400),
        ("absolute-script", b"GET javascript://@HOST@/allowed/a HTTP/1.1", 400),
        ("fragment", b"GET /allowed/a#/../../denied HTTP/1.1", 400),
        ("high", b"GET /allowed/\xe9 HTTP/1.1", 400),
        ("raw-utf8", b"GET /allowed/\xc3\xa9 HTTP/1.1", 400),
        ("raw-nul", b"GET /allowed/a\x00/../../denied HTTP/1.1", 400),
        ("raw-control", b"GET /allowed/\x01 HTTP/1.1", 400),
        ("raw-delete", b"GET /allowed/\x7f HTTP/1.1", 400),
        ("raw-newline", b"GET /allowed/a\nX: y HTTP/1.1", 400),
    ):
        t.add(name, line(text), status=status)
    t.add("method-long", line(b"A" * 33 + b" /allowed/a HTTP/1.1"), status=501)
    # The begin of what may come yet, of TLS and of HTTP/2.
    t.add("tls", line(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), quiet=True)
    t.add("preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
          quiet=True)
    t.add("simple", b"GET /denied/x\r\n")
    t.add("empty-lines", b"\r\n\r\n\r\n" + get(), status=400)
    t.add("empty-line", b"\r\n" + get(), may=[A], must=True)
    t.add("lf-before", b"\n" + get(), status=400)
    t.add("trace", line(b"TRACE /allowed/a HTTP/1.1"))
    t.add("track", line(b"TRACK /allowed/a HTTP/1.1"))
    t.add("delete", line(b"DELETE /allowed/a HTTP/1.1"))
    t.add("options-star", line(b"OPTIONS * HTTP/1.1"))
    t.add("override", get(b"/allowed/a", b"X-HTTP-Method-Override: DELETE"), may=[A])
    t.add("absolute-same", line(b"GET http://@HOST@/allowed/a HTTP/1.1"), may=[A], must=True)
    t.add("absolute-same-dots", line(b"GET http://@HOST@/allowed/../denied HTTP/1.1"))
    t.add("1.0", line(b"GET /allowed/a HTTP/1.0"), may=[A])
    t.add("1.0-denied", line(b"GET /denied/a HTTP/1.0"))
    t.add("1.0-no-host", b"GET /allowed/a HTTP/1.0\r\n\r\n", may=[A])


def paths(t):
    """One path to the policy, another to a server."""
    t = t.of("path")
    for name, path in (
        ("plain", b"/denied/a"), ("dots", b"/allowed/../denied/a"),
        ("dots-twice", b"/allowed/x/../../denied/a"),
        ("dots-dot", b"/allowed/./../denied/a"), ("dots-slashes", b"/allowed//..//denied/a"),
        ("dots-escaped", b"/allowed/%2e%2e/denied/a"), ("dots-half", b"/allowed/.%2e/denied/a"),
        ("dots-half-upper", b"/allowed/%2E./denied/a"), ("above", b"/../denied/a"),
        ("above-allowed", b"/allowed/../../denied/a"), ("above-back", b"/../allowed/a"),
        ("end", b"/allowed/a/../../denied"), ("letters", b"/%64enied/a"),
        ("letters-all", b"/%64%65%6e%69%65%64/a"), ("slash", b"/allowed/..%2fdenied/a"),
        ("slash-upper", b"/allowed/..%2Fdenied/a"), ("slashes", b"/allowed%2f..%2fdenied/a"),
        ("backslash", b"/allowed/..\\denied\\a"), ("backslash-escaped", b"/allowed/..%5cdenied/a"),
        ("backslash-upper", b"/allowed%5C..%5Cdenied"), ("backslash-first", b"/\\denied/a"),
        ("parameter", b"/allowed/..;/denied/a"), ("parameter-named", b"/allowed/..;x=y/denied/a"),
        ("parameter-escaped", b"/allowed/%2e%2e;/denied/a"),
        ("parameter-mark", b"/allowed/..%3b/denied/a"),
        ("parameter-one", b"/allowed/.;/../denied/a"),
        ("parameter-before", b"/allowed;/../denied/a"),
        ("parameter-segment", b"/allowed/x;y/../../denied/a"), ("parameter-empty", b"/;/denied/a"),
        ("parameter-empty-allowed", b"/allowed/;/../denied/a"),
        ("overlong-slash", b"/allowed/..%c0%afdenied/a"),
        ("overlong-dots", b"/allowed/%c0%ae%c0%ae/denied/a"),
        ("overlong-three", b"/allowed/%e0%80%ae%e0%80%ae/denied"),
        ("overlong-four", b"/allowed/..%f0%80%80%afdenied"),
        ("surrogate", b"/allowed/%ed%a0%80/a"), ("latin1", b"/allowed/%e9"),
        ("truncated", b"/allowed/%e2%82"),
        ("continuation", b"/allowed/%80"), ("beyond", b"/allowed/%f4%90%80%80"),
        ("nul", b"/allowed/%00"), ("nul-hides", b"/denied/a%00/allowed"),
        ("newline", b"/allowed/%0aX:%20y"),
        ("crlf", b"/allowed/a%0d%0aHost:%20denied.test"), ("escape", b"/allowed/%1b"),
        ("delete", b"/allowed/%7f"),
        ("unicode", b"/allowed/%u002e%u002e/denied/a"),
        ("unicode-slash", b"/allowed/..%u2215denied"),
        ("percent", b"/allowed/%"), ("percent-one", b"/allowed/%2"),
        ("percent-word", b"/allowed/%zz"),
        ("percent-nested", b"/allowed/%%32%65%%32%65/denied"),
        ("percent-split", b"/allowed/%2%65/denied"),
        ("case", b"/ALLOWED/a"), ("prefix", b"/allowedx/a"), ("prefix-dot", b"/allowed./denied"),
        ("slash-alone", b"/"), ("quote", b'/allowed/"a"'), ("angle", b"/allowed/<a>"),
        ("host-in-path", b"//denied.test/allowed/a"), ("host-in-path-three", b"///denied.test/a"),
        ("dots-query", b"/denied/a?/../../allowed/a"),
        ("query-mark", b"/denied%3f/../allowed/../denied/a"),
    ):
        t.add(name, get(path))
    for name, path, seen in (
        ("ok-dot", b"/allowed/./a", "/allowed/a"),
        ("ok-dots", b"/denied/../allowed/a", "/allowed/a"),
        ("ok-slashes", b"//allowed///a", "/allowed/a"),
        ("ok-escaped", b"/%61llowed/%61", "/allowed/a"),
        ("ok-upper", b"/allowed/%c3%a9", "/allowed/%C3%A9"),
        ("ok-twice", b"/allowed/%252e%252e/a", "/allowed/%252e%252e/a"),
        ("ok-twice-slash", b"/allowed/%252f", "/allowed/%252f"),
        ("ok-full-width", b"/allowed/%ef%bc%8e%ef%bc%8e/a",
                                                                "/allowed/%EF%BC%8E%EF%BC%8E/a"),
        ("ok-parameter", b"/allowed/a;b=c/d", "/allowed/a;b=c/d"),
        ("ok-three", b"/allowed/.../a", "/allowed/.../a"),
        ("ok-space", b"/allowed/%20", "/allowed/%20"), ("ok-end", b"/allowed/b/..", "/allowed/"),
        ("ok-query", b"/allowed/a?x=/../../denied", "/allowed/a"),
    ):
        t.add(name, get(path), may=[("GET", seen)], must=True)
    t.add("twice-denied", get(b"/allowed/%252e%252e/%2564enied"),
          may=[("GET", "/allowed/%252e%252e/%2564enied")])


def chunks(t):
    t = t.of("chunk")
    for name, body in (
        ("lf", b"5\nhello\n0\n\n"), ("lf-size", b"5\nhello\r\n0\r\n\r\n"),
        ("lf-data", b"5\r\nhello\n0\r\n\r\n"),
        ("lf-last", b"5\r\nhello\r\n0\n\r\n"), ("lf-end", b"5\r\nhello\r\n0\r\n\n"),
        ("cr", b"5\rhello\r0\r\r"),
        ("plus", b"+5\r\nhello\r\n0\r\n\r\n"), ("minus", b"-5\r\nhello\r\n0\r\n\r\n"),
        ("minus-one", b"-1\r\nhello\r\n0\r\n\r\n"), ("prefix", b"0x5\r\nhello\r\n0\r\n\r\n"),
        ("space-before", b" 5\r\nhello\r\n0\r\n\r\n"), ("space-after", b"5 \r\nhello\r\n0\r\n\r\n"),
        ("tab", b"\t5\r\nhello\r\n0\r\n\r\n"), ("empty", b"\r\nhello\r\n0\r\n\r\n"),
        ("word", b"hello\r\n0\r\n\r\n"),
        ("underscore", b"0_5\r\nhello\r\n0\r\n\r\n"), ("comma", b"5,5\r\nhello\r\n0\r\n\r\n"),
        ("nul", b"5\x00\r\nhello\r\n0\r\n\r\n"),
        ("overflow", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("overflow-64", b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        ("overflow-sign", b"8000000000000005\r\nhello\r\n"),
        ("zeros", b"0" * 300 + b"5\r\nhello\r\n0\r\n\r\n"), ("short", b"3\r\nhello\r\n0\r\n\r\n"),
        ("long", b"7\r\nhello\r\n0\r\n\r\n"), ("no-end", b"5\r\nhello0\r\n\r\n"),
        ("extension-lf", b"5;a\nhello\r\n0\r\n\r\n"),
        ("extension-cr", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
        ("extension-nul", b"5;\x00\r\nhello\r\n0\r\n\r\n"),
        ("extension-quote", b'5;a="\r\nhello\r\n0\r\n\r\n'),
        ("extension-quote-lf", b'5;a="b\nc"\r\nhello\r\n0\r\n\r\n'),
        ("extension-long", b"5;a=" + b"b" * 5000 + b"\r\nhello\r\n0\r\n\r\n"),
        ("extension-smuggles", b"5;a=\nGET /denied/x HTTP/1.1\r\nhello\r\n0\r\n\r\n"),
        ("trailer-length", b"5\r\nhello\r\n0\r\nContent-Length: 0\r\n\r\n"),
        ("trailer-coding", b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("trailer-host", b"5\r\nhello\r\n0\r\nHost: denied.test\r\n\r\n"),
        ("trailer-authorization", b"5\r\nhello\r\n0\r\nAuthorization: Bearer x\r\n\r\n"),
        ("trailer-cookie", b"5\r\nhello\r\n0\r\nCookie: x\r\n\r\n"),
        ("trailer-request", b"5\r\nhello\r\n0\r\nGET /denied/x HTTP/1.1\r\nHost: @HOST@\r\n\r\n"),
        ("trailer-fold", b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"),
        ("trailer-lf", b"5\r\nhello\r\n0\r\nX: y\n\r\n"),
        ("trailer-space-colon", b"5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
        ("trailer-many", b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 2000 + b"\r\n"),
        ("trailer-long", b"5\r\nhello\r\n0\r\nX: " + b"y" * 70000 + b"\r\n\r\n"),
    ):
        t.add(name, post([CHUNKED], body), broken=[P])
    for name, body in (
        ("ok", b"5\r\nhello\r\n0\r\n\r\n"), ("ok-two", b"2\r\nhe\r\n03\r\nllo\r\n000\r\n\r\n"),
        ("ok-extension", b'5;a;b=c;d="e;\\"f"\r\nhello\r\n0;g\r\n\r\n'),
        ("ok-trailer", b"5\r\nhello\r\n0\r\nX-Sum: y\r\n\r\n"),
    ):
        t.add(name, post([CHUNKED], body), may=[HELLO], must=True)
    inner = b"\r\n0\r\n\r\n" + SMUGGLED
    t.add("data-is-request", post([CHUNKED], b"%x\r\n" % len(inner) + inner + b"\r\n0\r\n\r\n"),
          may=[P + (inner,)], must=True)
    t.add("split",
          [post([CHUNKED], b"5"), ("pause", 0.05), b"\r", ("pause", 0.05), b"\nhel",
           ("pause", 0.05),
                    b"lo\r\n0\r", ("pause", 0.05), b"\n\r\n"], may=[HELLO], must=True)


def pipelines(t):
    t = t.of("pipeline")
    b = ("GET", "/allowed/b")
    denied = get(b"/denied/a")
    t.add("allowed-denied", get() + denied, may=[A])
    t.add("denied-allowed", denied + get(), may=[A])
    t.add("allowed-allowed", get() + get(b"/allowed/b"), may=[A, b], must=True)
    t.add("allowed-malformed", get() + b"GET /denied/x HTTP/1.1\nHost: @HOST@\n\n", may=[A])
    t.add("malformed-allowed", b"GET /allowed/b HTTP/1.1\r\nX : y\r\n\r\n" + get(), may=[])
    t.add("close-more", get(b"/allowed/a", b"Connection: close") + get(b"/allowed/b"), may=[A])
    t.add("close-denied", get(b"/allowed/a", b"Connection: close") + denied, may=[A])
    t.add("1.0-more", line(b"GET /allowed/a HTTP/1.0") + get(b"/allowed/b"), may=[A])
    t.add("post-denied", post([b"Content-Length: 5"], b"hello") + denied, may=[HELLO])
    t.add("chunked-denied", post([CHUNKED], b"5\r\nhello\r\n0\r\n\r\n") + denied, may=[HELLO])
    t.add("refused-body-denied",
          post([b"Content-Length: %d" % len(SMUGGLED)], SMUGGLED, b"/denied/a"))
    t.add("refused-chunked-denied",
          post([CHUNKED], b"%x\r\n" % 5 + b"hello\r\n0\r\n\r\n", b"/denied/a") + get(), may=[A])
    t.add("head-body", line(b"HEAD /allowed/a HTTP/1.1") + denied, may=[("HEAD", "/allowed/a")])
    t.add("expect-denied", post([b"Content-Length: 5", b"Expect: 100-continue"], b"hello") + denied,
          may=[HELLO])
    t.add("hundred", get() * 99 + denied, may=[A], many=True)
    t.add("garbage", get() + b"\x00\xff\x16\x03" * 10, may=[A])
    t.add("half-a-head", get() + b"GET /denied/x HTTP/1.1\r\nX: ", may=[A])
    t.add("slowly", [bytes([c]) for c in get(b"/denied/a")])


def bombs(t):
    t = t.of("bomb")
    t.add("target", get(b"/allowed/" + b"a" * 20000), status=414)
    t.add("target-huge", get(b"/allowed/" + b"a" * 1000000), status=414)
    t.add("value", get(b"/allowed/a", b"X: " + b"a" * 40000), status=431)
    t.add("name", get(b"/allowed/a", b"a" * 40000 + b": x"), status=431)
    t.add("fields", get(b"/allowed/a", *[b"X-%d: y" % i for i in range(200)]), status=431)
    t.add("fields-many", get(b"/allowed/a", *[b"X-%d: y" % i for i in range(20000)]), status=431)
    t.add("head", get(b"/allowed/a", *[b"X-%d: %s" % (i, b"a" * 1000) for i in range(60)]),
          status=431)
    t.add("cookies", get(b"/allowed/a", *[b"Cookie: a=b"] * 500), status=431)
    t.add("options", get(b"/allowed/a", b"Connection: " + b"x, " * 2000 + b"close"), status=400)
    t.add("spaces", get(b"/allowed/a", b"X:" + b" " * 40000 + b"y"), status=431)
    t.add("endless-line", b"GET /allowed/" + b"a" * 100000, status=414)
    t.add("endless-method", b"G" * 100000, status=501)
    t.add("endless-value", b"GET /allowed/a HTTP/1.1\r\nX: " + b"a" * 100000, status=431)
    t.add("dots", get(b"/allowed" + b"/a/.." * 2500 + b"/a"), may=[A], must=True)
    t.add("dots-above", get(b"/allowed" + b"/.." * 5000 + b"/denied"))
    t.add("escapes", get(b"/" + b"%61" * 5000))


def names_of_tls(t):
    """SNI, ALPN and Host that do not agree."""
    t = t.of("tls")
    t.add("ok", get(), may=[A], must=True, tls=True)
    t.add("denied", get(b"/denied/a"), tls=True)
    t.add("host-other", line(b"GET /allowed/a HTTP/1.1", b"Host: denied.test\r\n"), tls=True)
    t.add("sni-other", get(), tls=True, sni="denied.test", may=[A])
    t.add("sni-other-host-other", line(b"GET /allowed/a HTTP/1.1", b"Host: denied.test\r\n"),
          tls=True,
          sni="denied.test")
    t.add("sni-none", get(), tls=True, sni="", may=[A])
    t.add("sni-none-denied", get(b"/denied/a"), tls=True, sni="")
    t.add("host-changes", get() + line(b"GET /allowed/a HTTP/1.1", b"Host: denied.test\r\n"),
          tls=True, may=[A])
    t.add("cl-te", post([b"Content-Length: 5", CHUNKED], EMPTY + SMUGGLED), tls=True, status=400)
    t.add("pipeline-denied", get() + get(b"/denied/a"), tls=True, may=[A])
    t.add("preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", tls=True, status=400)


def table():
    t = Table()
    for part in (lengths, heads, request_lines, paths, chunks, pipelines, bombs, names_of_tls):
        part(t)
    requests_h2.add(t)
    return t
