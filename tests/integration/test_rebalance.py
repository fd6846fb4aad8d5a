"""Sessions move to whoever has fewer than its share: after a worker was replaced, and when asked."""

import os
import signal
import time

from harness import proc, raw
from harness.certificates import Certificates, careless
from harness.environment import scaled
from harness.suite import WeirTest, main, needs_ebpf

# On a busy host with fewer CPUs than workers, a worker may not be given one for longer than the
# threshold. These tests are not about that.
NEVER_HUNG = ("--hang-threshold", "0")
WORKERS = 4
VICTIM = 2
ENDED = r"^slot 2: worker \d+ ended with signal 9"


class RebalanceTest(WeirTest):
    def open_sessions(self, server, count):
        peers = []
        for _ in range(count):
            peers.append(raw.open_session(server.address))
            self.addCleanup(peers[-1].close)
        server.await_status(lambda s: s["connections"] == count, "all are open")
        return peers

    def kill_one(self, server, peers):
        """Those that are left once a worker was killed, and how many it had; its successor serves
        when this returns."""
        server.expect_error(ENDED)
        pid = server.workers()[VICTIM]["pid"]
        held = proc.held_ports(pid, server.port)
        os.kill(pid, signal.SIGKILL)
        return [p for p in peers if p.getsockname()[1] not in held], len(held)

    def echo_all(self, peers):
        for number, peer in enumerate(peers):
            peer.sendall(raw.frame(raw.BINARY, b"%08d" % number))
        for number, peer in enumerate(peers):
            self.assertEqual(raw.receive(peer, 10), b"\x82\x08%08d" % number)

    def await_level(self, server, connections):
        """The status once every worker serves, holds its share, and the load table says the same."""
        return server.await_status(
            lambda s: all(w["state"] == "serving" for w in s["workers"])
            and s["connections"] == connections
            and s["imbalance"] <= 1.05
            and all(w["load"] == w["connections"] for w in s["workers"]),
            "the workers are level",
        )

    def await_spread_within_one(self, server):
        def level(status):
            counts = [w["connections"] for w in status["workers"]]
            return max(counts) - min(counts) <= 1

        return server.await_status(level, "all are within one of each other")

    def await_spread_at_rest(self, server):
        """As level as weir makes what was nearly level already: it then moves none."""

        def level(status):
            counts = [w["connections"] for w in status["workers"]]
            share = sum(counts) / len(counts)
            return all(abs(count - share) <= 1 for count in counts)

        return server.await_status(level, "all are within one of their share")


