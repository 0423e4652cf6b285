# SPDX-License-Identifier: Apache-2.0
"""The acts of the proxy suite. Each is one command of an agent, tried in a sandbox and outside.

The legs of a row: in the sandbox it ends as `verdict` says, with `inside` in its output; the servers
saw `seen` (where it is denied: nothing at all); the log tells `event`; outside the same command
has `outside` in its output, and the servers saw `seen` too. A verdict:
    allowed   status 0
    denied    403, or what a client makes of it, and a body that says why (policy.md, "Answers")
    failed    neither: the error that `inside` says
    refused   the connection itself, at once; no answer from anybody
"""
import collections
import re

PYTHON = "/usr/bin/python3"
RAW = PYTHON + " raw.py "
NODE = "node client.mjs "
GRPC = PYTHON + " grpc_echo.py call "
CURL = "curl -sS --max-time 20 -w '\\n=%{http_code} h%{http_version} %{num_connects}\\n' "
EPERM = "Operation not permitted|EPERM|Couldn't connect|Failed to connect"
# For clients that have files of this machine that say whom to trust.
NPM = "NPM_CONFIG_USERCONFIG=$PWD/none NPM_CONFIG_GLOBALCONFIG=/dev/null NPM_CONFIG_CACHE=$PWD/.npm " \
    "npm --no-audit --no-fund --no-update-notifier --registry https://npm.svc.test/ "
PIP = "PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1 " + \
    PYTHON + " -m pip --no-cache-dir -q "
GIT = "GIT_TERMINAL_PROMPT=0 git -c user.name=a -c user.email=a@a "

Row = collections.namedtuple("Row", "what act verdict inside seen event outside fields")


def row(what, act, verdict, inside, seen=None, event=None, outside=None, fields=True):
    """`outside` defaults to `inside` where that is a success; `fields`: the body is checked."""
    if outside is None and verdict == "allowed":
        outside = inside
    return Row(what, act, verdict, inside, seen, event, outside, fields)


def request(host, method, path):
    """What a server tells of a request; the path is an expression."""
    return r"^%s\.svc\.test request .*method=%s url=%s( |$)" % (host, method, path)


def event(verb, method, host, path, scheme="https"):
    return r"HTTP:%s \[\w+\] %s %s %s://%s\.svc\.test(:\d+)?%s" % (
        method if method in HTTP_VERBS else r"\w+", verb, method, scheme, host, path)


HTTP_VERBS = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE", "PATCH")
OK = "=200 "
NO = "=403 "


def allowed(host, method, path, scheme="https"):
    return event("ALLOWED", method, host, path, scheme)


def denied(host, method, path, scheme="https"):
    return event("DENIED", method, host, path, scheme)


def get(what, host, path, ok, options="", method="GET", scheme="https", seen=None):
    """A row of curl's, allowed or denied."""
    url = "'%s://%s.svc.test%s'" % (scheme, host, path)
    plain = re.escape(path.split("?")[0])
    seen = request(host, method, seen or re.escape(path))
    if ok:
        return row(what, CURL + options + url, "allowed", OK, seen,
                   allowed(host, method, plain, scheme))
    return row(what, CURL + options + url, "denied", NO, seen, denied(host, method, plain, scheme),
               OK)


