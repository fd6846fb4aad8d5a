"""A worker that hangs: what waits to be accepted by it is accepted by its neighbours, which see to
that by themselves, and given back when it wakes; past --hang-kill it is killed and replaced. A
stopped worker (SIGSTOP) and one that spins both hang."""

import select
import socket
import threading
import time

from harness import proc, raw
from harness.environment import PATIENCE, scaled
from harness.spin import spin
from harness.storm import Storm
from harness.suite import WeirTest, main, needs_ebpf

VICTIM = 1
# Long enough to have connections wait for a worker that does not count as hung yet.
LONG = 0.4  # seconds
LONG_THRESHOLD = ("--hang-threshold", f"{LONG * 1000:.0f}ms", "--hang-kill", "0")
NEVER_KILLED = ("--hang-kill", "0")
KILLED = ("--hang-kill", "1s")
KILLING = r"^slot 1: worker \d+ has not woken for 1s: killing it$"
ENDED = r"^slot 1: worker \d+ ended with signal 9 \(Killed\); its successor starts now$"


class TakeoverTest(WeirTest):
    def knock(self, server, count):
        """Connections that ask for an upgrade, and have no answer yet."""
        peers = []
        for _ in range(count):
            peer = raw.connect(server.address)
            self.addCleanup(peer.close)
            peer.sendall(raw.request())
            peers.append(peer)
        return peers

    def assert_served(self, peers):
        """Each gets its 101, and an echo."""
        for peer in peers:
            self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
            peer.sendall(raw.frame(raw.TEXT, b"hello"))
            self.assertEqual(raw.receive(peer, 7), b"\x81\x05hello")

    def assert_loads_fit(self, server, connections):
        """What each slot counts is what it has: the least loaded is picked rightly again."""
        self.assert_served(self.knock(server, 4))
        counts = server.column("connections")
        self.assertEqual(sum(counts), connections + 4)
        self.assert_spread_within_one(counts)

    @needs_ebpf
    def test_what_waits_for_it_is_served_by_others_and_it_is_given_its_queue_back(self):
        """A quarter of 40 connections waits for a worker that has just been stopped. All are
        served while it is; their load is where they are; when it goes on it is the least loaded,
        gets the next connections and accepts them itself."""
        server = self.start_weir(*LONG_THRESHOLD)
        victim = server.workers()[VICTIM]
        self.freeze(victim["pid"])
        peers = self.knock(server, 40)
        self.assert_served(peers)
        slots = server.workers()
        self.assertEqual([w["assigned"] for w in slots], [10, 10, 10, 10], "it was not hung yet")
        self.assertEqual([w["connections"] for w in slots], [10, 0, 20, 10], "the next slot took over")
        self.assertEqual(slots[VICTIM]["queued"], 0)

        self.thaw(victim["pid"])
        server.await_status(lambda s: s["workers"][VICTIM]["state"] == "serving", "it is well again")
        self.assert_served(self.knock(server, 10))
        slots = server.workers()
        self.assertEqual([w["connections"] for w in slots], [10, 10, 20, 10], "by their loads")
        self.assertEqual(len(proc.held_ports(victim["pid"], server.port)), 10)

    def test_a_connection_that_wakes_somebody_else_is_accepted_all_the_same(self):
        """The kernel wakes one of those that wait for a connection exclusively: here always this
        test, which does not accept, as it may be the ring of a worker that was killed."""
        listener = socket.create_server(("127.0.0.1", 0), reuse_port=True)
        self.addCleanup(listener.close)
        ours, theirs = socket.socketpair()
        epoll = select.epoll()
        epoll.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE | select.EPOLLET)
        epoll.register(ours, select.EPOLLIN)

        def wait():
            while not any(fd == ours.fileno() for fd, _ in epoll.poll()):
                pass

        waiter = threading.Thread(target=wait)
        waiter.start()
        self.addCleanup(waiter.join)
        self.addCleanup(theirs.send, b"!")
        for threshold in ("50ms", "0"):
            server = self.start_weir(
                "--hang-threshold", threshold, passed=[(listener, "plain")], listen=(), workers=1
            )
            for _ in range(3):
                peers = self.knock(server, 1)
                self.assert_served(peers)
                peers[0].close()
            server.close()

    @needs_ebpf
    def test_it_works_with_the_master_stopped_too(self):
        """Neither steering nor taking over asks anybody."""
        server = self.start_weir(*LONG_THRESHOLD)
        victim = server.workers()[VICTIM]["pid"]
        self.freeze(server.pid)
        self.freeze(victim)
        self.assert_served(self.knock(server, 40))
        self.assertEqual(proc.held_ports(victim, server.port), set())
        self.thaw(server.pid)
        self.assertEqual(server.column("assigned"), [10, 10, 10, 10])

    @needs_ebpf
    def test_a_lone_survivor_serves_what_waits_for_all_the_others(self):
        """Three of four stopped, and the master: all connections reach the one that is left, those
        that were queued for the others before and those that come after."""
        server = self.start_weir(*LONG_THRESHOLD)
        pids = server.column("pid")
        self.freeze(server.pid)
        for pid in pids[:3]:
            self.freeze(pid)
        self.assert_served(self.knock(server, 40))
        self.assert_served(self.knock(server, 20))
        self.assertEqual(len(proc.held_ports(pids[3], server.port)), 60)
        for pid in (server.pid, *pids[:3]):
            self.thaw(pid)
        self.assertEqual(server.column("assigned"), [10, 10, 10, 30])

    def test_arrivals_that_the_kernels_hash_still_sends_there_are_served_too(self):
        """Without the steering program a hung worker goes on being chosen, and its accept, which is
        in the kernel still, takes the wake-up of each arrival with it."""
        server = self.start_weir("--steer-backend", "none", *NEVER_KILLED, workers=2)
        victim = server.workers()[VICTIM]["pid"]
        self.freeze(victim)
        for _ in range(8):
            self.assert_served(self.knock(server, 5))
        self.assertEqual(len(proc.held_ports(server.workers()[0]["pid"], server.port)), 40)

    @needs_ebpf
    def test_limits_of_a_client_hold_across_a_takeover(self):
        """Connections are counted for their client by who accepted them, and counted out there."""
        server = self.start_weir(*LONG_THRESHOLD, "--max-connections-per-ip", "10", workers=2)
        self.freeze(server.workers()[VICTIM]["pid"])
        peers = self.knock(server, 10)
        self.assert_served(peers)
        with self.assertRaises(ConnectionRefusedError):
            raw.connect(server.address)
        self.thaw(server.workers()[VICTIM]["pid"])
        for peer in peers:
            peer.close()
        server.await_status(lambda seen: seen["connections"] == 0, "all have left")
        self.assert_served(self.knock(server, 10))

    @needs_ebpf
    def test_at_full_speed_nothing_is_steered_to_it_and_nothing_fails(self):
        """While connections come and go at a high rate a worker is stopped: from the threshold on
        it gets no new one and none waits for it; the others go on; when it does, it serves again."""
        server = self.start_weir(*NEVER_KILLED)
        storm = Storm(server.address, 16)
        self.addCleanup(storm.kill)
        self.arrivals(server, 500)
        began = time.monotonic()
        before = sum(server.column("accepted"))
        self.arrivals(server, 1_000)
        rate = (sum(server.column("accepted")) - before) / (time.monotonic() - began)

        victim = server.workers()[VICTIM]["pid"]
        self.freeze(victim)
        hung = server.await_status(
            lambda seen: seen["workers"][VICTIM]["state"] == "hung"
            and seen["workers"][VICTIM]["queued"] == 0,
            "it counts as hung and its queue is empty",
        )["workers"][VICTIM]
        self.arrivals(server, 1_000)
        later = server.workers()[VICTIM]
        self.assertEqual(later["assigned"], hung["assigned"])
        self.assertEqual(later["accepted"], hung["accepted"])
        self.assertEqual(later["queued"], 0)

        self.thaw(victim)
        server.await_status(
            lambda seen: seen["workers"][VICTIM]["accepted"] > later["accepted"] + scaled(100),
            "it serves again",
        )
        done, failures = storm.end()
        self.assertEqual(failures, [])
        self.assertGreater(done, scaled(2_500))
        print(f"{rate:.0f} connections a second", flush=True)

    def arrivals(self, server, count):
        """Returns once so many more connections have been accepted."""
        before = sum(server.column("accepted"))
        server.await_status(
            lambda seen: sum(w["accepted"] for w in seen["workers"]) >= before + scaled(count),
            "connections arrive",
        )

    # --- being killed ----------------------------------------------------------------------------

    def await_successor(self, server, dead):
        return server.await_status(
            lambda seen: seen["workers"][VICTIM]["pid"] not in (0, dead)
            and seen["workers"][VICTIM]["state"] == "serving",
            "the slot is served again",
        )["workers"][VICTIM]

    def assert_replaced(self, server, victim):
        """The master ends it; sessions of the others have not noticed."""
        server.await_log(KILLING)
        self.await_successor(server, victim)
        self.assertEqual(len(server.messages("error")), 2)

    @needs_ebpf
    def test_a_stopped_worker_is_killed_and_replaced_in_the_end(self):
        """SIGKILL also ends a stopped process. Its sessions are lost, those of others are not."""
        server = self.start_weir(*KILLED)
        server.expect_error(KILLING)
        server.expect_error(ENDED)
        peers = self.knock(server, 8)
        self.assert_served(peers)
        victim = server.workers()[VICTIM]["pid"]
        held = proc.held_ports(victim, server.port)
        self.freeze(victim)
        self.assert_replaced(server, victim)
        for peer in peers:
            lost = peer.getsockname()[1] in held
            peer.settimeout(PATIENCE)
            try:
                peer.sendall(raw.frame(raw.TEXT, b"there?"))
                self.assertEqual(raw.receive(peer, 8), b"\x81\x06there?")
                self.assertFalse(lost)
            except (AssertionError, ConnectionError):
                self.assertTrue(lost)
        self.assert_served(self.knock(server, 8))

    @needs_ebpf
    def test_a_spinning_worker_is_passed_by_covered_killed_and_replaced(self):
        """One that goes round in a circle hangs as much as one that is stopped."""
        server = self.start_weir(*LONG_THRESHOLD[:2], "--hang-kill", "2s")
        server.expect_error("has not woken for 2s: killing it")
        server.expect_error(ENDED)
        victim = server.workers()[VICTIM]["pid"]
        spin(victim)
        before = proc.cpu_seconds(victim)
        self.assert_served(self.knock(server, 40))
        self.assertEqual(proc.held_ports(victim, server.port), set())
        self.assertGreater(proc.cpu_seconds(victim), before, "it is awake, and hangs")
        server.await_log("has not woken for 2s: killing it")
        self.await_successor(server, victim)
        self.assert_served(self.knock(server, 8))

    def test_a_worker_that_merely_sleeps_is_left_alone(self):
        """Idle for longer than --hang-kill: nothing is killed."""
        server = self.start_weir("--hang-threshold", "200ms", "--hang-kill", "500ms", workers=2)
        pids = server.column("pid")
        loops = time.monotonic() + 1.5
        while time.monotonic() < loops:  # what this is about is time passing
            self.assertEqual(server.column("pid"), pids)
        self.assertEqual(server.messages("error"), [])


if __name__ == "__main__":
    main()
