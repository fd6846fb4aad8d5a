"""One io_uring_enter a turn of the loop, and no other system call: watched with strace.

What is allowed for N turns' worth of work is 2 N enters (one that brings the bytes, one that sends
the answers), the signs of life, which come three times per hang threshold, and SLACK for the turns
that strace itself cuts short when it begins and ends.
"""

import collections
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from harness import proc, raw
from harness.environment import PATIENCE
from harness.suite import WeirTest, main

HANG_THRESHOLD = 1.5  # seconds: a sign of life every half second
SLACK = 5


class Watch:
    """The system calls of a process between start and end, by name."""

    def __init__(self, pid):
        self._file = tempfile.NamedTemporaryFile("r", prefix="weir-strace-")
        self._process = subprocess.Popen(
            ["strace", "-p", str(pid), "-o", self._file.name], stderr=subprocess.PIPE, text=True
        )
        line = self._process.stderr.readline()
        if "attached" not in line:
            self._process.kill()
            raise unittest.SkipTest(f"strace cannot watch a process here: {line.strip()}")

    def end(self):
        self._process.terminate()
        self._process.communicate(timeout=PATIENCE)
        with self._file as file:
            self.lines = file.read()
        return collections.Counter(re.findall(r"^(\w+)\(", self.lines, re.MULTILINE))


@unittest.skipUnless(shutil.which("strace"), "strace is not installed")
class LoopTest(WeirTest):
    def start(self, *flags, sessions):
        """A server of one worker, its pid, and sessions that have had their first echo: from here
        on all is in its steady state."""
        threshold = f"{HANG_THRESHOLD * 1000:.0f}ms"
        server = self.start_weir("--hang-threshold", threshold, *flags, workers=1)
        peers = [raw.open_session(server.address) for _ in range(sessions)]
        for peer in peers:
            self.addCleanup(peer.close)
            self.send(peer)
            self.receive(peer)
        return server, server.column("pid")[0], peers

    def send(self, peer, messages=1):
        peer.sendall(raw.frame(raw.TEXT, b"hello") * messages)

    def receive(self, peer, messages=1):
        self.assertEqual(raw.receive(peer, 7 * messages), b"\x81\x05hello" * messages)

    def assert_enters(self, calls, turns, began, per_turn=1):
        """Only enters, as many as that many turns may take at most, and looks at its CPU time."""
        signs_of_life = (time.monotonic() - began) / (HANG_THRESHOLD / 3)
        self.assertLessEqual(set(calls), {"io_uring_enter", "clock_gettime"}, calls)
        # Its CPU time, at most once a millisecond.
        self.assertLessEqual(calls["clock_gettime"], (time.monotonic() - began) * 1000 + 1)
        enters = calls["io_uring_enter"]
        self.assertGreaterEqual(enters, turns, "strace saw too little")
        self.assertLessEqual(enters, per_turn * turns + signs_of_life + SLACK)

    def test_a_message_costs_one_enter_and_nothing_else(self):
        """300 messages, each sent when the one before was answered."""
        _, pid, peers = self.start(sessions=10)
        watch, began = Watch(pid), time.monotonic()
        for turn in range(300):
            self.send(peers[turn % 10])
            self.receive(peers[turn % 10])
        self.assert_enters(watch.end(), 300, began)

    def test_a_hundred_messages_at_once_cost_no_more_than_one(self):
        """100 batches of 100 messages: all answers of a batch go out in one send."""
        server, pid, peers = self.start(sessions=10)
        watch, began = Watch(pid), time.monotonic()
        for turn in range(100):
            self.send(peers[turn % 10], messages=100)
            self.receive(peers[turn % 10], messages=100)
        self.assert_enters(watch.end(), 100, began)
        server.await_status(
            lambda seen: seen["workers"][0]["messages_out"] == 10 + 100 * 100, "all is counted"
        )

    def test_fifty_sessions_share_the_enters_of_a_turn(self):
        """The worker stands still while all get something to do, so that it finds it in one turn:
        one enter brings it all, and one sends all the answers. The first time may take memory."""
        _, pid, peers = self.start(sessions=50)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        for turn in range(6):
            os.kill(pid, signal.SIGSTOP)
            proc.await_stopped(pid)
            for peer in peers:
                self.send(peer)
            watch, began = Watch(pid), time.monotonic()
            os.kill(pid, signal.SIGCONT)
            for peer in peers:
                self.receive(peer)
            calls = watch.end()
            if turn > 0:
                self.assert_enters(calls, 1, began)

    @unittest.skipUnless(proc.kernel() >= (6, 15), "an io_uring may not say so before Linux 6.15")
    def test_waiting_for_clients_is_idleness_and_not_waiting_for_a_disk(self):
        """Or a host whose workers have nothing to do would show as 100 % iowait."""
        _, pid, peers = self.start(sessions=1)
        watch = Watch(pid)
        for _ in range(10):
            self.send(peers[0])
            self.receive(peers[0])
        watch.end()
        waits = re.findall(r"^io_uring_enter\(.*IORING_ENTER_GETEVENTS.*", watch.lines, re.MULTILINE)
        self.assertGreaterEqual(len(waits), 10)
        for call in waits:
            self.assertRegex(call, r"\b(0x80|IORING_ENTER_NO_IOWAIT)\b")

    def test_an_idle_worker_only_gives_signs_of_life(self):
        """Nothing but the enters that prove it awake, three times per threshold, and a look at its
        CPU time with each."""
        server = self.start_weir("--hang-threshold", "30ms", workers=1)
        pid = server.column("pid")[0]
        watch = Watch(pid)
        began = time.monotonic()
        time.sleep(0.5)  # what is looked at is time passing
        calls = watch.end()
        self.assertLessEqual(set(calls), {"io_uring_enter", "clock_gettime"}, calls)
        self.assertLessEqual(calls["clock_gettime"], calls["io_uring_enter"] + 1)
        self.assertLessEqual(calls["io_uring_enter"], (time.monotonic() - began) / 0.010 + SLACK)
        self.assertTrue(os.path.exists(f"/proc/{pid}"))

    def test_who_looks_before_it_sleeps_sleeps_less(self):
        """A worker that may look for longer than a client takes for its next message is put to sleep
        for a few of 300 at most: before it has reason to look, and where this machine was busy."""
        _, pid, peers = self.start("--busy-poll", "10ms", sessions=1)
        before = proc.sleeps(pid)
        for _ in range(300):
            self.send(peers[0])
            self.receive(peers[0])
        self.assertLess(proc.sleeps(pid) - before, 150)

    def test_who_may_look_and_has_no_reason_to_is_as_idle_as_any(self):
        """Once its client has been silent for as many waits as it had reasons to look; a sign of life
        is none, though it comes sooner than the time that it may look for."""
        server = self.start_weir("--busy-poll", "10ms", "--hang-threshold", "15ms", workers=1)
        pid = server.column("pid")[0]
        peer = raw.open_session(server.address)
        self.addCleanup(peer.close)
        for _ in range(20):
            self.send(peer)
            self.receive(peer)
        proc.await_sleeps(pid, 20)
        watch, began = Watch(pid), time.monotonic()
        time.sleep(0.3)  # what is looked at is time passing
        calls = watch.end()
        # To look, it would enter twice for each sign of life.
        self.assertLessEqual(calls["io_uring_enter"], (time.monotonic() - began) / 0.005 + SLACK)


if __name__ == "__main__":
    main()
