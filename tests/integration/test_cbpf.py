"""The backend cbpf: a classic program in the kernel, which takes no privilege, and picks by shares
that the master makes from the load."""

import socket
import tempfile

from harness import proc, raw
from harness.comers import Comers
from harness.environment import scaled
from harness.resizing import WorkersTest
from harness.server import run_weir
from harness.suite import main
from harness.talkers import Talkers

NEVER_HUNG = ("--hang-threshold", "0")
CBPF = ("--steer-backend", "cbpf")
CANNOT = (
    "the steering backend cbpf cannot do --steer {}; it does least-connections (nearly), source-hash, "
    "tuple-hash and uri-hash; ebpf does all"
)


class CbpfTest(WorkersTest):
    def start(self, *flags, **more):
        server = self.start_weir(*CBPF, *flags, **more)
        self.assertEqual(server.status()["backend"], "cbpf")
        return server

    def open_more(self, server, count, source=None):
        peers = []
        for _ in range(count):
            peers.append(raw.open_session(server.address, source))
            self.addCleanup(peers[-1].close)
        return peers

    def gained(self, server, before):
        """What each worker has accepted since."""
        return [b - a for a, b in zip(before, server.column("accepted"), strict=True)]


class SpreadTest(CbpfTest):
    def test_sessions_spread_by_weight(self):
        """Each is a random one of its own, or nearer to its share, for what lacks is made up for:
        within five standard deviations of a binomial count."""
        server = self.start(*NEVER_HUNG, "--weights", "4,2,1,1", workers=4)
        count = 400
        self.open_more(server, count)
        held = self.await_counted(server, count)["workers"]
        for worker, weight in zip(held, (4, 2, 1, 1), strict=True):
            share = weight / 8
            deviation = (count * share * (1 - share)) ** 0.5
            self.assertLess(abs(worker["connections"] - count * share), 5 * deviation)

    def test_whoever_lost_its_sessions_gets_more_than_its_share(self):
        """A worker is killed. By chance alone its successor would get a quarter of those that come:
        of 900 that is 225, two thirds of the mean. It is to come to nine tenths."""
        server = self.start(*NEVER_HUNG, workers=4)
        server.expect_error(r"^slot 0: worker \d+ ended with signal 9")
        self.open_more(server, 400)
        killed = server.column("pid")[0]
        proc.kill(killed)
        server.await_status(
            lambda s: s["workers"][0]["state"] == "serving" and s["workers"][0]["pid"] != killed,
            "it is replaced",
        )
        for _ in range(30):
            self.open_more(server, 30)
            held = server.column("connections")
            if held[0] > 0.9 * sum(held) / 4:
                return
        self.fail(held)

    def test_under_churn_no_worker_runs_away(self):
        """Clients that come and go beside sessions that stay. By chance alone what a worker has is
        Poisson's: five of its standard deviations above the mean are not passed, nor with shares
        that follow the load."""
        server = self.start(*NEVER_HUNG, workers=4)
        comers = Comers(self, server, 4)
        stay = scaled(200)
        self.open_more(server, stay)
        comers.more()
        comers.finish()
        self.assertEqual(comers.failures, [])
        held = [w["connections"] for w in self.await_counted(server, stay)["workers"]]
        self.assertLess(max(held), stay / 4 + 5 * (stay / 4) ** 0.5, held)

    def test_a_hash_leads_an_address_to_one_worker(self):
        """Over every worker, and back to its own after that was away."""
        server = self.start(*NEVER_HUNG, "--steer", "source-hash", workers=3)
        owners = []
        for host in range(1, 31):
            before = server.column("accepted")
            self.open_more(server, 3, source=f"127.0.1.{host}")
            gained = self.gained(server, before)
            self.assertEqual(sorted(gained), [0, 0, 3], f"127.0.1.{host}")
            owners.append(gained.index(3))
        self.assertEqual(set(owners), {0, 1, 2})


