# SPDX-License-Identifier: Apache-2.0
"""The acts of the names suite. Each is one command of an agent, tried in a sandbox and outside.

The legs of a row: in the sandbox it ends as `verdict` says, with `inside` in its output; the log
tells it, with the name and the binary; outside the same command succeeds, with `outside` in its
output. In guests, where everything takes long, only those without guest=False. A verdict:
    allowed   status 0
    denied    another status, at once
    refused   as denied, and the real server has never been asked for the name
"""
import collections

PYTHON = "/usr/bin/python3"
CLIENT = PYTHON + " client.py "
CURL = "curl -sS --max-time 10 "
SYNTHETIC4, SYNTHETIC6 = r"198\.1[89]\.\d+\.\d+", r"fd6f:7065:6e73:6865:[0-9a-f:]+"
SYNTHETIC = "(%s|%s)" % (SYNTHETIC4, SYNTHETIC6)
EPERM = "Operation not permitted|EPERM"
NO_NAME = "Could not resolve host|EAI_AGAIN|EAI_NONAME|EAI_FAIL|ENOTFOUND|Name or service not known"
REACHED = "reached one "

Row = collections.namedtuple("Row", "what act verdict inside event outside guest")


def row(what, act, verdict, inside, event=None, outside="", guest=True):
    return Row(what, act, verdict, inside, event, outside, guest)


def opened(verb, binary, name, port):
    """An event's line about a connection."""
    return r"%s \S*/%s\(\d+\) -> %s:%d\b" % (verb, binary, name.replace(".", r"\."), port)


def allowed(binary, name, port):
    return opened("ALLOWED", binary, name, port)


def denied(binary, name, port):
    return opened("DENIED", binary, name, port)


def unknown(name):
    """An event's line about a name that nobody here may use."""
    return r"DENIED .*\b%s\b" % name.replace(".", r"\.")