def rest():
    post = "-d a=b "
    return [
        get("GET, path glob", "api", "/v1/items/7", True),
        get("GET over plaintext", "api", "/v1/items/7", True, scheme="http"),
        get("GET, * stays in its segment", "api", "/v1/items/7/owner", False),
        get("GET over plaintext, denied", "api", "/v1/items/7/owner", False, scheme="http"),
        get("GET, ** crosses", "api", "/v1/files/a/b/c.txt", True),
        get("GET, ** matches none", "api", "/v1/files/", True),
        get("another method of the same path", "api", "/v1/items/7", False, "-X DELETE ", "DELETE"),
        get("POST", "api", "/v1/items", True, post, "POST"),
        get("POST to a path for GET", "api", "/v1/items/7", False, post, "POST"),
        get("PUT", "api", "/v1/upload/x", True, "-T raw.py ", "PUT"),
        get("PUT elsewhere", "api", "/v1/items", False, "-X PUT " + post, "PUT"),
        row("HEAD by a GET rule", CURL + "-I https://api.svc.test/v1/items/7", "allowed", OK,
            request("api", "HEAD", "/v1/items/7"), allowed("api", "HEAD", "/v1/items/7")),
        row("HEAD denied has no body", CURL + "-I https://api.svc.test/v1/other", "denied", NO,
            request("api", "HEAD", "/v1/other"), denied("api", "HEAD", "/v1/other"), OK, False),
        get("a path of no rule", "api", "/v2/items/7", False),
        get("a deny rule wins", "api", "/v1/files/private/key", False),
        get("a deny rule's * crosses segments", "api", "/any/admin/x/y", False),
        get("any method", "api", "/any/thing", True, "-X PATCH ", "PATCH"),
        get("query: one of several", "api", "/v1/search?kind=issue&lang=de", True),
        get("query: a glob", "api", "/v1/search?kind=pulls&lang=de", True),
        get("query: another value", "api", "/v1/search?kind=user&lang=de", False),
        get("query: a key is missing", "api", "/v1/search?kind=issue", False),
        get("query: each repeat has to match", "api", "/v1/search?kind=issue&kind=user&lang=de",
            False),
        get("query: decoded before it is looked at", "api", "/v1/search?kind=%69ssue&lang=de", True),
        get("query: a deny rule", "api", "/v1/search?kind=pull-secret&lang=de", False),
        get("dot segments are resolved before", "api", "/v1/files/../../v2/x", False,
            "--path-as-is ")._replace(event=denied("api", "GET", "/v2/x")),
        row("a deny rule sees through escapes", CURL + "--path-as-is "
            "'https://api.svc.test/v1/files/%70rivate/key'", "denied", NO,
            request("api", "GET", "/v1/files/.*"), denied("api", "GET", "/v1/files/"), OK),
        row("a path that is sent is the one that was judged", CURL + "--path-as-is "
            "'https://api.svc.test/v1//items/./%37'", "allowed", OK, None, None),
        row("an encoded slash is refused", CURL + "'https://api.svc.test/v1/files/a%2fb'", "failed",
            "invalid_request_target", None, None, OK),
        row("a backslash is refused", CURL + r"--path-as-is 'https://api.svc.test/v1/files/a\b'",
            "failed", "invalid_request_target", None, None, OK),
        row("another host in the request", CURL + "-H 'Host: other.svc.test' "
            "https://api.svc.test/v1/items/7", "failed", "request_authority_mismatch", None, None,
            OK),
        get("read-only: GET", "ro", "/x", True),
        get("read-only: OPTIONS", "ro", "/x", True, "-X OPTIONS ", "OPTIONS"),
        get("read-only: POST", "ro", "/x", False, post, "POST"),
        get("read-write: PATCH", "rw", "/x", True, "-X PATCH ", "PATCH"),
        get("read-write: DELETE", "rw", "/x", False, "-X DELETE ", "DELETE"),
        get("full: DELETE", "full", "/x", True, "-X DELETE ", "DELETE"),
        get("an IPv6 server", "six", "/x", True),
        get("an IPv6 server, denied", "six", "/x", False, post, "POST"),
        get("audit: what is allowed", "audit", "/v1/x", True),
        row("audit: what is not goes through, and is told", CURL + "https://audit.svc.test/v2/x",
            "allowed", OK, request("audit", "GET", "/v2/x"),
            event("AUDIT", "GET", "audit", "/v2/x")),
        get("an endpoint's path: in it", "paths", "/api/x", True),
        get("an endpoint's path: in it, another method", "paths", "/api/x", False, post, "POST"),
        get("an endpoint's path: in none", "paths", "/elsewhere", False),
        row("an endpoint's path chooses the parser", NODE +
            "gql https://paths.svc.test/graphql '{ viewer }'", "allowed", "somebody",
            "^paths.svc.test graphql .*field=viewer"),
        row("both endpoints have to admit", CURL + post + "https://paths.svc.test/api/admin/x",
            "denied", NO, request("paths", "POST", "/api/admin/x"), None, OK),
        row("a binary of no rule", RAW + "requests GET https://curl-only.svc.test/x", "refused",
            EPERM, request("curl-only", "GET", "/x"),
            r"DENIED \S*/python3[.\d]*\(\d+\) -> curl-only\.svc\.test:443", "200 reached"),
        get("the binary of that rule", "curl-only", "/x", True),
        get("beside it a connection that nobody looks into", "plain", "/x", True,
            scheme="http")._replace(
                event=r"NET:OPEN .*ALLOWED \S*/curl\(\d+\) -> plain\.svc\.test:80"),
    ]


