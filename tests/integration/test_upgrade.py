"""The binary is replaced under running sessions: nobody is disconnected, no connect fails, no byte is
wrong, and an upgrade that fails leaves everything as it was."""

import os
import signal
import socket
import stat
import sys
import tempfile
import threading

from harness import proc, raw
from harness.certificates import Certificates
from harness.comers import Comers
from harness.environment import PATIENCE, SANITIZED, WEIR, scaled
from harness.suite import WeirTest, main
from harness.talkers import Talkers

MIB = 1 << 20


def script(test, text):
    """A program that runs this."""
    with tempfile.NamedTemporaryFile("w", suffix=".sh", delete=False) as file:
        file.write("#!/bin/bash\n" + text)
    test.addCleanup(os.unlink, file.name)
    os.chmod(file.name, stat.S_IRWXU)
    return file.name


class Manager:
    """The socket on which weir notifies the service manager."""

    def __init__(self, test):
        directory = tempfile.TemporaryDirectory(prefix="weir-test-")
        test.addCleanup(directory.cleanup)
        path = os.path.join(directory.name, "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        test.addCleanup(self._socket.close)
        self._socket.bind(path)
        self._socket.settimeout(PATIENCE)
        self.environment = {"NOTIFY_SOCKET": path}
        self.said = []

    def await_said(self, line):
        while line not in self.said:
            self.said += self._socket.recv(4096).decode().splitlines()


class UpgradeTest(WeirTest):
    def kinds(self, server, pid):
        """The descriptors of `pid`, less their numbers."""
        return sorted(what.partition(":[")[0] for what in server.descriptors(pid).values())

    def state_at_rest(self, server, count):
        """What must not grow from one upgrade to the next, once the `count` sessions have moved."""
        status = server.await_status(
            lambda s: s["connections"] == count and sum(w["load"] for w in s["workers"]) == count,
            "the load table says what is open",
        )
        self.assertEqual(sum(w["connections"] for w in status["workers"]), count)
        workers = [w["pid"] for w in status["workers"]]
        memory = sum(proc.own_memory(pid) for pid in (status["master_pid"], *workers))
        kinds = [self.kinds(server, pid) for pid in workers]
        return self.kinds(server, status["master_pid"]), kinds, memory


class TrafficTest(UpgradeTest):
    ROUNDS = 50

    def test_50_in_a_row_under_traffic(self):
        """1,000 standing sessions echo on, plain, in fragments and compressed, and clients come all
        the time. From the fifth upgrade to the last neither descriptors nor memory grow."""
        server = self.start_succession("--compression", "dedicated", workers=4)
        count = scaled(1000)
        talkers = Talkers(self, server, count, compressed=True)
        comers = Comers(self, server, 4)
        pids = set()
        early = None
        for i in range(scaled(self.ROUNDS)):
            if i % 10 == 0:
                talkers.more()
            comers.more(10)
            pids.add(server.upgrade())
            if i == 4:
                talkers.more()
                comers.finish()
                talkers.finish()
                early = self.state_at_rest(server, count)
                comers.go_on()
                talkers.go_on()
        talkers.more()
        self.assertEqual(len(pids), scaled(self.ROUNDS))
        visits = comers.finish()
        exchanged = talkers.finish()
        self.assertEqual(comers.failures, [])
        self.assertEqual(talkers.broken(), set())
        late = self.state_at_rest(server, count)
        self.assertEqual(early[0], late[0])
        # The sessions of a worker are as many as they happen to be: their sockets are no measure.
        rest = lambda kinds: [[k for k in worker if k != "socket"] for worker in kinds]
        self.assertEqual(rest(early[1]), rest(late[1]))
        self.assertEqual(sum(map(len, early[1])) >= sum(map(len, late[1])), True)
        if not SANITIZED:
            self.assertLess(late[2] - early[2], 4 * MIB)
        print(
            f"{scaled(self.ROUNDS)} upgrades, {count} sessions, {exchanged} echoes, {visits} visits, "
            f"slowest visit {comers.slowest * 1e3:.0f} ms, "
            f"slowest echo {max(t.slowest for t in talkers.all) * 1e3:.0f} ms"
        )

    def test_sigusr2_without_a_program(self):
        """Backend none, one worker, and by signal."""
        server = self.start_succession("--steer-backend", "none", workers=1)
        talkers = Talkers(self, server, 20)
        talkers.more()
        before = server.master()
        os.kill(before, signal.SIGUSR2)
        server.await_log(r"^the workers of before have ended")
        self.assertNotEqual(server.master(), before)
        talkers.more()
        talkers.finish()
        self.assertEqual(talkers.broken(), set())
        self.assertEqual(server.column("load"), [20])

    def test_a_classic_program_is_the_new_masters(self):
        """Backend cbpf: from one master to the next, who has slots of its own steered past."""
        server = self.start_succession("--steer-backend", "cbpf", workers=3)
        talkers = Talkers(self, server, 30)
        comers = Comers(self, server, 2)
        for _ in range(3):
            talkers.more()
            server.upgrade()
            comers.more()
        self.assertEqual(server.status()["backend"], "cbpf")
        comers.finish()
        self.assertEqual(comers.failures, [])
        talkers.finish()
        self.assertEqual(talkers.broken(), set())
        stuck = server.column("pid")[1]
        self.freeze(stuck)
        server.weirctl("drain", "1")
        for _ in range(20):
            self.addCleanup(raw.open_session(server.address).close)
        self.assertEqual(server.column("queued")[1], 0)
        self.thaw(stuck)

    def test_what_was_counted_goes_on(self):
        """The totals of a slot are the service's, whichever worker they are of."""
        server = self.start_succession(workers=2)
        talkers = Talkers(self, server, 10)
        for _ in range(3):
            talkers.more()
            server.upgrade()
        talkers.more()
        exchanged = talkers.finish()
        status = server.await_status(
            lambda s: sum(w["messages_in"] for w in s["workers"]) >= exchanged, "all are counted"
        )
        self.assertEqual(sum(w["messages_in"] for w in status["workers"]), exchanged)
        self.assertEqual(sum(w["messages_out"] for w in status["workers"]), exchanged)


class FailingTest(UpgradeTest):
    """Whatever the new weir dies of, the old one is as it was."""

    def setUp(self):
        self.server = self.start_succession("--upgrade-timeout", "400ms", workers=2)
        self.talkers = Talkers(self, self.server, 50)
        self.talkers.more()
        self.before = self.server.status()

    def check_fails(self, why, *words):
        self.server.expect_error(r"^(the upgrade failed|weir): ")
        done = self.server.weirctl("upgrade", *words)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, f"^weirctl: {why}\n$")
        self.check_nothing_changed()

    def check_nothing_changed(self):
        after = self.server.status()
        for name in ("master_pid", "policy", "backend"):
            self.assertEqual(after[name], self.before[name])
        of = lambda s: [(w["pid"], w["state"], w["connections"]) for w in s["workers"]]
        self.server.await_status(  # whoever came before may just be going
            lambda s: of(s) == of(self.before), "the workers are as they were"
        )
        self.talkers.more()
        with raw.open_session(self.server.address) as peer:
            peer.sendall(raw.frame(raw.TEXT, b"hi"))
            self.assertEqual(raw.receive(peer, 4), b"\x81\x02hi")

    def tearDown(self):
        self.talkers.finish()
        self.assertEqual(self.talkers.broken(), set())
        workers = {w["pid"] for w in self.before["workers"]}
        members = set(proc.session_members(self.server.pid)) - workers - {self.before["master_pid"]}
        self.assertLessEqual(len(members), 1, "more than the keeper is left")

    def test_a_binary_that_is_none(self):
        self.check_fails("cannot run /no/such/weir: No such file or directory", "--binary", "/no/such/weir")
        self.check_fails("cannot run /etc/passwd: Permission denied", "--binary", "/etc/passwd")

    def test_one_that_ends_at_once(self):
        self.check_fails("the new master ended with exit status 7; look for its reason in the log",
                  "--binary", script(self, "exit 7"))  # fmt: skip
        self.check_fails(r"the new master ended with signal 11 \(Segmentation fault\); look for its reason "
                  "in the log",
                  "--binary", script(self, "kill -SEGV $$"))  # fmt: skip

    def test_one_that_is_never_ready(self):
        self.check_fails("the new master was not ready within 400ms; look for its reason in the log, or "
                  "give it more with --upgrade-timeout",
                  "--binary", script(self, "exec sleep 60"))  # fmt: skip

    def test_one_that_says_why_not(self):
        self.check_fails("weir: unknown flag '--nonsense'.*",
                  "--binary", script(self, f'exec {WEIR} --nonsense "$@"'))  # fmt: skip

    def test_one_whose_workers_cannot_start(self):
        """No memory may be locked for their rings, and few descriptors opened."""
        self.check_fails("(a worker cannot serve|.*needs .* descriptors).*",
                  "--binary", script(self, f'ulimit -n 24; exec {WEIR} "$@"'))  # fmt: skip

    def test_only_one_at_a_time(self):
        self.server.expect_error(r"^the upgrade failed: ")
        slow = script(self, "exec sleep 60")
        first = threading.Thread(target=self.server.weirctl, args=("upgrade", "--binary", slow))
        first.start()
        self.server.await_log("^upgrading: ")
        done = self.server.weirctl("upgrade")
        self.assertEqual(
            (done.returncode, done.stderr),
            (1, "weirctl: an upgrade is under way already; wait for it to end\n"),
        )
        first.join()
        self.check_nothing_changed()