class ServiceTest(CbpfTest):
    def test_who_hangs_is_passed_over_and_comes_back(self):
        """As the master notices, on its tick: the status says so."""
        server = self.start("--hang-threshold", "300ms", "--hang-kill", "1h", workers=3)
        stuck = server.column("pid")[1]
        self.freeze(stuck)
        server.await_status(lambda s: s["workers"][1]["state"] == "hung", "it is seen to hang")
        before = server.column("accepted")
        self.open_more(server, 60)
        self.assertEqual(server.column("queued")[1], 0)
        self.assertEqual(self.gained(server, before)[1], 0)
        self.thaw(stuck)
        server.await_status(lambda s: s["workers"][1]["state"] == "serving", "it is seen to wake")
        before = server.column("accepted")
        for _ in range(40):
            self.open_more(server, 10)
            if self.gained(server, before)[1] > 0:
                return
        self.fail("nothing comes to it again")

    def test_nothing_comes_to_a_worker_that_drains(self):
        """From the moment that weirctl has said so."""
        server = self.start(*NEVER_HUNG, "--drain-timeout", "30s", workers=2)
        peers = self.open_more(server, 20)
        server.weirctl("drain", "1")
        before = server.column("accepted")
        peers += self.open_more(server, 30)
        self.assertEqual(self.gained(server, before), [30, 0])
        for peer in peers:  # or the drain would take its time
            peer.close()

    def test_workers_come_and_go_under_load(self):
        """Nobody is turned away, no session ends, and all workers get their share."""
        server = self.start(*NEVER_HUNG, workers=2)
        talkers = Talkers(self, server, scaled(60))
        comers = Comers(self, server, 3)
        talkers.more()
        comers.more()
        for count in (5, 1, 3):
            self.scale(server, count)
            talkers.more()
            comers.more()
            self.await_all_accept(server)
        comers.finish()
        self.assertEqual(comers.failures, [])
        talkers.finish()
        self.assertEqual(talkers.broken(), set())
        self.await_counted(server, scaled(60))

    def test_the_same_under_a_hash(self):
        server = self.start(*NEVER_HUNG, "--steer", "tuple-hash", workers=3)
        comers = Comers(self, server, 3)
        comers.more()
        for count in (5, 2):
            self.scale(server, count)
            comers.more()
            self.await_all_accept(server)
        comers.finish()
        self.assertEqual(comers.failures, [])

    def test_both_listen_addresses_are_steered(self):
        server = self.start(*NEVER_HUNG, listen=("127.0.0.1:0", "[::1]:0"), workers=2)
        server.expect_error(r"^slot 0: worker \d+ ended with signal 9")
        stuck = server.column("pid")[0]
        self.freeze(stuck)
        server.weirctl("drain", "0")  # which it does not hear
        for address in server.addresses:
            for _ in range(20):
                self.addCleanup(raw.open_session(address).close)
        self.assertEqual(server.column("queued"), [0, 0])
        proc.kill(stuck)


