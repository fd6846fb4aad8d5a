"""What the worker allocates: nothing for a message, once it has what messages of its kind take (but
for what OpenSSL does), and a few things for a session. Counted inside the real program, by
count_allocations.cpp.

A batch that is fuller than any before may take a block more than there were, once: one window in
which nothing was allocated acquits. What allocates for each message does so in every one.
"""

import mmap
import os
import socket
import struct
import tempfile

import bounds
import measure
from guard import CPUS, LOAD, GuardTest
from harness import raw
from harness.certificates import Certificates
from harness.suite import main

ROW, ROWS = struct.Struct("=QQ"), 64  # pid, allocations: count_allocations.cpp writes them


class Counts:
    """The file that counting processes write to."""

    def __init__(self, test):
        self._file = tempfile.NamedTemporaryFile(prefix="weir-allocations-")
        self._file.truncate(ROW.size * ROWS)
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        test.addCleanup(self._file.close)
        test.addCleanup(self._map.close)

    @property
    def through(self):
        """What runs a program so that it counts."""
        library = os.environ["WEIR_COUNT_ALLOCATIONS"]
        return ("env", f"LD_PRELOAD={library}", f"WEIR_ALLOCATION_COUNTS={self._file.name}")

    def of(self, pid):
        rows = [count for owner, count in ROW.iter_unpack(self._map[:]) if owner == pid]
        assert rows, f"process {pid} counts nothing: is {self.through[1]} not loaded?"
        return sum(rows)


class AllocationsTest(GuardTest):
    def start(self, *flags, **options):
        """A server, and what reads its worker's count."""
        counts = Counts(self)
        server = self.start_weir_on_one_cpu(*flags, through=counts.through, **options)
        pid = server.column("pid")[0]
        return server, lambda: counts.of(pid)

    def check_messages(self, case, messages, *load, flags=(), **options):
        """So many messages are echoed."""
        server, reading = self.start(*flags, **options)
        arguments = ["echo", *load, "--warm-up", "0.05", "--seconds", "20", "--messages", str(messages)]

        def window():
            facts, before, after = measure.window(server, LOAD, arguments, CPUS, reading)
            self.assertEqual(facts["messages"], messages)
            return [(after - before) / messages]

        self.assert_messages_within(case, window)

    def assert_messages_within(self, case, window):
        self.assert_a_window_within([(bounds.MESSAGE_UNIT, bounds.MESSAGE[case])], case, window)

    def test_messages_of_64_bytes(self):
        self.check_messages("64 B", 10_000, "--size", "64")

    def test_messages_of_1_kib(self):
        self.check_messages("1 KiB", 5_000, "--size", "1024")

    def test_messages_of_16_kib(self):
        self.check_messages("16 KiB", 1_000, "--size", "16384", "--connections", "16")

    def test_messages_of_256_kib(self):
        self.check_messages("256 KiB", 200, "--size", "262144", "--connections", "4")

    def test_sixteen_messages_in_flight(self):
        self.check_messages("64 B, 16 in flight", 20_000, "--in-flight", "16")

    def test_compressed_messages(self):
        flags = ("--compression", "shared")
        self.check_messages("1 KiB, compressed", 2_000, "--deflate", "--size", "1024", flags=flags)

    def test_messages_through_tls(self):
        flags = Certificates(self).make("localhost").flags("localhost")
        load = ("--tls", "--size", "1024")
        self.check_messages("1 KiB, TLS", 2_000, *load, flags=flags, listen=("tls:127.0.0.1:0",))

    def test_messages_in_fragments(self):
        """Three frames of each message, each frame read by itself."""
        server, reading = self.start()
        fragments = (
            raw.frame(raw.TEXT, b"a" * 30, fin=False),
            raw.frame(0, b"b" * 30, fin=False),
            raw.frame(0, b"c" * 4),
        )
        echo = b"\x81\x40" + b"a" * 30 + b"b" * 30 + b"c" * 4
        peer = raw.open_session(server.address)
        self.addCleanup(peer.close)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a frame waits for no acknowledgement

        def window(messages=500):
            before = reading()
            for _ in range(messages):
                for fragment in fragments:
                    peer.sendall(fragment)
                self.assertEqual(raw.receive(peer, len(echo)), echo)
            return [(reading() - before) / messages]

        window(messages=10)  # the first takes the blocks that the rest use again
        self.assert_messages_within("64 B in 3 fragments", window)

    def test_sessions(self):
        """Open, one echo, close, 16 at a time."""
        server, reading = self.start()
        sessions = 1_000
        arguments = ["cycle", "--connections", "16", "--warm-up", "0.05", "--seconds", "20"]
        arguments += ["--messages", str(sessions)]

        def window():
            facts, before, after = measure.window(server, LOAD, arguments, CPUS, reading)
            self.assertEqual(facts["messages"], sessions)
            return [(after - before) / sessions]

        self.assert_a_window_within([(bounds.SESSION_UNIT, bounds.SESSION)], "open, one echo, close", window)


if __name__ == "__main__":
    main()
