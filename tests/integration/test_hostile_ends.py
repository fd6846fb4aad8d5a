"""Peers that end badly: by a reset at every stage, or by vanishing without a word.

For the latter the whole of this runs in a network namespace of its own, where an address can be
taken away from under its connections."""

import os
import shutil
import ssl
import subprocess
import sys
import unittest

from harness import proc, raw
from harness.beside import Beside
from harness.certificates import Certificates, careless
from harness.environment import PATIENCE, scaled
from harness.suite import WeirTest, main

ALONE = "WEIR_TEST_NETNS"  # set within the namespace
GONE = "10.99.0."  # the network whose addresses vanish

PROXY_LINE = b"PROXY TCP4 203.0.113.7 127.0.0.1 5000 80\r\n"


def client_hello():
    """What a client of TLS says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    stream = careless().wrap_bio(incoming, outgoing)
    try:
        stream.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class BesiegedTest(WeirTest):
    def besieged(self, *flags):
        """All kinds of listeners and one worker, with a session beside."""
        server = self.start_weir(
            "--hang-threshold", "0", "--proxy-from", "127.0.0.1", "--proxy-from", GONE + "0/24", *flags,
            *Certificates(self).make("a").flags("a"), workers=1,
            listen=("127.0.0.1:0", "proxy:127.0.0.1:0", "tls:127.0.0.1:0", "proxy:tls:127.0.0.1:0"),
        )  # fmt: skip
        return server, Beside(self, server)


class ResetTest(BesiegedTest):
    def test_a_reset_at_every_stage_ends_one_connection_and_nothing_else(self):
        """Mid PROXY header, mid TLS handshake, mid request, after 101, mid frame, with output on
        the way, after the closes of either side; each many times, with and without the answer."""
        server, beside = self.besieged("--max-message-size", "64KiB")
        plain, proxied, secure, both = server.addresses
        hello, request = client_hello(), raw.request()
        stages = (
            (plain, b""),
            (proxied, b""),
            (proxied, PROXY_LINE[:20]),
            (proxied, b"\r\n\r\n\0\r\nQUIT\n\x21"),
            (proxied, PROXY_LINE),
            (proxied, PROXY_LINE + request),
            (secure, b""),
            (secure, hello[:3]),
            (secure, hello[:100]),
            (secure, hello),
            (secure, hello + b"\x17\x03\x03\x00\x05abcde"),
            (secure, b"GET / HTTP/1.1\r\n"),
            (both, PROXY_LINE + hello[:100]),
            (both, PROXY_LINE + hello),
            (plain, request[:40]),
            (plain, request),
            (plain, request + b"\x82"),
            (plain, request + raw.frame(raw.BINARY, b"b" * 60_000)[:30_000]),
            (plain, request + raw.frame(raw.TEXT, b"half", fin=False)),
            (plain, request + 20 * raw.frame(raw.BINARY, b"b" * 60_000)),
            (plain, request + raw.frame(raw.CLOSE, b"\x03\xe8")),
            (plain, request + raw.frame(raw.BINARY, b"b" * 65_537)[:14]),  # our close: 1009
            (plain, raw.request(upgrade=False)),
            (plain, b"nonsense\r\n\r\n"),
        )
        for _ in range(scaled(40)):
            for address, sent in stages:
                for answered in (False, True):
                    peer = raw.connect(address)
                    peer.sendall(sent)
                    if answered and sent.endswith(b"\r\n\r\n"):
                        raw.receive_head(peer)
                    raw.reset(peer)
            self.reset_sessions_over_tls(secure)
        server.await_status(lambda seen: seen["connections"] == 1, "one session is left")
        beside.assert_as_quick_as_before()
        self.assertLess(len(server.log()), 20, "the log is flooded")

    def reset_sessions_over_tls(self, address):
        """After 101, mid frame, after the close of either side."""
        for sent in (
            b"",
            raw.frame(raw.BINARY, b"b" * 1_000)[:500],
            raw.frame(raw.CLOSE, b"\x03\xe8"),
            b"\xc1\x80\0\0\0\0",
        ):
            peer = careless().wrap_socket(raw.connect(address))
            peer.sendall(raw.request())
            raw.receive_head(peer)
            if sent:
                peer.sendall(sent)
            raw.reset(peer)


@unittest.skipUnless(ALONE in os.environ, "a network namespace needs CAP_SYS_ADMIN: run as root")
class VanishedTest(BesiegedTest):
    """An address that is taken away: what is sent to it goes nowhere, and nothing comes from it."""

    def ip(self, *words):
        subprocess.run(["ip", *words], check=True, timeout=PATIENCE)

    def test_peers_that_vanished_are_let_go_by_the_timeouts(self):
        """Half-open connections of every kind, with and without output on the way: all are freed by
        the handshake timeout or, with pings in between, the idle timeout; the one beside stays."""
        server, beside = self.besieged(
            "--handshake-timeout", "2s", "--ping-interval", "300ms", "--idle-timeout", "2s"
        )
        plain, proxied, secure, _ = server.addresses
        source = GONE + "1"
        self.ip("address", "add", source + "/32", "dev", "lo")
        peers = []
        for address, sent in (
            (plain, raw.request()[:40]),
            (proxied, PROXY_LINE[:9]),
            (secure, client_hello()[:99]),
        ):
            peers.append(raw.connect(address, source))
            peers[-1].sendall(sent)
        for _ in range(scaled(20)):
            peers.append(raw.open_session(plain, source))
        for _ in range(5):  # with more under way to them than they take
            greedy = raw.open_session(plain, source)
            greedy.setblocking(False)
            try:
                while True:
                    greedy.send(raw.frame(raw.BINARY, b"b" * 65_536))
            except BlockingIOError:
                peers.append(greedy)
        for peer in peers:
            self.addCleanup(raw.reset, peer)
        opened = len(peers)
        server.await_status(
            lambda seen: sum(w["accepted"] for w in seen["workers"]) > opened, "all are accepted"
        )
        self.assertEqual(server.status()["connections"], 1 + opened, "none has timed out yet")
        self.ip("route", "add", "blackhole", source + "/32")
        self.ip("address", "del", source + "/32", "dev", "lo")
        server.await_status(lambda seen: seen["connections"] == 1, "those that vanished are gone")
        counters = server.status()["counters"]
        self.assertEqual(counters["handshake_timeouts"], 3)
        self.assertEqual(counters["idle_timeouts"], opened - 3)
        beside.assert_as_quick_as_before()
        self.assertLess(len(server.log()), 20, "the log is flooded")


def alone():
    """Goes on in a network namespace, if there is none yet and one can be had."""
    if ALONE in os.environ or not proc.may_leave_the_network():
        return
    into = shutil.which("unshare")
    script = f"ip link set lo up && {ALONE}=1 exec {sys.executable} \"$@\""
    os.execv(into, [into, "--net", "sh", "-c", script, "sh", *sys.argv])


if __name__ == "__main__":
    alone()
    main()
