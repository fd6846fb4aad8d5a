"""Succession: a weir whose master may change, by an upgrade or a takeover. The processes stay in the
session that the first master leads, so what is followed is that session, and the pid that status
tells."""

import ctypes
import os
import shutil
import signal
import time

from harness import proc
from harness.environment import PATIENCE
from harness.server import Server

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Makes a master whose predecessor has ended a child of ours, whose exit status we are told."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


class Succession(Server):
    def __init__(self, *flags, **options):
        adopt_orphans()
        super().__init__(*flags, **options)

    def master(self):
        """The pid of the one in charge."""
        return self.status()["master_pid"]

    def upgrade(self, *words):
        """Upgrades, and returns once the workers of before have ended, with the new master's pid."""
        before = self.status()
        done = self.weirctl("upgrade", *words)
        assert done.returncode == 0, done.stderr
        pid = self.master()
        assert pid != before["master_pid"], "the same master is in charge"
        assert done.stdout == f"upgraded: process {pid} is in charge\n", done.stdout
        self.await_gone({w["pid"] for w in before["workers"]} | {before["master_pid"]})
        return pid

    def await_gone(self, pids):
        """Returns once none of them is there any more, and reaps those that are ours by now."""
        deadline = time.monotonic() + PATIENCE
        while left := pids & set(proc.session_members(self.pid)):
            assert time.monotonic() < deadline, f"processes {left} do not end"
            time.sleep(0.002)
        self._reap()

    def _reap(self):
        """Exit statuses of orphans of this session that have ended, by pid."""
        ended = {}
        for pid in os.listdir("/proc"):
            if not pid.isdigit() or int(pid) == self.pid:
                continue
            try:
                if os.getsid(int(pid)) != self.pid:
                    continue
                found, status = os.waitpid(int(pid), os.WNOHANG)
            except (ChildProcessError, ProcessLookupError):
                continue
            if found:
                ended[found] = os.waitstatus_to_exitcode(status)
        return ended

    def kill_master(self):
        """Its workers and its keeper go on. Returns its pid."""
        pid = self.master()
        self._told_to_stop = True
        os.kill(pid, signal.SIGKILL)
        if pid == self.pid:
            self._process.wait(PATIENCE)
        self.await_gone({pid})
        self.await_log(r"^the master has died")
        return pid

    def stop(self):
        """SIGTERM to the one in charge."""
        self._told_to_stop = True
        os.kill(self.master(), signal.SIGTERM)

    def ends_by_itself(self):
        """Nobody is in charge any more, and whoever is left ends."""
        self._told_to_stop = True

    def close(self):
        """As Server.close(), of whoever is in charge; one whose master was killed has to be empty."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._told_to_stop:
                self.stop()
            self.await_gone(set(proc.session_members(self.pid)))
            self._process.wait(PATIENCE)
            self._reader.join(PATIENCE)
        finally:
            self._kill_all()
            shutil.rmtree(self._directory, ignore_errors=True)
        if unexpected := self.unexpected():
            raise AssertionError("weir logged lines that it should not have:\n" + "\n".join(unexpected[:20]))