class StragglersTest(UpgradeTest):
    """Workers and sessions that do not simply go over."""

    def test_sessions_with_tls_are_closed_over_the_drain_timeout(self):
        """They get 1012, resume with the new worker, and plain ones beside them notice nothing."""
        certificates = Certificates(self).make("first")
        server = self.start_succession(
            *certificates.flags("first"), "--drain-timeout", "100ms",
            listen=("127.0.0.1:0", "tls:127.0.0.1:0"), workers=2,
        )  # fmt: skip
        talkers = Talkers(self, server, 20)
        context = certificates.client("first")
        peers = []
        for _ in range(6):
            peer = context.wrap_socket(raw.connect(server.addresses[1]), server_hostname="localhost")
            self.addCleanup(peer.close)
            peer.sendall(raw.request())
            self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
            peers.append(peer)
        old = {w["pid"] for w in server.workers()}
        self.assertEqual(server.weirctl("upgrade").returncode, 0)
        for peer in peers:
            self.assertEqual(raw.receive(peer, len(raw.RESTARTING)), raw.RESTARTING)
            peer.sendall(raw.frame(raw.CLOSE, b"\x03\xf4"))
        server.await_gone(old)
        again = context.wrap_socket(
            raw.connect(server.addresses[1]), server_hostname="localhost", session=peers[0].session
        )
        self.addCleanup(again.close)
        self.assertTrue(again.session_reused)
        talkers.more()
        talkers.finish()
        self.assertEqual(talkers.broken(), set())

    def test_a_version_that_knows_none_of_our_sessions(self):
        """They are closed with 1012, as what cannot move, and the old weir ends."""
        server = self.start_succession("--drain-timeout", "200ms", workers=2)
        peers = [raw.open_session(server.address) for _ in range(10)]
        workers = ",".join(str(w["pid"]) for w in server.workers())
        upgrade = server.weirctl(
            "upgrade", "--binary", script(self, f"exec {sys.executable} -m harness.other_version {workers}")
        )
        self.assertEqual(upgrade.returncode, 0, upgrade.stderr)
        for peer in peers:
            self.assertEqual(raw.receive(peer, len(raw.RESTARTING)), raw.RESTARTING)
            peer.sendall(raw.frame(raw.CLOSE, b"\x03\xf4"))
            peer.close()
        server.ends_by_itself()

    def test_a_worker_that_hangs_holds_up_its_own_slot_alone(self):
        """Who connects meanwhile is served; once it wakes its sessions go on with the new one."""
        server = self.start_succession(workers=3)
        talkers = Talkers(self, server, 30)
        talkers.more()
        hung = server.workers()[1]["pid"]
        held = proc.held_ports(hung, server.port)
        self.freeze(hung)
        self.assertEqual(server.weirctl("upgrade").returncode, 0)
        others = {t.port for t in talkers.all} - held
        talkers.more(of=others)
        for _ in range(10):
            with raw.open_session(server.address) as peer:
                peer.sendall(raw.frame(raw.TEXT, b"hi"))
                self.assertEqual(raw.receive(peer, 4), b"\x81\x02hi")
        done = server.weirctl("upgrade")
        self.assertEqual(
            (done.returncode, done.stderr),
            (1, "weirctl: 1 workers of the last upgrade have not ended; wait for them: their last "
                "sessions are closed within --drain-timeout\n"),
        )  # fmt: skip
        self.thaw(hung)
        server.await_gone({hung})
        talkers.more()
        talkers.finish()
        self.assertEqual(talkers.broken(), set())

    def test_a_worker_that_dies_before_it_hands_over_takes_its_own_sessions_alone(self):
        server = self.start_succession(workers=2)
        talkers = Talkers(self, server, 20)
        talkers.more()
        hung = server.workers()[0]["pid"]
        held = proc.held_ports(hung, server.port)
        self.freeze(hung)
        self.assertEqual(server.weirctl("upgrade").returncode, 0)
        server.expect_error(rf"^slot 0: worker {hung} died before it handed over")
        server.expect_error(rf"^slot 0: worker {hung} ended with")
        os.kill(hung, signal.SIGKILL)
        server.await_gone({hung})
        talkers.more(of={t.port for t in talkers.all} - held)
        talkers.finish()
        self.assertEqual(talkers.broken(), held)
        status = server.await_status(
            lambda s: sum(w["load"] for w in s["workers"]) == 20 - len(held), "the dead are uncounted"
        )
        self.assertEqual(status["connections"], 20 - len(held))

    def upgrade_that_dies(self, server, manager, freeze_first):
        """The old master stands still until the new one's workers wait. The new one is killed then, or
        once it has been told that it is in charge and before it hears of it."""
        old = server.master()
        directory = tempfile.TemporaryDirectory(prefix="weir-test-")
        self.addCleanup(directory.cleanup)
        gate = os.path.join(directory.name, "gate")
        os.mkfifo(gate)
        upgrade = threading.Thread(
            target=server.weirctl,
            args=("upgrade", "--binary", script(self, f'read -r _ <{gate}; exec {WEIR} "$@"')),
        )
        upgrade.start()
        new = int(server.await_log(r"^upgrading: .* starts as process (\d+)")[1])
        self.freeze(old)
        with open(gate, "w", encoding="ascii") as opened:
            opened.write("\n")
        waiting = {
            int(server.await_log(rf"^slot {slot}: worker (\d+) is ready")[1]) for slot in range(2)
        }
        server.await_log(r"^all workers are ready, and wait")
        server.expect_error(r"^the upgrade failed: the new master ended with signal 9")
        if freeze_first:
            self.freeze(new)
            self.thaw(old)
            manager.await_said(f"MAINPID={new}")  # it is told next
        os.kill(new, signal.SIGKILL)
        self.thaw(old)
        upgrade.join()
        server.await_gone({new} | waiting)
        self.assertEqual(server.master(), old)

    def test_the_new_master_dies_before_it_is_in_charge(self):
        """Its workers end with it; the old one goes on, and can be upgraded as before."""
        for freeze_first in (False, True):
            with self.subTest(told=freeze_first):
                manager = Manager(self)
                server = self.start_succession(workers=2, environment=manager.environment)
                talkers = Talkers(self, server, 20)
                self.upgrade_that_dies(server, manager, freeze_first)
                talkers.more()
                server.upgrade()
                talkers.more()
                talkers.finish()
                self.assertEqual(talkers.broken(), set())

    def check_old_worker_that_dies(self, backend):
        certificates = Certificates(self).make("first")
        server = self.start_succession(
            *certificates.flags("first"), "--drain-timeout", "1h", "--steer-backend", backend,
            listen=("tls:127.0.0.1:0",), workers=1,
        )  # fmt: skip
        peer = certificates.client("first").wrap_socket(
            raw.connect(server.address), server_hostname="localhost"
        )
        self.addCleanup(peer.close)
        peer.sendall(raw.request())
        self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
        (old,) = server.column("pid")
        self.assertEqual(server.weirctl("upgrade").returncode, 0)
        server.await_status(lambda s: s["workers"][0]["pid"] != old, "the new one is in charge")
        self.assertEqual(server.column("load"), [1])
        server.expect_error(rf"^slot 0: worker {old} died before")  # it may not have got so far
        os.kill(old, signal.SIGKILL)
        server.await_gone({old})
        server.await_status(lambda s: s["workers"][0]["load"] == 0, "it is counted out")

    def test_an_old_worker_that_dies_while_it_leaves_is_counted_out(self):
        self.check_old_worker_that_dies("auto")

    def test_likewise_where_the_workers_count_and_no_program_does(self):
        self.check_old_worker_that_dies("none")

    def test_the_end_comes_while_an_old_worker_still_leaves(self):
        """It is waited for, and no longer."""
        certificates = Certificates(self).make("first")
        server = self.start_succession(
            *certificates.flags("first"), "--drain-timeout", "1h", listen=("tls:127.0.0.1:0",),
            workers=2,
        )  # fmt: skip
        context = certificates.client("first")
        peers = []
        for _ in range(2):
            peer = context.wrap_socket(raw.connect(server.address), server_hostname="localhost")
            self.addCleanup(peer.close)
            peer.sendall(raw.request())
            self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
            peers.append(peer)
        self.assertEqual(server.weirctl("upgrade").returncode, 0)
        server.stop()
        server.await_log("^stopping: ")
        for peer in peers:
            peer.close()

    def test_a_worker_that_drains_meanwhile(self):
        """It ends in good order, and its slot goes over like the others."""
        server = self.start_succession("--drain-timeout", "300ms", workers=2)
        before = server.column("pid")
        self.assertEqual(server.weirctl("drain", "1").returncode, 0)
        self.assertEqual(server.weirctl("upgrade").returncode, 0)
        server.await_gone(set(before))
        self.assertEqual(server.column("state"), ["serving"] * 2)

    def test_a_worker_that_is_replaced_meanwhile(self):
        """Its successor is due while the new master gets ready: the old one starts it no more once it
        is not in charge, and until then waits for it."""
        server = self.start_succession(workers=2)
        server.expect_error(r"^slot 1: worker \d+ ended with signal 9")
        for _ in range(5):
            before = server.status()
            proc.kill(before["workers"][1]["pid"])
            seen = server.await_status(
                lambda s: s["workers"][1]["pid"] not in (0, before["workers"][1]["pid"]), "the next"
            )
            proc.kill(seen["workers"][1]["pid"])  # which is followed by a pause
            server.upgrade()
        self.assertEqual(server.column("state"), ["serving"] * 2)


