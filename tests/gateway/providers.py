#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Providers, profiles and routes of inference.local: what clients get of them (never a secret), and what
a node is told. Prints TAP."""

import glob
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import BIN, D, I, N, O, S, Node, eventually, gateway, ok, plan, refused, status  # noqa: E402

SECRETS = ["ghp_first-secret", "ghp_second-secret", "sk-model-secret", "sk-model-other", "mail-secret",
           "imported-secret", "other-workspace-secret"]
PLACEHOLDER = "openshell:resolve:env:"


def provider(name, kind, workspace=None, config=None, expires=None, version=0, **credentials):
    made = D.Provider(metadata=D.ObjectMeta(name=name, resource_version=version), type=kind,
                      credentials=credentials, config=config or {}, credential_expires_at_ms=expires or {})
    return {"provider": made, **({"workspace": workspace} if workspace else {})}


def shown(answer):
    """What a client sees of a provider: every key, no value."""
    return {k: v for k, v in answer.credentials.items()}


def crud(api):
    made = api.CreateProvider(O.CreateProviderRequest(**provider("gh", "github", GITHUB_TOKEN=SECRETS[0],
                                                                 config={"note": "mine"}))).provider
    ok(shown(made) == {"GITHUB_TOKEN": ""} and made.metadata.id and made.metadata.resource_version == 1
       and made.metadata.created_at_ms and made.metadata.workspace == "default"
       and made.config["note"] == "mine", "a provider is made; its answer has keys and no values", made)
    got = api.GetProvider(O.GetProviderRequest(name="gh")).provider
    ok(got == made, "it is read as it was made", (got, made))
    listed = api.ListProviders(O.ListProvidersRequest()).providers
    ok(len(listed) == 1 and listed[0] == made, "it is listed as it is read", listed)

    def create(*a, **k):
        return lambda: api.CreateProvider(O.CreateProviderRequest(**provider(*a, **k)))
    refused(create("gh", "github", GITHUB_TOKEN="x"), "ALREADY_EXISTS", "a name that is taken", "'gh'")
    refused(create("a", "githup", GITHUB_TOKEN="x"), "NOT_FOUND", "an unknown type names the nearest", "github")
    refused(create("", "github", GITHUB_TOKEN="x"), "INVALID_ARGUMENT", "no name")
    refused(create("Not_A_Name", "github"), "INVALID_ARGUMENT", "a name that is none")
    refused(create("a", ""), "INVALID_ARGUMENT", "no type", "type")
    refused(create("a", "generic", **{"A B": "x"}), "INVALID_ARGUMENT", "a key that is no variable")
    refused(create("a", "generic", OPENSHELL_X="x"), "INVALID_ARGUMENT", "a variable of OpenShell's own")
    got = status(create("a", "generic", TOKEN="top\nsecret"))
    ok(got[0] == "INVALID_ARGUMENT" and "secret" not in got[1], "a value with a line break; it is not repeated", got)
    refused(create("a", "generic", TOKEN="x" * 20000), "INVALID_ARGUMENT", "a value that is too long")
    refused(create("a", "generic", expires={"OTHER": 5}, TOKEN="x"), "INVALID_ARGUMENT",
            "an expiry of what is not there", "OTHER")
    refused(lambda: api.CreateProvider(O.CreateProviderRequest()), "INVALID_ARGUMENT", "an empty request")
    refused(lambda: api.GetProvider(O.GetProviderRequest(name="nobody")), "NOT_FOUND", "one that is not there",
            "'nobody'")
    refused(lambda: api.GetProvider(O.GetProviderRequest()), "INVALID_ARGUMENT", "none is named")
    refused(lambda: api.DeleteProvider(O.DeleteProviderRequest(name="nobody")), "NOT_FOUND", "deleting none")


def changes(api):
    def update(*a, **k):
        message = O.UpdateProviderRequest(**provider(*a, **k))
        return api.UpdateProvider(message).provider
    p = update("gh", "", GH_TOKEN="extra", config={"note": "", "other": "1"})
    ok(shown(p) == {"GITHUB_TOKEN": "", "GH_TOKEN": ""} and dict(p.config) == {"other": "1"}
       and p.metadata.resource_version == 2, "a change merges: given keys are set, empty ones go", p)
    p = update("gh", "github", GH_TOKEN="")
    ok(shown(p) == {"GITHUB_TOKEN": ""}, "an empty value takes a credential away", p)
    refused(lambda: update("gh", "gitlab"), "FAILED_PRECONDITION", "the type stays", "github")
    refused(lambda: update("gh", "", version=1, GITHUB_TOKEN="x"), "ABORTED", "an old version")
    refused(lambda: update("nobody", "", GITHUB_TOKEN="x"), "NOT_FOUND", "none")
    p = update("gh", "", version=3, GITHUB_TOKEN=SECRETS[0])
    ok(p.metadata.resource_version == 4, "the right version", p)
    later = int(time.time() + 3600) * 1000
    p = api.UpdateProvider(O.UpdateProviderRequest(
        provider=D.Provider(metadata=D.ObjectMeta(name="gh")), credential_expires_at_ms={"GITHUB_TOKEN": later})).provider
    ok(dict(p.credential_expires_at_ms) == {"GITHUB_TOKEN": later}, "an expiry is kept", p)
    refused(lambda: api.UpdateProvider(O.UpdateProviderRequest(
        provider=D.Provider(metadata=D.ObjectMeta(name="gh")), credential_expires_at_ms={"NONE": later})),
        "INVALID_ARGUMENT", "an expiry of nothing", "NONE")
    p = update("gh", "", GITHUB_TOKEN=SECRETS[0])
    ok(not p.credential_expires_at_ms, "a new value does not expire when the old one would have", p)


def told(node, sandbox, condition):
    def found():
        hits = [c for c in node.credentials if c.sandbox_id == sandbox and condition(c)]
        return hits[-1] if hits else None
    return eventually(found)


def values(message):
    return {(c.provider, c.key): c.value for c in message.credentials}


def attached(api, node):
    box = api.CreateSandbox(O.CreateSandboxRequest(name="box", spec=O.SandboxSpec(
        command=["sleep", "9"], providers=["gh"]))).sandbox
    sid = box.metadata.id
    a = eventually(lambda: node.assigned.get(sid))
    ok(a and values(a.credentials) == {("gh", "GITHUB_TOKEN"): SECRETS[0]},
       "a node is told the secret with the sandbox", a and a.credentials)
    ok(dict(a.credentials.environment) == {"GITHUB_TOKEN": PLACEHOLDER + "GITHUB_TOKEN"},
       "the agent gets a placeholder", a.credentials.environment)
    hosts = {b.host for c in a.credentials.credentials for b in c.bindings}
    ok(hosts == {"api.github.com", "uploads.github.com", "github.com"}, "and it may go where its profile says", hosts)
    ok("GITHUB_TOKEN" not in a.environment, "the sandbox's own environment is another matter", a.environment)
    first = a.credentials.revision

    api.UpdateProvider(O.UpdateProviderRequest(**provider("gh", "", GITHUB_TOKEN=SECRETS[1])))
    c = told(node, sid, lambda c: values(c) == {("gh", "GITHUB_TOKEN"): SECRETS[1]})
    ok(c and c.revision > first, "a rotated secret reaches the node, as a later revision", c)
    refused(lambda: api.UpdateProvider(O.UpdateProviderRequest(**provider("gh", "", GITHUB_TOKEN=""))),
            "FAILED_PRECONDITION", "a secret that a sandbox needs cannot be taken away", "'box'")
    refused(lambda: api.UpdateProvider(O.UpdateProviderRequest(
        provider=D.Provider(metadata=D.ObjectMeta(name="gh")), credential_expires_at_ms={"GITHUB_TOKEN": 1000})),
        "FAILED_PRECONDITION", "nor be made to have expired", "expired")
    before = api.GetProvider(O.GetProviderRequest(name="gh")).provider
    ok(shown(before) == {"GITHUB_TOKEN": ""} and not before.credential_expires_at_ms, "and nothing was written", before)
    refused(lambda: api.DeleteProvider(O.DeleteProviderRequest(name="gh")), "FAILED_PRECONDITION",
            "one that is attached is not deleted", "'box'")
    refused(lambda: api.CreateSandbox(O.CreateSandboxRequest(name="no", spec=O.SandboxSpec(providers=["nobody"]))),
            "NOT_FOUND", "a sandbox with a provider that is not there", "'nobody'")
    listed = api.ListSandboxProviders(O.ListSandboxProvidersRequest(sandbox_name="box")).providers
    ok(len(listed) == 1 and shown(listed[0]) == {"GITHUB_TOKEN": ""}, "a sandbox's providers, without secrets", listed)

    api.CreateProvider(O.CreateProviderRequest(**provider("empty", "github")))
    got = status(lambda: api.AttachSandboxProvider(O.AttachSandboxProviderRequest(sandbox_name="box", provider_name="empty")))
    ok(got[0] != "OK" and "GITHUB_TOKEN" in got[1], "one without its credential cannot be attached", got)
    bad = api.CreateSandbox(O.CreateSandboxRequest(name="without", spec=O.SandboxSpec(
        command=["sleep", "9"], providers=["empty"]))).sandbox.metadata.id
    a = eventually(lambda: node.assigned.get(bad))
    ok(a and not a.HasField("credentials"), "a sandbox that is made with it is assigned without: it is not lost", a)
    api.DeleteSandbox(O.DeleteSandboxRequest(name="without"))
    return sid


def rule(host, **endpoint):
    return S.NetworkPolicyRule(name=host, endpoints=[S.NetworkEndpoint(host=host, port=443, **endpoint)],
                               binaries=[S.NetworkBinary(path="/usr/bin/curl")])


def generic(api, node, sid):
    api.CreateProvider(O.CreateProviderRequest(**provider("mail", "generic", MAIL_TOKEN=SECRETS[4])))
    got = status(lambda: api.AttachSandboxProvider(O.AttachSandboxProviderRequest(sandbox_name="box", provider_name="mail")))
    ok(got[0] != "OK" and "credential_binding" in got[1], "a generic provider that no policy binds", got)
    policy = api.GetSandboxConfig(S.GetSandboxConfigRequest(sandbox_id=sid)).policy
    inspected = dict(protocol="rest", access="full", enforcement="enforce")
    policy.network_policies["mail"].CopyFrom(rule("mail.example.com", **inspected, credential_binding=
                                                  S.NetworkCredentialBinding(provider="mail")))
    api.UpdateConfig(O.UpdateConfigRequest(name="box", policy=policy))
    got = status(lambda: api.AttachSandboxProvider(O.AttachSandboxProviderRequest(sandbox_name="box", provider_name="mail")))
    ok(got[0] == "OK", "bound by the policy, it is attached", got)
    c = told(node, sid, lambda c: ("mail", "MAIL_TOKEN") in values(c))
    ok(c and {b.host for x in c.credentials if x.provider == "mail" for b in x.bindings} == {"mail.example.com"},
       "and goes there alone", c)
    ok(c and set(c.environment) == {"GITHUB_TOKEN", "MAIL_TOKEN"}, "the agent has both placeholders", c)
    policy.network_policies["mail"].endpoints[0].host = "post.example.com"
    seen = len(node.credentials)
    api.UpdateConfig(O.UpdateConfigRequest(name="box", policy=policy))
    c = eventually(lambda: next((c for c in node.credentials[seen:] if any(
        b.host == "post.example.com" for x in c.credentials for b in x.bindings)), None))
    ok(c, "another policy moves it", node.credentials[seen:])
    had = c.revision if c else 0
    api.DetachSandboxProvider(O.DetachSandboxProviderRequest(sandbox_name="box", provider_name="mail"))
    c = told(node, sid, lambda c: values(c).keys() == {("gh", "GITHUB_TOKEN")} and c.revision > had)
    ok(c, "detached, it is gone from the node", node.credentials[-1])


def item(kind, source="file.yaml", host="svc.example.com", **more):
    profile = O.ProviderProfile(id=kind, display_name=kind, description="A service", **more)
    if "credentials" not in more:
        profile.credentials.add(name="token", env_vars=["SVC_TOKEN", "SVC_KEY"], required=True)
    if host:
        profile.endpoints.add(host=host, ports=[443, 8443])
    return O.ProviderProfileImportItem(profile=profile, source=source)


def profiles(api, node, sid):
    builtin = api.ListProviderProfiles(O.ListProviderProfilesRequest()).profiles
    ids = [p.id for p in builtin]
    ok({"github", "codex", "generic"} <= set(ids) and ids == sorted(ids)
       and {p.source for p in builtin} == {"builtin"}, "the profiles that came with the program are listed", ids)
    page = api.ListProviderProfiles(O.ListProviderProfilesRequest(limit=2, offset=1)).profiles
    ok([p.id for p in page] == ids[1:3], "in pages", [p.id for p in page])
    p = api.GetProviderProfile(O.GetProviderProfileRequest(id="github")).profile
    ok(list(p.credentials[0].env_vars) == ["GITHUB_TOKEN", "GH_TOKEN"] and p.credentials[0].required
       and "api.github.com" in {e.host for e in p.endpoints}, "one of them", p)
    ok(api.GetProviderProfile(O.GetProviderProfileRequest(id="codex")).profile.inference_capable, "which has models")
    refused(lambda: api.GetProviderProfile(O.GetProviderProfileRequest(id="nothing")), "NOT_FOUND", "an unknown one")

    lint = api.LintProviderProfiles(O.LintProviderProfilesRequest(profiles=[item("svc")]))
    ok(lint.valid and not lint.diagnostics, "a profile in order", lint)
    rotated = O.ProviderProfileCredential(name="X", env_vars=["X"])
    rotated.refresh.strategy = O.PROVIDER_CREDENTIAL_REFRESH_STRATEGY_EXTERNAL
    lint = api.LintProviderProfiles(O.LintProviderProfilesRequest(profiles=[item("svc", credentials=[rotated])]))
    ok(lint.valid, "one whose credential somebody else refreshes", lint)
    rotated.refresh.strategy = O.PROVIDER_CREDENTIAL_REFRESH_STRATEGY_AWS_STS_ASSUME_ROLE
    lint = api.LintProviderProfiles(O.LintProviderProfilesRequest(profiles=[item("svc", credentials=[rotated])]))
    ok(not lint.valid and "refresh" in lint.diagnostics[0].message, "one that this gateway would have to refresh", lint)
    lint = api.LintProviderProfiles(O.LintProviderProfilesRequest(profiles=[
        item("svc", host="not a host"), item("svc"), item("github"), item("Bad Id", "b.yaml"),
        O.ProviderProfileImportItem(source="empty.yaml"),
        item("grant", credentials=[O.ProviderProfileCredential(name="X", path_template="/{X}"),
                                   O.ProviderProfileCredential(name="Y Z", path_template="/{Y}")])]))
    said = [(d.profile_id, d.source) for d in lint.diagnostics]
    texts = " ".join(d.message for d in lint.diagnostics)
    ok(not lint.valid and {"svc", "github", "Bad Id", "", "grant"} <= {s[0] for s in said}
       and said.count(("grant", "file.yaml")) >= 3, "all that is wrong is told, of all of them", lint)
    ok("not a host" in texts and "twice" in texts and "path_template" in texts, "in words", texts)

    got = api.ImportProviderProfiles(O.ImportProviderProfilesRequest(profiles=[item("svc"), item("github")]))
    ok(not got.imported and not got.profiles and got.diagnostics, "with one that is built in, none is imported", got)
    refused(lambda: api.GetProviderProfile(O.GetProviderProfileRequest(id="svc")), "NOT_FOUND", "really none")
    got = api.ImportProviderProfiles(O.ImportProviderProfilesRequest(profiles=[item("svc"), item("other")]))
    ok(got.imported and [(p.id, p.source, p.resource_version) for p in got.profiles]
       == [("svc", "imported", 1), ("other", "imported", 1)], "two are imported", got)
    refused(lambda: api.ImportProviderProfiles(O.ImportProviderProfilesRequest(profiles=[item("new"), item("svc")])),
            "ALREADY_EXISTS", "one that is there already", "'svc'")
    refused(lambda: api.GetProviderProfile(O.GetProviderProfileRequest(id="new")), "NOT_FOUND",
            "and what came with it is not left behind")
    ids = [p.id for p in api.ListProviderProfiles(O.ListProviderProfilesRequest()).profiles]
    ok("svc" in ids and "other" in ids and ids == sorted(ids), "they are among all", ids)

    api.CreateProvider(O.CreateProviderRequest(**provider("s", "svc", SVC_KEY=SECRETS[5])))
    api.AttachSandboxProvider(O.AttachSandboxProviderRequest(sandbox_name="box", provider_name="s"))
    c = told(node, sid, lambda c: ("s", "SVC_TOKEN") in values(c))
    ok(c and values(c)[("s", "SVC_TOKEN")] == SECRETS[5]
       and {(b.host, tuple(b.ports)) for x in c.credentials if x.provider == "s" for b in x.bindings}
       == {("svc.example.com", (443, 8443))}, "a provider of an imported type: its variable, its places", c)

    def update(it, **more):
        return api.UpdateProviderProfiles(O.UpdateProviderProfilesRequest(profile=it, **more))
    refused(lambda: update(item("svc"), expected_resource_version=7), "ABORTED", "another version was meant")
    refused(lambda: update(item("nothing")), "NOT_FOUND", "one that is not there is not updated")
    refused(lambda: update(item("github")), "FAILED_PRECONDITION", "nor one that is built in")
    refused(lambda: update(item("svc"), id="other"), "INVALID_ARGUMENT", "an id stays")
    got = update(item("svc", host="not a host"))
    ok(not got.updated and got.diagnostics, "one that is wrong is not taken", got)
    refused(lambda: update(item("svc", credentials=[O.ProviderProfileCredential(name="OTHER", required=True)])),
            "FAILED_PRECONDITION", "one that a sandbox could not use is not taken", "'box'")
    got = update(item("svc", host="new.example.com"), expected_resource_version=1)
    ok(got.updated and got.profile.resource_version == 2 and got.profile.endpoints[0].host == "new.example.com",
       "it is updated", got)
    c = told(node, sid, lambda c: any(b.host == "new.example.com" for x in c.credentials for b in x.bindings))
    ok(c, "and its node is told where the credential may go now")
    refused(lambda: api.DeleteProviderProfile(O.DeleteProviderProfileRequest(id="svc")), "FAILED_PRECONDITION",
            "one that a provider is of stays", "'s'")
    refused(lambda: api.DeleteProviderProfile(O.DeleteProviderProfileRequest(id="github")), "FAILED_PRECONDITION",
            "one that is built in stays")
    refused(lambda: api.DeleteProviderProfile(O.DeleteProviderProfileRequest(id="nothing")), "NOT_FOUND", "none")
    got = api.DeleteProviderProfile(O.DeleteProviderProfileRequest(id="other"))
    ok(got.deleted, "one that nobody uses goes", got)


def routes(api, node, sid):
    def set_route(**more):
        return api.SetInferenceRoute(I.SetInferenceRouteRequest(**more))

    def last():
        mine = [i for i in node.inference if i.sandbox_id == sid]
        return mine[-1] if mine else None
    refused(lambda: set_route(provider_name="nobody", model_id="m"), "NOT_FOUND", "a route to nobody", "'nobody'")
    refused(lambda: set_route(provider_name="gh", model_id="m"), "INVALID_ARGUMENT", "to what has no models", "github")
    refused(lambda: set_route(provider_name="gh"), "INVALID_ARGUMENT", "without a model")
    api.CreateProvider(O.CreateProviderRequest(**provider("ai", "openai", OPENAI_API_KEY=SECRETS[2])))
    refused(lambda: set_route(provider_name="ai", model_id="a,base-url=http://127.0.0.1"), "INVALID_ARGUMENT",
            "a model that says more than a model")
    refused(lambda: set_route(provider_name="ai", model_id="m", route_name="No Name"), "INVALID_ARGUMENT", "a bad name")
    refused(lambda: set_route(provider_name="ai", model_id="m", timeout_secs=1 << 40), "INVALID_ARGUMENT", "a long timeout")
    refused(lambda: set_route(provider_name="ai", model_id="m", verify=True, no_verify=True), "INVALID_ARGUMENT",
            "both verify and no_verify")
    refused(lambda: api.GetInferenceRoute(I.GetInferenceRouteRequest()), "NOT_FOUND", "there is none yet")
    got = set_route(provider_name="ai", model_id="gpt-4o-mini", timeout_secs=30, verify=True)
    ok((got.provider_name, got.model_id, got.version, got.route_name, got.timeout_secs, got.workspace)
       == ("ai", "gpt-4o-mini", 1, "inference.local", 30, "default") and not got.validation_performed,
       "a route is set; nobody claims to have tried it", got)
    i = eventually(lambda: last() if last() and last().HasField("inference") else None)
    r = i.inference.routes[0] if i else None
    ok(r and (r.name, r.provider, r.model, r.host, r.tls, r.timeout_ms) ==
       ("default", "ai", "gpt-4o-mini", "api.openai.com", True, 30000)
       and any(SECRETS[2] in h.value for h in r.headers), "the node is told, with the key", i)
    got = api.GetInferenceRoute(I.GetInferenceRouteRequest(route_name="inference.local"))
    ok(got.model_id == "gpt-4o-mini" and got.version == 1, "it is read by its name too", got)
    ok(set_route(provider_name="ai", model_id="gpt-4o", route_name="default").version == 2, "set anew, it has another version")
    set_route(provider_name="ai", model_id="small", route_name="a-first-by-name")
    set_route(provider_name="ai", model_id="system", route_name="sandbox-system")
    i = eventually(lambda: last() if len(last().inference.routes) == 2 else None)
    ok(i and [(r.name, r.model) for r in i.inference.routes] == [("default", "gpt-4o"), ("a-first-by-name", "small")],
       "the default route is first; the system's is not for agents", i)
    api.UpdateProvider(O.UpdateProviderRequest(**provider("ai", "", OPENAI_API_KEY=SECRETS[3])))
    i = eventually(lambda: last() if any(SECRETS[3] in h.value for h in last().inference.routes[0].headers) else None)
    ok(i, "a rotated key reaches routes of a provider that no sandbox has", last())
    refused(lambda: api.UpdateProvider(O.UpdateProviderRequest(**provider("ai", "", OPENAI_API_KEY=""))),
            "FAILED_PRECONDITION", "a key that a route needs stays", "route")
    refused(lambda: api.DeleteProvider(O.DeleteProviderRequest(name="ai")), "FAILED_PRECONDITION",
            "and so does its provider", "inference.local")
    late = api.CreateSandbox(O.CreateSandboxRequest(name="late", spec=O.SandboxSpec(command=["sleep", "9"]))).sandbox
    a = eventually(lambda: node.assigned.get(late.metadata.id))
    ok(a and len(a.inference.inference.routes) == 2 and not a.credentials.credentials,
       "a new sandbox is assigned with the routes, and has no credential of theirs", a)


def own_token(api, g, sid):
    token = subprocess.run([os.path.join(BIN, "openshell-gateway"), "issue-token", sid, "--database", g.database],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    box = g.api(token=token.stdout.strip())
    got = box.GetSandboxProviderEnvironment(O.GetSandboxProviderEnvironmentRequest(sandbox_id=sid))
    ok(dict(got.environment) == {k: PLACEHOLDER + k for k in ("GITHUB_TOKEN", "SVC_TOKEN")}
       and got.provider_env_revision, "a sandbox asks for its environment: placeholders", (got, token.stderr))
    one = box.GetInferenceBundle(I.GetInferenceBundleRequest())
    ok([(r.name, r.base_url, r.model_id, r.api_key) for r in one.routes] ==
       [("default", "https://api.openai.com:443/v1", "gpt-4o", ""),
        ("a-first-by-name", "https://api.openai.com:443/v1", "small", "")], "and for its routes: no key", one)
    refused(lambda: box.GetSandboxProviderEnvironment(O.GetSandboxProviderEnvironmentRequest(sandbox_id="0" * 36)),
            "PERMISSION_DENIED", "of itself alone")
    refused(lambda: box.GetProvider(O.GetProviderRequest(name="gh")), "PERMISSION_DENIED", "it is no user")
    got = status(lambda: api.GetInferenceBundle(I.GetInferenceBundleRequest()))
    ok(got[0] in ("PERMISSION_DENIED", "UNAUTHENTICATED"), "a user has no bundle", got)
    api.DeleteInferenceRoute(I.DeleteInferenceRouteRequest(route_name="a-first-by-name"))
    two = box.GetInferenceBundle(I.GetInferenceBundleRequest())
    again = box.GetInferenceBundle(I.GetInferenceBundleRequest())
    ok(len(two.routes) == 1 and two.revision != one.revision and again.revision == two.revision,
       "the bundle's revision changes with it", (one.revision, two.revision))
    box.close()


def workspaces(api):
    api.CreateWorkspace(O.CreateWorkspaceRequest(name="team"))
    made = api.CreateProvider(O.CreateProviderRequest(
        **provider("gh", "github", workspace="team", GITHUB_TOKEN=SECRETS[6]))).provider
    ok(made.metadata.workspace == "team", "another workspace has a provider of that name", made)
    ok([p.metadata.name for p in api.ListProviders(O.ListProvidersRequest(workspace="team")).providers] == ["gh"],
       "and lists it alone")
    everywhere = api.ListProviders(O.ListProvidersRequest(all_workspaces=True)).providers
    ok([p.metadata.workspace for p in everywhere if p.metadata.name == "gh"].count("team") == 1
       and len(everywhere) > 2 and not any(v for p in everywhere for v in p.credentials.values()),
       "all of them, without a secret", everywhere)
    refused(lambda: api.GetProviderProfile(O.GetProviderProfileRequest(id="svc", workspace="team")), "NOT_FOUND",
            "an imported profile is its workspace's")
    refused(lambda: api.GetInferenceRoute(I.GetInferenceRouteRequest(workspace="team")), "NOT_FOUND", "and so is a route")
    ok(api.DeleteProvider(O.DeleteProviderRequest(name="gh", workspace="team")).deleted, "it is deleted there")
    ok(api.GetProvider(O.GetProviderRequest(name="gh")).provider.metadata.workspace == "default", "and there alone")


def refresh(api):
    refused(lambda: api.ConfigureProviderRefresh(O.ConfigureProviderRefreshRequest(provider="gh")), "UNIMPLEMENTED",
            "refreshing is said to be missing")


def main():
    with gateway() as g:
        api, node = g.api(), Node(g)
        node.synced.wait(10)
        crud(api)
        changes(api)
        sid = attached(api, node)
        generic(api, node, sid)
        profiles(api, node, sid)
        routes(api, node, sid)
        own_token(api, g, sid)
        workspaces(api)
        refresh(api)

        g.kill()
        g.start()
        api.close()
        api = g.api()
        ok(shown(api.GetProvider(O.GetProviderRequest(name="gh")).provider) == {"GITHUB_TOKEN": ""},
           "killed and started anew, it knows them")
        again = Node(g, sandboxes=[N.SandboxReport(sandbox_id=sid)])
        a = eventually(lambda: again.assigned.get(sid))
        ok(a and values(a.credentials)[("gh", "GITHUB_TOKEN")] == SECRETS[1] and len(a.inference.inference.routes) == 1,
           "and tells its node all of it again", a)

        ok(api.DeleteInferenceRoute(I.DeleteInferenceRouteRequest()).deleted, "the route is deleted")
        i = eventually(lambda: next((i for i in again.inference if i.sandbox_id == sid
                                     and not i.HasField("inference")), None))
        ok(i, "and the node is told that there is none")
        refused(lambda: api.DeleteInferenceRoute(I.DeleteInferenceRouteRequest()), "NOT_FOUND", "it is gone")
        api.DeleteSandbox(O.DeleteSandboxRequest(name="box"))
        got = eventually(lambda: status(lambda: api.DeleteProvider(O.DeleteProviderRequest(name="gh")))[0] == "OK")
        ok(got, "a provider whose sandbox is gone is deleted")
        kept = b"".join(open(f, "rb").read() for f in glob.glob(g.database + "*"))
        log = g.text()
        ok(len(kept) > 10000 and not any(s.encode() in kept for s in SECRETS), "no secret is in the files in the clear")
        ok(not any(s in log for s in SECRETS), "and none in the log", log[-500:])
        node.api.close()
        again.detach()
        api.close()
    return plan()


if __name__ == "__main__":
    sys.exit(main())
