#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The inference benchmark: what streams lose on their way through inference.local.

usage: inference.py TOOLS BIN SERVER-ADDRESS SERVER-COMMAND..

As proxy.py, whose world it has. One client (streamload) and one server (streamserver) that speak TLS, in
turn directly, in `openshell run`, and through streamrelay, which passes on bytes and knows nothing of
them: events of 220 bytes, 100 a second in each stream. The clock is the same for all, and each event
has the time of its sending. Prints, for 1 and 200 streams at once, `FIGURE CONTENDER MEDIAN Q1..Q3` of
rounds, in us: `first-N-p50`, `first-N-p99` from a request to its first event, `delay-N-..` from sending
to receipt of an event, by `direct` and `ours`; `added` and `relay-added` are the differences to direct
in one round. `processor-N` is processor time for an event. Then `memory`, KiB of the worker's private
memory for each of 200 streams.
"""
import os
import statistics
import sys
import time

from proxy import (FIRST, NAME, OTHERS, Bench, Broken, Contender, private_kib, processor_time)

ROUNDS = int(os.environ.get("BENCH_INFERENCE_ROUNDS", "7"))
MS = int(os.environ.get("BENCH_INFERENCE_MS", "4000"))
PORT, RELAY, GAP, STREAMS = 9443, 9444, 10000, 200
FIGURES = ("first-%d-p50", "first-%d-p99", "delay-%d-p50", "delay-%d-p99")
POLICY = """version: 1
filesystem_policy: {include_workdir: true, read_only: [/usr, /lib, /lib64, /bin, /etc]}
process: {run_as_user: "60606", run_as_group: "60606"}
network_policies: {}
"""


class Streams(Bench):
    def start(self):
        self.copy("streamload")
        self.certificates()
        server = self.there + [os.path.join(self.tools, "streamserver"), self.address, str(PORT),
                               self.path("server.crt"), self.path("server.key")]
        self.spawn(server, OTHERS)
        time.sleep(0.5)
        self.contenders.append(Contender("direct", [self.path("streamload"), NAME, str(PORT), NAME,
                                                    self.path("ca.crt")]))
        relay = self.spawn([os.path.join(self.tools, "streamrelay"), str(RELAY), NAME, str(PORT)], FIRST)
        time.sleep(0.5)
        self.contenders.append(Contender("relay", [self.path("streamload"), "127.0.0.1", str(RELAY),
                                                   NAME, self.path("ca.crt")], [relay.pid]))
        self.contenders.append(self.ours())

    def copy(self, name):
        with open(os.path.join(self.tools, name), "rb") as program, \
                open(self.path(name), "wb") as out:
            out.write(program.read())
        os.chmod(self.path(name), 0o755)

    def ours(self):
        errors = self.path("ours.err")
        argv = [os.path.join(self.programs, "openshell"), "run", "--policy",
                self.write("ours.yaml", POLICY), "--upstream-ca", self.path("ca.crt"),
                "--inference", "provider=openai,model=bench,base-url=https://%s:%d/v1" % (NAME, PORT),
                "--no-verify", "--workdir", self.dir, "--no-tty", "--name", "ours", "--log",
                self.path("ours.log"), "--", self.path("streamload"), "inference.local", "443",
                "inference.local", "env"]
        with open(errors, "w", encoding="utf-8") as out:
            try:
                here = Contender("ours", argv, stderr=out,
                                 env=dict(os.environ, OPENAI_API_KEY="sk-bench-0123456789abcdef"))
            except Broken as broken:
                with open(errors, encoding="utf-8") as text:
                    raise Broken("%s %s" % (broken, " ".join(text.read().split())[:300])) from None
        # Which of them is the worker is known to the tests that kill it.
        os.environ["NAMES_DIR"] = os.path.dirname(self.programs)
        from sandbox import Roles
        worker = Roles(here.client.pid).worker()
        if not worker:
            here.end()
            raise Broken("it has no worker")
        os.sched_setaffinity(worker, FIRST)
        here.pids = [worker]
        return here

    def memory(self, contender):
        """As a stream has it under way; what the first ones leave behind is no stream's."""
        contender.ask("hold", 16)
        contender.ask("drop")
        time.sleep(0.5)
        before = private_kib(contender.pids)
        contender.ask("hold", STREAMS)
        self.values["memory"] = [(private_kib(contender.pids) - before) / STREAMS]
        contender.ask("drop")

    def turn(self, number):
        for count, chunks in ((1, 20), (STREAMS, 100)):
            found = {}
            turn = number % len(self.contenders)
            for contender in self.contenders[turn:] + self.contenders[:turn]:
                before = processor_time(contender.pids)
                figures = contender.ask("streams", count, chunks, GAP, MS)
                wanted = count * MS * 1000 / GAP
                if figures[4] < wanted * 0.9:
                    raise Broken("%s: %d events of %d came" % (contender.name, figures[4], wanted))
                found[contender.name] = figures
                if contender.pids:
                    # It had a second to warm up as well.
                    spent = (processor_time(contender.pids) - before) * MS / (MS + 1000)
                    self.values.setdefault("processor-%d %s" % (count, contender.name), []).append(
                        spent * 1e6 / figures[4])
            for i, figure in enumerate(FIGURES):
                direct = found["direct"][i]
                for name, value in (("direct", direct), ("ours", found["ours"][i]),
                                    ("added", found["ours"][i] - direct),
                                    ("relay-added", found["relay"][i] - direct)):
                    self.values.setdefault("%s %s" % (figure % count, name), []).append(value)

    def tell(self):
        for figure, values in self.values.items():
            if len(values) < 2:
                print(figure, "%.1f -" % values[0])
                continue
            low, half, high = statistics.quantiles(values, n=4, method="inclusive")
            print(figure, "%.1f %.1f..%.1f" % (half, low, high), flush=True)


def main():
    bench = Streams(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
    try:
        bench.start()
        bench.memory(bench.contenders[-1])
        for number in range(ROUNDS):
            bench.turn(number)
        bench.tell()
    except Broken as error:
        print("failed -", error)
    finally:
        bench.end()


if __name__ == "__main__":
    main()
