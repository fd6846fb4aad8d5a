"""Sessions move between workers, and their clients notice nothing: no byte is lost, repeated or out
of order, whatever is under way, and whoever dies meanwhile."""

import os
import signal
import socket
import threading
import time

from harness import proc, raw
from harness.environment import PATIENCE, scaled
from harness.suite import WeirTest, main, needs_ebpf
from harness.talkers import Talkers

NEVER_HUNG = ("--hang-threshold", "0")  # so that a stopped worker is not replaced


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    proc.await_stopped(pid)


class TransferTest(WeirTest):
    def move(self, server, count, source, target):
        answer = server.ask(
            b'{"command":"move","count":%d,"from":%d,"to":%d}' % (count, source, target)
        )
        self.assertEqual(answer, {"ok": True})

    def await_held(self, server, counts):
        """The workers' rows once they hold so many sessions, and the load table says the same."""
        return server.await_status(
            lambda seen: [w["connections"] for w in seen["workers"]] == counts
            and [w["load"] for w in seen["workers"]] == counts,
            f"the workers hold {counts}",
        )["workers"]

    def await_left(self, server, slot, count):
        server.await_status(
            lambda seen: seen["workers"][slot]["left"] == count, f"{count} have left slot {slot}"
        )

    def await_successor(self, server, slot, dead):
        server.await_status(
            lambda seen: seen["workers"][slot]["pid"] not in (0, dead)
            and seen["workers"][slot]["state"] == "serving",
            "the slot is served again",
        )


