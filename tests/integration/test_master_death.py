"""The master dies: the workers go on, and a new one takes them over. And where all of weir dies, the
service manager still has its listeners."""

import array
import os
import signal
import socket
import tempfile
import threading

from harness import proc, raw
from harness.comers import Comers
from harness.environment import PATIENCE
from harness.resizing import NEVER_HUNG
from harness.suite import WeirTest, main, needs_ebpf
from harness.talkers import Talkers

NO_MASTER = (
    "weirctl: the master of this weir has died, and its workers go on; weir --takeover, with the "
    "flags that it had, puts a new one in charge\n"
)


class TakeoverTest(WeirTest):
    def next_of(self, server, *flags, **options):
        """A weir that takes over what that one has left."""
        options.setdefault("workers", 2)
        return self.start_succession("--takeover", *flags, control=server.control, **options)

    def hi(self, server):
        with raw.open_session(server.address) as peer:
            peer.sendall(raw.frame(raw.TEXT, b"hi"))
            self.assertEqual(raw.receive(peer, 4), b"\x81\x02hi")


class WorkersGoOnTest(TakeoverTest):
    def test_a_new_master_takes_the_workers_on(self):
        """Sessions and clients that come notice neither the death nor the new master, which is told
        apart from none at the control socket, and replaces the workers as any does."""
        server = self.start_succession(workers=2)
        talkers = Talkers(self, server, 40)
        comers = Comers(self, server, 2)
        before = server.column("pid")
        for _ in range(2):
            server.kill_master()
            talkers.more()
            comers.more()
            done = server.weirctl("status")
            self.assertEqual((done.returncode, done.stderr), (1, NO_MASTER))
            server = self.next_of(server)
            self.assertEqual(server.column("pid"), before)
            talkers.more()
            comers.more()
        server.expect_error(rf"^slot 0: worker {before[0]} ended with ")
        held = proc.held_ports(before[0], server.port)
        proc.kill(before[0])
        seen = server.await_status(
            lambda s: s["workers"][0]["pid"] not in (0, before[0])
            and s["workers"][0]["state"] == "serving",
            "the slot is served again",
        )
        self.assertEqual(seen["workers"][1]["pid"], before[1])
        talkers.more(of={t.port for t in talkers.all} - held)
        comers.more()
        visits = comers.finish()
        talkers.finish()
        self.assertLessEqual(talkers.broken(), held)
        self.assertLessEqual(len(comers.failures), 2, comers.failures)  # on the worker we killed
        self.assertGreater(visits, 100)
        self.assertEqual(server.weirctl("upgrade").returncode, 0)

    def test_other_settings_take_new_workers(self):
        """Which take over from those that there are, as in an upgrade."""
        server = self.start_succession(workers=2)
        talkers = Talkers(self, server, 40)
        talkers.more()
        before = set(server.column("pid"))
        server.kill_master()
        server = self.next_of(server, "--idle-timeout", "77s")
        server.await_log(r"^the workers of before have ended")
        self.assertFalse(before & set(server.column("pid")))
        talkers.more()
        talkers.finish()
        self.assertEqual(talkers.broken(), set())
        self.assertEqual(sum(server.column("connections")), 40)
        talkers.end()  # or the new weir, which ends before they do, would wait for them

    def test_a_slot_whose_worker_died_too_is_served_again(self):
        server = self.start_succession(workers=2)
        dead, alive = server.column("pid")
        server.kill_master()
        proc.kill(dead)
        server = self.next_of(server)
        self.assertEqual(server.column("pid")[1], alive)
        self.assertNotIn(server.column("pid")[0], (0, dead))
        for _ in range(6):
            self.hi(server)

    def test_without_a_program(self):
        server = self.start_succession("--steer-backend", "none", workers=2)
        talkers = Talkers(self, server, 10)
        server.kill_master()
        server = self.next_of(server, "--steer-backend", "none")
        talkers.more()
        talkers.finish()
        self.assertEqual(talkers.broken(), set())
        self.assertEqual(sum(server.column("load")), 10)
        talkers.end()  # or the new weir, which ends before they do, would wait for them

    def check_all_accept(self, server, talkers):
        """New connections come to every slot, and every session echoes."""
        accepted = server.column("accepted")
        visitors = [raw.open_session(server.address) for _ in range(200)]
        server.await_status(
            lambda s: all(w["accepted"] > n for w, n in zip(s["workers"], accepted)), "all accept"
        )
        for visitor in visitors:
            visitor.sendall(raw.frame(raw.TEXT, b"hi"))
            self.assertEqual(raw.receive(visitor, 4), b"\x81\x02hi")
            visitor.close()
        talkers.more()
        talkers.finish()
        self.assertEqual(talkers.broken(), set())

    def check_death_while_slots_end(self, *flags):
        """Slots 1 and 2 have gone by then, 3 has not: its worker is stopped."""
        server = self.start_succession(*NEVER_HUNG, *flags, workers=4)
        talkers = Talkers(self, server, 40)
        talkers.more()
        before = server.column("pid")
        os.kill(before[3], signal.SIGSTOP)
        proc.await_stopped(before[3])
        self.assertEqual(server.weirctl("workers", "1").returncode, 0)
        server.await_status(
            lambda s: [w["pid"] for w in s["workers"]] == [before[0], 0, 0, before[3]],
            "the others have gone",
        )
        server.kill_master()
        os.kill(before[3], signal.SIGCONT)
        server = self.next_of(server, *NEVER_HUNG, *flags, workers=4)
        # It may have been about to end, with its last session given away.
        server.expect_error(rf"^slot 3: worker {before[3]} ended with ")
        server.await_status(
            lambda s: [w["state"] for w in s["workers"]] == ["serving"] * 4, "all slots are served"
        )
        self.assertEqual(server.column("pid")[0], before[0])
        self.check_all_accept(server, talkers)
        self.assertEqual(server.weirctl("workers", "2").returncode, 0)
        server.await_status(lambda s: len(s["workers"]) == 2, "two slots are left")
        talkers.go_on()
        talkers.more()
        talkers.finish()
        self.assertEqual(talkers.broken(), set())
        talkers.end()

    def test_while_slots_end(self):
        self.check_death_while_slots_end()

    def test_while_slots_end_without_a_program(self):
        self.check_death_while_slots_end("--steer-backend", "none")

    def check_death_while_slots_go(self, *then):
        """Their workers know, and still have sessions. Returns which workers there were, and the new
        weir."""
        flags = (*NEVER_HUNG, "--rebalance-rate", "1")
        server = self.start_succession(*flags, workers=3)
        talkers = Talkers(self, server, 30)
        talkers.more()
        before = server.column("pid")
        self.assertEqual(server.weirctl("workers", "1").returncode, 0)
        server.await_status(
            lambda s: s["workers"][0]["arrived"] >= 1, "sessions move, one in a second"
        )
        server.kill_master()
        server = self.next_of(server, *flags, *then, workers=3)
        server.await_status(
            lambda s: [w["state"] for w in s["workers"]] == ["serving"] * 3, "all slots are served"
        )
        self.check_all_accept(server, talkers)
        talkers.end()
        return before, server

    @needs_ebpf  # or the listeners would not be closed yet
    def test_while_slots_go(self):
        before, server = self.check_death_while_slots_go()
        self.assertEqual(server.column("pid"), before)

    @needs_ebpf
    def test_while_slots_go_and_with_other_settings(self):
        before, server = self.check_death_while_slots_go("--idle-timeout", "77s")
        server.await_log(r"^the workers of before have ended")
        self.assertFalse(set(before) & set(server.column("pid")))

    @needs_ebpf
    def test_while_slots_go_and_with_another_address(self):
        self.check_death_while_slots_go("--listen", "127.0.0.2:0")

    def test_a_keeper_that_dies_is_replaced(self):
        server = self.start_succession(workers=2)
        workers = set(server.column("pid"))
        (keeper,) = set(proc.session_members(server.pid)) - workers - {server.pid}
        server.expect_error(rf"^the keeper, process {keeper}, has ended")
        proc.kill(keeper)
        server.await_log(r"^the keeper, process")
        server.await_status(
            lambda s: len(proc.session_members(server.pid)) == 2 + len(workers), "there is another"
        )
        server.kill_master()
        self.assertEqual(set(self.next_of(server).column("pid")), workers)


