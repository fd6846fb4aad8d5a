"""weir under a service manager, which is played by this test: notifications on a datagram socket
(sd_notify(3)) and listening sockets that were there before (sd_listen_fds(3))."""

import os
import re
import signal
import socket
import tempfile
import time

from harness import raw
from harness.certificates import Certificates
from harness.environment import PATIENCE
from harness.server import run_weir
from harness.suite import WeirTest, main, needs_ebpf

NOBODY = 65534


class Manager:
    """The socket on which weir notifies."""

    def __init__(self, test, abstract=False):
        self._directory = tempfile.TemporaryDirectory(prefix="weir-test-notify-")
        test.addCleanup(self._directory.cleanup)
        path = os.path.join(self._directory.name, "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        test.addCleanup(self._socket.close)
        self._socket.bind("\0" + path if abstract else path)
        self._socket.settimeout(PATIENCE)
        self.environment = {"NOTIFY_SOCKET": "@" + path if abstract else path}
        self.said = []

    def next(self):
        """The assignments of the next datagram, in order."""
        lines = self._socket.recv(4_096).decode().splitlines()
        self.said += lines
        return lines

    def await_said(self, pattern):
        """The first assignment from here on that is `pattern`."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for line in self.next():
                if found := re.fullmatch(pattern, line):
                    return found
        raise AssertionError(f"never said: {pattern}; but: {self.said}")

    def listen_deaf(self, seconds):
        """What is said in the next time: what this is about is time passing."""
        said, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                said += self.next()
            except TimeoutError:
                break
        self._socket.settimeout(PATIENCE)
        return said


class NotifyTest(WeirTest):
    def test_it_says_when_it_is_ready_what_it_carries_and_that_it_stops(self):
        """READY once, after every worker serves; STATUS as connections come and go; STOPPING with
        the time that it may take. On a socket with a path, and on an abstract one."""
        for abstract in (False, True):
            manager = Manager(self, abstract)
            server = self.start_weir(
                "--drain-timeout", "3s", workers=2, environment=manager.environment
            )
            manager.await_said("READY=1")
            server.await_log("^listening on ")
            manager.await_said("STATUS=0 connections, 2 of 2 workers serving")
            with raw.open_session(server.address) as peer:
                manager.await_said("STATUS=1 connection, 2 of 2 workers serving")
                server.signal(signal.SIGTERM)
                manager.await_said("STOPPING=1")
                self.assertEqual(manager.said[-2 if "STATUS" in manager.said[-1] else -1],
                                 "EXTEND_TIMEOUT_USEC=18000000")
                self.assertEqual(raw.receive(peer, len(raw.STOPPING)), raw.STOPPING)
            self.assertEqual(server.wait(), 0)
            self.assertEqual(manager.said.count("READY=1"), 1)
            self.assertNotIn("WATCHDOG=1", manager.said, "nobody asked for it")

    def test_a_reload_is_announced_and_ended(self):
        """RELOADING with the time, by which systemd tells it from an older one, and READY again; by
        SIGHUP and by weirctl, which still says what came of it."""
        manager = Manager(self)
        certificates = Certificates(self).make("first")
        server = self.start_weir(
            *certificates.flags("first"),
            listen=("tls:127.0.0.1:0",), workers=1, environment=manager.environment,
        )  # fmt: skip
        manager.await_said("READY=1")
        before = time.monotonic_ns() // 1000
        server.signal(signal.SIGHUP)
        manager.await_said("RELOADING=1")
        at = int(re.fullmatch(r"MONOTONIC_USEC=(\d+)", manager.said[-1])[1])
        self.assertLessEqual(before, at)
        manager.await_said("READY=1")
        self.assertEqual(server.weirctl("reload").stdout,
                         "nothing has changed but certificates were read again\n")
        manager.await_said("RELOADING=1")
        manager.await_said("READY=1")
        with open(certificates.cert("first"), "w", encoding="ascii") as file:
            file.write("no certificate")
        server.expect_error("not reloaded, everything stays as it was")
        self.assertEqual(server.weirctl("reload").returncode, 1)
        manager.await_said("RELOADING=1")
        manager.await_said("READY=1")

    @needs_ebpf
    def test_the_watchdog_is_fed_while_a_worker_is_sound_and_the_master_runs(self):
        """One of two stopped is the master's to mend; both stopped, or the master, is the
        manager's: then it hears nothing, until one goes on."""
        manager = Manager(self)
        environment = {**manager.environment, "WATCHDOG_USEC": "600000"}
        server = self.start_weir("--hang-kill", "0", workers=2, environment=environment)
        manager.await_said("READY=1")
        first, second = server.column("pid")
        manager.await_said("WATCHDOG=1")
        self.freeze(first)
        self.assertIn("WATCHDOG=1", manager.listen_deaf(1.5))
        self.freeze(second)
        manager.listen_deaf(0.3)  # the threshold, and what was under way
        self.assertNotIn("WATCHDOG=1", manager.listen_deaf(1.0))
        self.thaw(second)
        manager.await_said("WATCHDOG=1")
        self.thaw(first)
        self.freeze(server.pid)
        manager.listen_deaf(0.1)
        self.assertEqual(manager.listen_deaf(1.0), [])
        self.thaw(server.pid)
        manager.await_said("WATCHDOG=1")

    def test_a_watchdog_of_another_process_is_none_of_its(self):
        """WATCHDOG_PID names whom the manager expects to hear."""
        manager = Manager(self)
        environment = {**manager.environment, "WATCHDOG_USEC": "300000", "WATCHDOG_PID": "1"}
        self.start_weir(workers=1, environment=environment)
        manager.await_said("READY=1")
        self.assertNotIn("WATCHDOG=1", manager.listen_deaf(1.0))

    def test_a_manager_that_is_gone_disturbs_nothing(self):
        """Nobody at the socket: weir serves all the same."""
        server = self.start_weir(workers=1, environment={"NOTIFY_SOCKET": "/nowhere/notify"})
        raw.open_session(server.address).close()

    def test_what_is_no_socket_is_refused(self):
        """By name."""
        done = run_weir("--listen", "127.0.0.1:0", environment={"NOTIFY_SOCKET": "notify"})
        self.assertEqual(
            (done.returncode, done.stderr),
            (1, "weir: NOTIFY_SOCKET is 'notify', which is no socket's name; have it begin with / "
                "or @, or leave it unset\n"),
        )  # fmt: skip


def passed_socket(test, reuse_port=True, address=("127.0.0.1", 0)):
    """As a socket unit makes it."""
    made = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    test.addCleanup(made.close)
    if reuse_port:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(address)
    made.listen(8)
    return made


class ActivationTest(WeirTest):
    def echo(self, peer):
        peer.sendall(raw.request())
        self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
        peer.sendall(raw.frame(raw.TEXT, b"hello"))
        self.assertEqual(raw.receive(peer, 7), b"\x81\x05hello")

    def connect(self, address):
        peer = raw.connect(address)
        self.addCleanup(peer.close)
        return peer

    @needs_ebpf
    def test_a_passed_socket_becomes_the_listener_of_the_first_worker(self):
        """Sockets for the other three are made beside it; who came before weir was there is served;
        connections are spread over all; no other address is listened on."""
        listener = passed_socket(self)
        early = self.connect(listener.getsockname())
        early.sendall(raw.request())
        server = self.start_weir(passed=[(listener, "plain")], listen=())
        self.assertTrue(raw.receive_head(early).startswith(b"HTTP/1.1 101 "))
        self.assertEqual(server.address, listener.getsockname())
        for _ in range(39):
            self.echo(self.connect(server.address))
        self.assertEqual(server.column("connections"), [10, 10, 10, 10])
        self.assertEqual(server.status()["listen"], [f"127.0.0.1:{server.port}"])
        early.close()  # or it would be waited for

    @needs_ebpf
    def test_names_say_what_connections_begin_with(self):
        """tls, proxy and a plain one beside each other, and beside a --listen."""
        certificates = Certificates(self).make("first")
        sockets = [passed_socket(self) for _ in range(3)]
        server = self.start_weir(
            *certificates.flags("first"), "--proxy-from", "127.0.0.1",
            passed=list(zip(sockets, ("tls", "proxy", "weir.socket"))), workers=2,
        )  # fmt: skip
        tls = certificates.client("first").wrap_socket(
            self.connect(sockets[0].getsockname()), server_hostname="localhost"
        )
        self.addCleanup(tls.close)
        self.echo(tls)
        proxied = self.connect(sockets[1].getsockname())
        proxied.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
        self.echo(proxied)
        self.echo(self.connect(sockets[2].getsockname()))
        self.echo(self.connect(server.addresses[3]))

    def test_one_socket_for_each_worker_may_be_passed_to_whoever_is_another_user(self):
        """The kernel lets only one user's sockets share a port: with too few, weir says so."""
        first = passed_socket(self)
        second = passed_socket(self, address=first.getsockname())
        user = ("setpriv", "--reuid", str(NOBODY), "--clear-groups")
        flags = ("--steer-backend", "none")
        server = self.start_weir(
            *flags, passed=[(first, "plain"), (second, "plain")], listen=(), workers=2,
            through=user, owner=NOBODY,
        )  # fmt: skip
        for _ in range(8):
            peer = self.connect(server.address)
            self.echo(peer)
            peer.close()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        port = first.getsockname()[1]
        done = run_weir("--workers", "3", *flags, passed=[(first, "plain")], through=user)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(
            done.stderr,
            f"weir: cannot listen on 127.0.0.1:{port} beside the socket that was passed: it is "
            "another user's; have one socket for each worker passed (3, not 1), or run weir as the "
            "user that makes it, with --user for its workers\n",
        )

    def test_what_cannot_be_used_is_refused_with_a_reason(self):
        """A socket that cannot be shared, one that is none of TCP, one that does not listen."""
        unix = socket.socket(socket.AF_UNIX)
        deaf = socket.socket()
        self.addCleanup(unix.close)
        self.addCleanup(deaf.close)
        lone = passed_socket(self, reuse_port=False)
        fine = passed_socket(self)
        cases = (
            (lone, "plain", "cannot be shared by workers; set ReusePort=yes in its socket unit"),
            (unix, "plain", "is no TCP socket; use ListenStream= with a port or an address and a "
                            "port"),
            (deaf, "tls", "does not listen; leave Accept= of its socket unit at no"),
        )  # fmt: skip
        for passed, name, why in cases:
            done = run_weir(passed=[(passed, name)])
            self.assertEqual(
                (done.returncode, done.stderr),
                (1, f"weir: descriptor 3 ('{name}'), which was passed to weir, {why}\n"),
            )
        done = run_weir(passed=[(fine, "wss")])
        self.assertEqual(
            (done.returncode, done.stderr),
            (1, "weir: a socket passed to weir is named 'wss'; set FileDescriptorName= of its unit "
                "to plain, tls, proxy or tls-proxy\n"),
        )  # fmt: skip

    def test_check_takes_them_as_they_are(self):
        """Their ports are in use, by themselves."""
        listener = passed_socket(self)
        done = run_weir("--check", passed=[(listener, "plain")])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(f"listen            127.0.0.1:{listener.getsockname()[1]}\n", done.stdout)


if __name__ == "__main__":
    main(lanes=3)
