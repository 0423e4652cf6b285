#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs our client (caller.c) against grpcio's server: usage: both.py CALLER MESSAGES_DIR. Prints TAP."""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CALLER, INTO = sys.argv[1:3]


def certificates(directory):
    for ca in ("ca", "other"):
        run(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{ca}.key", "-out", f"{ca}.crt", "-days", "2", "-subj", f"/CN={ca}")
    with open(os.path.join(directory, "san"), "w") as f:
        f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "client"):
        run(directory, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        run(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", f"{name}.crt", "-days", "2", "-extfile", "san")


def run(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def suite(server_arguments, caller_arguments):
    server = subprocess.Popen([sys.executable, os.path.join(HERE, "foreign_server.py"), INTO, *server_arguments],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = server.stdout.readline().strip()
    result = subprocess.run([CALLER, port, *caller_arguments], stdout=subprocess.PIPE, text=True, timeout=120)
    server.stdin.close()
    server.wait(10)
    return result


def main():
    lines, bad = [], False
    with tempfile.TemporaryDirectory() as d:
        certificates(d)
        file = {n: os.path.join(d, n) for n in os.listdir(d)}
        for server, caller in (((), ()), (
                (file["server.crt"], file["server.key"], file["ca.crt"]),
                (file["ca.crt"], file["client.crt"], file["client.key"], file["other.crt"]))):
            result = suite(server, caller)
            got = [line for line in result.stdout.splitlines() if " - " in line]
            bad |= result.returncode != 0 or "1..%d" % len(got) not in result.stdout
            lines += got
    for i, line in enumerate(lines, 1):
        print(line.split("ok ")[0] + f"ok {i} - " + line.split(" - ", 1)[1])
    if bad:
        lines.append("")
        print(f"not ok {len(lines)} - our client ran to its end")
    print(f"1..{len(lines)}")
    return bad


sys.exit(main())
