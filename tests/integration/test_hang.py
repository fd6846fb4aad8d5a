"""A worker that is stopped: after the hang threshold, new connections go to the others. It is the
kernel's program that sees to it, so that it also works while the master is stuck."""

import time

from harness import proc, raw
from harness.suite import WeirTest, main, needs_ebpf

VICTIM = 1
THRESHOLD = 0.050  # seconds; the default
AT_ONCE = 1.0  # an echo takes far less, unless the worker hangs


class HangTest(WeirTest):
    def freeze(self, pid):
        super().freeze(pid)
        time.sleep(2 * THRESHOLD)  # what this is about: from now on it counts as hung

    def echo(self, peer, text=b"hello"):
        peer.settimeout(AT_ONCE)
        peer.sendall(raw.frame(raw.TEXT, text))
        expected = bytes([0x81, len(text)]) + text
        self.assertEqual(raw.receive(peer, len(expected)), expected)

    def open(self, server, count):
        """Sessions that each open and echo at once."""
        peers = []
        for _ in range(count):
            peer = raw.connect(server.address)
            self.addCleanup(peer.close)
            peer.settimeout(AT_ONCE)
            peer.sendall(raw.request())
            raw.receive_head(peer)
            self.echo(peer)
            peers.append(peer)
        return peers

    @needs_ebpf
    def test_new_sessions_pass_a_hung_worker_by_and_come_back_when_it_wakes(self):
        """40 sessions open and echo at once while one of four workers stands still; it is shown as
        hung; its own sessions wait, and go on when it does, and it gets its share again."""
        server = self.start_weir()
        self.open(server, 20)
        victim = server.workers()[VICTIM]
        held = proc.held_ports(victim["pid"], server.port)
        self.freeze(victim["pid"])

        peers = self.open(server, 40)
        slots = server.workers()
        self.assertEqual(slots[VICTIM]["state"], "hung")
        self.assertEqual(slots[VICTIM]["assigned"], victim["assigned"])
        self.assertEqual(slots[VICTIM]["queued"], 0)
        self.assertEqual(sum(w["connections"] for w in slots), 60)

        self.thaw(victim["pid"])
        server.await_status(lambda s: s["workers"][VICTIM]["state"] == "serving", "it is well again")
        self.assertEqual(proc.held_ports(victim["pid"], server.port), held)
        peers += self.open(server, 20)
        slot = server.workers()[VICTIM]
        self.assertGreaterEqual(slot["connections"], len(held) + 10, "the least loaded is first")
        for peer in peers:
            self.echo(peer, b"and again")

    @needs_ebpf
    def test_what_was_queued_for_it_before_is_served_when_it_wakes(self):
        """A session whose message came while its worker stood still, and a connection that was
        steered to it before it counted as hung: both are answered afterwards, none is lost."""
        server = self.start_weir("--hang-threshold", "1h")  # it never counts as hung
        peers = self.open(server, 8)
        pid = server.workers()[VICTIM]["pid"]
        held = proc.held_ports(pid, server.port)
        self.freeze(pid)
        waiting = [peer for peer in peers if peer.getsockname()[1] in held]
        self.assertEqual(len(waiting), 2)
        for peer in waiting:
            peer.sendall(raw.frame(raw.TEXT, b"are you there"))
        arriving = [raw.connect(server.address) for _ in range(4)]
        for peer in arriving:
            self.addCleanup(peer.close)
            peer.sendall(raw.request())
        server.await_status(lambda s: s["workers"][VICTIM]["queued"] == 1, "one waits for it")
        self.thaw(pid)
        for peer in waiting:
            self.assertEqual(raw.receive(peer, 15), b"\x81\x0dare you there")
        for peer in arriving:
            self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))

    @needs_ebpf
    def test_it_is_passed_by_also_while_the_master_is_stuck(self):
        """Master and worker both stopped: new sessions open and echo at once all the same."""
        server = self.start_weir()
        victim = server.workers()[VICTIM]
        self.freeze(server.pid)
        self.freeze(victim["pid"])
        self.open(server, 40)
        self.assertEqual(proc.held_ports(victim["pid"], server.port), set())
        self.thaw(server.pid)
        self.assertEqual(server.workers()[VICTIM]["assigned"], 0)

    @needs_ebpf
    def test_when_all_hang_a_queue_beats_a_reset(self):
        """With no worker well, connections are queued, and served when one wakes."""
        server = self.start_weir(workers=2)
        pids = server.column("pid")
        for pid in pids:
            self.freeze(pid)
        peers = [raw.connect(server.address) for _ in range(10)]
        for peer in peers:
            self.addCleanup(peer.close)
            peer.sendall(raw.request())
        self.assertEqual(sum(server.column("queued")), 10)
        for pid in pids:
            self.thaw(pid)
        for peer in peers:
            self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))


if __name__ == "__main__":
    main()