def rows(world):
    launcher, fetch = world.path("bin", "launcher"), world.path("tools", "fetch")
    code = "git@git.svc.test:" + world.path("repositories", "code.git")
    clone = "rm -rf %s && GIT_TERMINAL_PROMPT=0 git -c http.sslCAInfo=$PWD/ca.pem clone -q %s %s" \
        " && git -C %s log --oneline"
    node = "NODE_EXTRA_CA_CERTS=$PWD/ca.pem node -e 'fetch(process.argv[1]).then(r => r.text())" \
        ".then(t => console.log(t)).catch(e => { console.log(e.cause ? e.cause.code || " \
        "String(e.cause.errors) : e); process.exit(1) })' "
    return [
        # By name, with one client after the other, over both families.
        row("curl, an admitted name", CURL + "http://both.svc.test/", "allowed", REACHED,
            allowed("curl", "both.svc.test", 80), REACHED),
        row("curl -4", CURL + "-4 http://both.svc.test/", "allowed",
            r"reached one 203\.0\.113\.10 80",
            allowed("curl", "both.svc.test", 80), guest=False),
        row("curl -6", CURL + "-6 http://both.svc.test/", "allowed",
            r"reached one 2001:db8:1::10 80",
            allowed("curl", "both.svc.test", 80)),
        row("curl, a name of IPv4 alone", CURL + "http://four.svc.test/", "allowed",
            r"reached one 203\.0\.113\.11 80", allowed("curl", "four.svc.test", 80), guest=False),
        row("curl, a name of IPv6 alone", CURL + "http://six.svc.test/", "allowed",
            r"reached one 2001:db8:1::11 80", allowed("curl", "six.svc.test", 80), guest=False),
        row("curl, HTTPS with the name's own certificate",
            CURL + "--cacert ca.pem https://both.svc.test/", "allowed", "443 as both.svc.test",
            allowed("curl", "both.svc.test", 443)),
        row("curl says the synthetic address", CURL + "-o /dev/null -w '%{remote_ip}\n' "
            "http://both.svc.test/", "allowed", SYNTHETIC, None, "203.0.113.10|2001:db8:1::10",
            guest=False),
        row("curl, where IPv6 is dead (happy eyeballs)", CURL + "http://half.svc.test/", "allowed",
            r"reached one 203\.0\.113\.10 80", allowed("curl", "half.svc.test", 80)),
        row("python, create_connection; the peer is the synthetic address",
            CLIENT + "tcp both.svc.test 7", "allowed", "ok peer " + SYNTHETIC,
            allowed(r"python3[.\d]*", "both.svc.test", 7), "ok peer (203|2001)"),
        row("python, UDP sent and connected; replies come from the synthetic address",
            CLIENT + "udp both.svc.test 7", "allowed",
            "ok peer (?=.*%s)(?=.*%s)" % (SYNTHETIC4, SYNTHETIC6),
            allowed(r"python3[.\d]*", "both.svc.test", 7), "ok peer"),
        row("python, urllib over HTTPS", CLIENT + "url https://both.svc.test/", "allowed", REACHED,
            allowed(r"python3[.\d]*", "both.svc.test", 443), REACHED, guest=False),
        row("node, fetch over HTTPS", node + "https://both.svc.test/", "allowed", REACHED,
            allowed("node", "both.svc.test", 443), REACHED, False),
        row("git over HTTPS", clone % ("one", "https://git.svc.test/git/code.git", "one", "one"),
            "allowed", "First", allowed(r"git-remote-http\S*", "git.svc.test", 443), "First"),
        row("git over ssh", clone % ("two", code, "two", "two"), "allowed", "First",
            allowed("ssh", "git.svc.test", 22), "First"),
        row("redis-cli", "redis-cli -h redis.svc.test set key value", "allowed", "OK",
            allowed("redis-cli", "redis.svc.test", 6379), "OK"),
        row("a chain of CNAMEs", CURL + "http://alias.svc.test/", "allowed",
            r"reached one 203\.0\.113\.11 80 as alias", allowed("curl", "alias.svc.test", 80),
            guest=False),
        row("a name in the host's /etc/hosts", CURL + "http://listed.home.test/", "allowed",
            r"reached one 203\.0\.113\.14 80", allowed("curl", "listed.home.test", 80)),
        row("getent shows synthetic addresses", "getent ahosts both.svc.test", "allowed",
            "(?s)(?=.*%s)(?=.*%s)" % (SYNTHETIC4, SYNTHETIC6), None, r"203\.0\.113\.10"),
        row("one of a name's addresses is dead: the client's retry gets the other",
            CLIENT + "retry many.svc.test 7", "allowed", "ok peer", None, "ok peer", guest=False),

        # By name, denied.
        row("curl, a name in no rule", CURL + "http://denied.svc.test/", "refused", NO_NAME,
            unknown("denied.svc.test"), REACHED),
        row("python, a name in no rule", CLIENT + "tcp denied.svc.test 7", "refused", NO_NAME,
            unknown("denied.svc.test"), "ok peer", guest=False),
        row("python, UDP to a name in no rule",
            CLIENT + "udp denied.svc.test 7", "refused", NO_NAME,
            unknown("denied.svc.test"), "ok peer"),
        row("node, a name in no rule", node + "http://denied.svc.test/", "refused", NO_NAME,
            unknown("denied.svc.test"), REACHED, False),
        row("getent, a name in no rule", "getent ahosts denied.svc.test", "refused", r"\A\Z",
            unknown("denied.svc.test"), r"203\.0\.113\.10", guest=False),
        row("ssh, a name in no rule", "ssh git@denied.svc.test true", "refused", NO_NAME +
            "|Temporary failure", unknown("denied.svc.test"), None, guest=False),
        row("a name that is told in the command line changes nothing",
            CURL + "--resolve denied.svc.test:80:203.0.113.10 http://denied.svc.test/", "denied",
            "Couldn't connect|Failed to connect", denied("curl", "203.0.113.10", 80), REACHED,
            guest=False),
        row("twins on one address: the admitted one", CURL + "http://twin-a.svc.test/", "allowed",
            r"reached one (203\.0\.113\.12|2001:db8:1::12) 80",
            allowed("curl", "twin-a.svc.test", 80)),
        row("twins on one address: the other one", CURL + "http://twin-b.svc.test/", "refused",
            NO_NAME, unknown("twin-b.svc.test"), "reached one"),
        row("the real address of an admitted name, IPv4",
            CLIENT + "literal 203.0.113.12 7", "denied",
            EPERM, denied(r"python3[.\d]*", "203.0.113.12", 7), "ok peer"),
        row("the real address of an admitted name, IPv6",
            CLIENT + "literal 2001:db8:1::12 7", "denied",
            EPERM, denied(r"python3[.\d]*", r"\[?2001:db8:1::12\]?", 7), "ok peer"),
        row("a synthetic address that is no name's", CLIENT + "literal 198.19.200.200 7", "denied",
            EPERM, r"DENIED \S*/python3[.\d]*\(\d+\) -> .*198\.19\.200\.200", None),

        # By port.
        row("another port of an admitted name", CURL + "http://both.svc.test:8080/", "denied",
            "Couldn't connect|Failed to connect", denied("curl", "both.svc.test", 8080), REACHED),
        row("another port, python", CLIENT + "tcp curl-only.svc.test 7", "denied", EPERM,
            denied(r"python3[.\d]*", "curl-only.svc.test", 7), "ok peer", guest=False),
        row("another port, UDP", CLIENT + "udp curl-only.svc.test 7", "denied", EPERM,
            denied(r"python3[.\d]*", "curl-only.svc.test", 7), "ok peer"),
        row("a port that another name's rule has",
            "redis-cli -h git.svc.test ping", "denied", EPERM,
            denied("redis-cli", "git.svc.test", 6379), "PONG", guest=False),

        # By binary.
        row("a rule for curl: curl", CURL + "http://curl-only.svc.test/", "allowed", REACHED,
            allowed("curl", "curl-only.svc.test", 80), guest=False),
        row("a rule for curl: python", CLIENT + "url http://curl-only.svc.test/", "denied", EPERM,
            denied(r"python3[.\d]*", "curl-only.svc.test", 80), REACHED),
        row("a rule for curl: node", node + "http://curl-only.svc.test/", "denied", EPERM,
            denied("node", "curl-only.svc.test", 80), REACHED, False),
        row("a rule for curl: a copy of curl", "cp /usr/bin/curl copy && ./copy -sS "
            "http://curl-only.svc.test/", "denied", "Couldn't connect|Failed to connect",
            denied("copy", "curl-only.svc.test", 80), REACHED),
        row("a rule for python: curl", CURL + "http://python-only.svc.test/", "denied",
            "Couldn't connect|Failed to connect",
            denied("curl", "python-only.svc.test", 80), REACHED,
            guest=False),
        row("a rule for ssh and git: curl",
            CURL + "--cacert ca.pem https://git.svc.test/", "denied",
            "Couldn't connect|Failed to connect",
            denied("curl", "git.svc.test", 443), "reached two",
            guest=False),

        # By ancestor.
        row("a rule for a launcher: its child", launcher + " -c '%s http://ancestor.svc.test/; :'"
            % CURL, "allowed", REACHED, allowed("curl", "ancestor.svc.test", 80)),
        row("a rule for a launcher: its grandchild, forked twice, in another session",
            launcher + " -c 'rm -f far; setsid -f /bin/bash -c \"sleep 0.2; setsid -f %s -o far "
            "http://ancestor.svc.test/\"; :'; for i in $(seq 50); do [ ! -s far ] || break; "
            "sleep 0.1; done; cat far" % CURL, "allowed", REACHED,
            allowed("curl", "ancestor.svc.test", 80)),
        row("a rule for a launcher: what it executes in its own place",
            launcher + " -c 'exec %s http://ancestor.svc.test/'" % CURL, "denied",
            "Couldn't connect|Failed to connect", denied("curl", "ancestor.svc.test", 80), REACHED),
        row("a rule for a launcher: without it", CURL + "http://ancestor.svc.test/", "denied",
            "Couldn't connect|Failed to connect", denied("curl", "ancestor.svc.test", 80), REACHED),
        row("a rule with a glob: a binary in it, never seen before",
            fetch + " -sS http://glob.svc.test/", "allowed", REACHED,
            allowed("fetch", "glob.svc.test", 80)),
        row("a rule with a glob: the same again", fetch + " -sS http://glob.svc.test/", "allowed",
            REACHED, allowed("fetch", "glob.svc.test", 80), guest=False),
        row("a rule with a glob: a binary outside of it", CURL + "http://glob.svc.test/", "denied",
            "Couldn't connect|Failed to connect", denied("curl", "glob.svc.test", 80), REACHED),

        # By wildcard.
        row("*: one label", CURL + "http://x.wild.test/", "allowed",
            r"reached one (203\.0\.113\.13|2001:db8:1::13) 80", allowed("curl", "x.wild.test", 80)),
        row("*: not two", CURL + "http://x.y.wild.test/", "refused", NO_NAME,
            unknown("x.y.wild.test"), REACHED),
        row("*: not none", CURL + "http://wild.test/", "refused", NO_NAME, unknown("wild.test"),
            REACHED, guest=False),
        row("**: one label",
            CURL + "http://x.deep.test/", "allowed", r"reached one 203\.0\.113\.13 80",
            allowed("curl", "x.deep.test", 80), guest=False),
        row("**: four labels", CURL + "http://a.b.c.d.deep.test/", "allowed",
            r"reached one 203\.0\.113\.13 80", allowed("curl", "a.b.c.d.deep.test", 80)),
        row("**: not none", CURL + "http://deep.test/", "refused", NO_NAME, unknown("deep.test"),
            REACHED),
        row("*-api: part of a label", CURL + "http://eu-api.svc.test/", "allowed", REACHED,
            allowed("curl", "eu-api.svc.test", 80)),
        row("*-api: another end", CURL + "http://eu-web.svc.test/", "refused", NO_NAME,
            unknown("eu-web.svc.test"), REACHED, guest=False),

        # Private addresses.
        row("a name spelt out may be private", CURL + "http://private.svc.test/", "allowed",
            r"reached two (10\.20\.0\.2|fd77:20::2) 80", allowed("curl", "private.svc.test", 80)),
        row("a wildcard may not", CURL + "http://in.priv.test/", "denied", NO_NAME +
            "|Couldn't connect", None, r"reached two 10\.20\.0\.2"),
        row("a wildcard with allowed_ips may be there", CURL + "http://in.listed.test/", "allowed",
            r"reached two 10\.20\.0\.2 80", allowed("curl", "in.listed.test", 80)),
        row("and nowhere else", CURL + "http://out.listed.test/", "denied", NO_NAME +
            "|Couldn't connect", None, REACHED, guest=False),
        row("a control plane's port at a private address",
            CURL + "http://control.svc.test:6443/", "denied", "Couldn't connect|Failed to connect",
            denied("curl", "control.svc.test", 6443), "reached two"),
        row("another port of the same name", CURL + "http://control.svc.test/", "allowed",
            "reached two", allowed("curl", "control.svc.test", 80), guest=False),
        row("the same port at a public address", CURL + "http://public-control.svc.test:6443/",
            "allowed", REACHED, allowed("curl", "public-control.svc.test", 6443), guest=False),
        row("the host by its name", CURL + "http://host.openshell.internal:8080/", "allowed",
            "reached home", allowed("curl", "host.openshell.internal", 8080), None),

        # The protocol.
        row("DNS: A over UDP", CLIENT + "dns both.svc.test A", "allowed",
            "^NOERROR A %s ttl" % SYNTHETIC4, None, r"NOERROR A 203\.0\.113\.10"),
        row("DNS: AAAA over UDP", CLIENT + "dns both.svc.test AAAA", "allowed",
            "^NOERROR AAAA %s ttl" % SYNTHETIC6, None, "NOERROR AAAA 2001:db8:1::10", guest=False),
        row("DNS: over TCP", CLIENT + "dns tcp both.svc.test A", "allowed",
            "^NOERROR A %s ttl" % SYNTHETIC4, None, r"NOERROR A 203\.0\.113\.10"),
        row("DNS: EDNS is answered with EDNS", CLIENT + "dns edns both.svc.test A", "allowed",
            "^NOERROR A %s ttl .* EDNS" % SYNTHETIC4, None, "EDNS"),
        row("DNS: the question keeps its case", CLIENT + "dns BoTh.sVc.TeSt A", "allowed",
            "^NOERROR A %s ttl [0-9]+$" % SYNTHETIC4, None, r"NOERROR A 203\.0\.113\.10",
            guest=False),
        row("DNS: any resolver's address leads to ours", CLIENT + "dns both.svc.test A 9.9.9.9",
            "allowed", "^NOERROR A %s ttl" % SYNTHETIC4, None, None),
        row("DNS: any resolver's IPv6 address too", CLIENT + "dns both.svc.test A 2620:fe::fe",
            "allowed", "^NOERROR A %s ttl" % SYNTHETIC4, None, None, guest=False),
        row("DNS: and loopback", CLIENT + "dns tcp both.svc.test A 127.0.0.53", "allowed",
            "^NOERROR A %s ttl" % SYNTHETIC4, None, None),
        row("DNS: HTTPS has no data",
            CLIENT + "dns both.svc.test HTTPS", "allowed", "^NOERROR$", None,
            "NOERROR"),
        row("DNS: SVCB has no data",
            CLIENT + "dns both.svc.test SVCB", "allowed", "^NOERROR$", None,
            "NOERROR", guest=False),
        row("DNS: AAAA of a name without has no data", CLIENT + "dns four.svc.test AAAA", "allowed",
            "^NOERROR$", None, "NOERROR", guest=False),
        row("DNS: a name in no rule is REFUSED, over UDP",
            CLIENT + "dns denied.svc.test A", "allowed",
            "^REFUSED$", unknown("denied.svc.test"), r"NOERROR A 203\.0\.113\.10"),
        row("DNS: and over TCP", CLIENT + "dns tcp denied.svc.test AAAA", "allowed", "^REFUSED$",
            unknown("denied.svc.test"), "NOERROR AAAA", guest=False),
        row("DNS: whatever its type", CLIENT + "dns denied.svc.test TXT", "allowed", "^REFUSED$",
            unknown("denied.svc.test"), "NOERROR", guest=False),
        row("DNS: a name that is admitted and does not exist", CLIENT + "dns none.svc.test A",
            "allowed", "^NXDOMAIN$", None, "NXDOMAIN"),
        row("DNS: a name whose servers fail", CLIENT + "dns x.failing.test A", "allowed",
            "^SERVFAIL$", None, "SERVFAIL", guest=False),
        row("DNS: the name of a real address is not told", CLIENT +
            "dns 10.113.0.203.in-addr.arpa PTR", "allowed", "^(REFUSED|NXDOMAIN)$", None,
            "PTR|NXDOMAIN|NOERROR", guest=False),
    ]