class NothingToTakeOverTest(TakeoverTest):
    def test_it_starts_as_without_the_flag(self):
        server = self.start_succession("--takeover", workers=2)
        self.hi(server)
        self.assertEqual(server.weirctl("upgrade").returncode, 0)
        self.hi(server)

    def test_a_master_that_lives_is_left_alone(self):
        server = self.start_succession(workers=1)
        with self.assertRaises(AssertionError) as raised:
            self.next_of(server, listen=(f"127.0.0.1:{server.port}",))
        self.assertIn("weir ended", str(raised.exception))
        self.hi(server)


class Manager:
    """What systemd does with FDSTORE: holds descriptors by name, and passes them to the next."""

    def __init__(self, test):
        directory = tempfile.TemporaryDirectory(prefix="weir-test-")
        test.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(PATIENCE)
        self.stored = []
        self.ready = threading.Event()
        test.addCleanup(self.close)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while True:
            try:
                text, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(4))
            except OSError:
                return
            lines = text.decode().splitlines()
            fds = array.array("i")
            for _, _, data in ancillary:
                fds.frombytes(data)
            if "FDSTOREREMOVE=1" in lines:
                self.forget()
            if "FDSTORE=1" in lines and "FDNAME=weir-listener" in lines:
                self.stored += [socket.socket(fileno=fd) for fd in fds]
            if "READY=1" in lines:
                self.ready.set()

    def forget(self):
        for each in self.stored:
            each.close()
        self.stored = []

    def close(self):
        self._socket.close()
        self.forget()


class StoreTest(TakeoverTest):
    def test_the_listeners_outlive_all_of_weir(self):
        """Who connects while no process of it is alive waits, and is served by the next weir, which
        steers as ever."""
        manager = Manager(self)
        server = self.start_succession(workers=2, environment={"NOTIFY_SOCKET": manager.path})
        server.await_status(lambda s: len(manager.stored) == 2, "the manager has the listeners")
        members = proc.session_members(server.pid)
        server.kill_master()
        for pid in set(members) - {server.pid}:
            os.kill(pid, signal.SIGKILL)
        server.await_gone(set(members))
        waiting = [raw.connect(server.address) for _ in range(20)]
        for peer in waiting:
            self.addCleanup(peer.close)
            peer.sendall(raw.request())
        later = self.start_weir(
            "--takeover", control=server.control, workers=2,
            listen=(f"127.0.0.1:{server.port}",),
            stored=manager.stored,
        )  # fmt: skip
        for peer in waiting:
            self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
        status = later.await_status(lambda s: s["connections"] == 20, "all are served")
        self.assertEqual([w["load"] for w in status["workers"]],
                         [w["connections"] for w in status["workers"]])  # fmt: skip
        for peer in waiting:  # or their end would be waited for
            peer.close()


if __name__ == "__main__":
    main(lanes=3)