class TrafficTest(TransferTest):
    ROUNDS = 20

    @needs_ebpf
    def test_500_sessions_move_to_and_fro_20_times_under_traffic(self):
        """Random sizes, fragments, pieces that end anywhere, a quarter compressed with context
        takeover. Afterwards the table and the descriptors are what they were."""
        server = self.start_weir("--compression", "dedicated", workers=2)
        held = [len(proc.descriptors(w["pid"])) for w in server.workers()]
        count = scaled(500)
        talkers = Talkers(self, server, count, compressed=True)
        talkers.more()
        before = talkers.exchanged()
        began = time.monotonic()
        self.move(server, count, 1, 0)
        self.await_held(server, [count, 0])
        for _ in range(self.ROUNDS // 2):
            self.move(server, count, 0, 1)
            self.await_held(server, [0, count])
            talkers.more()
            self.move(server, count, 1, 0)
            self.await_held(server, [count, 0])
            talkers.more()
        took = time.monotonic() - began
        during = talkers.exchanged() - before
        total = talkers.finish()
        self.assertEqual(talkers.broken(), set())
        workers = server.workers()
        self.assertEqual(workers[0]["left"], count * self.ROUNDS // 2)
        self.assertEqual(workers[1]["arrived"], count * self.ROUNDS // 2)
        self.assertEqual(workers[1]["left"], workers[0]["arrived"])
        moves = sum(w["left"] for w in workers)
        print(f"{moves} moves in {took:.1f} s among {during} echoes, {total} in all", flush=True)
        talkers.end()
        self.await_held(server, [0, 0])
        self.assertEqual([len(proc.descriptors(w["pid"])) for w in workers], held)

    @needs_ebpf
    def test_the_pause_of_a_move_is_told(self):
        """One session of 500 that echoes as fast as it can, all moved all the time: every echo is right.
        How long those took in which it moved is printed, and judged by nobody: the machine is
        shared."""
        server = self.start_weir(workers=2)
        idle = [raw.open_session(server.address) for _ in range(scaled(499))]
        for one in idle:
            self.addCleanup(one.close)
        peer = raw.open_session(server.address)
        self.addCleanup(peer.close)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        count = len(idle) + 1
        self.move(server, count, 1, 0)
        self.await_held(server, [count, 0])
        before = sum(server.column("left"))
        moves, times, still = 100, [], []
        done = threading.Event()

        def mover():
            try:
                for turn in range(moves):
                    self.move(server, count, turn % 2, 1 - turn % 2)
                    self.await_held(server, [count, 0] if turn % 2 else [0, count])
            finally:
                done.set()

        def exchange(number):
            message = b"%08d" % number
            start = time.monotonic()
            peer.sendall(raw.frame(raw.BINARY, message))
            self.assertEqual(raw.receive(peer, 10), b"\x82\x08" + message)
            return time.monotonic() - start

        for number in range(2_000):
            still.append(exchange(number))
        thread = threading.Thread(target=mover)
        thread.start()
        while not done.is_set():
            times.append(exchange(len(times)))
        thread.join()
        self.assertEqual(sum(server.column("left")) - before, count * moves)
        # At most one echo a move is the one that it held up.
        slow = sorted(times)[-moves:]
        print(
            f"echoes at rest: p99 {sorted(still)[len(still) * 99 // 100] * 1e3:.2f} ms; the {moves} "
            f"slowest in {moves} moves: median {slow[moves // 2] * 1e3:.2f} ms, "
            f"p99 {slow[moves * 99 // 100] * 1e3:.2f} ms",
            flush=True,
        )

    @needs_ebpf
    def test_what_a_client_has_not_taken_moves_with_its_session(self):
        """Far more output than a letter holds, for a client that does not read."""
        server = self.start_weir(workers=2)
        peer = socket.socket()
        self.addCleanup(peer.close)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        peer.settimeout(PATIENCE)
        peer.connect(server.address)
        peer.sendall(raw.request())
        handshake = len(raw.receive_head(peer))
        size, sent, due = 32_768, 0, bytearray()

        def unsent():
            row = next(w for w in server.workers() if w["connections"])
            return row["messages_out"] * (size + 4) - (row["bytes_out"] - handshake)

        peer.setblocking(False)
        out = bytearray()
        deadline = time.monotonic() + PATIENCE
        while unsent() <= 200_000:  # the kernel's buffers take some megabytes first
            self.assertLess(time.monotonic(), deadline, "its output never piles up")
            try:
                while True:
                    if not out:
                        payload = (b"%08d" % sent) * (size // 8)
                        sent += 1
                        out += raw.frame(raw.BINARY, payload)
                        due += b"\x82\x7e" + size.to_bytes(2, "big") + payload
                    del out[: peer.send(out)]
            except BlockingIOError:
                pass
        source = server.column("connections").index(1)
        for turn in range(4):
            giver = source if turn % 2 == 0 else 1 - source
            self.move(server, 1, giver, 1 - giver)
            self.await_held(server, [1, 0] if giver == 1 else [0, 1])
        got = bytearray()
        peer.settimeout(PATIENCE)
        writer = threading.Thread(target=lambda: peer.sendall(out))
        writer.start()
        while len(got) < len(due):
            got += peer.recv(1 << 20)
        writer.join()
        self.assertTrue(got == due, f"{len(due)} bytes differ")


class DeathTest(TransferTest):
    """Two workers with as many sessions each. Those of slot 0 are posted to slot 1, whose worker is
    stopped, so that they wait in its inbox."""

    def post(self, server, each):
        talkers = Talkers(self, server, 2 * each, compressed=True)
        talkers.more()
        workers = self.await_held(server, [each, each])
        source, target = (w["pid"] for w in workers)
        ports = proc.held_ports(source, server.port)
        self.assertEqual(len(ports), each)
        stop(target)
        self.move(server, each, 0, 1)
        self.await_left(server, 0, each)
        return talkers, source, target, ports

    @needs_ebpf
    def test_a_target_that_is_stopped_and_goes_on_has_them_all(self):
        each = scaled(60)
        server = self.start_weir(*NEVER_HUNG, "--compression", "dedicated", workers=2)
        talkers, _, target, _ = self.post(server, each)
        os.kill(target, signal.SIGCONT)
        self.await_held(server, [0, 2 * each])
        talkers.more()
        talkers.finish()
        self.assertEqual(talkers.broken(), set())

    @needs_ebpf
    def test_a_target_that_is_killed_leaves_them_to_its_successor(self):
        """Its own sessions end with it. Those on their way to it go on, whole."""
        each = scaled(60)
        server = self.start_weir(*NEVER_HUNG, "--compression", "dedicated", workers=2)
        server.expect_error(r"^slot 1: worker \d+ ended with signal 9")
        talkers, _, target, ports = self.post(server, each)
        proc.kill(target)
        self.await_successor(server, 1, target)
        talkers.more(of=ports)
        self.await_held(server, [0, each])
        talkers.finish()
        self.assertEqual(talkers.broken(), {t.port for t in talkers.all} - ports)

    @needs_ebpf
    def test_a_source_that_is_killed_takes_none_of_them_with_it(self):
        """What was posted is not its any more."""
        each = scaled(60)
        server = self.start_weir(*NEVER_HUNG, "--compression", "dedicated", workers=2)
        server.expect_error(r"^slot 0: worker \d+ ended with signal 9")
        talkers, source, target, _ = self.post(server, each)
        proc.kill(source)
        self.await_successor(server, 0, source)
        os.kill(target, signal.SIGCONT)
        self.await_held(server, [0, 2 * each])
        talkers.more()
        talkers.finish()
        self.assertEqual(talkers.broken(), set())

    def test_without_a_program_in_the_kernel_those_on_their_way_stay_counted(self):
        """There nobody mends the load table: what died with a worker is taken out of it, and what
        waits for its successor is not."""
        server = self.start_weir(*NEVER_HUNG, "--steer-backend", "none", workers=2)
        server.expect_error(r"^slot 1: worker \d+ ended with signal 9")
        talkers = Talkers(self, server, 40)
        talkers.more()
        source, target = server.workers()
        stop(target["pid"])
        self.move(server, 40, 0, 1)
        self.await_left(server, 0, source["connections"])
        proc.kill(target["pid"])
        self.await_successor(server, 1, target["pid"])
        talkers.more()
        self.await_held(server, [0, source["connections"]])
        self.assertEqual(len(talkers.broken()), target["connections"])
        talkers.finish()

    @needs_ebpf
    def test_both_may_be_killed(self):
        each = scaled(60)
        server = self.start_weir(*NEVER_HUNG, "--compression", "dedicated", workers=2)
        server.expect_error(r"^slot [01]: worker \d+ ended with signal 9")
        talkers, source, target, ports = self.post(server, each)
        proc.kill(source)
        proc.kill(target)
        self.await_successor(server, 0, source)
        self.await_successor(server, 1, target)
        talkers.more(of=ports)
        self.await_held(server, [0, each])
        talkers.finish()
        self.assertEqual(talkers.broken(), {t.port for t in talkers.all} - ports)

    @needs_ebpf
    def test_a_target_killed_in_the_midst_takes_only_what_it_had_taken_in(self):
        """At whatever step it is: a session either ended with it or goes on, and none hangs."""
        each = scaled(100)
        server = self.start_weir(*NEVER_HUNG, workers=2)
        server.expect_error(r"^slot 1: worker \d+ ended with signal 9")
        lost = []
        for _ in range(5):
            talkers = Talkers(self, server, 2 * each)
            talkers.more()
            self.await_held(server, [each, each])
            target = server.workers()[1]["pid"]
            before = server.workers()[1]["arrived"]
            self.move(server, each, 0, 1)
            proc.kill(target)
            self.await_successor(server, 1, target)
            talkers.more()
            lost.append(len(talkers.broken()))
            self.assertGreaterEqual(len(talkers.broken()), each)
            talkers.finish()
            left = 2 * each - len(talkers.broken())
            server.await_status(
                lambda seen: seen["connections"] == left
                and sum(w["load"] for w in seen["workers"]) == left,
                f"the workers hold the {left} that are left",
            )
            self.assertLessEqual(server.workers()[1]["arrived"] - before, each)
            talkers.end()
            self.await_held(server, [0, 0])
        print("ended with the target, of those and its own:", *lost, flush=True)


if __name__ == "__main__":
    main(lanes=2)
