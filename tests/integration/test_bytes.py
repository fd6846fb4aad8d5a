"""What weir puts on the wire, byte by byte: its answers to requests, its frames, its closes.

An echo test cannot tell a length that is spelt wrong from one that is spelt right if the client
is lenient; these can.
"""

import itertools
import select
import struct

from harness import raw
from harness.environment import PATIENCE
from harness.suite import WeirTest, main

# Each refusal: what it proves, the request, and the status line that answers it.
REFUSED = (
    ("a path that is not served", raw.request(path="/elsewhere"), b"HTTP/1.1 404 Not Found"),
    ("a path that only begins like one", raw.request(path="/chat/more"), b"HTTP/1.1 404 Not Found"),
    ("a plain GET", raw.request(path="/chat", upgrade=False), b"HTTP/1.1 426 Upgrade Required"),
    ("a POST", raw.request("POST", "/chat"), b"HTTP/1.1 405 Method Not Allowed"),
    ("headers over 8 KiB", raw.request(path="/chat", headers=["X-Big: " + "b" * 8_192]),
     b"HTTP/1.1 431 Request Header Fields Too Large"),
    ("a path over 8 KiB", raw.request(path="/" + "p" * 8_192), b"HTTP/1.1 414 URI Too Long"),
    ("no Host", raw.request(path="/chat").replace(b"Host: localhost\r\n", b""),
     b"HTTP/1.1 400 Bad Request"),
    ("HTTP/1.0", raw.request(path="/chat").replace(b"HTTP/1.1", b"HTTP/1.0"),
     b"HTTP/1.1 505 HTTP Version Not Supported"),
    ("version 8 of the protocol",
     raw.request(path="/chat").replace(b"Version: 13", b"Version: 8"),
     b"HTTP/1.1 426 Upgrade Required"),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"HTTP/1.1 400 Bad Request"),
)