def protocol():
    api = "https://api.svc.test/"
    return [
        row("keep-alive: allowed and denied on one connection", RAW + "keep " + api +
            " GET:/v1/items/1 GET:/v2/no GET:/v1/items/2 DELETE:/v1/items/3 GET:/v1/items/4",
            "allowed", r"200 reached.*\n403 policy_denied\n200 reached.*\n403 policy_denied\n"
            r"200 reached.*\nkept", request("api", "GET", "/v1/items/4"), None,
            r"(200 reached.*\n){5}kept"),
        row("keep-alive: a denied upload leaves the connection in order", RAW + "keep " + api +
            " PUT:/v1/items POST:/v1/items GET:/v1/items/2", "allowed",
            r"403 policy_denied\n(closed|200 reached.*\n200 reached)", None, None,
            r"(200 reached.*\n){3}kept"),
        row("pipelining", RAW + "pipeline " + api + " GET:/v1/items/1 GET:/v2/no GET:/v1/items/2",
            "allowed", r"200 reached.*\n403 policy_denied\n200 reached", None, None,
            r"(200 reached.*\n){3}"),
        row("pipelining over plaintext", RAW + "pipeline http://api.svc.test/ GET:/v1/items/1 "
            "GET:/v2/no GET:/v1/items/2", "allowed", r"200 reached.*\n403 policy_denied\n200 reached",
            None, None, r"(200 reached.*\n){3}"),
        row("Expect: 100-continue, allowed", RAW + "expect " + api + "v1/upload/x 300000", "allowed",
            r"continued 200 reached.*\nwhole", "^api.svc.test body .*bytes=300000"),
        row("Expect: 100-continue, denied before the body", RAW + "expect " + api + "v1/no 300000",
            "denied", "refused 403 policy_denied", request("api", "PUT", "/v1/no"), None,
            r"continued 200", False),
        row("an upload in chunks, with a trailer", RAW + "chunked " + api + "v1/upload/x 200000",
            "allowed", r"200 reached.*\nwhole", "^api.svc.test body .*bytes=200000.*x-end"),
        row("an upload in chunks, denied", RAW + "chunked " + api + "v1/no 200000", "denied",
            "403 policy_denied", request("api", "PUT", "/v1/no"), None, "200 reached", False),
        row("an answer in chunks", CURL + api + "chunked", "allowed", "(part \\d\n){5}(.*\n)*=200",
            request("api", "GET", "/chunked")),
        row("an answer without a body", CURL + api + "status/204", "allowed", "=204 ",
            request("api", "GET", "/status/204")),
        row("an answer of not modified", CURL + api + "status/304", "allowed", "=304 ",
            request("api", "GET", "/status/304")),
        row("a server's own error is passed on", CURL + api + "status/503", "allowed",
            "status 503\n+=503", request("api", "GET", "/status/503")),
        row("a server's own 403 is passed on", CURL + api + "status/403", "allowed",
            "status 403\n+=403", request("api", "GET", "/status/403")),
        row("half-close after the request", RAW + "half http://api.svc.test/v1/items/7", "allowed",
            "200 reached", request("api", "GET", "/v1/items/7")),
        row("HTTP/2, curl", CURL + "--http2 " + api + "v1/items/7", "allowed", "=200 h2",
            request("api", "GET", "/v1/items/7")),
        row("HTTP/2, denied", CURL + "--http2 " + api + "v2/x", "denied", "=403 h2",
            request("api", "GET", "/v2/x"), denied("api", "GET", "/v2/x"), "=200 h2"),
        row("HTTP/2, allowed and denied on one connection", CURL + "--http2 " + api + "v1/items/1 " +
            CURL[5:] + api + "v2/no " + "--next " + CURL[5:] + "--http2 " + api + "v1/items/2",
            "allowed", r"=200 h2 1\n(.*\n)*=403 h2 0\n(.*\n)*=200 h2 0", None, None,
            r"=200 h2 1\n(.*\n)*=200 h2 0\n(.*\n)*=200 h2 0"),
        row("HTTP/2, an upload", CURL + "--http2 -T raw.py " + api + "v1/upload/x", "allowed",
            "=200 h2", "^api.svc.test body"),
        row("HTTP/2, 100 streams at once", NODE + "many https://static.svc.test/small 100",
            "allowed", '{"404":100}', request("static", "GET", "/small/99")),
        row("HTTP/1.0", CURL + "--http1.0 http://api.svc.test/v1/items/7", "allowed", OK,
            request("api", "GET", "/v1/items/7")),
        row("HTTP/1.1 to a server of h2", CURL + "--http1.1 https://static.svc.test/small.txt",
            "allowed", "small\n+=200 h1.1", request("static", "GET", "/small.txt")),
        row("h2 to a server of HTTP/1.1", CURL + "--http2 https://tls12.svc.test/small.txt",
            "allowed", "small\n+=200 ", request("tls12", "GET", "/small.txt")),
        row("an agent with TLS 1.2", CURL + "--tls-max 1.2 " + api + "v1/items/7", "allowed", OK,
            request("api", "GET", "/v1/items/7")),
        row("compressed answers are left alone", CURL + "--compressed https://static.svc.test"
            "/small.txt", "allowed", "small\n+=200", request("static", "GET", "/small.txt")),
    ]


