"""Peers that do their worst within a connection: slow ones, greedy ones, bombs. The session beside
them is served all the time and as quickly afterwards, and what they cost is given back."""

import random
import select
import socket
import struct
import zlib

from harness import proc, raw
from harness.beside import Beside
from harness.certificates import Certificates
from harness.environment import PATIENCE, SANITIZED, scaled
from harness.suite import WeirTest, main

MIB = 1 << 20

# What a worker may have more afterwards than before: free lists, the slab, malloc's own.
KEPT = 12 * MIB
BOMBS = 20  # a session each
LINES = 20  # of log, at level info


class HostileTest(WeirTest):
    def besieged(self, *flags, **options):
        """A weir of one worker, with a session beside; whoever comes is with them in the worker."""
        server = self.start_weir("--hang-threshold", "0", *flags, workers=1, **options)
        beside = Beside(self, server)
        self.memory_before = self.memory(server)
        return server, beside

    def memory(self, server):
        return proc.own_memory(server.workers()[0]["pid"])

    def assert_unharmed(self, server, beside):
        """All connections but the one beside are gone, and have left no trace but the counters."""
        server.await_status(lambda seen: seen["connections"] == 1, "only the session beside is left")
        beside.assert_as_quick_as_before()
        if not SANITIZED:
            self.assertLess(self.memory(server) - self.memory_before, KEPT, "bytes are not given back")
        self.assertLess(len(server.log()), LINES, "the log is flooded")

    # --- slow -----------------------------------------------------------------------------------

    def slow_handshakes(self, address, first_bytes, count, allowed):
        """So many at once: one byte now and then, and then silence; every tenth says nothing. All
        have to be ended, with no more than `allowed` said to them."""
        peers = []
        for _ in range(count):
            peers.append(raw.connect(address))
            self.addCleanup(peers[-1].close)
        for byte in range(len(first_bytes)):
            for i, peer in enumerate(peers):
                if i % 10 != 0:
                    try:
                        peer.send(first_bytes[byte : byte + 1])
                    except OSError:  # its time is over already
                        pass
        for peer in peers:
            try:
                answer = raw.receive_all(peer)
            except ConnectionResetError:  # its bytes came after its end
                answer = b""
            peer.close()
            self.assertIn(answer[:13], (b"", allowed[:13]))

    def test_5000_slow_requests_at_once_are_ended_in_time(self):
        """Told 408 if they had begun."""
        count = scaled(5_000)
        server, beside = self.besieged("--handshake-timeout", "2s")
        self.slow_handshakes(server.address, raw.request()[:8], count, b"HTTP/1.1 408 ")
        self.assert_unharmed(server, beside)
        self.assertEqual(server.status()["counters"]["handshake_timeouts"], count)

    def test_slow_tls_handshakes_are_ended_in_time_and_their_memory_used_again(self):
        """1,000 with half a ClientHello, twice: malloc keeps the room that most of them had at once,
        and no more than that."""
        count = scaled(1_000)
        server, beside = self.besieged(
            "--handshake-timeout", "1s", *Certificates(self).make("a").flags("a"),
            listen=("127.0.0.1:0", "tls:127.0.0.1:0"),
        )  # fmt: skip
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        before = self.memory_before
        for _ in range(2):
            self.slow_handshakes(server.addresses[1], hello, count, b"")
            server.await_status(lambda seen: seen["connections"] == 1, "they are ended")
            self.memory_before = self.memory(server)
            if not SANITIZED:
                self.assertLess((self.memory_before - before) / count, 64 << 10, "bytes for each")
        self.assert_unharmed(server, beside)
        self.assertEqual(server.status()["counters"]["handshake_timeouts"], 2 * count)

    def test_a_megabyte_in_writes_of_one_byte_comes_back(self):
        """Each byte a segment of its own, in random bursts: one message, not a byte different."""
        server, beside = self.besieged()
        size = scaled(MIB)
        payload = random.Random(1).randbytes(size)
        with raw.open_session(server.address) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sent = raw.frame(raw.BINARY, payload)
            send = peer.send
            for at in range(len(sent)):
                send(sent[at : at + 1])
            header = raw.frame(raw.BINARY, payload)[:10].replace(b"\xff", b"\x7f", 1)
            self.assertEqual(raw.receive(peer, len(header)), header)
            self.assertTrue(raw.receive(peer, size) == payload, "the bytes came back different")
        self.assert_unharmed(server, beside)

    # --- greedy ---------------------------------------------------------------------------------

    def fill(self, peer, piece):
        """Sends until weir does not take any more. How many bytes it took."""
        peer.setblocking(False)
        taken, refusals = 0, 0
        while refusals < 200:
            try:
                taken += peer.send(piece[taken % len(piece) :])
                refusals = 0
            except BlockingIOError:
                refusals += 1
                select.select([], [peer], [], 0.001)
        return taken

    def test_peers_that_never_read_cost_little_and_hold_up_nobody(self):
        """They send and send: weir stops to take it, at a bounded cost for each."""
        server, beside = self.besieged()
        greedy = [raw.open_session(server.address) for _ in range(10)]
        for peer in greedy:
            self.addCleanup(peer.close)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.fill(peer, raw.frame(raw.BINARY, b"b" * 65_536))
            beside.served()
        if not SANITIZED:
            each = (self.memory(server) - self.memory_before) / len(greedy)
            self.assertLess(each, 4 * MIB, "bytes that a peer that never reads may hold")
        for peer in greedy:
            raw.reset(peer)
        self.assert_unharmed(server, beside)

    def test_pings_in_a_row_are_all_answered_in_order(self):
        """10,000, as fast as they can be sent, each with its own pong."""
        server, beside = self.besieged()
        count = scaled(10_000)
        pings = b"".join(raw.frame(raw.PING, struct.pack("!I", i)) for i in range(count))
        with raw.open_session(server.address) as peer:
            peer.sendall(pings)
            expected = b"".join(b"\x8a\x04" + struct.pack("!I", i) for i in range(count))
            self.assertTrue(raw.receive(peer, len(expected)) == expected, "pongs are not the pings")
        self.assert_unharmed(server, beside)

    # --- bombs ----------------------------------------------------------------------------------

    def assert_refused_as_too_big(self, peer):
        """What comes is a close with 1009 and the end of the stream."""
        answer = raw.receive_all(peer)
        self.assertEqual(answer[:1] + answer[2:4], b"\x88\x03\xf1", answer[:40])

    def test_a_gigabyte_declared_is_refused_at_its_header(self):
        """1009 before a byte of it has come; no room is made for it."""
        server, beside = self.besieged("--max-message-size", "1MiB")
        for head in (
            b"\x82\xff" + struct.pack("!Q", 1 << 30),
            b"\x82\xff" + struct.pack("!Q", (1 << 63) - 1),
            raw.frame(raw.BINARY, b"b" * 1_000, fin=False) + b"\x80\xff" + struct.pack("!Q", 1 << 30),
        ):
            for _ in range(scaled(20)):
                with raw.open_session(server.address) as peer:
                    peer.sendall(head + b"\0\0\0\0")
                    self.assert_refused_as_too_big(peer)
        self.assertEqual(server.status()["counters"]["too_big"], 3 * scaled(20))
        self.assert_unharmed(server, beside)

    def test_a_gigabyte_inflated_is_refused_at_the_limit(self):
        """A message of 1 MiB that inflates to 1 GiB: 1009, whole or in fragments, with a context
        or without, and the worker is no bigger for it."""
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        zeroes, bomb = bytes(MIB), bytearray()
        for _ in range(1_024):
            bomb += deflater.compress(zeroes)
        bomb += deflater.flush(zlib.Z_SYNC_FLUSH)
        bomb = bytes(bomb[:-4])
        self.assertLess(len(bomb), MIB)
        for mode in ("shared", "dedicated"):
            for pieces in (1, 7):
                with self.subTest(mode, pieces=pieces):
                    server, beside = self.besieged("--max-message-size", "1MiB", "--compression", mode)
                    self.drop_bombs(server, bomb, pieces)
                    self.assertEqual(server.status()["counters"]["too_big"], BOMBS)
                    self.assert_unharmed(server, beside)

    def drop_bombs(self, server, bomb, pieces):
        step = -(-len(bomb) // pieces)
        for _ in range(BOMBS):
            with raw.connect(server.address) as peer:
                peer.sendall(raw.request(headers=["Sec-WebSocket-Extensions: permessage-deflate"]))
                self.assertIn(b"permessage-deflate", raw.receive_head(peer))
                sent = b""
                for at in range(0, len(bomb), step):
                    last = at + step >= len(bomb)
                    piece = raw.frame(raw.BINARY if at == 0 else 0, bomb[at : at + step], fin=last)
                    sent += bytes([piece[0] | (0x40 if at == 0 else 0)]) + piece[1:]
                peer.settimeout(PATIENCE)
                peer.sendall(sent)
                self.assert_refused_as_too_big(peer)


if __name__ == "__main__":
    main(lanes=2)
