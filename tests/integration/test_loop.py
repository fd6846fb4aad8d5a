"""One io_uring_enter a turn of the loop, and no other system call: watched with strace.

What is allowed for N turns' worth of work is 2 N enters (one that brings the bytes, one that sends
the answers), the signs of life, which come three times per hang threshold, and SLACK for the turns
that strace itself cuts short when it begins and ends.
"""

import collections
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from harness import raw
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
            names = re.findall(r"^(\w+)\(", file.read(), re.MULTILINE)
        return collections.Counter(names)


@unittest.skipUnless(shutil.which("strace"), "strace is not installed")
class LoopTest(WeirTest):
    def watched(self, turns, work):
        """Fails unless `work`, that many turns' worth, took only as many enters as it may."""
        server = self.start_weir("--hang-threshold", f"{HANG_THRESHOLD * 1000:.0f}ms", workers=1)
        peers = [raw.open_session(server.address) for _ in range(10)]
        for peer in peers:
            self.addCleanup(peer.close)
            work(peer)  # the first message, after which all is in its steady state
        watch = Watch(server.column("pid")[0])
        began = time.monotonic()
        for turn in range(turns):
            work(peers[turn % len(peers)])
        calls = watch.end()
        signs_of_life = (time.monotonic() - began) / (HANG_THRESHOLD / 3)
        self.assertEqual(set(calls), {"io_uring_enter"}, calls)
        self.assertGreaterEqual(calls["io_uring_enter"], turns, "strace saw too little")
        self.assertLessEqual(calls["io_uring_enter"], 2 * turns + signs_of_life + SLACK)
        return server

    def test_a_message_costs_two_enters_and_nothing_else(self):
        """300 messages, each sent when the one before was answered."""

        def one(peer):
            peer.sendall(raw.frame(raw.TEXT, b"hello"))
            self.assertEqual(raw.receive(peer, 7), b"\x81\x05hello")

        self.watched(300, one)

    def test_a_hundred_messages_at_once_cost_no_more_than_one(self):
        """100 batches of 100 messages: all answers of a batch go out in one send."""
        sent = raw.frame(raw.TEXT, b"hello") * 100
        answer = b"\x81\x05hello" * 100

        def batch(peer):
            peer.sendall(sent)
            self.assertEqual(raw.receive(peer, len(answer)), answer)

        server = self.watched(100, batch)
        self.assertEqual(sum(server.column("messages_out")), (100 + 10) * 100)

    def test_an_idle_worker_only_gives_signs_of_life(self):
        """Nothing but the enters that prove it awake, three times per threshold."""
        server = self.start_weir("--hang-threshold", "30ms", workers=1)
        pid = server.column("pid")[0]
        watch = Watch(pid)
        began = time.monotonic()
        time.sleep(0.5)  # what is looked at is time passing
        calls = watch.end()
        self.assertEqual(set(calls), {"io_uring_enter"}, calls)
        self.assertLessEqual(calls["io_uring_enter"], (time.monotonic() - began) / 0.010 + SLACK)
        self.assertTrue(os.path.exists(f"/proc/{pid}"))


if __name__ == "__main__":
    main()
