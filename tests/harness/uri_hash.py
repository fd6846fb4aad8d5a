"""UriHashTest: what the tests of --steer uri-hash share: sessions by their requests, and the slots of
the workers that hold them."""

import select
import socket
import time

from harness import proc, raw
from harness.environment import PATIENCE
from harness.suite import WeirTest

NEVER_HUNG = ("--hang-threshold", "0")  # so that a worker without a CPU for long loses no key
PATHS = [f"/room/{i}" for i in range(50)]


class UriHashTest(WeirTest):
    def start(self, *flags, workers=8, **options):
        flags = (*NEVER_HUNG, "--steer", "uri-hash", *flags)
        return self.start_weir(*flags, workers=workers, **options)

    def connect(self, server, sent, source=None):
        peer = raw.connect(server.address, source)
        self.addCleanup(peer.close)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(sent)
        return peer

    def assert_open(self, peer):
        head = raw.receive_head(peer)
        self.assertTrue(head.startswith(b"HTTP/1.1 101 "), head)
        self.assert_echoes(peer)

    def assert_echoes(self, peer):
        peer.sendall(raw.frame(raw.TEXT, b"who?"))
        self.assertEqual(raw.receive(peer, 6), b"\x81\x04who?")

    def open(self, server, path="/", headers=()):
        peer = self.connect(server, raw.request(path=path, headers=headers))
        self.assert_open(peer)
        return peer

    def pids(self, server):
        """The workers' processes by slot."""
        return {slot: pid for slot, pid in enumerate(server.column("pid")) if pid}

    def slots_of(self, server, peers, pids=None):
        """The slot of the one worker that holds each session; a move may still be under way. `pids`:
        of the workers, where there is nobody to ask."""
        ports = [peer.getsockname()[1] for peer in peers]
        deadline = time.monotonic() + PATIENCE
        while True:
            its_pids = pids or self.pids(server)
            held = proc.held_ports_of(its_pids.values(), server.port)
            found = [
                [slot for slot, its in zip(its_pids, held, strict=True) if port in its]
                for port in ports
            ]
            if all(len(one) == 1 for one in found):
                return [one[0] for one in found]
            self.assertLess(time.monotonic(), deadline, f"these are held by nobody, or two: {found}")

    def slot_of(self, server, peer):
        return self.slots_of(server, [peer])[0]

    def owners(self, server, paths=PATHS, pids=None):
        """The slot that each path's next session is answered by."""
        peers = [self.open(server, path) for path in paths]
        slots = self.slots_of(server, peers, pids)
        for peer in peers:
            peer.close()
        return slots

    def await_owner(self, server, path, slot):
        """Until the path's next session is answered by that slot: a worker that comes back has its
        keys once it has woken."""
        deadline = time.monotonic() + PATIENCE
        while self.slot_of(server, self.open(server, path)) != slot:
            self.assertLess(time.monotonic(), deadline, "it never has its key back")

    def answered_at_last(self, server, path):
        """Asks for the path again and again until one session is answered: that one, and those that
        wait for a worker which does not."""
        waiting, answered = [], []
        deadline = time.monotonic() + PATIENCE
        while not answered:
            self.assertLess(time.monotonic(), deadline, "none is ever answered")
            waiting.append(self.connect(server, raw.request(path=path)))
            answered, _, _ = select.select(waiting, [], [], 0.1)
        self.assert_open(answered[0])
        waiting.remove(answered[0])
        return answered[0], waiting

    def counter(self, server, name):
        return server.status()["counters"][name]

    def await_counters(self, server, **expected):
        server.await_status(
            lambda seen: {name: seen["counters"][name] for name in expected} == expected,
            f"the counters are {expected}",
        )

    def await_held(self, server, count):
        """The workers' rows once so many are open, and the load table says the same."""
        return server.await_status(
            lambda seen: seen["connections"] == count
            and all(w["load"] == w["connections"] for w in seen["workers"]),
            f"{count} are open and counted where they are",
        )["workers"]

    def busy_elsewhere(self, server, path, count=3):
        """The slot of the path, which has sessions by then: the next one is accepted by another, the
        emptiest."""
        peers = [self.open(server, path) for _ in range(count)]
        slots = set(self.slots_of(server, peers))
        self.assertEqual(len(slots), 1)
        return slots.pop(), peers