def clients():
    first = "rm -rf one two && "
    return [
        row("python requests", RAW + "requests GET https://api.svc.test/v1/items/7", "allowed",
            "200 reached", request("api", "GET", "/v1/items/7")),
        row("python requests, denied", RAW + "requests DELETE https://api.svc.test/v1/items/7",
            "denied", "403 policy_denied", request("api", "DELETE", "/v1/items/7"),
            denied("api", "DELETE", "/v1/items/7"), "200 reached", False),
        row("python requests, a session", RAW + "session GET https://api.svc.test/v1/items/1 "
            "https://api.svc.test/no https://api.svc.test/v1/items/2", "allowed",
            r"200 reached.*\n403 policy_denied\n200 reached", None, None, r"(200 reached.*\n){3}"),
        row("node fetch", NODE + "fetch https://api.svc.test/v1/items/7", "allowed", "200 reached",
            request("api", "GET", "/v1/items/7")),
        row("node fetch, POST", NODE + "fetch https://api.svc.test/v1/items POST body", "allowed",
            "200 reached origin POST 4 bytes", request("api", "POST", "/v1/items")),
        row("node fetch, denied", NODE + "fetch https://api.svc.test/v2/x", "denied",
            "403.*policy_denied", request("api", "GET", "/v2/x"), denied("api", "GET", "/v2/x"),
            "200 reached"),
        row("git clone", first + GIT + "clone -q https://git.svc.test/code.git one && "
            "git -C one log --oneline", "allowed", "First",
            request("git", "POST", "/code.git/git-upload-pack")),
        row("git push", first + GIT + "clone -q https://git.svc.test/write.git two && cd two && "
            "head -c 3000000 /dev/urandom >data && git add data && " + GIT +
            "commit -q -m Second && " + GIT + "push -q origin HEAD:refs/heads/$RANDOM && echo pushed",
            "allowed", "pushed", request("git", "POST", "/write.git/git-receive-pack")),
        row("git push to a repository to read", first + GIT + "clone -q https://git.svc.test/"
            "read.git two && cd two && " + GIT + "commit -q --allow-empty -m Second && " + GIT +
            "push -q origin HEAD:refs/heads/$RANDOM && echo pushed", "denied", "403",
            request("git", "POST", "/read.git/git-receive-pack"),
            denied("git", "GET", "/read.git/info/refs"), "pushed", False),
        row("npm install", "rm -rf npm && mkdir npm && cd npm && echo {} >package.json && " + NPM + "install first && node -e "
            "'console.log(require(\"first\"), require(\"second\"))'", "allowed",
            "first is here second is here", request("npm", "GET", "/second/-/second-1.0.0.tgz")),
        row("npm publish", "rm -rf npm && mkdir npm && cd npm && npm init -y >/dev/null && " + NPM +
            "--//npm.svc.test/:_authToken=none publish 2>&1", "denied", "E403|403",
            request("npm", "PUT", "/npm"), denied("npm", "PUT", "/npm"), "[+] npm@1.0.0", False),
        row("pip download", "rm -rf pip && " + PIP + "download --no-deps -d pip --index-url "
            "https://pip.svc.test/simple/ demo && ls pip", "allowed", "demo-1.0-py3-none-any.whl",
            request("pip", "GET", "/files/demo-.*")),
        row("server-sent events come at once", RAW + "events 'https://api.svc.test/sse?n=4&gap=100'",
            "allowed", r"events 4 first [1-4]?\d\.\d ms worst [1-4]?\d\.\d ms",
            request("api", "GET", "/sse.*")),
        row("server-sent events over plaintext", RAW +
            "events 'http://api.svc.test/sse?n=4&gap=100'", "allowed",
            r"events 4 first [1-4]?\d\.\d ms worst [1-4]?\d\.\d ms", None),
    ]