class PolicyTest(CbpfTest):
    def setUp(self):
        # pylint: disable=consider-using-with
        self.config = tempfile.NamedTemporaryFile("w", suffix=".conf")
        self.addCleanup(self.config.close)

    def write(self, *lines):
        self.config.seek(0)
        self.config.truncate()
        self.config.write("\n".join(["drain-timeout = 0", "rebalance = off", *lines, ""]))
        self.config.flush()

    def test_a_policy_that_it_cannot_follow_is_refused(self):
        """At the start, where it was asked for by name, and by a reload, which changes nothing."""
        why = CANNOT.format("two-choices")
        done = run_weir("--listen", "127.0.0.1:0", *CBPF, "--steer", "two-choices")
        self.assertEqual((done.returncode, done.stderr), (1, f"weir: {why}\n"))
        self.write("steer = least-connections")
        server = self.start("--config", self.config.name, workers=2)
        server.expect_error("^not reloaded")
        self.write("steer = two-choices")
        done = server.weirctl("reload")
        self.assertEqual((done.returncode, done.stderr), (1, f"weirctl: {why}\n"))
        self.assertEqual(server.status()["policy"], "least-connections")

    def test_a_reload_changes_the_policy_at_once(self):
        """From random to a hash: the next clients of one address are one worker's."""
        self.write("steer = least-connections")
        server = self.start("--config", self.config.name, *NEVER_HUNG, workers=4)
        self.write("steer = source-hash")
        self.assertEqual(server.weirctl("reload").returncode, 0)
        before = server.column("accepted")
        self.open_more(server, 20)
        self.assertEqual(sorted(self.gained(server, before)), [0, 0, 0, 20])

    def test_an_upgrade_may_change_to_it_and_from_it(self):
        """For workers count what they accept either way; but not to eBPF."""
        self.write("steer-backend = none")
        server = self.start_succession("--config", self.config.name, *NEVER_HUNG, workers=3)
        talkers = Talkers(self, server, 12)
        for backend, policy in (("cbpf", "least-connections"), ("none", "kernel-hash")):
            talkers.more()
            self.write(f"steer-backend = {backend}")
            server.upgrade()
            status = server.status()
            self.assertEqual((status["backend"], status["policy"]), (backend, policy))
        self.write("steer-backend = ebpf")
        server.expect_error("^(the upgrade failed|weir): ")
        done = server.weirctl("upgrade")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--steer-backend ebpf cannot be changed to by an upgrade", done.stderr)
        talkers.more()
        talkers.finish()
        self.assertEqual(talkers.broken(), set())
        self.await_counted(server, 12)

    def test_the_status_names_the_policy_in_force(self):
        for backend, policy in (("cbpf", "tuple-hash"), ("none", "kernel-hash")):
            server = self.start_weir(
                "--steer-backend", backend, "--steer", "tuple-hash", workers=1
            )
            status = server.status()
            self.assertEqual((status["backend"], status["policy"]), (backend, policy))
            server.await_log(f"1 workers, steering {policy} by {backend}, at most")


class PassedTest(CbpfTest):
    def passed(self, count, listen_in):
        """Sockets of a service manager, which had them begin to listen in that order."""
        sockets = []
        for _ in range(count):
            sockets.append(socket.socket())
            self.addCleanup(sockets[-1].close)
            sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sockets[-1].bind(sockets[0].getsockname() if sockets[1:] else ("127.0.0.1", 0))
        for each in listen_in:
            sockets[each].listen(64)
        return [(each, "plain") for each in sockets]

    def test_the_order_in_which_they_listen_is_found_out(self):
        """Whichever it is: nobody is led to the worker that is out of service."""
        passed = self.passed(4, listen_in=(2, 0, 3, 1))
        early = raw.connect(passed[0][0].getsockname())
        self.addCleanup(early.close)
        early.sendall(raw.request())
        server = self.start(*NEVER_HUNG, passed=passed, listen=(), workers=5)
        self.assertTrue(raw.receive_head(early).startswith(b"HTTP/1.1 101 "))
        for slot in range(5):
            pid = server.column("pid")[slot]
            self.freeze(pid)  # so that its end does not come
            server.weirctl("drain", str(slot))
            before = server.column("accepted")
            peers = self.open_more(server, 20)
            self.assertEqual(server.column("queued"), [0] * 5)
            self.assertEqual(self.gained(server, before)[slot], 0)
            for peer in (early, *peers):  # or whoever drains would wait for their answers
                peer.close()
            self.thaw(pid)
            server.await_status(
                lambda s, slot=slot, pid=pid: s["workers"][slot]["state"] == "serving"
                and s["workers"][slot]["pid"] != pid,
                "its successor serves",
            )


if __name__ == "__main__":
    main(lanes=3)
