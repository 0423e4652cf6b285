# SPDX-License-Identifier: Apache-2.0
"""A command on a terminal of its own, and what it has shown."""

import fcntl
import os
import pty
import select
import struct
import termios
import time


class Terminal:
    def __init__(self, arguments, environment, rows=24, columns=80):
        self.text = b""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.execve(arguments[0], arguments, environment)
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def write(self, data):
        os.write(self.fd, data)

    def wait_for(self, word, seconds=15):
        end = time.monotonic() + seconds
        while word not in self.text and time.monotonic() < end:
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.fd, 65536)
                except OSError:
                    break
        return word in self.text

    def raw(self):
        return not termios.tcgetattr(self.fd)[3] & termios.ICANON

    def exit_code(self, seconds=15):
        """None when it runs on; it is ended then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            self.wait_for(b"\0never", 0.1)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        return None
