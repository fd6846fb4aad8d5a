"""wss with clients from elsewhere, compressed and not, while certificates change under them."""

import os
import signal
import subprocess
import unittest

import websockets

import test_node
from cases import EXCHANGES, MESSAGE_MAX
from harness import sessions
from harness.certificates import Certificates
from harness.environment import PATIENCE, WEIRCTL
from harness.suite import WeirTest, in_loop, main
from peers import run_cases

MESSAGES = (
    ("an empty text", ""),
    ("a short text", "weir ß∂𝄞"),
    ("100 KB that compress well", "weir and water " * 7_000),
    ("1 MiB that do not compress", os.urandom(1 << 20)),
)


class SecureTest(WeirTest):
    def start_secure(self, *flags):
        self.certificates = Certificates(self).make("a")
        return self.start_weir(
            *self.certificates.flags("a"), "--max-message-size", str(MESSAGE_MAX), *flags,
            listen=("tls:127.0.0.1:0",),
        )  # fmt: skip

    async def connect(self, server, trusted="a", **options):
        host, port = server.address
        return await websockets.connect(
            f"wss://{host}:{port}/", ssl=self.certificates.client(trusted), ping_interval=None,
            max_size=None, open_timeout=PATIENCE, **options,
        )  # fmt: skip


class ClientsTest(SecureTest):
    @in_loop
    async def test_python_echoes_over_wss(self):
        """Compressed and not, each way of it."""
        for mode in ("off", "shared", "dedicated"):
            server = self.start_secure("--compression", mode)
            session = await self.connect(server)
            self.assertEqual([e.name for e in session.extensions], ["permessage-deflate"] * (mode != "off"))
            for what, message in MESSAGES:
                with self.subTest(what, mode=mode):
                    await sessions.echo(session, message)
            await session.close()
            counters = server.status()["counters"]
            self.assertEqual(counters["compressed_in"], 0 if mode == "off" else len(MESSAGES))
            self.assertEqual(counters["compressed_out"] > 0, mode != "off")

    def test_node_goes_through_every_exchange_over_wss(self):
        """As over ws, with large messages compressed."""
        test_node.install()
        server = self.start_secure()
        command = ("env", f"WEIR_TEST_CA={self.certificates.cert('a')}", *test_node.NodeTest.command)
        answers = run_cases(command, server.address, [case for _, case in EXCHANGES])
        for (sentence, _), answer in zip(EXCHANGES, answers):
            with self.subTest(sentence):
                self.assertEqual(answer, "ok")
        self.assertGreater(server.status()["counters"]["compressed_in"], 0)


class ReloadTest(SecureTest):
    def by_signal(self, server):
        server.signal(signal.SIGHUP)

    def by_weirctl(self, server):
        command = [WEIRCTL, "--control", server.control, "reload"]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)

    @in_loop
    async def test_a_reload_changes_the_certificate_and_ends_no_session(self):
        """By SIGHUP and by weirctl: who comes after sees the new one, also on every worker; who was
        there goes on."""
        server = self.start_secure()
        old = [await self.connect(server) for _ in range(8)]
        for turn, how in enumerate((self.by_signal, self.by_weirctl)):
            self.certificates.make("a")  # another key, another certificate, the same files
            how(server)
            server.await_log("certificates were read again", turn)
            new = [await self.connect(server) for _ in range(16)]
            for session in (*old, *new):
                await sessions.echo(session, f"reload {turn}")
            old += new
        await sessions.close_all(old)

    @in_loop
    async def test_files_that_are_no_good_leave_the_old_ones(self):
        """An error that names the file is logged, and weirctl fails; everything goes on, and a good
        pair is taken the next time."""
        server = self.start_secure()
        server.expect_error("^not reloaded, everything stays as it was: ")
        session = await self.connect(server)
        with open(self.certificates.cert("a"), encoding="ascii") as file:
            good = file.read()
        self.certificates.make("b")
        with open(self.certificates.cert("b"), encoding="ascii") as file:
            others = file.read()
        bad = (("no PEM at all", "nonsense"), ("cut off", good[:200]), ("another key's", others), ("none", None))
        for turn, (what, text) in enumerate(bad):
            with self.subTest(what):
                os.unlink(self.certificates.cert("a"))
                if text is not None:
                    with open(self.certificates.cert("a"), "w", encoding="ascii") as file:
                        file.write(text)
                done = self.by_weirctl(server)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("a.pem" if text != others else self.certificates.directory, done.stderr)
                server.await_log("^not reloaded, everything stays as it was: ", turn)
                await sessions.echo(session, what)
        with open(self.certificates.cert("a"), "w", encoding="ascii") as file:
            file.write(good)
        again = await self.connect(server)
        self.assertEqual(self.by_weirctl(server).returncode, 0)
        await sessions.close_all([session, again])


def load_tests(loader, standard, pattern):
    """Not those that are imported with NodeTest."""
    return unittest.TestSuite(
        loader.loadTestsFromTestCase(each) for each in (ClientsTest, ReloadTest)
    )


if __name__ == "__main__":
    main()
