"""Connections that come through a proxy, which says in front whose they are: PROXY v1 and v2."""

import ipaddress
import struct

from harness import raw
from harness.certificates import Certificates
from harness.suite import WeirTest, main

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source, port=4_321):
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {'::1' if ':' in source else '127.0.0.1'} {port} 80\r\n".encode()


def v2(source, port=4_321, extra=b""):
    """`extra`: TLVs, which are for others."""
    address = ipaddress.ip_address(source)
    body = address.packed + ipaddress.ip_address("::1" if ":" in source else "127.0.0.1").packed
    body += struct.pack("!HH", port, 80) + extra
    family = 0x21 if address.version == 6 else 0x11
    return SIGNATURE + bytes([0x21, family]) + struct.pack("!H", len(body)) + body


LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
UNKNOWN = b"PROXY UNKNOWN\r\n"
TLV = b"\x04\x00\x20" + bytes(32)  # NOOP

# Each header: what it proves, its bytes, and the address that the log has to tell.
HEADERS = (
    ("version 1, IPv4", v1("203.0.113.7"), "203.0.113.7:4321"),
    ("version 1, IPv6", v1("2001:db8::7"), "[2001:db8::7]:4321"),
    ("version 2, IPv4", v2("203.0.113.8"), "203.0.113.8:4321"),
    ("version 2, IPv6", v2("2001:db8::8"), "[2001:db8::8]:4321"),
    ("version 2 with a TLV", v2("203.0.113.9", extra=TLV), "203.0.113.9:4321"),
    ("the proxy's own check, version 2", LOCAL, "127.0.0.1:"),
    ("the proxy's own check, version 1", UNKNOWN, "127.0.0.1:"),
)

# Each opening that is no header: what it is, and its bytes.
NO_HEADERS = (
    ("none", raw.request()),
    ("a version 1 without an address", b"PROXY TCP4\r\n" + raw.request()),
    ("a version 1 that does not end", b"PROXY TCP4 " + b"1" * 200),
    ("a version 2 of another version", SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12)),
    ("a version 2 that is too short for its addresses", SIGNATURE + b"\x21\x11\x00\x04" + bytes(4)),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(20)),
)


class ProxyTest(WeirTest):
    def start_behind_proxy(self, *flags, listen=("proxy:127.0.0.1:0",), **options):
        return self.start_weir(
            "--proxy-from", "127.0.0.1", "--log-level", "debug", *flags, listen=listen, **options
        )

    def assert_reset(self, address, sent=b"", source=None):
        with self.assertRaises((ConnectionResetError, BrokenPipeError)):
            with raw.connect(address, source) as peer:
                if sent:
                    peer.sendall(sent)
                answer = raw.receive_all(peer)
                self.fail(f"no reset, but {answer!r}")

    def echo_behind(self, peer, header):
        peer.sendall(header + raw.request() + raw.frame(raw.TEXT, b"early"))
        self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
        self.assertEqual(raw.receive(peer, 7), b"\x81\x05early")

    def test_a_header_says_whose_the_connection_is(self):
        """Each kind of header; the session's own log line tells the client and not the proxy."""
        server = self.start_behind_proxy(workers=1)
        for turn, (what, header, name) in enumerate(HEADERS):
            with self.subTest(what), raw.connect(server.address) as peer:
                self.echo_behind(peer, header)
                peer.sendall(b"\xc1\x80\0\0\0\0")  # is closed for it, which is logged
                raw.receive_all(peer)
                line = server.await_log("^(.*): closed with 1002", turn)[1]
                self.assertTrue(line.startswith(name), line)
        self.assertEqual(server.status()["counters"]["proxy_refused"], 0)

    def test_a_header_may_come_byte_by_byte(self):
        """Every cut of either version is taken, and what follows is the request."""
        server = self.start_behind_proxy(workers=1)
        for _, header, _ in HEADERS:
            with raw.connect(server.address) as peer:
                for byte in header:
                    peer.send(bytes([byte]))
                self.echo_behind(peer, b"")

    def test_what_begins_with_no_header_is_reset(self):
        """Not answered: nobody can tell whose it is."""
        server = self.start_behind_proxy(workers=1)
        for what, sent in NO_HEADERS:
            with self.subTest(what):
                self.assert_reset(server.address, sent)
        seen = server.await_status(lambda seen: seen["connections"] == 0, "they are gone")
        self.assertEqual(seen["counters"]["proxy_refused"], len(NO_HEADERS))

    def test_who_is_no_proxy_of_ours_is_reset(self):
        """Whatever it says, before it has said anything."""
        server = self.start_behind_proxy(workers=1)
        self.assert_reset(server.address, source="127.0.0.2")
        self.assert_reset(server.address, v1("203.0.113.7") + raw.request(), source="127.0.0.2")
        self.assertEqual(server.status()["counters"]["proxy_refused"], 2)
        server.await_log("^127.0.0.2:[0-9]+: reset: not one of the proxies")

    def test_limits_count_the_client_and_not_the_proxy(self):
        """Over all workers; IPv6 clients by their /64; the proxy's own checks not at all."""
        server = self.start_behind_proxy("--max-connections-per-ip", "2")

        def join(header):
            peer = raw.connect(server.address)
            self.addCleanup(peer.close)
            self.echo_behind(peer, header)
            return peer

        first, _ = join(v1("203.0.113.7")), join(v2("203.0.113.7"))
        self.assert_reset(server.address, v2("203.0.113.7") + raw.request())
        join(v1("203.0.113.8"))
        join(v1("2001:db8::1")), join(v2("2001:db8::2"))
        self.assert_reset(server.address, v1("2001:db8::3") + raw.request())
        join(v1("2001:db8:0:1::3"))
        for _ in range(5):
            join(LOCAL)
        seen = server.await_status(lambda seen: seen["connections"] == 11, "the refused are gone")
        self.assertEqual(seen["counters"]["clients_too_many"], 2)
        self.assertEqual(seen["counters"]["syns_clients_too_many"], 0, "the proxy has no limit")
        first.close()
        server.await_status(lambda seen: seen["connections"] == 10, "there is room")
        join(v2("203.0.113.7"))

    def test_tls_may_lie_behind_the_header(self):
        """Echo through both, in either order of the prefixes, and without the header a reset."""
        certificates = Certificates(self).make("a")
        context = certificates.client("a")
        server = self.start_behind_proxy(
            *certificates.flags("a"), listen=("tls:proxy:127.0.0.1:0", "proxy:tls:127.0.0.1:0")
        )
        for address in server.addresses:
            with raw.connect(address) as plain:
                plain.sendall(v2("203.0.113.7"))
                with context.wrap_socket(plain, server_hostname="localhost") as peer:
                    self.echo_behind(peer, b"")
                    peer.sendall(b"\xc1\x80\0\0\0\0")
                    self.assertEqual(raw.receive(peer, 1), b"\x88")
            self.assert_reset(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        server.await_log("^203.0.113.7:4321: closed with 1002", 1)


if __name__ == "__main__":
    main()
