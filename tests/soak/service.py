"""Service: the weir that is soaked. Its master may change (an upgrade), so what is followed is the
session of processes that the first one leads, and the pid that status tells."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time

from harness import proc
from harness.environment import PATIENCE
from harness.server import Server

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Makes a master whose predecessor has ended a child of ours, whose exit status we are told."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


class Service(Server):
    def __init__(self, *flags, **options):
        super().__init__(*flags, **options)
        # setpriv's signal reaches the first master alone: should we be killed, this one sees to all.
        self._leash = subprocess.Popen(
            [sys.executable, __file__, str(self.pid)], stdin=subprocess.PIPE, start_new_session=True
        )
        help_text = self.weirctl("--help").stdout
        self.commands = {
            line.split("[--control PATH] ")[1].split()[0]
            for line in help_text.splitlines()
            if "[--control PATH] " in line
        }
        # One that knows certificates alone has nothing to reload here.
        if self.weirctl("reload").returncode != 0:
            self.commands.discard("reload")

    @property
    def master_pid(self):
        return self.status()["master_pid"]

    def status(self):
        """By the socket itself: a soak asks thousands of times."""
        answer = self.ask(b'{"command":"status"}')
        assert answer.get("ok", True), answer
        return answer["status"]

    def ask(self, line):
        """Also in the moment in which one master gives the socket to the next."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return super().ask(line)
            except (ConnectionError, FileNotFoundError, json.JSONDecodeError, socket.timeout):
                if time.monotonic() > deadline or "upgrade" not in self.commands:
                    raise
                time.sleep(0.01)

    def serving(self):
        """The workers that serve now."""
        return [w for w in self.workers() if w["state"] == "serving" and w["pid"]]

    def stop(self):
        """SIGTERM to the master. Returns once nobody is left, and says how the masters ended: exit
        statuses by pid."""
        os.kill(self.master_pid, signal.SIGTERM)
        self._told_to_stop = True
        ended = {self.pid: self._process.wait(PATIENCE)}
        deadline = time.monotonic() + PATIENCE
        while left := proc.session_members(self.pid):
            if time.monotonic() > deadline:
                raise AssertionError(f"weir was told to stop and left processes {left}")
            time.sleep(0.01)
        while True:  # those that became ours
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            ended[pid] = os.waitstatus_to_exitcode(status)
        return ended

    def close(self):
        try:
            super().close()
        finally:
            self._leash.stdin.close()
            self._leash.wait(PATIENCE)

    def tail(self):
        return "\n".join(f"{line['level']}: {line['message']}" for line in self.log()[-60:])


def _leash(session):
    """Waits for the end of whoever holds the other end of standard input, then ends that session."""
    sys.stdin.read()
    for pid in proc.session_members(session):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


if __name__ == "__main__":
    _leash(int(sys.argv[1]))
