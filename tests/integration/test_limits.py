"""The limits on clients, messages and backlogs: what is refused, with what, and that it is counted."""

import os
import signal
import struct

from harness import raw
from harness.environment import PATIENCE
from harness.suite import WeirTest, main, needs_ebpf

NEVER_HUNG = ("--hang-threshold", "0")  # see test_balance.py


def try_session(address, source):
    """A session from there; nothing if it is refused by a reset, which may come before the connect
    is seen to have succeeded."""
    try:
        peer = raw.connect(address, source)
    except ConnectionResetError:
        return None
    try:
        peer.sendall(raw.request())
        head = peer.recv(4_096)
    except (ConnectionResetError, BrokenPipeError):
        head = b"reset"
    if head.startswith(b"HTTP/1.1 101 "):
        return peer
    peer.close()
    assert head == b"reset", head
    return None


class ClientLimitsTest(WeirTest):
    def assert_refused_at_the_syn(self, server, source):
        with self.assertRaises(ConnectionRefusedError):
            raw.connect(server.address, source)

    def open_from(self, server, source, count):
        peers = [raw.open_session(server.address, source) for _ in range(count)]
        for peer in peers:
            self.addCleanup(peer.close)
        return peers

    @needs_ebpf
    def test_one_client_may_have_so_many_connections_over_all_workers(self):
        """The fourth is refused on its SYN, other addresses are not, and an end makes room."""
        server = self.start_weir(
            *NEVER_HUNG, "--steer-backend", "ebpf", "--max-connections-per-ip", "3"
        )
        peers = self.open_from(server, "127.0.0.2", 3)
        server.await_status(lambda seen: seen["connections"] == 3, "they are accepted")
        self.assert_refused_at_the_syn(server, "127.0.0.2")
        self.open_from(server, "127.0.0.3", 3)
        self.assert_refused_at_the_syn(server, "127.0.0.2")
        counters = server.status()["counters"]
        self.assertEqual(counters["syns_clients_too_many"], 2)
        self.assertEqual(counters["clients_too_many"], 0)
        peers[1].close()
        server.await_status(lambda seen: seen["connections"] == 5, "there is room")
        self.open_from(server, "127.0.0.2", 1)

    def test_without_the_program_the_same_limit_resets_after_the_accept(self):
        """Counted by the worker that did it; the account is of all workers together."""
        server = self.start_weir("--steer-backend", "none", "--max-connections-per-ip", "3")
        peers = self.open_from(server, "127.0.0.2", 3)
        for _ in range(8):  # whichever worker they land at
            self.assertIsNone(try_session(server.address, "127.0.0.2"))
        self.open_from(server, "127.0.0.3", 3)
        seen = server.await_status(
            lambda seen: seen["connections"] == 6 and seen["counters"]["clients_too_many"] == 8,
            "the refused are counted, and gone",
        )
        self.assertEqual(seen["counters"]["syns_clients_too_many"], 0)
        peers[1].close()
        server.await_status(lambda seen: seen["connections"] == 5, "there is room")
        self.open_from(server, "127.0.0.2", 1)

    @needs_ebpf
    def test_one_client_may_connect_so_often(self):
        """After a burst of five that have been accepted they are refused on the SYN; others may.
        (Those that outrun the accepts of the burst are reset after their own.)"""
        server = self.start_weir(*NEVER_HUNG, "--steer-backend", "ebpf", "--connect-rate", "1:5")
        opened = refused = 0
        for _ in range(20):
            try:
                raw.open_session(server.address, "127.0.0.2").close()
                opened += 1
            except ConnectionRefusedError:
                refused += 1
        self.assertGreaterEqual(opened, 5)
        self.assertGreaterEqual(refused, 10, "though a second or a few may have passed")
        self.open_from(server, "127.0.0.3", 5)
        self.assertEqual(server.status()["counters"]["syns_clients_too_fast"], refused)

    def test_without_the_program_the_same_rate_resets_after_the_accept(self):
        """As above."""
        server = self.start_weir("--steer-backend", "none", "--connect-rate", "1:5")
        opened = [try_session(server.address, "127.0.0.2") for _ in range(20)]
        for peer in filter(None, opened):
            peer.close()
        refused = opened.count(None)
        self.assertGreaterEqual(refused, 10, "though a second or a few may have passed")
        self.open_from(server, "127.0.0.3", 5)
        seen = server.await_status(
            lambda seen: seen["connections"] == 5, "the refused and the closed are gone"
        )
        self.assertEqual(seen["counters"]["clients_too_fast"], refused)

    def test_what_a_killed_worker_had_is_forgotten(self):
        """Its clients may come again as if they had never been: its connections are not open."""
        self.kill_with_a_full_account("none")

    @needs_ebpf
    def test_what_a_killed_worker_had_is_forgotten_by_the_program(self):
        """The same where the refusal is the kernel's."""
        self.kill_with_a_full_account("ebpf")

    def kill_with_a_full_account(self, backend):
        server = self.start_weir(
            *NEVER_HUNG, "--steer-backend", backend, "--max-connections-per-ip", "6", workers=1
        )
        server.expect_error("ended with signal 9")
        self.open_from(server, "127.0.0.2", 6)
        pid = server.workers()[0]["pid"]
        os.kill(pid, signal.SIGKILL)
        server.await_status(
            lambda seen: seen["workers"][0]["pid"] not in (0, pid)
            and seen["workers"][0]["state"] == "serving",
            "it is replaced",
        )
        self.open_from(server, "127.0.0.2", 6)
        if backend == "ebpf":
            self.assert_refused_at_the_syn(server, "127.0.0.2")
        else:
            self.assertIsNone(try_session(server.address, "127.0.0.2"))


