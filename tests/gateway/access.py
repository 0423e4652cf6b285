#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who is let in at a gateway, and to what: missing, foreign, expired and changed certificates and tokens;
sandboxes and hosts where users belong, and the other way round. Prints TAP."""

import base64
import json
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # handshakes fail here on purpose

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import BIN, N, O, S, Api, Gateway, Node, eventually, grpc, ok, plan, status  # noqa: E402

PROGRAM = os.path.join(BIN, "openshell-gateway")
OUT = ("UNAUTHENTICATED", "UNAVAILABLE")  # a handshake that fails is UNAVAILABLE to the client


def read(*path):
    with open(os.path.join(*path), "rb") as f:
        return f.read()


def certificate(directory, name, subject, *more):
    """A client certificate of the CA in a directory."""
    key, request, cert = (os.path.join(directory, name + end) for end in (".key", ".csr", ".crt"))
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                    key, "-out", request, "-subj", subject], check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", f"{directory}/ca.crt", "-CAkey", f"{directory}/ca.key",
                    "-CAcreateserial", "-out", cert, *(more or ("-days", "1"))], check=True, capture_output=True)
    return name


def segments(token):
    return token.split(".")


def encode(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def decode(segment):
    return json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def isolation(admin, alice, foreign):
    """A member of one workspace, and what is in another: it is not there, or not for her."""
    admin.CreateWorkspace(O.CreateWorkspaceRequest(name="lab"))
    admin.CreateWorkspace(O.CreateWorkspaceRequest(name="vault"))
    admin.CreateSandbox(O.CreateSandboxRequest(name="kept", workspace="vault", spec=O.SandboxSpec(
        policy=S.SandboxPolicy(version=1))))
    no = ("PERMISSION_DENIED", "NOT_FOUND")
    got = status(lambda: alice.ListSandboxes(O.ListSandboxesRequest(workspace="lab")))
    ok(got[0] in no, "somebody who is in no workspace sees none", got)
    admin.AddWorkspaceMember(O.AddWorkspaceMemberRequest(workspace="lab", principal_subject="alice",
                                                         role=O.WORKSPACE_ROLE_USER))
    got = status(lambda: alice.ListSandboxes(O.ListSandboxesRequest(workspace="lab")))
    ok(got[0] == "OK" and not got[1].sandboxes, "a member sees her own", got)
    got = status(lambda: alice.CreateSandbox(O.CreateSandboxRequest(name="hers", workspace="lab", spec=O.SandboxSpec(
        policy=S.SandboxPolicy(version=1)))))
    ok(got[0] == "OK", "and makes sandboxes there", got)
    for what, call in (
            ("ListSandboxes", lambda w: alice.ListSandboxes(O.ListSandboxesRequest(workspace=w))),
            ("GetSandbox", lambda w: alice.GetSandbox(O.GetSandboxRequest(name="kept", workspace=w))),
            ("DeleteSandbox", lambda w: alice.DeleteSandbox(O.DeleteSandboxRequest(name="kept", workspace=w))),
            ("StopSandbox", lambda w: alice.StopSandbox(O.StopSandboxRequest(name="kept", workspace=w))),
            ("CreateSandbox", lambda w: alice.CreateSandbox(O.CreateSandboxRequest(name="mine", workspace=w))),
            ("UpdateConfig", lambda w: alice.UpdateConfig(O.UpdateConfigRequest(name="kept", workspace=w,
                                                                                policy=S.SandboxPolicy(version=1)))),
            ("ListProviders", lambda w: alice.ListProviders(O.ListProvidersRequest(workspace=w))),
            ("ListWorkspaceMembers", lambda w: alice.ListWorkspaceMembers(O.ListWorkspaceMembersRequest(workspace=w)))):
        got = status(lambda: call("vault"))
        ok(got[0] in no, f"{what} in another workspace", got)
        if what in ("GetSandbox", "DeleteSandbox", "StopSandbox", "UpdateConfig"):
            got = status(lambda: call("lab"))
            ok(got[0] in no, f"{what} of another's by its name in her own", got)
    for what, call in (
            ("ExecSandbox", lambda: alice.ExecSandbox(O.ExecSandboxRequest(sandbox_id=foreign, command=["id"]))),
            ("WatchSandbox", lambda: alice.WatchSandbox(O.WatchSandboxRequest(id=foreign, follow_status=True), timeout=5)),
            ("GetSandboxLogs", lambda: alice.GetSandboxLogs(O.GetSandboxLogsRequest(sandbox_id=foreign)))):
        got = status(call)
        ok(got[0] in no, f"{what} of another's by its id", got)
    for what, call in (
            ("CreateWorkspace", lambda: alice.CreateWorkspace(O.CreateWorkspaceRequest(name="more"))),
            ("DeleteWorkspace", lambda: alice.DeleteWorkspace(O.DeleteWorkspaceRequest(name="lab"))),
            ("a global policy", lambda: alice.UpdateConfig(O.UpdateConfigRequest(**{"global": True}, policy=S.SandboxPolicy(
                version=1)))),
            ("making herself an administrator", lambda: alice.AddWorkspaceMember(O.AddWorkspaceMemberRequest(
                workspace="lab", principal_subject="alice", role=O.WORKSPACE_ROLE_ADMIN))),
            ("letting herself in elsewhere", lambda: alice.AddWorkspaceMember(O.AddWorkspaceMemberRequest(
                workspace="vault", principal_subject="alice", role=O.WORKSPACE_ROLE_USER)))):
        got = status(call)
        ok(got[0] in no, f"a member may not: {what}", got)
    names = [w.metadata.name for w in alice.ListWorkspaces(O.ListWorkspacesRequest()).workspaces]
    ok("vault" not in names and "lab" in names, "ListWorkspaces has hers alone", names)
    alice.DeleteSandbox(O.DeleteSandboxRequest(name="hers", workspace="lab"))
    admin.RemoveWorkspaceMember(O.RemoveWorkspaceMemberRequest(workspace="lab", principal_subject="alice"))
    got = status(lambda: alice.ListSandboxes(O.ListSandboxesRequest(workspace="lab")))
    ok(got[0] in no, "who is no member any more sees nothing, at once", got)
    admin.DeleteSandbox(O.DeleteSandboxRequest(name="kept", workspace="vault"))
    alice.close()


def main():
    with tempfile.TemporaryDirectory() as top:
        ours, theirs = os.path.join(top, "ours"), os.path.join(top, "theirs")
        for directory in (ours, theirs):
            subprocess.run([PROGRAM, "generate-certs", "--dir", directory, "--node", "node1"], check=True, capture_output=True)
        gateway = Gateway(top, "--tls-cert", f"{ours}/server.crt", "--tls-key", f"{ours}/server.key", "--tls-client-ca",
                          f"{ours}/ca.crt", local_user=False)

        def api(certificates=None, name=None, token=None, ca=ours):
            pair = {}
            if certificates:
                pair = {"private_key": read(certificates, name + ".key"), "certificate_chain": read(certificates, name + ".crt")}
            return Api(gateway.target, grpc.ssl_channel_credentials(read(ca, "ca.crt"), **pair), token)

        def listing(client):
            return status(lambda: client.ListSandboxes(O.ListSandboxesRequest(), timeout=10))

        def refused(client, what, codes=OUT):
            got = listing(client)
            ok(got[0] in codes, what, got)
            client.close()

        try:
            admin = api(ours, "client")
            ok(listing(admin)[0] == "OK", "the administrator's certificate lets in", listing(admin))
            refused(api(), "no certificate, no token", ("UNAUTHENTICATED",))
            refused(api(theirs, "client"), "a certificate of another CA")
            refused(api(ours, "client", ca=theirs), "a gateway of another CA is not believed", ("UNAVAILABLE",))
            refused(api(ours, certificate(ours, "user", "/O=somewhere/CN=admin")), "a certificate of no known kind",
                    ("UNAUTHENTICATED", "PERMISSION_DENIED"))
            refused(api(ours, certificate(ours, "late", "/O=openshell-admin/CN=admin", "-days", "-1")), "an expired certificate")
            refused(api(ours, "node"), "a host's certificate on a user's method", ("PERMISSION_DENIED", "UNAUTHENTICATED"))
            refused(api(token=Gateway.NODE_TOKEN), "a host's token on a user's method", ("PERMISSION_DENIED", "UNAUTHENTICATED"))
            refused(api(token="nonsense"), "a token that is none", ("UNAUTHENTICATED",))
            refused(api(token=""), "an empty token", ("UNAUTHENTICATED",))
            plain = Api(gateway.target)
            refused(plain, "without TLS", ("UNAVAILABLE", "UNAUTHENTICATED"))

            def attach(client):
                hello = N.NodeMessage(hello=N.Hello(node="evil", version="x", protocol=1, drivers=["host"]))
                return status(lambda: next(client.Attach(iter([hello]), timeout=10)))
            got = attach(admin)
            ok(got[0] in ("PERMISSION_DENIED", "UNAUTHENTICATED"), "a user does not attach as a host", got)
            other = api(ours, "node")
            got = attach(other)
            ok(got[0] != "OK" or got[1] is None or got[1].WhichOneof("payload") == "rejected",
               "a host's certificate is for its name alone", got)

            class Plain:
                """The node of world.py, over TLS with the host's token."""
                @staticmethod
                def node_api():
                    return api(token=Gateway.NODE_TOKEN)
            node = Node(Plain)
            ok(node.synced.wait(10), "the host attaches by its token", node.error)
            made = [admin.CreateSandbox(O.CreateSandboxRequest(name=n, spec=O.SandboxSpec(policy=S.SandboxPolicy(version=1))))
                    .sandbox for n in ("one", "two")]
            eventually(lambda: len(node.assigned) == 2)
            one, two = (m.metadata.id for m in made)
            token = subprocess.run([PROGRAM, "issue-token", one, "--database", gateway.database], check=True, capture_output=True,
                                   text=True).stdout.strip()

            def config(token, sandbox):
                client = api(token=token)
                got = status(lambda: client.GetSandboxConfig(S.GetSandboxConfigRequest(sandbox_id=sandbox), timeout=10))
                client.close()
                return got
            ok(config(token, one)[0] == "OK", "a sandbox's token is for itself", config(token, one))
            got = config(token, two)
            ok(got[0] in ("PERMISSION_DENIED", "NOT_FOUND"), "not for another sandbox", got)
            sandbox = api(token=token)
            for what, call in (
                    ("ListSandboxes", lambda: sandbox.ListSandboxes(O.ListSandboxesRequest())),
                    ("GetSandbox of itself", lambda: sandbox.GetSandbox(O.GetSandboxRequest(name="one"))),
                    ("DeleteSandbox", lambda: sandbox.DeleteSandbox(O.DeleteSandboxRequest(name="two"))),
                    ("ExecSandbox", lambda: sandbox.ExecSandbox(O.ExecSandboxRequest(sandbox_id=one, command=["id"]))),
                    ("UpdateConfig", lambda: sandbox.UpdateConfig(O.UpdateConfigRequest(name="one", policy=S.SandboxPolicy(
                        version=1)))),
                    ("ListProviders", lambda: sandbox.ListProviders(O.ListProvidersRequest())),
                    ("CreateWorkspace", lambda: sandbox.CreateWorkspace(O.CreateWorkspaceRequest(name="mine")))):
                got = status(call)
                ok(got[0] in ("PERMISSION_DENIED", "UNAUTHENTICATED"), f"a sandbox's token on {what}", got)
            got = attach(sandbox)
            ok(got[0] in ("PERMISSION_DENIED", "UNAUTHENTICATED"), "a sandbox does not attach as a host", got)
            head, body, signature = segments(token)
            claims = decode(body)
            changed = {k: (two if v == one else v.replace(one, two) if isinstance(v, str) else v) for k, v in claims.items()}
            forged = {
                "another sandbox's name in it": ".".join((head, encode(changed), signature)),
                "a later end in it": ".".join((head, encode({**claims, "exp": claims["exp"] + 10 ** 6}), signature)),
                "alg none": ".".join((encode({**decode(head), "alg": "none"}), body, "")),
                "alg none with the signature": ".".join((encode({**decode(head), "alg": "none"}), body, signature)),
                "alg HS256": ".".join((encode({**decode(head), "alg": "HS256"}), body, signature)),
                "no signature": ".".join((head, body, "")),
                "two parts": ".".join((head, body)),
                "a fourth part": token + ".x",
                "half of it": token[:len(token) // 2],
                "a changed signature": token[:-8] + ("A" * 8 if token[-8:] != "A" * 8 else "B" * 8),
            }
            for what, wrong in forged.items():
                got = [config(wrong, one), config(wrong, two)]
                ok(all(g[0] == "UNAUTHENTICATED" for g in got), f"a token with {what}", got)
            isolation(admin, api(ours, certificate(ours, "alice", "/O=users/CN=alice")), two)
            admin.DeleteSandbox(O.DeleteSandboxRequest(name="one"))
            eventually(lambda: listing(admin)[0] == "OK" and len(listing(admin)[1].sandboxes) == 1)
            got = config(token, one)
            ok(got[0] in ("UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND"), "the token of a sandbox that is gone", got)
            text = gateway.text()
            ok(token not in text and signature not in text, "no token is in the log")
            kind = read(gateway.database)
            ok(Gateway.NODE_TOKEN.encode() not in kind and signature.encode() not in kind, "nor in the database")
            node.detach()
        finally:
            ok(gateway.end() == 0, "the gateway ends as it was asked to", gateway.text()[-300:])
    return plan()


sys.exit(main())
