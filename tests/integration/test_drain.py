"""What a server that is stopping, and waits for a session to end, says to those who come."""

import os
import signal

from harness import proc, raw
from harness.suite import WeirTest, main, needs_ebpf


class DrainTest(WeirTest):
    def ask(self, server, request):
        with raw.connect(server.address) as peer:
            peer.sendall(request)
            return raw.receive_all(peer)

    def draining(self, *flags):
        """A server of one worker that is told to stop, and a session that does not answer it."""
        server = self.start_weir("--health-path", "/health", *flags, workers=1)
        self.healthy = self.ask(server, raw.request(path="/health", upgrade=False))
        peer = raw.open_session(server.address)
        self.addCleanup(peer.close)
        server.signal(signal.SIGTERM)
        self.assertEqual(raw.receive(peer, len(raw.STOPPING)), raw.STOPPING)
        return server, peer

    def test_health_is_200_and_503_while_draining(self):
        """GET and HEAD; an upgrade there is no health check; the drain goes on regardless."""
        server, peer = self.draining()
        self.assertTrue(self.healthy.startswith(b"HTTP/1.1 200 OK\r\n"), self.healthy)
        self.assertTrue(self.healthy.endswith(b"\r\n\r\nok\n"), self.healthy)
        for method, tail in (("GET", b"\r\n\r\ndraining\n"), ("HEAD", b"\r\n\r\n")):
            answer = self.ask(server, raw.request(method, "/health", upgrade=False))
            self.assertTrue(answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n"), answer)
            self.assertTrue(answer.endswith(tail), answer)
        self.assertTrue(server.running())
        peer.sendall(raw.frame(raw.CLOSE, b"\x03\xe9"))
        peer.close()
        self.assertEqual(server.wait(), 0)

    def test_an_upgrade_gets_503_while_draining(self):
        """With a Retry-After, and also one whose request had begun before."""
        server = self.start_weir(workers=1)
        with raw.open_session(server.address) as open_, raw.connect(server.address) as early:
            early.sendall(raw.request()[:40])
            server.await_status(lambda seen: seen["connections"] == 2, "half a request is there")
            server.signal(signal.SIGTERM)
            self.assertEqual(raw.receive(open_, len(raw.STOPPING)), raw.STOPPING)
            early.sendall(raw.request()[40:])
            last = raw.receive_all(early)
            early.close()
            for answer in (last, self.ask(server, raw.request())):
                self.assertTrue(answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n"), answer)
                self.assertIn(b"\r\nRetry-After: ", answer)
            open_.sendall(raw.frame(raw.CLOSE, b"\x03\xe9"))
            open_.close()
            self.assertEqual(server.wait(), 0)

    def test_a_session_that_ends_just_before_the_signal_leaves_the_worker_free_to_end(self):
        """Both in one turn of the loop, of a worker that nothing else wakes."""
        for _ in range(5):  # the kernel may tell of the signal in a turn of its own
            server = self.start_weir("--hang-threshold", "0", workers=1)
            pid = server.workers()[0]["pid"]
            peer = raw.open_session(server.address)
            os.kill(pid, signal.SIGSTOP)
            proc.await_stopped(pid)
            peer.close()
            server.signal(signal.SIGTERM)
            proc.await_pending(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
            self.assertEqual(server.wait(), 0)

    @needs_ebpf
    def test_sessions_that_arrive_once_all_are_closed_are_closed_too(self):
        """They are on their way to the worker as it begins to drain."""
        server = self.start_weir(
            "--drain-timeout", "0", "--hang-threshold", "0", "--steer", "round-robin", workers=2
        )
        peers = [raw.open_session(server.address) for _ in range(2)]
        for peer in peers:
            self.addCleanup(peer.close)
        in_slot = [
            proc.held_ports(pid, server.port) == {peers[0].getsockname()[1]}
            for pid in server.column("pid")
        ]
        giver, drained = server.column("pid")
        stays = peers.pop(in_slot.index(True) ^ 1)  # in slot 1; the other one is in 0
        os.kill(giver, signal.SIGSTOP)
        proc.await_stopped(giver)
        self.assertEqual(
            server.ask(b'{"command":"move","count":1,"from":0,"to":1}'), {"ok": True}
        )
        self.assertEqual(server.weirctl("drain", "1").returncode, 0)
        self.assertEqual(raw.receive(stays, len(raw.RESTARTING)), raw.RESTARTING)
        os.kill(giver, signal.SIGCONT)
        self.assertEqual(raw.receive(peers[0], len(raw.RESTARTING)), raw.RESTARTING)
        for peer in (stays, peers[0]):
            peer.sendall(raw.frame(raw.CLOSE, b"\x03\xf4"))
            self.assertEqual(peer.recv(1), b"")
        server.await_status(
            lambda s: s["workers"][1]["pid"] not in (0, drained)
            and s["workers"][1]["state"] == "serving",
            "a fresh worker serves",
        )

    def test_a_worker_that_drains_and_looks_after_its_neighbour_drops_nobody(self):
        """What waits for the neighbour, which hangs, may be accepted in the very turn in which the
        one that drains stops to accept: each connection is upgraded all the same, here or there."""
        server = self.start_weir("--hang-threshold", "20ms", "--hang-kill", "0", workers=2)
        pids = server.column("pid")
        for pid in pids:
            self.freeze(pid)
        peers = []
        while server.column("queued")[0] < 10:
            peers.append(raw.connect(server.address))
            self.addCleanup(peers[-1].close)
            peers[-1].sendall(raw.request())
        self.assertEqual(server.weirctl("drain", "1").returncode, 0)
        self.thaw(pids[1])
        server.await_status(lambda seen: seen["workers"][1]["pid"] not in (0, pids[1]), "replaced")
        self.thaw(pids[0])
        for peer in peers:
            head = raw.receive_head(peer)
            self.assertTrue(head.startswith(b"HTTP/1.1 101 "), head)


if __name__ == "__main__":
    main(lanes=2)