# The edges of the three spellings of a length, and the header that each has to come back with.
HEADERS = (
    (0, b"\x82\x00"),
    (1, b"\x82\x01"),
    (125, b"\x82\x7d"),
    (126, b"\x82\x7e\x00\x7e"),
    (65_535, b"\x82\x7e\xff\xff"),
    (65_536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
)

# Each broken rule: the client's bytes, and the close code that answers them.
BROKEN = (
    ("a frame without a mask", b"\x81\x05hello", 1002),
    ("a reserved bit", b"\xc1\x80\0\0\0\0", 1002),
    ("a reserved opcode", b"\x83\x80\0\0\0\0", 1002),
    ("5 spelt in 16 bits", b"\x81\xfe\x00\x05\0\0\0\0hello", 1002),
    ("a ping in fragments", b"\x09\x80\0\0\0\0", 1002),
    ("a ping of 126 bytes", raw.frame(raw.PING, b"p" * 126), 1002),
    ("a continuation of nothing", raw.frame(0, b"more"), 1002),
    ("a close code that nobody may send", raw.frame(raw.CLOSE, struct.pack("!H", 1005)), 1002),
    ("a text that is no UTF-8", raw.frame(raw.TEXT, b"\xff"), 1007),
    ("the start of a text that cannot become UTF-8", raw.frame(raw.TEXT, b"\xff", fin=False), 1007),
    ("a message over the limit", raw.frame(raw.BINARY, b"b" * 65_537), 1009),
)


class BytesTest(WeirTest):
    def ask(self, server, request):
        with raw.connect(server.address) as peer:
            peer.sendall(request)
            head = raw.receive_head(peer)
            self.assertFalse(head.startswith(b"HTTP/1.1 101 "), "not refused")
            return head + raw.receive_all(peer)

    def test_an_upgrade_is_answered_as_the_rfc_shows(self):
        """The key of RFC 6455, section 1.3, gets the answer printed there, and nothing else."""
        server = self.start_weir()
        with raw.connect(server.address) as peer:
            peer.sendall(raw.request())
            head = raw.receive_head(peer)
        self.assertEqual(
            head.decode(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {raw.ACCEPT}\r\n\r\n",
        )

    def test_an_upgrade_may_come_byte_by_byte_and_with_frames_behind_it(self):
        """Every cut of the request is taken, and bytes after it are frames."""
        server = self.start_weir()
        with raw.connect(server.address) as peer:
            for byte in raw.request() + raw.frame(raw.TEXT, b"early"):
                peer.send(bytes([byte]))
            raw.receive_head(peer)
            self.assertEqual(raw.receive(peer, 7), b"\x81\x05early")

    def test_what_is_refused_is_told_why(self):
        """Each refusal has its status, a length, an end without a reset, and is one answer."""
        server = self.start_weir("--path", "/chat")
        for what, request, status_line in REFUSED:
            with self.subTest(what):
                answer = self.ask(server, request)
                head, _, body = answer.partition(b"\r\n\r\n")
                lines = head.split(b"\r\n")
                self.assertEqual(lines[0], status_line)
                self.assertIn(b"Content-Length: %d" % len(body), lines)
                self.assertTrue(body.endswith(b"\n"), body)

    def test_a_426_says_what_to_ask_for(self):
        """It carries the version that is served (RFC 6455, section 4.4) and names the upgrade."""
        server = self.start_weir()
        lines = self.ask(server, raw.request(upgrade=False)).split(b"\r\n")
        self.assertIn(b"Sec-WebSocket-Version: 13", lines)
        self.assertIn(b"Upgrade: websocket", lines)
        self.assertIn(b"Connection: close, Upgrade", lines)

    def test_a_405_says_what_is_allowed(self):
        """It carries Allow (RFC 9110, section 15.5.6)."""
        self.assertIn(b"\r\nAllow: GET\r\n", self.ask(self.start_weir(), raw.request("POST")))

    def test_one_path_of_several_and_any_query_are_served(self):
        """--path may be repeated, and compares without the query."""
        server = self.start_weir("--path", "/a", "--path", "/b")
        for path in ("/a", "/b", "/b?room=1"):
            with self.subTest(path), raw.connect(server.address) as peer:
                peer.sendall(raw.request(path=path))
                self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))

    def test_lengths_are_spelt_the_shortest_way(self):
        """Each edge of the three spellings comes back with exactly this header, unmasked."""
        server = self.start_weir()
        with raw.open_session(server.address) as peer:
            for size, header in HEADERS:
                with self.subTest(size):
                    payload = bytes(i % 251 for i in range(size))
                    peer.sendall(raw.frame(raw.BINARY, payload))
                    self.assertEqual(raw.receive(peer, len(header)), header)
                    self.assertEqual(raw.receive(peer, size), payload)

    def test_what_breaks_the_protocol_is_closed_with_its_code(self):
        """One close frame with the code, then the end of the stream; no reset overtakes it."""
        server = self.start_weir("--max-message-size", "64KiB")
        for what, sent, code in BROKEN:
            with self.subTest(what), raw.open_session(server.address) as peer:
                peer.sendall(sent)
                answer = raw.receive_all(peer)
                self.assertEqual(answer[0], 0x80 | raw.CLOSE, answer)
                self.assertEqual(answer[1], len(answer) - 2, "one frame, and nothing after it")
                self.assertEqual(struct.unpack("!H", answer[2:4])[0], code)
                answer[4:].decode()  # the reason has to be UTF-8

    def test_a_silent_peer_is_closed(self):
        """Who answers no ping is closed with 1001 after the idle timeout, pings first."""
        server = self.start_weir("--ping-interval", "100ms", "--idle-timeout", "350ms")
        with raw.open_session(server.address) as peer:
            self.assertEqual(raw.receive(peer, 2), b"\x89\x00")
            while (header := raw.receive(peer, 2)) == b"\x89\x00":
                pass
            self.assertEqual(header + raw.receive(peer, 14), b"\x88\x0e\x03\xe9idle timeout")

    def test_a_slow_handshake_is_ended(self):
        """Half a request does not keep a connection, and is told so; who said nothing is not."""
        server = self.start_weir("--handshake-timeout", "200ms")
        with raw.connect(server.address) as peer:
            peer.sendall(raw.request()[:-2])
            answer = raw.receive_all(peer)
            self.assertTrue(answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n"), answer)
        with raw.connect(server.address) as peer:
            self.assertEqual(raw.receive_all(peer), b"")
        server.await_status(lambda seen: seen["connections"] == 0, "no connection is left")

    def test_a_reset_ends_its_session_and_nothing_else(self):
        """Peers that vanish by a reset, at each stage of a session: all are counted out once, the
        log stays quiet, and the worker goes on serving the session beside them."""
        server = self.start_weir(workers=1)
        stages = (
            b"",
            raw.request()[:40],
            raw.request(),
            raw.request() + raw.frame(raw.TEXT, b"half", fin=False),
            raw.request() + raw.frame(raw.BINARY, b"b" * 1_000_000),
            raw.request() + raw.frame(raw.CLOSE, b"\x03\xe8"),
            raw.request(upgrade=False),
        )
        with raw.open_session(server.address) as other:
            for sent, answered in itertools.product(stages, (False, True)):
                peer = raw.connect(server.address)
                peer.sendall(sent)
                if answered and sent[-4:] == b"\r\n\r\n":
                    raw.receive_head(peer)
                raw.reset(peer)
                other.sendall(raw.frame(raw.TEXT, b"beside"))
                self.assertEqual(raw.receive(other, 8), b"\x81\x06beside")
            server.await_status(lambda seen: seen["connections"] == 1, "one session is left")

    def test_a_reader_that_stops_holds_up_nobody_and_gets_every_byte(self):
        """A peer that sends 32 MiB and reads nothing meanwhile gets it all, in order, later; the
        sessions beside it in the same worker are served all the time."""
        server = self.start_weir(workers=1)
        message = raw.frame(raw.BINARY, bytes(range(256)) * 4_096)
        echoed = b"\x82\x7f" + struct.pack("!Q", 1 << 20) + bytes(range(256)) * 4_096
        with raw.open_session(server.address) as slow, raw.open_session(server.address) as other:
            slow.setblocking(False)
            unsent, refusals = memoryview(message * 32), 0
            while unsent and refusals < 50:
                try:
                    unsent, refusals = unsent[slow.send(unsent) :], 0
                except BlockingIOError:
                    refusals += 1
                other.sendall(raw.frame(raw.TEXT, b"beside"))
                self.assertEqual(raw.receive(other, 8), b"\x81\x06beside")
            self.assertEqual(refusals, 50, "weir took 32 MiB and never stopped reading")
            got = bytearray()
            while len(got) < 32 * len(echoed):
                readable, writable, _ = select.select([slow], [slow] if unsent else [], [], PATIENCE)
                self.assertTrue(readable or writable, "nothing moves any more")
                if writable:
                    unsent = unsent[slow.send(unsent) :]
                if readable:
                    got += slow.recv(1 << 20)
            self.assertTrue(got == echoed * 32, "the bytes came back different")


if __name__ == "__main__":
    main()