class CommandLineTest(UpgradeTest):
    def test_what_the_file_says_by_then(self):
        """Another policy, more workers, one more address; a mistake in it is an upgrade that fails."""
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
            def write(text):
                config.seek(0)
                config.truncate()
                config.write(text)
                config.flush()

            write("workers = 2\ndrain-timeout = 0\nrebalance = off\n")
            server = self.start_succession("--config", config.name, workers=None)
            talkers = Talkers(self, server, 20)
            talkers.more()
            write("workers = 3\nsteer = round-robin\nsteeer = 1\n")
            server.expect_error("^(the upgrade failed|weir): ")
            done = server.weirctl("upgrade")
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"weir: {config.name}:3: unknown key 'steeer'", done.stderr)
            write("workers = 3\nsteer = round-robin\nrebalance = off\nlisten = 127.0.0.1:0\n"
                  "drain-timeout = 0\n")  # fmt: skip
            # The command line's --listen goes before the file's.
            server.upgrade()
            status = server.await_status(lambda s: len(s["workers"]) == 3, "there are three workers")
            self.assertEqual(status["policy"], "round-robin")
            talkers.more()
            talkers.finish()
            self.assertEqual(talkers.broken(), set())

    def test_a_number_of_workers_that_was_set_since_stays(self):
        server = self.start_succession(workers=2)
        self.assertEqual(server.weirctl("workers", "4").returncode, 0)
        server.await_status(
            lambda s: [w["state"] for w in s["workers"]] == ["serving"] * 4, "there are four"
        )
        server.upgrade()
        self.assertEqual(server.column("state"), ["serving"] * 4)

    def test_it_can_be_stopped_right_after(self):
        server = self.start_succession(workers=2)
        talkers = Talkers(self, server, 20)
        talkers.more()
        self.assertEqual(server.weirctl("upgrade").returncode, 0)
        server.stop()


class WorkersTest(UpgradeTest):
    def test_a_number_that_weirctl_set_stays_also_when_something_else_was_reloaded(self):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
            server = self.start_succession("--config", config.name, workers=4)
            self.assertEqual(server.weirctl("workers", "2").returncode, 0)
            server.await_status(lambda seen: len(seen["workers"]) == 2, "two workers are left")
            config.write("max-message-size = 64KiB\n")
            config.flush()
            for command in ("reload", "upgrade"):
                done = server.weirctl(command)
                self.assertEqual(done.returncode, 0, done.stderr)
            server.await_log("^the workers of before have ended$")
            self.assertEqual(len(server.workers()), 2)


class ManagerTest(UpgradeTest):
    def test_the_service_manager_is_told_of_the_new_master(self):
        manager = Manager(self)
        server = self.start_succession(workers=2, environment=manager.environment)
        manager.await_said("READY=1")
        pid = server.upgrade()
        manager.await_said(f"MAINPID={pid}")
        manager.said.clear()
        manager.await_said("READY=1")  # by the new one
        self.assertNotIn("STOPPING=1", manager.said)


if __name__ == "__main__":
    main(lanes=3, longest=("test_50_in_a_row_under_traffic",))
