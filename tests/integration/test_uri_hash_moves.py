"""A session under --steer uri-hash on its way to its worker: no byte is lost or out of order, whoever
dies meanwhile; what cannot go is answered where it is; limits hold as if nothing had moved."""

import os
import signal
import socket

from harness import proc, raw
from harness.certificates import Certificates, careless
from harness.suite import main, needs_ebpf
from harness.uri_hash import PATHS, UriHashTest


class BytesTest(UriHashTest):
    @needs_ebpf
    def test_what_comes_behind_the_request_is_answered_in_order(self):
        server = self.start(workers=4)
        slot, _ = self.busy_elsewhere(server, "/busy")
        frames = b"".join(raw.frame(raw.BINARY, b"%04d" % i) for i in range(200))
        due = b"".join(b"\x82\x04%04d" % i for i in range(200))
        peer = self.connect(server, raw.request(path="/busy") + frames)
        self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
        self.assertEqual(raw.receive(peer, len(due)), due)
        self.assertEqual(self.slot_of(server, peer), slot)

    @needs_ebpf
    def test_more_than_a_receive_holds_comes_behind_the_request(self):
        """300 KB: in bulk, and in a parcel that needs a file."""
        server = self.start("--max-message-size", "1MiB", workers=4)
        slot, _ = self.busy_elsewhere(server, "/busy")
        payload = os.urandom(300_000)
        peer = self.connect(server, b"")
        peer.sendall(raw.request(path="/busy") + raw.frame(raw.BINARY, payload))
        self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
        self.assertTrue(raw.receive(peer, 10 + len(payload))[10:] == payload)
        self.assertEqual(self.slot_of(server, peer), slot)

    @needs_ebpf
    def test_a_request_in_pieces_goes_when_it_is_whole(self):
        server = self.start(workers=4)
        slot, _ = self.busy_elsewhere(server, "/busy")
        whole = raw.request(path="/busy") + raw.frame(raw.TEXT, b"late")
        for piece in (1, 7, len(whole) - 3):
            peer = self.connect(server, b"")
            for first in range(0, len(whole), piece):
                peer.sendall(whole[first : first + piece])
            self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
            self.assertEqual(raw.receive(peer, 6), b"\x81\x04late")
            self.assertEqual(self.slot_of(server, peer), slot)

    @needs_ebpf
    def test_a_peer_that_ends_its_direction_at_once_is_answered(self):
        server = self.start(workers=4)
        self.busy_elsewhere(server, "/busy")
        peer = self.connect(server, raw.request(path="/busy") + raw.frame(raw.TEXT, b"bye"))
        peer.shutdown(socket.SHUT_WR)
        said = raw.receive_all(peer)
        self.assertTrue(said.startswith(b"HTTP/1.1 101 ") and said.endswith(b"\x81\x03bye"), said)

    def test_what_is_no_upgrade_is_answered_where_it_came(self):
        server = self.start("--health-path", "/healthz", "--path", "/chat", workers=4)
        cases = (
            (raw.request(path="/healthz", upgrade=False), b"200"),
            (raw.request(path="/chat", upgrade=False), b"426"),
            (raw.request(path="/other"), b"404"),
            (raw.request(method="POST", path="/chat"), b"405"),
            (b"\x16\x03\x01\x00", b"400"),
        )
        for sent, status in cases * 8:
            with raw.connect(server.address) as peer:
                peer.sendall(sent)
                self.assertEqual(raw.receive_head(peer).split()[1], status)
        self.assertEqual((sum(server.column("left")), self.counter(server, "hash_moved")), (0, 0))
        self.assertEqual(self.counter(server, "hash_no_key"), 0)

    def test_tls_is_answered_where_it_was_accepted_and_counted(self):
        certificates = Certificates(self).make("a")
        server = self.start(*certificates.flags("a"), workers=4, listen=("tls:127.0.0.1:0",))
        for _ in range(16):
            plain = raw.connect(server.address)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = careless().wrap_socket(plain)
            self.addCleanup(peer.close)
            peer.sendall(raw.request(path="/one"))
            self.assert_open(peer)
        counters = server.status()["counters"]
        own = [w["connections"] for w in server.workers()]
        self.assertEqual(sum(own), 16)
        self.assertGreater(counters["hash_tls"], 0)
        self.assertEqual(counters["hash_moved"] + counters["hash_stayed"], 0)


