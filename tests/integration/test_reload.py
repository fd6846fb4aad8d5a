"""The configuration is read again while sessions are open: what it says acts on them and on new
ones, what is wrong with it is refused whole, and no session loses a byte."""

import json
import os
import re
import signal
import socket
import ssl
import struct
import tempfile
import threading

from harness import raw
from harness.certificates import Certificates
from harness.environment import PATIENCE, scaled
from harness.suite import WeirTest, main, needs_ebpf
from harness.talkers import Talkers

IDLE = b"\x88\x0e\x03\xe9idle timeout"
DEFLATE = ("Sec-WebSocket-Extensions: permessage-deflate",)


class Config:
    """A configuration file that ends with the test. Its first lines are those that no test of
    reloads wants to wait or wander for; a worker says at debug level that it has new rules."""

    LINES = {"log-level": "debug", "rebalance": "off", "drain-timeout": "0", "hang-threshold": "0"}

    def __init__(self, test, settings):
        file, self.path = tempfile.mkstemp(prefix="weir-test-", suffix=".conf")
        os.close(file)
        test.addCleanup(os.unlink, self.path)
        self.settings = {**self.LINES}
        self.change(settings)

    def change(self, settings):
        """Writes the file anew with these changed; None takes one out."""
        self.settings.update(settings)
        self.settings = {key: value for key, value in self.settings.items() if value is not None}
        self.write("".join(f"{key} = {value}\n" for key, value in self.settings.items()))

    def write(self, text):
        with open(self.path, "w", encoding="ascii") as file:
            file.write(text)

    def place(self, key):
        """FILE:LINE: KEY of a setting."""
        return f"{self.path}:{1 + list(self.settings).index(key)}: {key}"


class ReloadTest(WeirTest):
    def start(self, settings=None, flags=(), **options):
        """A weir with such a file. Keys are as in the file."""
        self.config = Config(self, settings or {})
        server = self.start_weir("--config", self.config.path, *flags, **options)
        self.told = 0
        return server

    def reload(self, server, settings, deaf=()):
        """Reloads with these settings changed; what weirctl says, once every worker but the deaf
        has the new rules."""
        self.config.change(settings)
        done = server.weirctl("reload")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.await_told(server, len(server.workers()) - len(deaf))
        return done.stdout

    def await_told(self, server, workers):
        """Until so many more have said that they keep to new rules."""
        self.told += workers
        if self.told:
            server.await_log("^keeps to new rules$", self.told - 1)

    def refused(self, server, settings):
        """What weirctl says of such settings."""
        self.config.change(settings)
        server.expect_error("^not reloaded")
        done = server.weirctl("reload")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        server.await_log("^not reloaded, everything stays as it was: ")
        return done.stderr

    def open(self, server, count=1, source=None):
        peers = [raw.open_session(server.address, source) for _ in range(count)]
        for peer in peers:
            self.addCleanup(peer.close)
        return peers if count > 1 else peers[0]

    def echo(self, peer, size=1):
        """Sends a binary message of that size and expects it back."""
        payload = bytes(i % 251 for i in range(size))
        peer.sendall(raw.frame(raw.BINARY, payload))
        head = 2 if size < 126 else 4 if size < 65_536 else 10
        self.assertEqual(raw.receive(peer, head + size)[head:], payload)

    def assert_closed(self, peer, code):
        """The next frame is a close with this code."""
        first, size = raw.receive(peer, 2)
        self.assertEqual(first, 0x88)
        self.assertEqual(struct.unpack("!H", raw.receive(peer, size)[:2])[0], code)

    def status_of(self, server, **request):
        """The status of the answer to a request."""
        with raw.connect(server.address) as peer:
            peer.sendall(raw.request(**request))
            return int(raw.receive_head(peer).split()[1])

    def replaced(self, server, slot, pid):
        server.await_status(
            lambda seen: seen["workers"][slot]["pid"] not in (0, pid)
            and seen["workers"][slot]["state"] == "serving",
            f"slot {slot} has another worker",
        )


