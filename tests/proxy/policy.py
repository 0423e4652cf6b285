# SPDX-License-Identifier: Apache-2.0
"""The policy that the proxy suite's agent is under: a rule for each thing that a row shows."""

CLIENTS = ("curl", "python3", "node", "git", "nghttp")

POLICY = """version: 1
filesystem_policy:
  include_workdir: true
  read_only: [/usr, /etc, %(modules)s]
process: {run_as_user: "60606", run_as_group: "60606"}
network_policies:
  api:
    endpoints:
      - host: api.svc.test
        ports: [80, 443]
        protocol: rest
        enforcement: enforce
        rules:
          - allow: {method: GET, path: "/v1/items/*"}
          - allow: {method: POST, path: /v1/items}
          - allow: {method: GET, path: "/v1/files/**"}
          - allow: {method: PUT, path: "/v1/upload/**"}
          - allow: {method: GET, path: /v1/search, query: {kind: {any: [issue, "pull*"]}, lang: "??"}}
          - allow: {method: GET, path: /sse}
          - allow: {method: GET, path: "/bytes/*"}
          - allow: {method: GET, path: /chunked}
          - allow: {method: GET, path: "/status/*"}
          - allow: {method: "*", path: "/any/**"}
        deny_rules:
          - {method: "*", path: "/v1/files/private/**"}
          - {method: "*", path: "/any/admin*"}
          - {method: GET, path: /v1/search, query: {kind: pull-secret}}
      - {host: ro.svc.test, port: 443, protocol: rest, enforcement: enforce, access: read-only}
      - {host: rw.svc.test, port: 443, protocol: rest, enforcement: enforce, access: read-write}
      - {host: full.svc.test, ports: [80, 443], protocol: rest, enforcement: enforce, access: full}
      - {host: six.svc.test, port: 443, protocol: rest, enforcement: enforce, access: read-only}
      - host: audit.svc.test
        port: 443
        protocol: rest
        enforcement: audit
        rules:
          - allow: {method: GET, path: "/v1/**"}
      - host: paths.svc.test
        port: 443
        path: "/api/**"
        protocol: rest
        enforcement: enforce
        access: read-only
      - {host: paths.svc.test, port: 443, path: "/api/admin/**", protocol: rest, enforcement: enforce, access: full}
      - host: paths.svc.test
        port: 443
        path: /graphql
        protocol: graphql
        enforcement: enforce
        access: read-only
    binaries: [%(clients)s]
  graph:
    endpoints:
      - host: gql.svc.test
        port: 443
        path: /graphql
        protocol: graphql
        enforcement: enforce
        rules:
          - allow: {operation_type: query, fields: [viewer, issue]}
          - allow: {operation_type: mutation, fields: ["create*"]}
        deny_rules:
          - {operation_type: mutation, fields: [deleteRepository]}
      - {host: gqlro.svc.test, port: 443, path: /graphql, protocol: graphql, enforcement: enforce, access: read-only}
    binaries: [%(clients)s]
  tools:
    endpoints:
      - host: mcp.svc.test
        port: 443
        path: /mcp
        protocol: mcp
        enforcement: enforce
        mcp: {allow_all_known_mcp_methods: true}
        rules:
          - allow: {tool: {any: [search_web, "read_*"]}}
        deny_rules:
          - {method: tools/call, tool: send_email}
    binaries: [%(clients)s]
  live:
    endpoints:
      - host: ws.svc.test
        ports: [80, 443]
        protocol: websocket
        enforcement: enforce
        rules:
          - allow: {method: GET, path: "/ws/**"}
          - allow: {method: WEBSOCKET_TEXT, path: "/ws/talk/**"}
          - allow: {method: "*", path: "/ws/any/**"}
      - host: wsgql.svc.test
        port: 443
        protocol: websocket
        enforcement: enforce
        rules:
          - allow: {method: GET, path: /graphql}
          - allow: {operation_type: query, fields: [viewer]}
        deny_rules:
          - operation_type: mutation
    binaries: [%(clients)s]
  rpc:
    endpoints:
      - host: grpc.svc.test
        ports: [80, 443]
        protocol: rest
        enforcement: enforce
        rules:
          - allow: {method: POST, path: "/svc.Echo/*"}
        deny_rules:
          - {method: POST, path: /svc.Echo/Admin}
    binaries: [%(clients)s]
  code:
    endpoints:
      - host: git.svc.test
        port: 443
        protocol: rest
        enforcement: enforce
        rules:
          - allow: {method: GET, path: "/*.git/info/refs"}
          - allow: {method: POST, path: "/*.git/git-upload-pack"}
          - allow: {method: POST, path: /write.git/git-receive-pack}
        deny_rules:
          - {method: GET, path: /read.git/info/refs, query: {service: git-receive-pack}}
    binaries: [%(clients)s]
  files:
    endpoints:
      - {host: static.svc.test, ports: [80, 443], protocol: rest, enforcement: enforce, access: read-write}
      - {host: tls12.svc.test, port: 443, protocol: rest, enforcement: enforce, access: read-only}
      - {host: npm.svc.test, port: 443, protocol: rest, enforcement: enforce, access: read-only}
      - {host: pip.svc.test, port: 443, protocol: rest, enforcement: enforce, access: read-only}
    binaries: [%(clients)s]
  trouble:
    endpoints:
      - {host: expired.svc.test, port: 443, protocol: rest, enforcement: enforce, access: full}
      - {host: wrong.svc.test, port: 443, protocol: rest, enforcement: enforce, access: full}
      - {host: self.svc.test, port: 443, protocol: rest, enforcement: enforce, access: full}
      - {host: stranger.svc.test, port: 443, protocol: rest, enforcement: enforce, access: full}
      - {host: down.svc.test, ports: [80, 443], protocol: rest, enforcement: enforce, access: full}
      - {host: hostile.svc.test, ports: [80, 443], protocol: rest, enforcement: enforce, access: full}
      - {host: none.svc.test, port: 443, protocol: rest, enforcement: enforce, access: full}
    binaries: [%(clients)s]
  only-curl:
    endpoints:
      - {host: curl-only.svc.test, port: 443, protocol: rest, enforcement: enforce, access: full}
    binaries: [{path: /usr/bin/curl}]
  # Beside what is inspected: a connection that nobody looks into.
  direct:
    endpoints: [{host: plain.svc.test, ports: [80, 443]}]
    binaries: [%(clients)s]
%(extra)s"""


def policy(world, extra=""):
    """`extra`: more rules."""
    return POLICY % {
        "modules": world.path("node_modules"),
        "clients": ", ".join("{path: /usr/bin/%s}" % name for name in CLIENTS),
        "extra": extra,
    }
