"""How weir stops: on SIGTERM and SIGINT, with sessions, with clients that do not cooperate."""

import asyncio
import os
import signal
import time

from websockets.exceptions import ConnectionClosed

from harness import raw, sessions
from harness.environment import scaled
from harness.server import Server
from harness.suite import WeirTest, in_loop, main


# What a client that does not answer the close may cost, in seconds; and what "at once" is.
CLOSE_TIMEOUT, AT_ONCE = 5, 2


class StopTest(WeirTest):
    async def goodbye(self, session):
        """The close frame that a session receives."""
        try:
            await session.recv()
        except ConnectionClosed as end:
            return end.rcvd.code, end.rcvd.reason
        return None

    async def stopped_by(self, send):
        server = self.start_weir()
        crowd = await sessions.connect_many(server.address, scaled(200))
        waiting = asyncio.gather(*(self.goodbye(session) for session in crowd))
        began = time.monotonic()
        send(server)
        ends = await waiting
        self.assertEqual(set(ends), {(1001, "server is shutting down")})
        self.assertEqual(await asyncio.to_thread(server.wait), 0)
        self.assertLess(time.monotonic() - began, CLOSE_TIMEOUT, "all clients answered the close")
        self.assertEqual(server.messages()[-1], "stopped")
        with self.assertRaises(ConnectionRefusedError):
            raw.connect(server.address)

    @in_loop
    async def test_sigterm_closes_every_session_with_1001_and_ends_well(self):
        """Every client is told 1001 and why; status 0, nobody left, nobody listens."""
        await self.stopped_by(lambda server: server.signal(signal.SIGTERM))

    @in_loop
    async def test_sigint_does_the_same(self):
        """As SIGTERM."""
        await self.stopped_by(lambda server: server.signal(signal.SIGINT))

    @in_loop
    async def test_an_interrupt_from_the_terminal_does_the_same(self):
        """There the whole process group gets SIGINT, and the workers must leave it to the master."""
        await self.stopped_by(Server.interrupt_group)

    def test_with_no_session_it_stops_at_once(self):
        """Nothing to wait for: no timeout is waited out."""
        server = self.start_weir()
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        self.assertLess(time.monotonic() - began, AT_ONCE)

    def test_half_a_handshake_does_not_hold_up_the_stop(self):
        """A connection that has not become a session is dropped."""
        server = self.start_weir()
        with raw.connect(server.address) as peer:
            peer.sendall(raw.request()[:40])
            server.await_status(lambda seen: seen["connections"] == 1, "it is accepted")
            began = time.monotonic()
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait(), 0)
            self.assertLess(time.monotonic() - began, AT_ONCE)

    def silent_client(self, server):
        """A session whose client has been told to close, and says nothing."""
        peer = raw.open_session(server.address)
        self.addCleanup(peer.close)
        server.signal(signal.SIGTERM)
        self.assertEqual(raw.receive(peer, len(raw.STOPPING)), raw.STOPPING)
        return peer

    def test_a_client_that_never_answers_is_given_five_seconds(self):
        """Then the worker ends without it, and weir with status 0."""
        server = self.start_weir()
        self.silent_client(server)
        began = time.monotonic()
        self.assertEqual(server.wait(), 0)
        self.assertLess(time.monotonic() - began, CLOSE_TIMEOUT + AT_ONCE)

    def test_a_second_signal_ends_at_once(self):
        """Also with a client that never answers the close."""
        for second in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(second):
                server = self.start_weir()
                self.silent_client(server)
                self.assertTrue(server.running())
                began = time.monotonic()
                server.signal(second)
                self.assertEqual(server.wait(), 0)
                self.assertLess(time.monotonic() - began, AT_ONCE)

    def test_signals_that_keep_coming_do_not_change_how_it_ends(self):
        """Up to the last moment: status 0, and the control socket removed."""
        for attempt in range(10):
            server = self.start_weir(workers=1)
            server.signal(signal.SIGTERM)
            if attempt % 2:
                server.await_log("^stopped$")
            while server.running():
                server.signal(signal.SIGTERM)
            self.assertEqual(server.wait(), 0)
            self.assertFalse(os.path.exists(server.control))

    def test_a_client_that_reads_nothing_does_not_hold_up_a_second_signal(self):
        """Nor does output that nobody takes."""
        server = self.start_weir(workers=1)
        with raw.open_session(server.address) as peer:
            peer.setblocking(False)
            frame = raw.frame(raw.BINARY, b"b" * 65_536)
            sent, refusals = 0, 0
            while refusals < 1_000:
                try:
                    # A send may take part of a frame: the next goes on where that ended.
                    sent += peer.send(frame[sent % len(frame) :])
                    refusals = 0
                except BlockingIOError:
                    refusals += 1
            server.signal(signal.SIGTERM)
            server.await_log("^stopping: ")
            began = time.monotonic()
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait(), 0)
            self.assertLess(time.monotonic() - began, AT_ONCE)

    def test_a_log_that_nobody_reads_any_more_ends_nothing(self):
        """As of `weir 2>&1 | tee log` when tee is gone: the master must not die of SIGPIPE, which
        would leave its workers on the port with nobody to end or replace them."""
        server = self.start_weir(workers=2)
        server.expect_error("ended with signal 9")

        def kill_one(slot):
            pid = server.workers()[slot]["pid"]
            os.kill(pid, signal.SIGKILL)
            server.await_status(
                lambda seen: seen["workers"][slot]["pid"] not in (0, pid)
                and seen["workers"][slot]["state"] == "serving",
                "it is replaced",
            )

        server.hang_up(lambda: os.kill(server.workers()[0]["pid"], signal.SIGKILL))
        kill_one(1)
        raw.open_session(server.address).close()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)

    def test_the_port_is_free_for_the_next_one_at_once(self):
        """A successor listens on the same port, though connections are in TIME_WAIT there."""
        server = self.start_weir()
        peer = raw.open_session(server.address)
        peer.sendall(raw.frame(raw.CLOSE, b"\x03\xe8"))
        raw.receive_all(peer)  # the server ended first: TIME_WAIT is on its side
        peer.close()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        successor = self.start_weir(listen=(f"127.0.0.1:{server.port}",))
        raw.open_session(successor.address).close()


if __name__ == "__main__":
    main(lanes=2, longest=("test_a_client_that_never_answers_is_given_five_seconds",))