class AnswerTest(ReloadTest):
    def test_weirctl_and_the_log_name_what_has_changed(self):
        """With both values; and a signal does the same as weirctl."""
        server = self.start({"idle-timeout": "120s"}, workers=2)
        said = self.reload(server, {"idle-timeout": "60s", "steer": "round-robin"})
        line = (
            "reloaded: --steer round-robin (was least-connections), --idle-timeout 1m (was 2m)"
        )
        self.assertEqual(said, line + "\n")
        server.await_log(f"^{re.escape(line)}$")
        self.assertEqual(server.status()["policy"], "round-robin")
        self.config.change({"steer": "two-choices"})
        server.signal(signal.SIGHUP)
        server.await_log(r"^reloaded: --steer two-choices \(was round-robin\)$")
        self.assertEqual(server.status()["policy"], "two-choices")
        self.assertEqual(server.weirctl("reload").stdout, "nothing has changed\n")
        self.assertEqual(
            server.ask(b'{"command":"reload"}'), {"ok": True, "reloaded": "nothing has changed"}
        )

    def test_a_flag_still_goes_before_the_file(self):
        """Its line changes nothing, and a line that is gone is the default again."""
        server = self.start({"path": "/a"}, flags=("--idle-timeout", "90s"), workers=1)
        said = self.reload(server, {"idle-timeout": "1s", "path": None})
        self.assertEqual(said, "reloaded: --path every path (was /a)\n")

    def test_a_line_that_is_wrong_refuses_all_of_it(self):
        """With the sentence that a start would say; nothing of the file holds, by weirctl or by
        signal, and sessions go on. Mended, it is taken."""
        server = self.start({"max-message-size": "1000"}, workers=2)
        peer = self.open(server)
        wrong = (
            ({"max-message-size": "10", "steer": "round-robin", "idle-timeout": "1x"}, "idle-timeout",
             "'1x' is not accepted: expected 0, or a time from 1ms to 24h"),
            ({"idle-timeout": None, "colour": "red"}, None, "unknown key 'colour'"),
            ({"colour": None, "weights": "1,2,3"}, "weights",
             "3 weights for 2 workers: expected one weight for each worker"),
            ({"weights": None, "max-connections": "999999999"}, None, "--max-connections 999999999 needs"),
        )  # fmt: skip
        for turn, (settings, key, what) in enumerate(wrong):
            with self.subTest(what):
                said = self.refused(server, settings)
                self.assertIn(what, said)
                if key:
                    self.assertEqual(said, f"weirctl: weir: {self.config.place(key)}: {what}\n")
                server.signal(signal.SIGHUP)
                server.await_log("^not reloaded, everything stays as it was: ", 2 * turn + 1)
                self.assertEqual(server.status()["policy"], "least-connections")
                self.echo(peer, 1000)
        self.assertNotIn("keeps to new rules", server.messages())
        self.reload(server, {"max-connections": None})
        self.assertEqual(server.status()["policy"], "round-robin")
        peer.sendall(raw.frame(raw.BINARY, bytes(11)))
        self.assert_closed(peer, 1009)

    def test_what_cannot_change_refuses_all_of_it(self):
        """Each such key is named with its place and both values."""
        server = self.start({"max-message-size": "1000"}, workers=1)
        said = self.refused(
            server, {"max-message-size": "10", "backlog": "7", "user": "nobody", "tls-min-version": "1.3"}
        )
        self.assertEqual(
            said,
            f"weirctl: weir: {self.config.place('backlog')}: 7 (is 4096), "
            f"{self.config.place('tls-min-version')}: 1.3 (is 1.2), "
            f"{self.config.place('user')}: nobody (is unchanged): cannot change while weir runs; "
            "restart or upgrade weir for that\n",
        )
        self.echo(self.open(server), 1000)

    def test_a_file_that_cannot_be_read_is_named(self):
        """One that is gone, and one of another user: the master has given its privileges up."""
        server = self.start(workers=1)
        os.rename(self.config.path, self.config.path + ".away")
        server.expect_error("^not reloaded")
        self.assertIn(
            f"weir: --config: cannot read '{self.config.path}': No such file or directory",
            server.weirctl("reload").stderr,
        )
        os.rename(self.config.path + ".away", self.config.path)
        if os.geteuid() == 0:
            os.chown(self.config.path, 1, 1)
            self.assertIn("Permission denied", server.weirctl("reload").stderr)
            os.chown(self.config.path, 0, 0)
        self.assertEqual(server.weirctl("reload").stdout, "nothing has changed\n")

    def test_a_pipe_is_not_read_again(self):
        """Nobody writes to it any more: the master would wait for ever."""
        self.config = Config(self, {})
        os.unlink(self.config.path)
        os.mkfifo(self.config.path)
        threading.Thread(target=self.config.write, args=("path = /a\n",), daemon=True).start()
        server = self.start_weir("--config", self.config.path, workers=1)
        server.expect_error("^not reloaded")
        said = server.weirctl("reload").stderr
        self.assertIn(f"weir: --config: {self.config.path} is no regular file", said)
        self.assertEqual(self.status_of(server), 404)

    def test_a_list_may_be_of_any_length(self):
        """It travels in a file then; the line that says so has some of it."""
        server = self.start(workers=2)
        origins = [f"https://{i}.a-long-name.example.com" for i in range(4_000)]
        said = self.reload(server, {"origin": json.dumps(origins)})
        self.assertLess(len(said), 1_000)
        for origin, status in ((origins[-1], 101), ("https://4000.a-long-name.example.com", 403)):
            self.assertEqual(self.status_of(server, headers=(f"Origin: {origin}",)), status)

    def test_another_number_of_workers(self):
        """They come and go as with weirctl workers; a number that this has set stays until another
        one is asked for."""
        server = self.start({"workers": "2"}, workers=None)

        def reload(**settings):
            self.config.change(settings)
            done = server.weirctl("reload")
            self.assertEqual(done.returncode, 0, done.stderr)

        def await_serving(count):
            return server.await_status(
                lambda s: [w["state"] for w in s["workers"]] == ["serving"] * count, f"{count} serve"
            )

        reload(workers="3", steer="round-robin")
        self.assertEqual(await_serving(3)["policy"], "round-robin")
        self.assertEqual(server.weirctl("workers", "4").returncode, 0)
        await_serving(4)
        reload(steer="least-connections")
        await_serving(4)
        said = self.refused(server, {"weights": "1,2,3"})
        self.assertIn("3 --weights for the 4 workers that weirctl workers has set", said)
        reload(weights=None, workers="1")
        await_serving(1)


