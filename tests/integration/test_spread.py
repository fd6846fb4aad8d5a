"""How sessions are closed: spread over --drain-timeout when weir stops, and likewise when one worker
is drained and replaced."""

import select
import signal
import time

from harness import proc, raw
from harness.environment import PATIENCE, scaled
from harness.suite import WeirTest, main, needs_ebpf

TIMEOUT = 2.0  # seconds; what the closes are spread over
SPREAD = ("--drain-timeout", f"{TIMEOUT * 1000:.0f}ms")
AT_ONCE = 1.0
ANSWER = {raw.STOPPING: b"\x03\xe9", raw.RESTARTING: b"\x03\xf4"}


class SpreadTest(WeirTest):
    def open(self, server, count):
        peers = [raw.open_session(server.address) for _ in range(count)]
        for peer in peers:
            self.addCleanup(peer.close)
        return peers

    def assert_echoes(self, peers):
        for peer in peers:
            peer.sendall(raw.frame(raw.TEXT, b"hello"))
            self.assertEqual(raw.receive(peer, 7), b"\x81\x05hello")

    def closes(self, peers, farewell):
        """When each is told goodbye, by what it is told; each answers as a client should."""
        waiting, times = {peer.fileno(): peer for peer in peers}, []
        while waiting:
            ready = select.select(list(waiting), [], [], PATIENCE)[0]
            self.assertTrue(ready, f"{len(waiting)} are not closed")
            for fd in ready:
                peer = waiting.pop(fd)
                self.assertEqual(raw.receive(peer, len(farewell)), farewell)
                times.append(time.monotonic())
                peer.sendall(raw.frame(raw.CLOSE, ANSWER[farewell]))
                peer.close()
        return times

    def assert_spread(self, times, began):
        """None before its time, however slow this machine is; so they cannot be one wave."""
        for k, at in enumerate(times):
            self.assertGreaterEqual(at - began, TIMEOUT * k / len(times) - 0.010, k)

    @needs_ebpf
    def test_on_sigterm_the_sessions_of_all_workers_are_closed_one_after_the_other(self):
        """Four workers with ten sessions each, evenly over the timeout all together; those whose
        time has not come go on; then all is over at once."""
        server = self.start_weir(*SPREAD)
        peers = self.open(server, 40)
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        server.await_log("^stopping: ")
        first = select.select(peers, [], [], PATIENCE)[0]
        self.assert_echoes([peer for peer in peers if peer not in first][-5:])
        times = self.closes(peers, raw.STOPPING)
        self.assert_spread(times, began)
        self.assertEqual(server.wait(), 0)
        self.assertLess(time.monotonic() - times[-1], AT_ONCE)

    def test_many_sessions_of_one_worker_are_spread_as_well(self):
        """More than there are turns of the loop for: several a turn, and none early."""
        server = self.start_weir(*SPREAD, workers=1)
        peers = self.open(server, scaled(900))
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        self.assert_spread(self.closes(peers, raw.STOPPING), began)
        self.assertEqual(server.wait(), 0)

    def test_who_comes_while_others_are_still_open_is_told_503(self):
        """Upgrades and health checks, though a session is not even told to close yet."""
        server = self.start_weir(*SPREAD[:1], "1h", "--health-path", "/health", workers=1)
        first, second = self.open(server, 2)
        server.signal(signal.SIGTERM)
        self.assertEqual(raw.receive(first, len(raw.STOPPING)), raw.STOPPING)
        for request in (raw.request(), raw.request(path="/health", upgrade=False)):
            with raw.connect(server.address) as peer:
                peer.sendall(request)
                answer = raw.receive_all(peer)
                self.assertTrue(answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n"), answer)
        self.assert_echoes([second])
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0, "a second signal ends it at once")
        self.assertLess(time.monotonic() - began, AT_ONCE)

    def test_what_is_sent_to_workers_that_have_ended_is_told_503_too(self):
        """Two of three have no session and end at once; the kernel still gives their listeners a
        share of who comes, and the one that is left answers for them."""
        server = self.start_weir("--drain-timeout", "1h", workers=3)
        self.open(server, 1)
        server.signal(signal.SIGTERM)
        server.await_status(
            lambda seen: sorted(w["state"] for w in seen["workers"]) == ["down", "down", "draining"],
            "two have ended",
        )
        for _ in range(12):
            with raw.connect(server.address) as peer:
                peer.sendall(raw.request())
                answer = raw.receive_all(peer)
                self.assertTrue(answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n"), answer)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)

    def test_clients_that_never_answer_are_given_their_time_after_the_last_close(self):
        """And then weir ends, with status 0: it has not been killed for it."""
        server = self.start_weir(*SPREAD, workers=2)
        peers = self.open(server, 4)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        for peer in peers:
            self.assertEqual(raw.receive(peer, len(raw.STOPPING)), raw.STOPPING)

    # --- one worker ------------------------------------------------------------------------------

    def drain(self, server, slot):
        done = server.weirctl("drain", str(slot))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, f"slot {slot} drains; a fresh worker takes it then\n")

    def await_successor(self, server, slot, old):
        return server.await_status(
            lambda seen: seen["workers"][slot]["pid"] not in (0, old)
            and seen["workers"][slot]["state"] == "serving",
            "a fresh worker has the slot",
        )["workers"][slot]

    @needs_ebpf
    def test_one_worker_is_drained_and_replaced(self):
        """Its sessions are closed with 1012, spread over the timeout; the others' go on, and take
        what comes meanwhile; then a fresh worker has the slot, and is the least loaded."""
        server = self.start_weir(*SPREAD)
        peers = self.open(server, 40)
        old = server.workers()[2]["pid"]
        held = proc.held_ports(old, server.port)
        own = [peer for peer in peers if peer.getsockname()[1] in held]
        self.assertEqual(len(own), 10)
        others = [peer for peer in peers if peer not in own]
        began = time.monotonic()
        self.drain(server, 2)
        self.assertEqual(server.column("state"), ["serving", "serving", "draining", "serving"])
        newcomers = self.open(server, 6)
        self.assert_echoes(others + newcomers + own[-1:])
        self.assertLessEqual(proc.held_ports(old, server.port), held, "nothing new came to it")
        self.assert_spread(self.closes(own, raw.RESTARTING), began)
        fresh = self.await_successor(server, 2, old)
        self.assertEqual(fresh["connections"], 0)
        self.assert_echoes(others + newcomers + self.open(server, 4))
        self.assertEqual(server.workers()[2]["connections"], 4)
        server.await_log(r"^slot 2: worker \d+ has drained; its successor starts now$")

    def test_a_worker_without_sessions_is_replaced_at_once(self):
        """One after the other, all of them, and also the only one there is."""
        for workers in (1, 3):
            server = self.start_weir("--drain-timeout", "1h", workers=workers)
            for slot, old in enumerate(server.column("pid")):
                self.drain(server, slot)
                self.await_successor(server, slot, old)
            self.assert_echoes(self.open(server, 4))

    def test_while_the_only_worker_drains_its_clients_are_still_served(self):
        """There is nobody else: who comes is taken in, and closed in time like the rest."""
        server = self.start_weir(*SPREAD, workers=1)
        peers = self.open(server, 4)
        old = server.column("pid")[0]
        self.drain(server, 0)
        peers += self.open(server, 2)
        self.assert_echoes(peers[-3:])
        self.closes(peers, raw.RESTARTING)
        self.await_successor(server, 0, old)
        self.assert_echoes(self.open(server, 2))

    def test_sigterm_overtakes_the_drain_of_a_worker(self):
        """What is left of it is closed with 1001 like everything else."""
        server = self.start_weir("--drain-timeout", "1h", workers=1)
        peers = self.open(server, 3)
        self.drain(server, 0)
        self.closes(peers[:1], raw.RESTARTING)
        server.signal(signal.SIGTERM)
        self.closes(peers[1:2], raw.STOPPING)
        self.assert_echoes(peers[2:])
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)

    def test_what_cannot_be_drained_is_refused_with_a_reason(self):
        """A slot that there is not, one that drains already, a request that names none."""
        server = self.start_weir("--drain-timeout", "1h", workers=2)
        self.open(server, 8)
        self.drain(server, 1)
        for words, line in (
            (("drain", "2"), "weirctl: there is no slot 2; they go from 0 to 1"),
            (("drain", "1"),
             "weirctl: the worker of slot 1 is draining; only one that serves can be drained"),
        ):  # fmt: skip
            done = server.weirctl(*words)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", line + "\n"))
        for request in (b'{"command":"drain"}', b'{"command":"drain","slot":"1"}',
                        b'{"command":"drain","slot":-1}', b'{"command":"drain","slot":1.5}'):
            self.assertEqual(
                server.ask(request),
                {"ok": False, "error": "expected the number of a slot, such as "
                                       '{"command":"drain","slot":0}'},
            )
        server.signal(signal.SIGTERM)
        server.await_log("^stopping: ")  # or the two would be one
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)


if __name__ == "__main__":
    main(
        lanes=4,
        longest=("test_clients_that_never_answer_are_given_their_time_after_the_last_close",),
    )