class DeathTest(UriHashTest):
    def post(self, server):
        """A session on its way to a worker that is stopped: its peer, and both slots' processes."""
        target, _ = self.busy_elsewhere(server, "/busy")
        pids = server.column("pid")
        left = server.column("left")
        self.freeze(pids[target])
        peer = self.connect(server, raw.request(path="/busy") + raw.frame(raw.TEXT, b"mine"))
        seen = server.await_status(
            lambda seen: sum(w["left"] for w in seen["workers"]) == sum(left) + 1, "it has left"
        )
        source = next(w["slot"] for w in seen["workers"] if w["left"] > left[w["slot"]])
        return peer, target, pids[target], source, pids[source]

    def assert_answered(self, server, peer, slot):
        self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
        self.assertEqual(raw.receive(peer, 6), b"\x81\x04mine")
        self.assertEqual(self.slot_of(server, peer), slot)

    @needs_ebpf
    def test_a_target_killed_before_it_looks_leaves_it_to_its_successor(self):
        server = self.start(workers=4)
        server.expect_error(r"^slot \d: worker \d+ ended with signal 9")
        peer, target, pid, _, _ = self.post(server)
        proc.kill(pid)
        self.assert_answered(server, peer, target)
        self.await_held(server, 1)

    @needs_ebpf
    def test_a_source_killed_behind_it_takes_nothing_with_it(self):
        server = self.start(workers=4)
        server.expect_error(r"^slot \d: worker \d+ ended with signal 9")
        peer, target, pid, _, source = self.post(server)
        proc.kill(source)
        os.kill(pid, signal.SIGCONT)
        self.assert_answered(server, peer, target)

    @needs_ebpf
    def test_both_may_be_killed(self):
        server = self.start(workers=4)
        server.expect_error(r"^slot \d: worker \d+ ended with signal 9")
        peer, target, pid, _, source = self.post(server)
        proc.kill(source)
        proc.kill(pid)
        self.assert_answered(server, peer, target)
        self.await_held(server, 1)

    @needs_ebpf
    def test_the_way_is_not_held_against_its_handshake(self):
        """It came in time; who takes it in late answers it all the same."""
        server = self.start("--handshake-timeout", "500ms", workers=4)
        peer, target, pid, _, _ = self.post(server)
        idle = raw.connect(server.address)  # is dropped when as much has passed since
        self.assertEqual(raw.receive_all(idle), b"")
        os.kill(pid, signal.SIGCONT)
        self.assert_answered(server, peer, target)

    @needs_ebpf
    def test_an_owner_that_hangs_is_passed_over(self):
        server = self.start_weir(
            "--hang-threshold", "2s", "--hang-kill", "0", "--steer", "uri-hash", workers=4
        )
        target, _ = self.busy_elsewhere(server, "/busy")
        pid = server.column("pid")[target]
        self.freeze(pid)
        answered, waiting = self.answered_at_last(server, "/busy")
        others = {self.slot_of(server, answered)}
        self.thaw(pid)
        for peer in waiting:
            self.assert_open(peer)
        self.assertGreaterEqual({target} | others, set(self.slots_of(server, waiting)))
        self.await_owner(server, "/busy", target)


class LimitsTest(UriHashTest):
    def refused(self, server, source=None):
        try:
            with raw.connect(server.address, source) as peer:
                peer.sendall(raw.request())
                return peer.recv(1) == b""
        except OSError:
            return True

    def check_max_connections(self, backend):
        server = self.start("--steer-backend", backend, "--max-connections", "20", workers=4)
        for _ in range(3):
            peers = [self.open(server, PATHS[i]) for i in range(20)]
            self.assertTrue(self.refused(server))
            for peer in peers:
                peer.close()
            self.await_held(server, 0)

    @needs_ebpf
    def test_the_limit_on_connections_is_exact(self):
        self.check_max_connections("ebpf")

    def test_without_a_program_too(self):
        self.check_max_connections("none")

    def check_clients(self, backend):
        """Each connection is charged once, wherever it goes."""
        server = self.start(
            "--steer-backend", backend, "--max-connections-per-ip", "20", "--connect-rate", "1:40",
            workers=4,
        )  # fmt: skip
        peers = [self.open(server, PATHS[i]) for i in range(20)]
        self.assertGreater(self.counter(server, "hash_moved"), 0)
        self.assertTrue(self.refused(server))
        for peer in peers[:10]:
            peer.close()
        self.await_held(server, 10)
        for i in range(10):
            self.open(server, PATHS[i])
        self.assertTrue(self.refused(server))
        counters = server.status()["counters"]
        self.assertEqual(counters["clients_too_fast"] + counters["syns_clients_too_fast"], 0)
        self.assertEqual(counters["clients_untracked"], 0)

    @needs_ebpf
    def test_a_client_has_what_it_may_have_and_pays_once(self):
        self.check_clients("ebpf")

    def test_without_a_program_it_does_too(self):
        self.check_clients("none")

    def test_what_a_proxy_told_goes_with_it(self):
        server = self.start(
            "--proxy-from", "127.0.0.1", "--max-connections-per-ip", "8", workers=4,
            listen=("proxy:127.0.0.1:0",),
        )  # fmt: skip
        front = {name: b"PROXY TCP4 203.0.113.%d 127.0.0.1 4321 80\r\n" % name for name in (7, 8)}
        peers = []
        for name in front:
            for path in PATHS[:8]:
                peers.append(self.connect(server, front[name] + raw.request(path=path)))
                self.assert_open(peers[-1])
        self.assertGreater(self.counter(server, "hash_moved"), 0)
        for name in front:
            refused = self.connect(server, front[name])
            with self.assertRaises((ConnectionResetError, BrokenPipeError)):
                self.assertNotEqual(raw.receive_all(refused), b"")
        for peer in peers[:8]:
            peer.close()
        self.await_held(server, 8)
        self.assert_open(self.connect(server, front[7] + raw.request()))

    def test_nothing_levels_what_belongs_together(self):
        server = self.start("--rebalance", "auto", workers=4)
        peers = [self.open(server, "/one") for _ in range(40)]
        slot = self.slot_of(server, peers[0])
        done = server.weirctl("rebalance")
        self.assertEqual(done.returncode, 1)
        self.assertIn("under --steer uri-hash a session's worker follows from its request", done.stderr)
        self.assertEqual(self.slots_of(server, peers), [slot] * 40)


if __name__ == "__main__":
    main()