class LimitsTest(ReloadTest):
    def test_the_size_of_messages_holds_for_open_sessions_and_new_ones(self):
        """A message in progress fills its frame; the next one is held against the new limit."""
        server = self.start(workers=2)
        open_, halfway = self.open(server, 2)
        self.echo(open_, 5000)
        message = raw.frame(raw.BINARY, b"m" * 2000)
        halfway.sendall(message[:1000])
        server.await_status(
            lambda seen: seen["counters"]["upgraded"] == 2
            and sum(w["bytes_in"] for w in seen["workers"])
            == 2 * len(raw.request()) + len(raw.frame(raw.BINARY, bytes(5000))) + 1000,
            "half of it has come",
        )
        self.reload(server, {"max-message-size": "1000"})
        halfway.sendall(message[1000:])
        self.assertEqual(raw.receive(halfway, 2004)[4:], b"m" * 2000)
        for peer in (open_, halfway, self.open(server)):
            self.echo(peer, 1000)
            peer.sendall(raw.frame(raw.BINARY, bytes(1001)))
            self.assert_closed(peer, 1009)
        self.reload(server, {"max-message-size": "2MiB"})
        self.echo(self.open(server), 2_000_000)

    def test_the_rate_of_messages_holds_for_open_sessions(self):
        """One that was not limited is."""
        server = self.start(workers=1)
        peer = self.open(server)
        for _ in range(100):
            self.echo(peer)
        self.reload(server, {"max-message-rate": "1:10"})
        peer.sendall(raw.frame(raw.TEXT, b"x") * 100)
        answers = raw.receive(peer, 3 * 10)
        self.assertEqual(answers, b"\x81\x01x" * 10)
        while (head := raw.receive(peer, 2)) == b"\x81\x01":  # a second may have passed
            raw.receive(peer, 1)
        self.assertEqual(struct.unpack("!H", raw.receive(peer, head[1])[:2])[0], 1008)

    def test_timeouts_hold_for_sessions_that_are_silent_already(self):
        """A session that never answers is pinged once more and closed; a client that says nothing
        loses its handshake. Their timeouts of before were hours."""
        long = {"idle-timeout": "24h", "ping-interval": "23h", "handshake-timeout": "1h"}
        server = self.start(long, workers=1)
        silent = self.open(server)
        with raw.connect(server.address) as knocking:
            server.await_status(lambda seen: seen["connections"] == 2, "both are there")
            self.reload(
                server, {"idle-timeout": "400ms", "ping-interval": "200ms", "handshake-timeout": "100ms"}
            )
            self.assertEqual(raw.receive(silent, 2), b"\x89\x00")
            self.assertEqual(raw.receive(silent, len(IDLE)), IDLE)
            self.assertEqual(knocking.recv(1), b"")
        self.assertEqual(server.status()["counters"]["idle_timeouts"], 1)

    @needs_ebpf
    def test_the_number_of_connections_holds_from_the_next_syn(self):
        """Lowered to what there is, and raised again."""
        server = self.start(flags=("--steer-backend", "ebpf"), workers=2)
        self.open(server, 4)
        server.await_status(lambda seen: seen["connections"] == 4, "they are accepted")
        self.reload(server, {"max-connections": "4"})
        with self.assertRaises(ConnectionRefusedError):
            raw.connect(server.address)
        self.reload(server, {"max-connections": "5"})
        self.open(server)
        self.reload(server, {"max-connections": None})
        self.open(server, 10)

    def test_limits_on_clients_come_while_there_were_none_and_go(self):
        """Of connections that are made from then on; without the program by a reset after the
        accept. A rate that is raised does not hold against a client what it owed at the old one."""
        server = self.start(flags=("--steer-backend", "none"), workers=2)
        self.open(server, 3, "127.0.0.2")
        self.reload(server, {"max-connections-per-ip": "2"})
        self.open(server, 2, "127.0.0.2")
        with self.assertRaises((ConnectionResetError, AssertionError)):
            self.open(server, 1, "127.0.0.2")
        self.open(server, 2, "127.0.0.3")
        self.reload(server, {"max-connections-per-ip": None, "connect-rate": "1:50"})
        self.open(server, 50, "127.0.0.4")
        self.reload(server, {"connect-rate": "1000:10"})
        self.open(server, 2, "127.0.0.4")

    def test_requests_are_judged_by_the_new_rules(self):
        """Path, health path, origin, subprotocol, size and compression, each there and back."""
        server = self.start(workers=2)
        ask = lambda **request: self.status_of(server, **request)
        # A setting; a request, and what it gets with the setting and without.
        cases = (
            ({"path": "/chat"}, {}, 404, 101),
            ({"health-path": "/health"}, {"path": "/health", "upgrade": False}, 200, 426),
            ({"origin": "https://a.example"}, {"headers": ("Origin: https://b.example",)}, 403, 101),
            ({"max-header-size": "256"}, {"headers": ("X: " + "x" * 300,)}, 431, 101),
            ({"max-request-line": "64"}, {"path": "/" + "x" * 100}, 414, 101),
        )
        for settings, request, with_it, without in cases:
            with self.subTest(next(iter(settings))):
                self.assertEqual(ask(**request), without)
                self.reload(server, settings)
                self.assertEqual(ask(**request), with_it)
                self.reload(server, {key: None for key in settings})
                self.assertEqual(ask(**request), without)
        for settings, agreed in (
            ({"subprotocol": "chat"}, b"\r\nSec-WebSocket-Protocol: chat\r\n"),
            ({"compression": "dedicated"}, b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"),
        ):
            self.reload(server, settings)
            with raw.connect(server.address) as peer:
                peer.sendall(raw.request(headers=("Sec-WebSocket-Protocol: chat", *DEFLATE)))
                self.assertIn(agreed, raw.receive_head(peer))

    def test_the_log_level_is_that_of_the_workers_too(self):
        """A refused request is logged at debug level by its worker, and not before."""
        server = self.start({"log-level": "info", "path": "/chat"}, workers=2)
        self.assertEqual(self.status_of(server), 404)
        self.reload(server, {"log-level": "debug"})
        self.assertEqual(self.status_of(server, path="/x"), 404)
        server.await_log(": answered 404$")
        self.assertEqual(len([m for m in server.messages() if m.endswith("answered 404")]), 1)
        self.config.change({"log-level": "error"})
        self.assertIn("--log-level error", server.weirctl("reload").stdout)
        server.await_log(r"^reloaded: --log-level error \(was debug\)$")

    def test_a_drain_takes_as_long_as_the_new_timeout_says(self):
        """The only session of slot 1 would be closed after half of it: at once instead of in half
        an hour."""
        server = self.start({"drain-timeout": "1h"}, workers=2)
        count = 0
        while server.column("connections")[1] == 0:  # wherever the host steers to
            peer, count = self.open(server), count + 1
            server.await_status(lambda seen: seen["connections"] == count, "it is there")
        self.reload(server, {"drain-timeout": "0"})
        pid = server.column("pid")[1]
        self.assertEqual(server.weirctl("drain", "1").returncode, 0)
        self.assertEqual(raw.receive(peer, len(raw.RESTARTING)), raw.RESTARTING)
        peer.close()
        self.replaced(server, 1, pid)


class SteeringTest(ReloadTest):
    def spread(self, server, count, source=None):
        """The connections of each worker, once so many more are there."""
        before = server.status()["connections"]
        self.open(server, count, source)
        seen = server.await_status(lambda seen: seen["connections"] == before + count, "all are there")
        return [worker["connections"] for worker in seen["workers"]]

    @needs_ebpf
    def test_the_policy_holds_from_the_next_connection(self):
        """Of 8 each worker of 4 gets 2; then, by the client's address, one gets all 8."""
        server = self.start(flags=("--steer-backend", "ebpf"))
        self.assertEqual(self.spread(server, 8), [2, 2, 2, 2])
        self.reload(server, {"steer": "source-hash"})
        self.assertEqual(server.status()["policy"], "source-hash")
        self.assertEqual(sorted(self.spread(server, 8)), [2, 2, 2, 10])

    @needs_ebpf
    def test_weights_hold_from_the_next_connection(self):
        """With what there is counted at the new weights: 4 and 4 become 12 and 4."""
        server = self.start(flags=("--steer-backend", "ebpf"), workers=2)
        self.assertEqual(self.spread(server, 8), [4, 4])
        self.reload(server, {"weights": "3,1"})
        self.assertEqual(self.spread(server, 8), [12, 4])
        self.reload(server, {"weights": None})
        self.assertEqual(self.spread(server, 8), [12, 12])

    @needs_ebpf
    def test_rebalancing_begins_once_it_is_switched_on(self):
        """All sessions are with one worker; under a policy that spreads by load they level."""
        server = self.start({"steer": "source-hash"}, flags=("--steer-backend", "ebpf"), workers=2)
        self.assertEqual(sorted(self.spread(server, 20, "127.0.0.7")), [0, 20])
        self.reload(server, {"steer": "least-connections", "rebalance": "auto"})
        server.await_status(
            lambda seen: [w["connections"] for w in seen["workers"]] == [10, 10], "they are level"
        )

    def test_a_hang_threshold_and_a_limit_on_hangs_can_come_while_running(self):
        """Workers that gave no signs of life give them from then on; one that does not is killed,
        and only that one. Then it is off again."""
        server = self.start(workers=2)
        first, second = server.column("pid")
        self.reload(server, {"hang-threshold": "50ms", "hang-kill": "1s"})
        server.expect_error("has not woken for 1s: killing it|ended with signal 9")
        self.freeze(first)
        self.replaced(server, 0, first)
        self.assertEqual(server.column("pid")[1], second)
        self.reload(server, {"hang-threshold": "0", "hang-kill": None})
        self.echo(self.open(server))


class WorkersTest(ReloadTest):
    def test_one_that_hangs_meanwhile_has_the_newest_rules_once_it_goes_on(self):
        """Of two reloads the second holds, and in the end also where it took back the first."""
        server = self.start(workers=1)
        peer = self.open(server)
        pid = server.column("pid")[0]
        self.freeze(pid)
        self.reload(server, {"max-message-size": "100"}, deaf=(0,))
        self.reload(server, {"max-message-size": "2000"}, deaf=(0,))
        self.thaw(pid)
        self.await_told(server, 1)  # of both letters, read in one turn, the newer holds
        self.echo(peer, 2000)
        peer.sendall(raw.frame(raw.BINARY, bytes(2001)))
        self.assert_closed(peer, 1009)

    def test_one_that_takes_the_place_of_another_has_the_newest_rules(self):
        """From its start; what its predecessor did not live to read changes nothing."""
        server = self.start(workers=1)
        server.expect_error("ended with signal 9")
        pid = server.column("pid")[0]
        self.freeze(pid)
        self.reload(server, {"max-message-size": "100"}, deaf=(0,))
        self.reload(server, {"max-message-size": "2000"}, deaf=(0,))
        os.kill(pid, signal.SIGKILL)
        self.replaced(server, 0, pid)
        peer = self.open(server)
        self.echo(peer, 2000)
        peer.sendall(raw.frame(raw.BINARY, bytes(2001)))
        self.assert_closed(peer, 1009)
        self.assertNotIn("keeps to new rules", server.messages())

    def test_one_whose_inbox_is_full_is_told_once_there_is_room(self):
        """Orders fill it while the worker stands still. The answer says so; when it goes on, it
        gets the rules without another reload."""
        server = self.start(workers=2)
        pid = server.column("pid")[0]
        self.freeze(pid)
        order = json.dumps({"command": "move", "count": 1, "from": 0, "to": 1}).encode() + b"\n"
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE)
            control.connect(server.control)
            with control.makefile("rb") as answers:
                for _ in range(1_000):
                    control.sendall(order * 100)
                    if not all(json.loads(answers.readline())["ok"] for _ in range(100)):
                        break
                else:
                    self.fail("100,000 orders do not fill an inbox")
        said = self.reload(server, {"max-message-size": "100"}, deaf=(0,))
        self.assertIn("; 1 worker is told as soon as there is room in the inbox", said)
        server.await_log("^slot 0: its inbox has no room for the new rules; tries again$")
        self.thaw(pid)
        self.await_told(server, 1)  # behind all those orders
        peers = self.open(server, 8)
        while 0 in server.column("accepted"):  # the kernel's own hash may need more
            peers.append(self.open(server))
        for peer in peers:
            peer.sendall(raw.frame(raw.BINARY, bytes(101)))
            self.assert_closed(peer, 1009)

    def test_sessions_under_traffic_keep_every_byte(self):
        """While rules, policy and limits change all the time, by signal and by weirctl, and
        sessions move between the workers."""
        server = self.start({"compression": "dedicated"}, workers=4)
        talkers = Talkers(self, server, scaled(64), compressed=True)
        policies = ("round-robin", "two-choices", "source-hash", "least-connections")
        for turn in range(40):
            settings = {
                "steer": policies[turn % 4],
                "max-message-size": f"{1 + turn % 3}MiB",
                "idle-timeout": f"{60 + turn}s",
                "compression": ("dedicated", "shared", "off")[turn % 3],
                "weights": ("1,2,3,4", None)[turn % 2],
                "hang-threshold": ("0", "200ms")[turn // 2 % 2],
                "hang-kill": None,
                "max-message-rate": ("0", "1000000")[turn % 2],
                "max-connections-per-ip": ("0", "1000")[turn // 4 % 2],
                "proxy-from": (None, "10.0.0.0/8")[turn % 2],
            }
            if turn % 2:
                self.config.change(settings)
                server.signal(signal.SIGHUP)
                self.await_told(server, 4)
            else:
                self.reload(server, settings)
            server.weirctl("move", "8", str(turn % 4), str((turn + 1) % 4))
            talkers.more()
        self.assertEqual(talkers.broken(), set())
        talkers.finish()


class CertificatesTest(ReloadTest):
    def served(self, server, name, host="localhost"):
        """Whether a client that trusts this one alone gets through."""
        context = self.certificates.client(name)
        with raw.connect(server.address) as peer:
            try:
                with context.wrap_socket(peer, server_hostname=host):
                    return True
            except ssl.SSLCertVerificationError:
                return False

    def test_other_files_and_more_of_them(self):
        """Also a name that was not served before. Missing files leave all as it was."""
        self.certificates = Certificates(self).make("a").make("b").make("c", "other.example")
        a, b, c = (
            {"cert": self.certificates.cert(name), "key": self.certificates.key(name)} for name in "abc"
        )
        server = self.start(
            {"tls-cert": a["cert"], "tls-key": a["key"]}, listen=("tls:127.0.0.1:0",), workers=2
        )
        self.assertTrue(self.served(server, "a"))
        said = self.reload(
            server,
            {
                "tls-cert": json.dumps([b["cert"], c["cert"]]),
                "tls-key": json.dumps([b["key"], c["key"]]),
            },
        )
        self.assertIn(f"--tls-cert {b['cert']} {c['cert']} (was {a['cert']})", said)
        self.assertTrue(said.endswith("; certificates were read again\n"), said)
        self.assertFalse(self.served(server, "a"))
        self.assertTrue(self.served(server, "b"))
        self.assertTrue(self.served(server, "c", "other.example"))
        self.assertEqual(
            server.weirctl("reload").stdout, "nothing has changed but certificates were read again\n"
        )
        os.unlink(b["key"])
        self.assertIn(b["key"], self.refused(server, {"steer": "round-robin"}))
        self.assertEqual(server.status()["policy"], "least-connections")
        self.assertTrue(self.served(server, "b"))

    def test_keys_for_tickets_are_drawn_as_often_as_the_new_interval_says(self):
        made = Certificates(self).make("a")
        files = {"tls-cert": made.cert("a"), "tls-key": made.key("a")}
        server = self.start(files, listen=("tls:127.0.0.1:0",), workers=2)
        said = self.reload(server, {"tls-ticket-rotation": "1s"})
        self.assertIn("--tls-ticket-rotation 1s (was 1h)", said)
        server.await_log("a new key for session tickets", 1)


if __name__ == "__main__":
    main()
