# SPDX-License-Identifier: Apache-2.0
"""Agents of the proxy suites: what they trust comes from variables, inside and outside."""
import os

from proxy_world import TRUST
from sandbox import Agent, Outside, Sandbox

Agent.seconds = 90


class ProxySandbox(Sandbox):
    """@options: more of `openshell run`; @env: variables that it has, beside ours."""

    def __init__(self, world, text, name="proxy", options=(), env=None):
        path = world.write(name + ".yaml", text)
        super().__init__(world, path, name,
                         ["openshell", "run", "--upstream-ca", world.ca, *options],
                         env=dict(os.environ, **(env or {})))


def outside_agent(world, **env):
    """Trusts by the same variables what the proxy trusts for those inside."""
    trusted = world.path("work", "outside-ca.pem")
    return Outside(world, **{name: trusted for name in TRUST}, **env)
