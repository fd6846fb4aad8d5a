"""Where new connections go, as weirctl shows it: the policies and the limit on connections."""

import asyncio
import errno
import itertools
import socket
import time

from harness import proc, raw, sessions
from harness.environment import PATIENCE, scaled
from harness.suite import WeirTest, in_loop, main, needs_ebpf

# On a busy host with fewer CPUs than workers, a worker may not be given one for longer than the
# threshold, and is then rightly steered past. These tests are about the policies alone.
NEVER_HUNG = ("--hang-threshold", "0")

WORKERS = 4


def open_raw(test, server, count, source=None):
    """`count` sessions, one after the other, which end with the test."""
    peers = []
    for _ in range(count):
        peers.append(raw.open_session(server.address, source))
        test.addCleanup(peers[-1].close)
    return peers


def await_accepted(server, connections):
    """The workers' rows, once they show that many open connections and none that waits."""
    seen = server.await_status(
        lambda s: s["connections"] == connections and not any(w["queued"] for w in s["workers"]),
        f"{connections} connections are open",
    )
    return seen["workers"]


class CrowdTest(WeirTest):
    @needs_ebpf
    @in_loop
    async def test_2000_sessions_are_spread_evenly_and_each_gets_its_own_echoes(self):
        """Opened at once while nothing closes: the slots differ by one at most, every one of many
        distinct messages comes back to its sender, and the totals are exactly what was sent."""
        server = self.start_weir(*NEVER_HUNG, workers=WORKERS)
        count, rounds = scaled(2_000), 3
        crowd = await sessions.connect_many(server.address, count)
        status = server.await_status(lambda s: s["connections"] == count, "all are open")
        self.assert_spread_within_one([w["connections"] for w in status["workers"]])
        self.assertLessEqual(status["imbalance"], 1.02)

        async def talk(number, session):
            for turn in range(rounds):
                await sessions.echo(session, f"session {number}, message {turn}")

        await asyncio.gather(*(talk(i, session) for i, session in enumerate(crowd)))
        total = count * rounds
        status = server.await_status(
            lambda s: sum(w["messages_out"] for w in s["workers"]) >= total, "all is echoed"
        )
        for name, expected in (
            ("messages_in", total),
            ("messages_out", total),
            ("connections", count),
            ("accepted", count),
            ("assigned", count),
            ("queued", 0),
        ):
            with self.subTest(name):
                self.assertEqual(sum(w[name] for w in status["workers"]), expected)
        await sessions.close_all(crowd)
        server.await_status(lambda s: s["connections"] == 0, "all are closed")


class PolicyTest(WeirTest):
    @needs_ebpf
    def test_least_connections_refills_the_slot_that_emptied(self):
        """After the sessions of one slot end, the next ones all go there."""
        server = self.start_weir(*NEVER_HUNG, workers=WORKERS)
        peers = open_raw(self, server, 40)
        slots = await_accepted(server, 40)
        self.assertEqual([w["connections"] for w in slots], [10] * WORKERS)
        emptied = proc.held_ports(slots[2]["pid"], server.port)
        for peer in peers:
            if peer.getsockname()[1] in emptied:
                peer.close()
        slots = await_accepted(server, 30)
        self.assertEqual([w["connections"] for w in slots], [10, 10, 0, 10])
        open_raw(self, server, 10)
        slots = await_accepted(server, 40)
        self.assertEqual([w["connections"] for w in slots], [10] * WORKERS)

    @needs_ebpf
    def test_least_connections_heeds_weights(self):
        """4,2,1,1: a worker of weight 4 holds four times what one of weight 1 holds."""
        server = self.start_weir(*NEVER_HUNG, "--weights", "4,2,1,1", workers=WORKERS)
        open_raw(self, server, 80)
        slots = await_accepted(server, 80)
        self.assertEqual([w["connections"] for w in slots], [40, 20, 10, 10])

    @needs_ebpf
    def test_two_choices_keeps_the_slots_close(self):
        """No slot is far from the mean, where chance alone would leave one far off."""
        server = self.start_weir(*NEVER_HUNG, "--steer", "two-choices", workers=WORKERS)
        open_raw(self, server, 200)
        counts = [w["connections"] for w in await_accepted(server, 200)]
        self.assertLessEqual(max(counts) - min(counts), 8, counts)

    @needs_ebpf
    def test_round_robin_takes_the_slots_in_turn(self):
        """Whatever is open: the counts of what was assigned differ by one at most."""
        server = self.start_weir(*NEVER_HUNG, "--steer", "round-robin", workers=WORKERS)
        for _ in range(5):
            for peer in open_raw(self, server, 9):
                peer.close()
            self.assert_spread_within_one(server.column("assigned"))
        self.assertEqual(sum(server.column("assigned")), 45)

    @needs_ebpf
    def test_weighted_round_robin_keeps_to_the_weights(self):
        """Ten connections are 5, 2, 2 and 1 in every round, not only in the long run."""
        server = self.start_weir(
            *NEVER_HUNG, "--steer", "weighted-round-robin", "--weights", "5,2,2,1", workers=WORKERS
        )
        for turn in range(1, 6):
            open_raw(self, server, 10)
            self.assertEqual(server.column("assigned"), [5 * turn, 2 * turn, 2 * turn, turn])

    @needs_ebpf
    def test_source_hash_sends_an_address_to_one_slot_always(self):
        """64 client addresses use every slot, and each address comes back to its own."""
        server = self.start_weir(*NEVER_HUNG, "--steer", "source-hash", workers=WORKERS)
        before = server.column("assigned")
        owners = []
        for host in range(1, 65):
            open_raw(self, server, 3, source=f"127.0.1.{host}")
            after = server.column("assigned")
            gained = [b - a for a, b in zip(before, after)]
            self.assertEqual(sorted(gained), [0, 0, 0, 3], f"127.0.1.{host}")
            owners.append(gained.index(3))
            before = after
        self.assertEqual(set(owners), set(range(WORKERS)))

    @needs_ebpf
    def test_tuple_hash_spreads_one_address_over_all_slots(self):
        """The port counts as well."""
        server = self.start_weir(*NEVER_HUNG, "--steer", "tuple-hash", workers=WORKERS)
        open_raw(self, server, 100)
        self.assertEqual(sum(server.column("assigned")), 100)
        self.assertGreater(min(server.column("assigned")), 0)

    @needs_ebpf
    def test_both_listen_addresses_feed_the_same_balance(self):
        """Connections to 127.0.0.1 and to ::1 are counted together."""
        server = self.start_weir(*NEVER_HUNG, listen=("127.0.0.1:0", "[::1]:0"), workers=WORKERS)
        for address, _ in itertools.product(server.addresses, range(20)):
            self.addCleanup(raw.open_session(address).close)
        slots = await_accepted(server, 40)
        self.assertEqual([w["connections"] for w in slots], [10] * WORKERS)

    def test_without_steering_every_worker_serves(self):
        """--steer-backend none leaves it to the kernel's hash, which reaches every worker."""
        server = self.start_weir("--steer-backend", "none", workers=WORKERS)
        open_raw(self, server, 200)
        slots = await_accepted(server, 200)
        self.assertGreater(min(w["connections"] for w in slots), 0)
        self.assertEqual(server.status()["backend"], "none")


