"""TLS: what is agreed on with which client, tickets over all workers, and how it ends."""

import socket
import ssl
import subprocess

from harness import raw
from harness.certificates import Certificates, careless
from harness.environment import PATIENCE, scaled
from harness.suite import WeirTest, main

WORKERS = 4


class TlsTest(WeirTest):
    def start_secure(self, *flags, hosts=(("a", "localhost"),), **options):
        self.certificates = Certificates(self)
        for name, host in hosts:
            self.certificates.make(name, host)
        flags = (*self.certificates.flags(*(name for name, _ in hosts)), *flags)
        return self.start_weir("--hang-threshold", "0", *flags, listen=("tls:127.0.0.1:0",), **options)

    def connect(self, server, context=None, **options):
        plain = raw.connect(server.address)
        # Else the request would wait for the handshake's last segment to be acknowledged.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = (context or careless()).wrap_socket(plain, **options)
        self.addCleanup(peer.close)
        return peer

    def echo(self, peer):
        peer.sendall(raw.request())
        self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
        peer.sendall(raw.frame(raw.TEXT, b"secret"))
        self.assertEqual(raw.receive(peer, 8), b"\x81\x06secret")

    def s_client(self, server, *flags):
        """What openssl s_client reports of a connection in which it says nothing."""
        host, port = server.address
        command = ["openssl", "s_client", "-connect", f"{host}:{port}", *flags]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
        )  # fmt: skip
        return done.stdout + done.stderr

    # --- what is agreed on ----------------------------------------------------------------------

    def test_both_versions_are_served_to_openssl(self):
        """And nothing older."""
        server = self.start_secure()
        trust = ("-CAfile", self.certificates.cert("a"), "-verify_return_error")
        for flag, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            with self.subTest(version):
                said = self.s_client(server, flag, *trust, "-servername", "localhost")
                self.assertRegex(said, f"New, {version}, Cipher is ")
                self.assertIn("Verify return code: 0 (ok)", said)
        said = self.s_client(server, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        self.assertIn("Cipher is (NONE)", said)

    def test_the_lowest_version_may_be_raised(self):
        """--tls-min-version 1.3 turns away who speaks only 1.2, and that is counted."""
        server = self.start_secure("--tls-min-version", "1.3")
        self.assertIn("alert protocol version", self.s_client(server, "-tls1_2"))
        self.assertRegex(self.s_client(server, "-tls1_3"), "New, TLSv1.3, Cipher is ")
        server.await_status(lambda seen: seen["counters"]["tls_failed"] == 1, "it is counted")

    def test_alpn_agrees_on_http_1_1(self):
        """Whatever else is offered with it; without an offer nothing is said."""
        server = self.start_secure()
        for offer, agreed in ((["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), ([], None)):
            with self.subTest(offer=offer):
                context = careless()
                if offer:
                    context.set_alpn_protocols(offer)
                peer = self.connect(server, context)
                self.assertEqual(peer.selected_alpn_protocol(), agreed)
                self.echo(peer)

    def test_the_name_that_is_asked_for_picks_the_certificate(self):
        """And the first serves who asks for none or for another."""
        server = self.start_secure(hosts=(("a", "a.example"), ("b", "b.example")))
        for name, certificate in (
            ("a.example", "a"), ("b.example", "b"), ("B.Example", "b"), ("c.example", "a"), (None, "a"),
        ):  # fmt: skip
            with self.subTest(name):
                peer = self.connect(server, server_hostname=name)
                self.assertEqual(peer.getpeercert(True), self.certificates.der(certificate))
                self.echo(peer)

    # --- tickets --------------------------------------------------------------------------------

    def context_of(self, version):
        context = careless()
        context.minimum_version = context.maximum_version = version
        return context

    def ticket(self, server, context):
        """A session that can be resumed: of 1.3 the tickets come with the first data."""
        peer = self.connect(server, context)
        self.echo(peer)
        return peer.session

    def test_a_session_resumes_on_every_worker(self):
        """One ticket, and connections that every one of the workers gets some of: all resume."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version.name):
                server = self.start_secure("--steer", "round-robin", workers=WORKERS)
                context = self.context_of(version)
                session = self.ticket(server, context)
                count = scaled(100)
                for _ in range(count):
                    peer = self.connect(server, context, session=session)
                    self.assertTrue(peer.session_reused)
                    self.echo(peer)
                seen = server.await_status(
                    lambda seen, all_=count: seen["counters"]["tls_resumed"] == all_, "all are counted"
                )
                self.assertEqual(seen["counters"]["tls_established"], count + 1)
                for worker in seen["workers"]:
                    self.assertGreater(worker["connections"], 1, "a worker that the ticket is new to")

    def test_tickets_outlive_the_change_of_their_key(self):
        """A ticket of the key before still resumes; one of a key that is long gone is no error, but
        a whole handshake."""
        server = self.start_secure("--tls-ticket-rotation", "1s", "--log-level", "debug")
        context = self.context_of(ssl.TLSVersion.TLSv1_3)
        first = self.ticket(server, context)
        server.await_log("a new key for session tickets", 0)
        peer = self.connect(server, context, session=first)
        self.assertTrue(peer.session_reused)
        self.echo(peer)
        server.await_log("a new key for session tickets", 4)
        peer = self.connect(server, context, session=first)
        self.assertFalse(peer.session_reused)
        self.echo(peer)

    # --- its end --------------------------------------------------------------------------------

    def test_an_end_without_close_notify_ends_one_session(self):
        """By FIN or reset, before, within and after a message; the next is served as ever."""
        server = self.start_secure(workers=1)
        for sent in (b"", raw.frame(raw.BINARY, bytes(1_000))[:500], raw.frame(raw.TEXT, b"whole")):
            for how in (lambda peer: peer.shutdown(socket.SHUT_WR), raw.reset):
                peer = self.connect(server)
                self.echo(peer)
                if sent:
                    peer.sendall(sent)
                how(peer)
                server.await_status(lambda seen: seen["connections"] == 0, "it is gone")
        self.echo(self.connect(server))

    def test_a_close_is_said_before_close_notify(self):
        """Close frame, then close_notify, then the end: nothing is cut off."""
        server = self.start_secure()
        context = careless()
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        peer = self.connect(server, context, suppress_ragged_eofs=False)
        self.echo(peer)
        peer.sendall(raw.frame(raw.CLOSE, b"\x03\xe8bye"))
        self.assertEqual(raw.receive(peer, 4), b"\x88\x02\x03\xe8")
        self.assertEqual(peer.recv(1), b"")

    # --- what is no TLS -------------------------------------------------------------------------

    def test_plain_http_is_told_what_the_port_takes(self):
        """An answer that a person can read, whole, and an end without a reset."""
        server = self.start_secure()
        for request in (raw.request(), raw.request(upgrade=False), raw.request("POST")):
            with raw.connect(server.address) as peer:
                peer.sendall(request)
                answer = raw.receive_all(peer)
            head, _, body = answer.partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer)
            self.assertIn(b"Content-Length: %d" % len(body), head)
            self.assertIn(b"wss://", body)
        server.await_status(lambda seen: seen["counters"]["rejected"] == 3, "they are counted")

    def test_tls_to_a_plain_port_gets_400(self):
        """Its client may not show it, but who looks at the bytes sees why."""
        server = self.start_weir()
        with raw.connect(server.address) as peer:
            with self.assertRaises(ssl.SSLError):
                careless().wrap_socket(peer)
        said = self.s_client(server)
        self.assertRegex(said, "wrong version number|packet length too long")
        server.await_status(lambda seen: seen["counters"]["rejected"] == 2, "they are counted")

    def test_what_is_neither_is_ended(self):
        """With an alert or without, never with a crash."""
        server = self.start_secure(workers=1)
        for sent in (b"\0" * 64, b"\xff" * 64, b"\x16\x03\x01\xff\xff" + b"x" * 70_000, b"\x17\x03\x03\0\x01a"):
            with raw.connect(server.address) as peer:
                try:
                    peer.sendall(sent)
                    raw.receive_all(peer)
                except (ConnectionResetError, BrokenPipeError):
                    pass
        server.await_status(
            lambda seen: seen["counters"]["tls_failed"] == 4 and seen["connections"] == 0, "all failed"
        )


if __name__ == "__main__":
    main()