class SkewTest(RebalanceTest):
    @needs_ebpf
    def test_a_replaced_worker_gets_its_share_of_4000_sessions(self):
        """Nobody but the clients of the one that was killed notices anything."""
        server = self.start_weir(*NEVER_HUNG, "--rebalance", "auto", workers=WORKERS)
        count = scaled(4_000)
        descriptors = [len(proc.descriptors(w["pid"])) for w in server.workers()]
        peers = self.open_sessions(server, count)
        began = time.monotonic()
        left, lost = self.kill_one(server, peers)
        self.assertEqual(lost, count // WORKERS)
        self.await_level(server, len(left))
        took = time.monotonic() - began
        self.await_spread_within_one(server)
        self.echo_all(left)
        moved = int(server.await_log(r"^rebalanced: (\d+) sessions moved")[1])
        self.assertEqual(moved, sum(server.column("left")))
        self.assertEqual(moved, sum(server.column("arrived")))
        self.assertLessEqual(moved, count // WORKERS)
        print(f"level {took:.2f} s after the kill, {moved} sessions moved", flush=True)
        for peer in peers:
            peer.close()
        server.await_status(
            lambda s: s["connections"] == 0 and all(w["load"] == 0 for w in s["workers"]), "all end"
        )
        after = [len(proc.descriptors(w["pid"])) for w in server.workers()]
        self.assertEqual(after, descriptors)

    @needs_ebpf
    def test_off_nothing_moves(self):
        """Within the time that another weir needs for the same."""
        still = self.start_weir(*NEVER_HUNG, "--rebalance", "off", workers=WORKERS)
        moving = self.start_weir(*NEVER_HUNG, "--rebalance", "auto", workers=WORKERS)
        count = 80
        left = {}
        for server in (still, moving):
            left[server], _ = self.kill_one(server, self.open_sessions(server, count))
        self.await_level(moving, len(left[moving]))
        self.assertEqual(sum(still.column("arrived")), 0)
        self.assertEqual(still.column("connections"), [20, 20, 0, 20])
        self.echo_all(left[still])

    def test_without_a_program_in_the_kernel_it_levels_what_the_hash_has_spread(self):
        server = self.start_weir(
            *NEVER_HUNG, "--rebalance", "auto", "--steer-backend", "none", workers=WORKERS
        )
        peers = self.open_sessions(server, 200)
        server.weirctl("rebalance")  # so that none is on its way when a worker is killed
        self.await_spread_at_rest(server)
        left, _ = self.kill_one(server, peers)
        self.await_level(server, len(left))
        self.echo_all(left)


class AskedTest(RebalanceTest):
    @needs_ebpf
    def test_weirctl_rebalance_levels_at_once_also_while_it_is_off(self):
        server = self.start_weir(*NEVER_HUNG, "--rebalance", "off", workers=2)
        peers = self.open_sessions(server, 40)
        done = server.weirctl("rebalance")
        self.assertEqual((done.stdout, done.stderr), ("every worker holds its share already\n", ""))
        done = server.weirctl("move", "17", "0", "1")
        self.assertEqual(
            (done.stdout, done.stderr),
            ("slot 0 gives 17 sessions to slot 1, as far as it has them\n", ""),
        )
        server.await_status(lambda s: [w["connections"] for w in s["workers"]] == [3, 37], "moved")
        done = server.weirctl("rebalance")
        self.assertEqual((done.stdout, done.stderr), ("17 sessions are to move\n", ""))
        server.await_status(lambda s: [w["connections"] for w in s["workers"]] == [20, 20], "level")
        self.echo_all(peers)
        self.assertEqual(server.column("left"), [17, 17])

    @needs_ebpf
    def test_weights_are_heeded(self):
        server = self.start_weir(
            *NEVER_HUNG, "--weights", "4,2,1,1", "--rebalance", "auto", workers=WORKERS
        )
        peers = self.open_sessions(server, 80)
        server.ask(b'{"command":"move","count":20,"from":0,"to":3}')
        server.await_status(lambda s: s["workers"][0]["left"] >= 20, "they have left")
        server.await_status(
            lambda s: [w["connections"] for w in s["workers"]] == [40, 20, 10, 10], "they came back"
        )
        self.echo_all(peers)

    @needs_ebpf
    def test_tls_sessions_stay(self):
        """Those beside them move."""
        certificates = Certificates(self).make("a")
        server = self.start_weir(
            *NEVER_HUNG, *certificates.flags("a"), "--rebalance", "off",
            listen=("127.0.0.1:0", "tls:127.0.0.1:0"), workers=2,
        )
        secure = []
        for _ in range(20):
            plain = raw.connect(server.addresses[1])
            secure.append(careless().wrap_socket(plain, server_hostname="localhost"))
            self.addCleanup(secure[-1].close)
            secure[-1].sendall(raw.request())
            self.assertTrue(raw.receive_head(secure[-1]).startswith(b"HTTP/1.1 101 "))
        peers = [raw.open_session(server.address) for _ in range(20)]
        for peer in peers:
            self.addCleanup(peer.close)
        server.await_status(lambda s: [w["connections"] for w in s["workers"]] == [20, 20], "open")
        server.ask(b'{"command":"move","count":1000,"from":0,"to":1}')
        server.await_status(
            lambda s: [w["connections"] for w in s["workers"]] == [10, 30], "the plain ones moved"
        )
        server.ask(b'{"command":"move","count":1000,"from":1,"to":0}')
        server.await_status(lambda s: [w["connections"] for w in s["workers"]] == [30, 10], "back")
        # Of the ten that slot 1 has left none can move; of those that slot 0 has, all that must.
        server.weirctl("rebalance")
        server.await_status(lambda s: [w["connections"] for w in s["workers"]] == [20, 20], "level")
        self.echo_all(peers)
        self.echo_all(secure)

    def test_what_cannot_be_is_refused_and_says_why(self):
        server = self.start_weir("--steer", "source-hash", workers=2)
        cases = (
            (
                b'{"command":"rebalance"}',
                "under --steer source-hash a client's worker follows from its address, and moving "
                "its sessions would undo that; rebalancing is for least-connections, two-choices, "
                "round-robin and weighted-round-robin",
            ),
            (
                b'{"command":"move","count":1,"from":0,"to":2}',
                "there is no slot 2; they go from 0 to 1",
            ),
            (
                b'{"command":"move","count":1,"from":1,"to":1}',
                "slot 1 is to give sessions to itself; name two slots",
            ),
            (
                b'{"command":"move","count":0,"from":0,"to":1}',
                "expected how many sessions to move and the numbers of two slots, such as "
                '{"command":"move","count":100,"from":0,"to":1}',
            ),
        )
        for line, error in cases:
            self.assertEqual(server.ask(line), {"ok": False, "error": error})
        single = self.start_weir("--steer-backend", "none", workers=1)
        self.assertEqual(
            single.ask(b'{"command":"rebalance"}'),
            {
                "ok": False,
                "error": "fewer than two workers serve and do not hang; there is nobody to share with",
            },
        )


if __name__ == "__main__":
    main()
