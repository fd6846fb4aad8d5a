"""How weir starts, and how it says that it cannot: status 2 for what the command line gets wrong,
status 1 for what this host does not allow, and one line that says what to do."""

import os
import resource
import socket
import tempfile
import unittest

from harness import proc, raw
from harness.server import run_weir
from harness.suite import WeirTest, main, needs_ebpf

# What the command line gets wrong, and the line that says so.
USAGE = (
    (["--frobnicate"], "weir: unknown flag '--frobnicate'; --help lists them"),
    (["--workres", "2"], "weir: unknown flag '--workres'; did you mean --workers?"),
    (["--workers", "0"], "weir: --workers: '0' is not accepted: expected auto or a number from 1 to 1024"),
    (["--check=yes"], "weir: --check takes no value, and '--check=yes' has one"),
    (["--workers", "2", "--workers", "3"], "weir: --workers is given 2 times, and may be given once"),
    (["--workers", "2", "--weights", "1,2,3"],
     "weir: --weights: 3 weights for 2 workers: expected one weight for each worker"),
    (["--listen", "127.0.0.1:1", "--listen", "127.0.0.1:1"],
     "weir: --listen: 127.0.0.1:1 is given twice: expected different addresses"),
    (["--listen", "localhost:80"],
     "weir: --listen: 'localhost:80' is not accepted: expected ADDRESS:PORT with a numeric address, "
     "such as 127.0.0.1:9000, [::1]:9000 or *:9000, or with tls: or proxy: before it"),
)

DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
TOO_MANY = 1_000_000_000

# What this host does not allow, and the line that says so.
REFUSED = (
    (["--listen", "203.0.113.7:9000"],
     "weir: cannot listen on 203.0.113.7:9000: not an address of this host; choose one of its own "
     "with --listen"),
    (["--user", "no-such-user"],
     "weir: --user: 'no-such-user' is not a user of this host; name one from /etc/passwd, or give a "
     "number"),
    (["--workers", "2", "--max-connections", str(TOO_MANY)],
     f"weir: --max-connections {TOO_MANY} needs {TOO_MANY // 2 + 36} descriptors a process, and the "
     f"limit is {DESCRIPTORS}; raise it (ulimit -n, or LimitNOFILE= of the unit), or lower it, or "
     "start more workers"),
)