class LimitTest(WeirTest):
    LIMIT = 10

    def refused(self, server):
        """Whether one more is refused, and it has to be by a reset: at once by the kernel's
        program, or by the worker where there is none."""
        try:
            with raw.connect(server.address) as peer:
                peer.sendall(raw.request())
                answer = peer.recv(4_096)
        except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
            return True
        self.assertTrue(answer.startswith(b"HTTP/1.1 101 "), answer)
        return False

    def check(self, *flags):
        server = self.start_weir(*flags, "--max-connections", str(self.LIMIT), workers=3)
        peers = open_raw(self, server, self.LIMIT)
        for _ in range(20):
            self.assertTrue(self.refused(server), "an eleventh was let in")
        for peer in peers:  # nobody who is in has noticed
            peer.sendall(raw.frame(raw.TEXT, b"in"))
            self.assertEqual(raw.receive(peer, 4), b"\x81\x02in")
        peers[0].close()
        deadline = time.monotonic() + PATIENCE
        while self.refused(server):
            self.assertLess(time.monotonic(), deadline, "no room again after one has ended")
            time.sleep(0.005)
        return server

    @needs_ebpf
    def test_the_kernel_admits_the_limit_exactly_and_resets_the_next(self):
        """Ten get in, the eleventh is refused before it costs an accept, one may follow one."""
        server = self.check("--steer-backend", "ebpf")
        self.assertLessEqual(sum(server.column("accepted")), self.LIMIT + 1)

    def test_the_workers_do_the_same_without_the_kernels_help(self):
        """--steer-backend none and cbpf: the same limit, kept by the workers together."""
        self.check("--steer-backend", "none")
        self.check("--steer-backend", "cbpf")

    @needs_ebpf
    def test_a_connection_that_ended_makes_room_also_where_nothing_else_happens(self):
        """With --hang-threshold 0 a worker sleeps until the next event. The end of its only
        session must be in the shared count before it falls asleep, or the room stays taken."""
        server = self.start_weir(*NEVER_HUNG, "--max-connections", "1", workers=1)
        with raw.open_session(server.address) as peer:
            self.assertTrue(self.refused(server))
            peer.sendall(raw.frame(raw.CLOSE, b"\x03\xe8"))
            self.assertEqual(raw.receive_all(peer), b"\x88\x02\x03\xe8")
        server.await_status(lambda seen: seen["connections"] == 0, "the end is counted")
        self.assertFalse(self.refused(server), "the room is still taken")

    @needs_ebpf
    def test_connections_that_come_at_once_do_not_exceed_the_limit(self):
        """100 connects started in one go: exactly ten are let in."""
        server = self.start_weir("--max-connections", str(self.LIMIT), workers=3)
        attempts = [socket.socket() for _ in range(100)]
        for attempt in attempts:
            self.addCleanup(attempt.close)
            attempt.setblocking(False)
            self.assertIn(attempt.connect_ex(server.address), (0, errno.EINPROGRESS, errno.ECONNREFUSED))
        await_accepted(server, self.LIMIT)
        admitted = 0
        for attempt in attempts:
            try:
                attempt.getpeername()
                admitted += 1
            except OSError:
                pass
        self.assertEqual(admitted, self.LIMIT)


if __name__ == "__main__":
    main()