def upgrades():
    return [
        row("WebSocket: text", NODE + "ws wss://ws.svc.test/ws/talk/1 hello there", "allowed",
            r"text echo 5\ntext echo 5\nclosed 1000", "^ws.svc.test message .*text=there",
            allowed("ws", "GET", "/ws/talk/1", "wss")),
        row("WebSocket over plaintext", NODE + "ws ws://ws.svc.test/ws/talk/1 hello", "allowed",
            r"text echo 5\nclosed 1000", "^ws.svc.test message .*text=hello"),
        row("WebSocket: binary", NODE + "ws wss://ws.svc.test/ws/any/1 0x70000 text", "allowed",
            r"binary 458752\ntext echo 4\nclosed 1000", "^ws.svc.test message .*text=458752"),
        row("WebSocket: binary where text is allowed", NODE +
            "ws wss://ws.svc.test/ws/talk/1 0x70000 text", "denied", r"closed 1008",
            "^ws.svc.test message .*text=458752", fields=False),
        row("WebSocket: an upgrade of no rule", NODE + "ws wss://ws.svc.test/other hello", "denied",
            "403.*policy_denied", "^ws.svc.test upgrade .*url=/other", denied("ws", "GET", "/other", "wss"),
            "closed 1000"),
        row("WebSocket: text where none is allowed", NODE + "ws wss://ws.svc.test/ws/silent hello",
            "failed", r"closed 1008", "^ws.svc.test message .*text=hello", None, "closed 1000"),
        row("WebSocket: GraphQL query", NODE + "ws wss://wsgql.svc.test/graphql "
            "'{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":{\"query\":\"{ viewer }\"}}'", "allowed",
            r"text echo \d+\nclosed 1000", "^wsgql.svc.test message"),
        row("WebSocket: GraphQL mutation", NODE + "ws wss://wsgql.svc.test/graphql "
            "'{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":{\"query\":\"mutation { x }\"}}'",
            "failed", r"closed 1008", "^wsgql.svc.test message", None, "closed 1000"),
    ]


def graphql():
    url = NODE + "gql https://gql.svc.test/graphql "
    post = request("gql", "POST", "/graphql")
    return [
        row("GraphQL: a query", url + "'query { viewer }'", "allowed", "somebody",
            "^gql.svc.test graphql .*field=viewer", allowed("gql", "POST", "/graphql")),
        row("GraphQL: a mutation that is allowed", url + "'mutation { createIssue(title: \"a\") { id } }'",
            "allowed", '"id":"2"', "^gql.svc.test graphql .*field=createIssue"),
        row("GraphQL: a mutation that is denied", url + "'mutation { deleteRepository(id: 1) }'",
            "denied", "403.*policy_denied", post, denied("gql", "POST", "/graphql"), "200.*true"),
        row("GraphQL: a field of no rule", url + "'{ viewer secrets }'", "denied",
            "403.*policy_denied", post, None, "told"),
        row("GraphQL: an alias does not hide a field", url + "'{ viewer: secrets }'", "denied",
            "403.*policy_denied", post, None, "told"),
        row("GraphQL: nor does a fragment", url + "'query { ...f } fragment f on Query { secrets }'",
            "denied", "403.*policy_denied", post, None, "told"),
        row("GraphQL: a batch of what is allowed", url + "'{ viewer }' '{ issue(id: 1) { title } }'",
            "allowed", "somebody.*One", "^gql.svc.test graphql .*field=issue"),
        row("GraphQL: a batch with one that is not", url + "'{ viewer }' '{ secrets }'", "denied",
            "403.*policy_denied", post, None, "somebody.*told"),
        row("GraphQL: a query in the URL", CURL + "-G --data-urlencode 'query={ viewer }' "
            "https://gql.svc.test/graphql", "allowed", "somebody",
            "^gql.svc.test graphql .*field=viewer"),
        row("GraphQL: another query in the URL", CURL + "-G --data-urlencode 'query={ secrets }' "
            "https://gql.svc.test/graphql", "denied", NO, request("gql", "GET", "/graphql.*"), None,
            "told"),
        row("GraphQL: read-only, a query", NODE + "gql https://gqlro.svc.test/graphql '{ secrets }'",
            "allowed", "told", "^gqlro.svc.test graphql .*field=secrets"),
        row("GraphQL: read-only, a mutation", NODE + "gql https://gqlro.svc.test/graphql "
            "'mutation { createIssue(title: \"a\") { id } }'", "denied", "403.*policy_denied",
            request("gqlro", "POST", "/graphql"), None, '"id":"2"'),
    ]


def tools():
    url = NODE + "mcp https://mcp.svc.test/mcp "
    call = "^mcp.svc.test mcp .*rpc=tools/call tool=%s"
    batch = "-H 'content-type: application/json' -H 'accept: application/json, text/event-stream' -d "
    return [
        row("MCP: a tool that is allowed", url + "search_web hello", "allowed",
            "tools search_web read_document send_email\nresult .*did search_web",
            call % "search_web", allowed("mcp", "POST", "/mcp")),
        row("MCP: by a glob", url + "read_document hello", "allowed", "did read_document",
            call % "read_document"),
        row("MCP: a tool that is denied", url + "send_email hello", "denied",
            "(?s)tools search_web.*policy_denied", call % "send_email",
            denied("mcp", "POST", "/mcp"), "did send_email", False),
        row("MCP: a batch with one that is denied", CURL + batch + "'[{\"jsonrpc\":\"2.0\",\"id\":1,"
            "\"method\":\"tools/list\"},{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\","
            "\"params\":{\"name\":\"send_email\",\"arguments\":{\"text\":\"x\"}}}]' "
            "https://mcp.svc.test/mcp", "denied", NO, "^mcp.svc.test mcp", None, "no such session"),
        row("MCP: a key that is there twice", CURL + batch + "'{\"jsonrpc\":\"2.0\",\"id\":2,"
            "\"method\":\"tools/call\",\"params\":{\"name\":\"search_web\",\"name\":\"send_email\"}}' "
            "https://mcp.svc.test/mcp", "denied", NO, "^mcp.svc.test mcp", None, "no such session"),
        row("gRPC: unary", GRPC + "grpc.svc.test:443 Unary hello key=value", "allowed",
            "got echo hello .*x-method", r"^grpc.svc.test request .*url=/svc.Echo/Unary .*value"),
        row("gRPC: the answer streams", GRPC + "grpc.svc.test:443 Count 2000", "allowed",
            "got 0,1,2,.*,1999", None),
        row("gRPC: the question streams", GRPC + "grpc.svc.test:443 Sum a bb ccc", "allowed",
            "got 6", None),
        row("gRPC: both stream", GRPC + "grpc.svc.test:443 Chat a b c", "allowed",
            "got echo a,echo b,echo c", None),
        row("gRPC: a MiB", GRPC + "grpc.svc.test:443 Big x", "allowed", "got 1048576 ", None),
        row("gRPC: a method that is denied", GRPC + "grpc.svc.test:443 Admin hello", "denied",
            "PERMISSION_DENIED", "^grpc.svc.test request", denied("grpc", "POST", "/svc.Echo/Admin"),
            "got echo hello", False),
        row("gRPC without TLS", GRPC + "grpc.svc.test:80 Unary hello", "allowed", "got echo hello",
            "^grpc.svc.test request"),
    ]


def trouble():
    def bad(what, name, reason):
        return row("a certificate that " + what, CURL + "https://%s.svc.test/small.txt" % name,
                   "failed", r'(?s)"upstream_unreachable".*%s.*=502 ' % reason,
                   request(name, "GET", "/.*"), None, "SSL certificate problem|SSL: no alternative")

    return [
        bad("has expired", "expired", "expired"),
        bad("is for another name", "wrong", "(?i:host ?name|another name|is for|mismatch)"),
        bad("nobody signed", "self", "(?i:self.signed)"),
        bad("an unknown authority signed", "stranger", "(?i:issuer|authority|verif)"),
        row("nobody listens there", CURL + "https://down.svc.test/", "failed",
            '(?s)"upstream_unreachable".*(?i:refused).*=502 ', None, None, "Couldn't connect|refused"),
        row("nobody listens there, plaintext", CURL + "http://down.svc.test/", "failed",
            '(?s)"upstream_unreachable".*(?i:refused).*=502 ', None, None, "Couldn't connect|refused"),
    ]


def rows():
    return rest() + protocol() + clients() + upgrades() + graphql() + tools() + trouble()