class StartTest(WeirTest):
    def assert_refused(self, done, status, line):
        self.assertEqual((done.returncode, done.stdout, done.stderr), (status, "", line + "\n"))

    def control(self):
        directory = tempfile.TemporaryDirectory(prefix="weir-test-")
        self.addCleanup(directory.cleanup)
        return os.path.join(directory.name, "control.sock")

    def taken_port(self):
        """A port where somebody listens who has not set SO_REUSEPORT."""
        other = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(other.close)
        return other.getsockname()[1]

    def test_a_wrong_command_line_is_status_2_and_one_line(self):
        """The line names the flag, what it was given, and what it takes."""
        for flags, line in USAGE:
            with self.subTest(flags):
                self.assert_refused(run_weir(*flags), 2, line)

    def test_what_the_host_does_not_allow_is_status_1_and_one_line(self):
        """--check says the same, with the same status."""
        for flags, line in REFUSED:
            for check in ([], ["--check"]):
                with self.subTest([*flags, *check]):
                    self.assert_refused(run_weir("--control", self.control(), *flags, *check), 1, line)

    @unittest.skipUnless(proc.CAP_IPC_LOCK in proc.capabilities(), "takes CAP_IPC_LOCK")
    def test_the_rings_of_many_workers_are_not_charged_to_their_user(self):
        """64 workers, whose rings are together over the usual limit on locked memory (8 MiB)."""
        server = self.start_weir(workers=64)
        self.assertEqual(len(set(server.column("pid"))), 64)

    def test_a_port_that_is_taken_is_named(self):
        """The line names the address, and --listen as the way out."""
        address = f"127.0.0.1:{self.taken_port()}"
        line = (
            f"weir: cannot listen on {address}: the port is in use; stop what listens there, or "
            "choose with --listen"
        )
        for check in ([], ["--check"]):
            with self.subTest(check):
                done = run_weir("--listen", address, "--control", self.control(), *check)
                self.assert_refused(done, 1, line)

    def test_a_second_instance_on_the_same_port_is_refused(self):
        """SO_REUSEPORT would let it take half of the connections; the first one goes on alone."""
        server = self.start_weir()
        address = f"127.0.0.1:{server.port}"
        done = run_weir("--listen", address, "--control", self.control())
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"cannot listen on {address}: the port is in use", done.stderr)
        for _ in range(20):
            raw.open_session(server.address).close()
        self.assertEqual(sum(server.column("accepted")), 20)

    def test_one_taken_port_of_two_leaves_nothing_open(self):
        """The first address is given up with the second."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free = probe.getsockname()[1]
        listen = ["--listen", f"127.0.0.1:{free}", "--listen", f"127.0.0.1:{self.taken_port()}"]
        self.assertEqual(run_weir(*listen, "--control", self.control()).returncode, 1)
        with self.assertRaises(ConnectionRefusedError):
            raw.connect(("127.0.0.1", free))

    def test_several_addresses_are_served(self):
        """IPv4 and IPv6, each on a port that the kernel picked and the log reports."""
        server = self.start_weir(listen=("127.0.0.1:0", "[::1]:0", "127.0.0.2:0"))
        self.assertEqual([host for host, _ in server.addresses], ["127.0.0.1", "::1", "127.0.0.2"])
        for host, port in server.addresses:
            with self.subTest(host), raw.open_session((host, port)) as peer:
                self.assertGreater(port, 0)
                peer.sendall(raw.frame(raw.TEXT, b"hi"))
                self.assertEqual(raw.receive(peer, 4), b"\x81\x02hi")
        listed = [f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in server.addresses]
        self.assertEqual(server.status()["listen"], listed)

    def test_the_log_says_what_came_of_the_flags(self):
        """How many workers, the policy, the backend, and the limit, before it listens."""
        server = self.start_weir("--steer-backend", "none", "--max-connections", "100", workers=3)
        self.assertEqual(
            server.messages()[-2:],
            [
                "3 workers, steering kernel-hash by none, at most 100 connections",
                f"listening on 127.0.0.1:{server.port}",
            ],
        )

    def test_check_prints_what_would_be_used(self):
        """Status 0, and one line for each thing; nothing is started and no socket is left."""
        control = self.control()
        done = run_weir(
            "--check", "--control", control, "--listen", "127.0.0.1:0", "--listen", "[::1]:0",
            "--workers", "3", "--pin", "none", "--steer", "round-robin", "--steer-backend", "none",
            "--hang-threshold", "0", "--max-connections", "1000", "--max-message-size", "16MiB",
            "--idle-timeout", "0", "--drain-timeout", "20s",
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(
            done.stdout,
            "listen            127.0.0.1:0\n"
            "listen            [::1]:0\n"
            "workers           3, not pinned\n"
            "steering          kernel-hash by none\n"
            "rebalancing       at most 1000 sessions a second\n"
            "busy polling      off\n"
            "hang threshold    off\n"
            "hang kill         off\n"
            f"connections       at most 1000, {DESCRIPTORS} descriptors a process\n"
            "message size      at most 16MiB\n"
            "compression       shared\n"
            "timeouts          handshake 10s, idle off, ping after 30s\n"
            "drain timeout     20s\n"
            "application       echo\n"
            f"control socket    {control}\n",
        )
        self.assertFalse(os.path.exists(control))

    @needs_ebpf
    def test_check_names_the_backend_that_auto_takes(self):
        """ebpf where the host allows it, and then there is no reason to give."""
        done = run_weir("--check", "--control", self.control(), "--listen", "127.0.0.1:0")
        self.assertIn("steering          least-connections by ebpf\nrebalancing", done.stdout)

    def test_a_file_of_flags_is_read_and_the_command_line_goes_before_it(self):
        """--config, with the same names and checks."""
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write('workers = 2\npath = "/chat"\nsteer-backend = "none"\n')
            file.flush()
            server = self.start_weir("--config", file.name, workers=3)
        self.assertEqual(len(server.workers()), 3)
        with raw.connect(server.address) as peer:
            peer.sendall(raw.request(path="/other"))
            self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 404 "))


if __name__ == "__main__":
    main()