def policy(world, extra=""):
    """Rules by what they are to show; `extra` is one more of them."""
    node = "" if "node" in world.missing else ", {path: /usr/bin/node}"
    return """version: 1
filesystem_policy:
  include_workdir: true
  read_only: [/usr, /etc, %(bin)s, %(tools)s]
process: {run_as_user: "60606", run_as_group: "60606"}
network_policies:
  clients:
    endpoints:
      - {host: both.svc.test, ports: [7, 80, 443]}
      - {host: four.svc.test, ports: [7, 80]}
      - {host: six.svc.test, ports: [7, 80]}
      - {host: twin-a.svc.test, ports: [7, 80]}
      - {host: half.svc.test, port: 80}
      - {host: many.svc.test, port: 7}
      - {host: alias.svc.test, port: 80}
      - {host: moving.svc.test, ports: [7, 80]}
      - {host: listed.home.test, port: 80}
      - {host: none.svc.test, port: 80}
      - {host: "*.failing.test", port: 80}
      - {host: "*.silent.test", port: 80}
      - {host: "*.wild.test", ports: [7, 80]}
      - {host: "*.roam.test", ports: [7, 80]}
      - {host: "**.deep.test", port: 80}
      - {host: "*-api.svc.test", port: 80}
      - {host: private.svc.test, ports: [7, 80]}
      - {host: "*.priv.test", port: 80}
      - {host: "*.listed.test", port: 80, allowed_ips: [10.20.0.0/24]}
      - {host: control.svc.test, ports: [80, 6443]}
      - {host: public-control.svc.test, port: 6443}
      - {host: host.openshell.internal, port: 8080}
    binaries: [{path: /usr/bin/curl}, {path: /usr/bin/python3}%(node)s]
  curl:
    endpoints: [{host: curl-only.svc.test, port: 80}]
    binaries: [{path: /usr/bin/curl}, {path: %(bin)s/changing}]
  python:
    endpoints: [{host: python-only.svc.test, port: 80}]
    binaries: [{path: /usr/bin/python3}]
  code:
    endpoints: [{host: git.svc.test, ports: [22, 443]}]
    binaries: [{path: /usr/bin/git}]
  store:
    endpoints: [{host: redis.svc.test, port: 6379}]
    binaries: [{path: /usr/bin/redis-cli}]
  launcher:
    endpoints: [{host: ancestor.svc.test, port: 80}]
    binaries: [{path: %(bin)s/launcher}]
  tools:
    endpoints: [{host: glob.svc.test, port: 80}]
    binaries: [{path: "%(tools)s/**"}]
%(extra)s""" % {
        "bin": world.path("bin"),
        "tools": world.path("tools"),
        "node": node,
        "extra": extra,
    }
