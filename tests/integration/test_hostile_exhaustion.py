"""What a worker does when it runs out of what it has a fixed number of: descriptors, receive
buffers. It goes on with what it has, waits for the rest without spinning, and recovers."""

import os
import resource
import signal
import time
import unittest

from harness import proc, raw
from harness.beside import Beside
from harness.environment import SANITIZED, scaled
from harness.suite import WeirTest, main

DESCRIPTORS = 30  # that are left to the worker
BUFFERS = 256  # that a worker receives into
WATCHED = 1.0  # seconds in which its CPU time is looked at


def free_descriptors(pid):
    soft, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    return len(set(range(soft)) - set(proc.descriptors(pid)))


without_sanitizers = unittest.skipIf(
    SANITIZED, "the undefined behaviour sanitizer needs descriptors of its own to look at memory"
)


class ExhaustionTest(WeirTest):
    def besieged(self):
        server = self.start_weir("--hang-threshold", "0", workers=1)
        return server, Beside(self, server), server.workers()[0]["pid"]

    def short_of_descriptors(self, count):
        """A weir whose worker has so many left, which is fewer than it was told it would have. It
        has them from its birth: the kernel keeps to the limit that a queued accept began with."""
        server = self.start_weir("--hang-threshold", "0", workers=1)
        first = server.workers()[0]["pid"]
        soft, hard = resource.prlimit(first, resource.RLIMIT_NOFILE)
        limit = soft - free_descriptors(first) + count
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, hard))
        server.expect_error("ended with signal 9")
        os.kill(first, signal.SIGKILL)
        server.await_log("worker [0-9]+ serves", 1)
        pid = server.workers()[0]["pid"]
        self.assertLessEqual(free_descriptors(pid), count + 5)
        return server, pid, (soft, hard)

    def assert_unharmed(self, server, beside):
        server.await_status(lambda seen: seen["connections"] == 1, "one session is left")
        beside.assert_as_quick_as_before()
        self.assertLess(len(server.log()), 20, "the log is flooded")

    @without_sanitizers
    def test_without_descriptors_it_serves_on_and_accepts_again_later(self):
        """EMFILE at accept: those that are open are served, those that wait cost next to no CPU
        time and one line of log, and are accepted once others end."""
        server, pid, _ = self.short_of_descriptors(DESCRIPTORS)
        beside = Beside(self, server)
        free = free_descriptors(pid)
        peers = [raw.connect(server.address) for _ in range(free + 50)]
        for peer in peers:
            self.addCleanup(peer.close)
            peer.sendall(raw.request())
        server.await_log("cannot accept, .* sessions open: Too many open files")
        for peer in peers[:free]:
            self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
            peer.sendall(raw.frame(raw.TEXT, b"full"))
            self.assertEqual(raw.receive(peer, 6), b"\x81\x04full")
        beside.served()
        before = proc.cpu_seconds(pid)
        time.sleep(WATCHED)  # nothing happens in this time: that is what has to cost nothing
        spent = proc.cpu_seconds(pid) - before
        self.assertLess(spent, WATCHED / 4, "it spins; the session beside takes some")
        for peer in peers[:free]:
            peer.close()
        for peer in peers[free:]:
            self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
            peer.close()
        self.assert_unharmed(server, beside)
        self.assertEqual(len([line for line in server.messages() if "cannot accept" in line]), 1)

    @without_sanitizers
    def test_a_raised_limit_is_noticed_though_no_session_ends(self):
        """The queue is tried again now and then: whoever waits is accepted by itself."""
        server, pid, before = self.short_of_descriptors(DESCRIPTORS)
        peers = [raw.connect(server.address) for _ in range(free_descriptors(pid) + 1)]
        for peer in peers:
            self.addCleanup(peer.close)
            peer.sendall(raw.request())
        server.await_log("cannot accept, .* sessions open: Too many open files")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        for peer in peers:
            self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))

    def test_more_sessions_send_at_once_than_there_are_buffers(self):
        """All of four times as many have something waiting when the worker looks, several buffers
        each: every message comes back, whole and to its sender."""
        server, beside, pid = self.besieged()
        peers = [raw.open_session(server.address) for _ in range(scaled(4 * BUFFERS))]
        size = 40_000
        for round_ in range(3):
            os.kill(pid, signal.SIGSTOP)
            proc.await_stopped(pid)
            for i, peer in enumerate(peers):
                peer.sendall(raw.frame(raw.BINARY, bytes([i % 251, round_]) * (size // 2)))
            os.kill(pid, signal.SIGCONT)
            for i, peer in enumerate(peers):
                answer = raw.receive(peer, 4 + size)
                self.assertTrue(
                    answer == b"\x82\x7e\x9c\x40" + bytes([i % 251, round_]) * (size // 2),
                    f"session {i} got something else back",
                )
        beside.served()
        for peer in peers:
            peer.close()
        self.assert_unharmed(server, beside)


if __name__ == "__main__":
    main()