class SessionLimitsTest(WeirTest):
    def test_more_messages_than_the_rate_are_closed_with_1008(self):
        """After a burst of ten; pings count as well. Fragments and pongs do not."""
        for what, sent in (
            ("messages", raw.frame(raw.TEXT, b"x")),
            ("pings", raw.frame(raw.PING, b"x")),
        ):
            with self.subTest(what):
                server = self.start_weir("--max-message-rate", "1:10", workers=1)
                with raw.open_session(server.address) as peer:
                    parts = raw.frame(raw.TEXT, b"", fin=False) + 30 * raw.frame(0, b"", fin=False)
                    peer.sendall(50 * raw.frame(raw.PONG, b"") + parts + raw.frame(0, b"x"))
                    self.assertEqual(raw.receive(peer, 3), b"\x81\x01x")
                    peer.sendall(sent * 9)
                    answer = bytes([sent[0], 1]) if what == "messages" else b"\x8a\x01"
                    self.assertEqual(raw.receive(peer, 27), (answer + b"x") * 9)
                    peer.sendall(sent * 50)
                    while (header := raw.receive(peer, 2))[0] != 0x88:
                        raw.receive(peer, header[1])
                    payload = raw.receive(peer, header[1])
                    self.assertEqual(struct.unpack("!H", payload[:2])[0], 1008)
                server.await_status(
                    lambda seen: seen["counters"]["too_chatty"] == 1 and seen["connections"] == 0,
                    "it is counted, and gone",
                )

    def test_the_rate_lets_those_be_who_keep_to_it(self):
        """Ten thousand a second are more than one session asks for that waits for its echoes."""
        server = self.start_weir("--max-message-rate", "1000000:1000000", workers=1)
        with raw.open_session(server.address) as peer:
            for _ in range(1_000):
                peer.sendall(raw.frame(raw.TEXT, b"x"))
                self.assertEqual(raw.receive(peer, 3), b"\x81\x01x")

    def overfill(self, server):
        """A session that has sent more than it has taken, by far; messages of 1,000 bytes, each of
        its own number."""
        peer = raw.open_session(server.address)
        self.addCleanup(peer.close)
        peer.setblocking(False)
        data = b"".join(raw.frame(raw.BINARY, struct.pack("!I", i) * 250) for i in range(40_000))
        sent, refusals = 0, 0
        while sent < len(data) and refusals < 300:
            try:
                sent += peer.send(data[sent : sent + 65_536])
                refusals = 0
            except BlockingIOError:
                refusals += 1
                server.status()
            except (BrokenPipeError, ConnectionResetError):
                break
        peer.settimeout(PATIENCE)
        return peer, data[sent:]

    def frames(self, stream):
        """The frames of `stream`, one by one; it may end after a whole one."""
        while head := stream.read(2):
            length = head[1] if head[1] < 126 else struct.unpack("!H", stream.read(2))[0]
            payload = stream.read(length)
            self.assertEqual(len(payload), length, "the stream ends within a frame")
            yield head[0], payload

    def test_who_does_not_take_its_output_is_closed_with_1013(self):
        """slow-consumer close: whole messages in order up to where it was too much, then 1013."""
        server = self.start_weir("--max-backlog", "64KiB", workers=1)
        peer, _ = self.overfill(server)
        server.await_status(lambda seen: seen["counters"]["overloaded"] == 1, "it is overloaded")
        with peer.makefile("rb") as stream:
            expected = 0
            for first, payload in self.frames(stream):
                if first == 0x88:
                    break
                self.assertEqual((first, payload), (0x82, struct.pack("!I", expected) * 250))
                expected += 1
            self.assertEqual(payload, b"\x03\xf5slow consumer")

    def test_or_messages_are_left_out_and_it_lives(self):
        """slow-consumer drop: what arrives are whole messages in order, some missing and counted;
        and once it reads, every message of its own again."""
        server = self.start_weir("--max-backlog", "64KiB", "--slow-consumer", "drop", workers=1)
        peer, unsent = self.overfill(server)
        seen = server.await_status(lambda seen: seen["counters"]["dropped"] > 0, "it is too much")
        self.assertEqual(seen["connections"], 1)
        got, last = 0, -1
        with peer.makefile("rb") as stream:
            if unsent:  # the rest of the frame that was cut
                peer.setblocking(True)
                peer.sendall(unsent[: len(unsent) % len(raw.frame(raw.BINARY, bytes(1_000)))])
            frames = self.frames(stream)
            server_side = server.status()["workers"][0]
            self.assertGreater(server_side["messages_in"], server_side["messages_out"])
            peer.sendall(raw.frame(raw.PING, b"done"))  # comes behind all that is kept
            for first, payload in frames:
                if first == 0x8A:
                    break
                number = struct.unpack("!I", payload[:4])[0]
                self.assertEqual((first, payload), (0x82, struct.pack("!I", number) * 250))
                self.assertGreater(number, last, "out of order")
                got, last = got + 1, number
            peer.sendall(raw.frame(raw.TEXT, b"lives"))
            self.assertEqual(next(frames), (0x81, b"lives"))
        seen = server.await_status(
            lambda seen: seen["workers"][0]["messages_out"] == got + 1, "all that was sent has come"
        )
        self.assertEqual(
            seen["workers"][0]["messages_in"], got + 1 + seen["counters"]["dropped"]
        )


if __name__ == "__main__":
    main()
