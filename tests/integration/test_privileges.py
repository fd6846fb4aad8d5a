"""What weir may do and what it gives up: started by nobody, and started by root."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from harness import proc, raw
from harness.environment import PATIENCE, WEIR
from harness.suite import WeirTest, main

NOBODY = 65_534
AS_NOBODY = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
    "--pdeathsig", "TERM",
)  # fmt: skip
NO_BPF = (
    "loading the steering program: Operation not permitted; it needs CAP_BPF: run as root, grant it "
    "with setcap cap_bpf+ep, or use --steer-backend cbpf or none"
)
NO_ROUND_ROBIN = (
    "the steering backend cbpf cannot do --steer round-robin; it does least-connections (nearly), "
    "source-hash, tuple-hash and uri-hash; ebpf does all"
)

# What a master may keep to make the rings of later workers with.
FOR_RINGS = {proc.CAP_IPC_LOCK}

needs_root = unittest.skipUnless(os.geteuid() == 0, "becoming another user takes root")


@needs_root
class UnprivilegedTest(WeirTest):
    @classmethod
    def setUpClass(cls):
        """A copy of the binary that nobody can reach, wherever it was built."""
        cls.directory = tempfile.mkdtemp(prefix="weir-test-")
        os.chmod(cls.directory, 0o755)
        cls.binary = shutil.copy(WEIR, cls.directory)
        os.chmod(cls.binary, 0o755)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    def test_auto_falls_back_says_why_and_serves(self):
        """No CAP_BPF: one line of warning with the reason and the remedy, and every worker serves:
        steered by a classic program, or, under a policy that takes more, by the kernel's hash."""
        fallbacks = (
            ("least-connections", "cbpf", "least-connections", NO_BPF),
            ("round-robin", "none", "kernel-hash", f"{NO_BPF}; and {NO_ROUND_ROBIN}"),
        )
        for asked, backend, policy, why in fallbacks:
            with self.subTest(asked):
                self.check_fallback(asked, backend, policy, why)

    def check_fallback(self, asked, backend, policy, why):
        server = self.start_weir(
            "--steer", asked, "--hang-threshold", "0",
            through=AS_NOBODY, binary=self.binary, owner=NOBODY,
        )
        warnings = server.messages("warning")
        self.assertEqual(warnings, [f"steering falls back to {backend}: {why}"])
        self.assertEqual(proc.status(server.pid)["Uid"].split(), [str(NOBODY)] * 4)
        peers = []
        for number in range(200):
            peers.append(raw.open_session(server.address))
            self.addCleanup(peers[-1].close)
            text = b"number %03d" % number
            peers[-1].sendall(raw.frame(raw.TEXT, text))
            self.assertEqual(raw.receive(peers[-1], 12), b"\x81\x0a" + text)
        status = server.status()
        self.assertEqual((status["backend"], status["policy"]), (backend, policy))
        self.assertEqual(status["connections"], 200)
        self.assertGreater(min(w["connections"] for w in status["workers"]), 0)

    def test_ebpf_by_name_is_refused_with_the_remedy(self):
        """Who asks for it gets it or nothing: status 1, also from --check."""
        for check in ([], ["--check"]):
            with self.subTest(check):
                done = subprocess.run(
                    [*AS_NOBODY, self.binary, "--listen", "127.0.0.1:0", "--steer-backend", "ebpf", *check],
                    capture_output=True, text=True, timeout=PATIENCE, check=False,
                )  # fmt: skip
                self.assertEqual((done.returncode, done.stderr), (1, f"weir: {NO_BPF}\n"))

    def test_becoming_somebody_else_is_refused(self):
        """--user takes the right to."""
        done = subprocess.run(
            [*AS_NOBODY, self.binary, "--listen", "127.0.0.1:0", "--user", "root"],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn("--user and --group need the right to change to another user", done.stderr)


@needs_root
class DroppedTest(WeirTest):
    def assert_powerless(self, pid, uid, gid):
        """No capability, not even to get one back, and no way to gain one by exec."""
        status = proc.status(pid)
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Uid"].split(), [str(uid)] * 4)
        self.assertEqual(status["Gid"].split(), [str(gid)] * 4)

    def replace_first_worker(self, server):
        """Kills the worker of slot 0; the status once its successor serves."""
        server.expect_error(r"^slot 0: worker \d+ ended with signal 9")
        killed = server.column("pid")[0]
        os.kill(killed, signal.SIGKILL)
        return server.await_status(
            lambda s: s["workers"][0]["pid"] not in (0, killed)
            and s["workers"][0]["state"] == "serving",
            "it is replaced",
        )

    def test_workers_become_the_user_and_keep_nothing(self):
        """--user nobody: the uid, the gid, no group besides, no capability, no_new_privs; so has
        the successor of one that was killed."""
        server = self.start_weir("--user", "nobody")
        for pid in server.column("pid"):
            self.assert_powerless(pid, NOBODY, NOBODY)
            self.assertEqual(proc.status(pid)["Groups"], "")
        # To start and end workers of another user, and none besides.
        master = {proc.CAP_SETUID, proc.CAP_SETGID, proc.CAP_KILL, *FOR_RINGS}
        self.assertLessEqual(proc.capabilities(server.pid, "CapPrm"), master)

        seen = self.replace_first_worker(server)
        self.assert_powerless(seen["workers"][0]["pid"], NOBODY, NOBODY)
        with raw.open_session(server.address) as peer:
            peer.sendall(raw.frame(raw.TEXT, b"hi"))
            self.assertEqual(raw.receive(peer, 4), b"\x81\x02hi")

    def test_without_a_user_root_keeps_nothing_either(self):
        """The name stays, the capabilities go: of the workers and of the master, which loads no
        program any more."""
        server = self.start_weir()
        for pid in server.column("pid"):
            self.assert_powerless(pid, 0, 0)
        self.assertLessEqual(proc.capabilities(server.pid, "CapPrm"), FOR_RINGS)

    def test_a_group_alone_takes_the_capabilities_as_well(self):
        """--group of nobody: the workers stay root by name. It takes dropping the capabilities, for
        a change of group does not."""
        server = self.start_weir("--group", str(NOBODY))
        for pid in server.column("pid"):
            self.assert_powerless(pid, uid=0, gid=NOBODY)

    def test_the_limit_on_locked_memory_does_not_count_for_root(self):
        """A ring is charged against it unless it was made with CAP_IPC_LOCK (Linux 6.14), for all
        of a user's processes together. With a limit that no ring fits into, all workers start, and
        so does a successor later; none of them keeps the capability."""
        server = self.start_weir(through=("prlimit", f"--memlock={64 << 10}"))
        seen = self.replace_first_worker(server)
        for worker in seen["workers"]:
            self.assert_powerless(worker["pid"], 0, 0)

    def own_descriptors(self, pid):
        """What the descriptors beside the standard ones are, without their numbers."""
        own = [what for number, what in proc.descriptors(pid).items() if number > 2]
        return sorted(re.sub(r"(?<=:)\[\d+\]$", "", what) for what in own)

    def test_workers_hold_no_descriptor_that_they_do_not_need(self):
        """Beside the standard ones: the ring, the signals, the pipe to the master, a listener of each
        worker, for all cover for each other, for each address, the own inbox, and the way into
        everybody's."""
        server = self.start_weir(listen=("127.0.0.1:0", "[::1]:0"))
        expected = ["anon_inode:[io_uring]", "anon_inode:[signalfd]", "pipe:"]
        expected += ["socket:"] * (4 * 2 + 1 + 4)
        for pid in server.column("pid"):
            self.assertEqual(self.own_descriptors(pid), expected)


if __name__ == "__main__":
    main()
