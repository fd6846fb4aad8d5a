"""Policy and weights are set while weir runs: weirctl steer, weirctl weight. They hold from the next
SYN on, outlive workers and masters, and end with a reload."""

import json
import os
import struct
import tempfile
import threading
import zlib

from harness import proc, raw
from harness.suite import WeirTest, main, needs_ebpf

# On a busy host with fewer CPUs than workers a worker that is not given one is rightly steered past.
NEVER_HUNG = ("--hang-threshold", "0")
POLICIES = (
    "least-connections, two-choices, round-robin, weighted-round-robin, source-hash, tuple-hash, "
    "cpu-local, least-load, predictive or uri-hash"
)


class Toil:
    """Sessions whose messages are little to send and much to answer: a million zeroes each, compressed.
    Each worker of so many has one, and is busy with it until the test ends, or finish()."""

    def __init__(self, test, server, count):
        deflater = zlib.compressobj(wbits=-15)
        packed = (deflater.compress(bytes(1_000_000)) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
        self._message = raw.header(0xC2, len(packed)) + b"\0\0\0\0" + packed
        self._peers = [raw.connect(server.address) for _ in range(count)]
        for peer in self._peers:
            peer.sendall(raw.request(headers=("Sec-WebSocket-Extensions: permessage-deflate",)))
            assert b"permessage-deflate" in raw.receive_head(peer)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        test.addCleanup(self.finish)

    def _run(self):
        while not self._over.is_set():
            for peer in self._peers:
                peer.sendall(self._message)
            for peer in self._peers:
                head = raw.receive(peer, 4)
                assert head[:2] == b"\xc2\x7e", head
                raw.receive(peer, struct.unpack("!H", head[2:])[0])

    def finish(self):
        self._over.set()
        self._thread.join()
        for peer in self._peers:
            peer.close()


class SteerTest(WeirTest):
    def told(self, server, *words):
        """What weirctl says of an order that is taken."""
        done = server.weirctl(*words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def refused(self, server, *words):
        done = server.weirctl(*words)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        return done.stderr

    def open(self, server, count):
        """So many sessions more, which end with the test; how many of them each worker has got."""
        before = server.column("assigned")
        self.peers = [raw.open_session(server.address) for _ in range(count)]
        for peer in self.peers:
            self.addCleanup(peer.close)
        return [b - a for a, b in zip(before, server.column("assigned"), strict=True)]

    def in_force(self, server):
        seen = server.status()
        return seen["policy"], [w["weight"] for w in seen["workers"]]


class EffectTest(SteerTest):
    @needs_ebpf
    def test_each_holds_from_the_next_connection_on(self):
        """Through round-robin, least connections, and weights of 3 to 1 under either kind."""
        server = self.start_weir(*NEVER_HUNG, "--steer", "round-robin", workers=2)
        self.assertEqual(self.open(server, 10), [5, 5])
        gone = self.peers[::2]  # all of one worker, and round-robin goes on as it was
        for peer in gone:
            peer.close()
        server.await_status(lambda s: s["connections"] == 5, "they have ended")
        self.assertEqual(self.open(server, 4), [2, 2])
        self.assertEqual(
            self.told(server, "steer", "least-connections"),
            "new connections are steered by least-connections (was round-robin), until a reload\n",
        )
        server.await_log(r"^steering by least-connections \(was round-robin\), set by weirctl$")
        filled = self.open(server, 5)  # goes to the one that has fewer
        self.assertEqual(sorted(filled), [0, 5])
        self.assertEqual(self.open(server, 2), [1, 1])
        # 16 sessions, 8 each; at 3 to 1 the next 16 make it 24 to 8.
        self.assertEqual(
            self.told(server, "weight", "0", "3"), "slot 0 has the weight 3 (was 1), until a reload\n"
        )
        server.await_log(r"^slot 0: weight 3 \(was 1\), set by weirctl$")
        self.assertEqual(self.open(server, 16), [16, 0])
        self.assertEqual(self.open(server, 8), [6, 2])
        self.told(server, "steer", "weighted-round-robin")
        self.assertEqual(self.open(server, 12), [9, 3])
        self.told(server, "weight", "0", "1")
        self.assertEqual(self.open(server, 12), [6, 6])
        self.told(server, "weight", "1", "1000")
        self.assertEqual(self.in_force(server), ("weighted-round-robin", [1, 1000]))
        table = server.weirctl("status").stdout
        self.assertIn(": weighted-round-robin by ebpf, on ", table)
        head, *rows = table.splitlines()[3:]
        place = head.split().index("WEIGHT")
        self.assertEqual([row.split()[place] for row in rows[:2]], ["1", "1000"])

    @needs_ebpf
    def test_the_scored_policies_are_scored_from_then_on_and_no_longer(self):
        """Their forecasts are made while the policy is predictive, and only then, of workers that
        have something to do."""
        server = self.start_weir(*NEVER_HUNG, workers=2)
        toil = Toil(self, server, 2)
        self.assertIsNone(server.status()["forecast_error"])
        for _ in range(2):
            self.told(server, "steer", "predictive")
            server.await_status(lambda s: s["forecast_error"] is not None, "forecasts come due")
            self.told(server, "steer", "least-load")
            server.await_status(lambda s: s["forecast_error"] is None, "nobody forecasts")
            self.told(server, "steer", "least-connections")
        toil.finish()
        server.await_status(lambda s: s["connections"] == 0, "it is over")
        self.assertEqual(self.open(server, 10), [5, 5])

    @needs_ebpf
    def test_a_hash_keeps_a_client_where_it_is(self):
        server = self.start_weir(*NEVER_HUNG, workers=4)
        self.told(server, "steer", "source-hash")
        self.assertEqual(sorted(self.open(server, 8)), [0, 0, 0, 8])
        self.told(server, "steer", "least-connections")
        self.assertEqual(sorted(self.open(server, 24)), [0, 8, 8, 8])

    def test_what_cannot_have_its_effect_is_taken_with_a_note(self):
        server = self.start_weir("--steer-backend", "none", workers=2)
        note = (
            "note: the steering backend is none: the kernel's own hash picks, whatever policy and "
            "weights\n"
        )
        said = self.told(server, "steer", "two-choices")
        self.assertTrue(said.endswith(note), said)
        self.assertTrue(self.told(server, "weight", "1", "7").endswith(note))
        self.assertEqual(self.in_force(server), ("kernel-hash", [1, 7]))

    @needs_ebpf
    def test_weights_that_the_policy_does_not_heed_are_taken_with_a_note(self):
        server = self.start_weir(*NEVER_HUNG, "--pin", "none", workers=2)
        self.told(server, "steer", "round-robin")
        self.assertEqual(
            self.told(server, "weight", "1", "7"),
            "slot 1 has the weight 7 (was 1), until a reload\nnote: round-robin does not heed weights\n",
        )
        self.assertEqual(self.open(server, 8), [4, 4])
        self.assertTrue(
            self.told(server, "steer", "cpu-local").endswith(
                "note: no worker is bound to a CPU: cpu-local is the same as least-connections\n"
            )
        )
        self.assertEqual(self.told(server, "steer", "two-choices").count("\n"), 1)


class ClassicTest(SteerTest):
    def test_a_classic_program_is_made_anew_at_once_or_refused(self):
        server = self.start_weir(*NEVER_HUNG, "--steer-backend", "cbpf", workers=4)
        self.assertEqual(
            self.refused(server, "steer", "round-robin"),
            "weirctl: the steering backend cbpf cannot do --steer round-robin; it does "
            "least-connections (nearly), source-hash, tuple-hash and uri-hash; ebpf does all\n",
        )
        self.assertEqual(self.in_force(server)[0], "least-connections")
        self.told(server, "steer", "source-hash")
        self.assertEqual(sorted(self.open(server, 12)), [0, 0, 0, 12])


class RefusedTest(SteerTest):
    def test_with_what_is_wrong_and_what_is_accepted(self):
        server = self.start_weir("--steer-backend", "none", workers=3)
        before = self.in_force(server)
        self.assertEqual(
            self.refused(server, "steer", "fastest"),
            f"weirctl: 'fastest' is no policy: expected {POLICIES}\n",
        )
        self.assertEqual(
            self.refused(server, "weight", "3", "2"),
            "weirctl: there is no slot 3; they go from 0 to 2\n",
        )
        slot_and_weight = (
            "expected the number of a slot and a weight from 1 to 1000, such as "
            '{"command":"weight","slot":0,"weight":2}'
        )
        for request, error in (
            ({"command": "steer"}, f"the policy is missing: expected {POLICIES}"),
            ({"command": "steer", "policy": 3}, f"the policy is missing: expected {POLICIES}"),
            ({"command": "weight", "slot": 0}, slot_and_weight),
            ({"command": "weight", "weight": 1}, slot_and_weight),
            ({"command": "weight", "slot": 0, "weight": -1}, slot_and_weight),
            ({"command": "weight", "slot": 0, "weight": 1.5}, slot_and_weight),
            (
                {"command": "weight", "slot": 0, "weight": 0},
                "a weight of 0; choose between 1 and 1000",
            ),
            (
                {"command": "weight", "slot": 0, "weight": 1001},
                "a weight of 1001; choose between 1 and 1000",
            ),
        ):
            with self.subTest(request):
                answer = server.ask(json.dumps(request).encode())
                self.assertEqual(answer, {"ok": False, "error": error})
        for words in (("steer",), ("weight", "0"), ("weight", "0", "0"), ("weight", "0", "1001")):
            self.assertEqual(server.weirctl(*words).returncode, 2, words)
        self.assertEqual(self.in_force(server), before)
        self.assertEqual([m for m in server.messages() if "set by weirctl" in m], [])


class LastingTest(SteerTest):
    def set_some(self, server):
        self.told(server, "steer", "weighted-round-robin")
        self.told(server, "weight", "0", "3")
        self.holds(server)

    def holds(self, server):
        self.assertEqual(self.in_force(server), ("weighted-round-robin", [3, 1]))
        self.assertEqual(self.open(server, 8), [6, 2])

    @needs_ebpf
    def test_a_worker_that_dies(self):
        server = self.start_weir(*NEVER_HUNG, workers=2)
        server.expect_error(r"^slot \d: worker \d+ ended with signal 9")
        self.set_some(server)
        for slot in (0, 1):
            pid = server.column("pid")[slot]
            proc.kill(pid)
            server.await_status(
                lambda s, slot=slot, pid=pid: s["workers"][slot]["pid"] not in (0, pid)
                and s["workers"][slot]["state"] == "serving",
                "the slot is served again",
            )
            self.holds(server)

    @needs_ebpf
    def test_another_number_of_workers(self):
        """New ones have the weight of the configuration, also where there was another before."""
        server = self.start_weir(*NEVER_HUNG, workers=2)
        self.set_some(server)

        def scale(count):
            self.told(server, "workers", str(count))
            server.await_status(
                lambda s: [w["state"] for w in s["workers"]] == ["serving"] * count, f"{count} serve"
            )

        scale(3)
        self.assertEqual(self.in_force(server), ("weighted-round-robin", [3, 1, 1]))
        self.assertEqual(self.open(server, 10), [6, 2, 2])
        self.told(server, "weight", "2", "4")
        self.assertEqual(self.open(server, 8), [3, 1, 4])
        scale(2)
        self.holds(server)
        scale(3)
        self.assertEqual(self.in_force(server), ("weighted-round-robin", [3, 1, 1]))
        self.assertEqual(self.open(server, 10), [6, 2, 2])

    @needs_ebpf
    def test_a_slot_that_goes_is_not_given_a_weight(self):
        server = self.start_weir(*NEVER_HUNG, "--hang-kill", "0", workers=3)
        hung = server.column("pid")[2]
        self.freeze(hung)
        self.told(server, "workers", "2")
        self.assertEqual(
            self.refused(server, "weight", "2", "5"),
            "weirctl: the worker of slot 2 is ending; slots 0 to 1 stay\n",
        )
        self.told(server, "weight", "1", "5")
        self.thaw(hung)
        server.await_status(lambda s: len(s["workers"]) == 2, "it has gone")
        self.assertEqual(server.column("weight"), [1, 5])

    @needs_ebpf
    def test_an_upgrade(self):
        server = self.start_succession(*NEVER_HUNG, workers=2)
        self.set_some(server)
        for i in range(2):
            server.upgrade()
            server.await_log(
                r"^the steering stays as weirctl has set it: steer weighted-round-robin, weight 0 3$", i
            )
            self.holds(server)
        self.assertEqual(
            self.told(server, "reload"),
            "reloaded: steering as configured (weirctl had set steer weighted-round-robin, "
            "weight 0 3)\n",
        )
        server.upgrade()
        self.assertEqual(self.in_force(server), ("least-connections", [1, 1]))

    @needs_ebpf
    def test_a_masters_death_and_the_takeover(self):
        """Whether its workers are taken on, or others take over from them."""
        server = self.start_succession(*NEVER_HUNG, workers=2)
        self.set_some(server)
        policy = "weighted-round-robin"
        for more in ((), ("--idle-timeout", "77s")):
            server.kill_master()
            server = self.start_succession(
                "--takeover", *NEVER_HUNG, *more, control=server.control, workers=2
            )
            if more:
                server.await_log(r"^the workers of before have ended")
            self.assertEqual(self.in_force(server), (policy, [3, 1]))
            policy = "two-choices"
            self.told(server, "steer", policy)

    @needs_ebpf
    def test_until_a_reload_whatever_else_it_changes(self):
        with tempfile.TemporaryDirectory(prefix="weir-test-") as directory:
            path = os.path.join(directory, "weir.conf")

            def write(*lines):
                with open(path, "w", encoding="ascii") as file:
                    file.writelines(
                        line + "\n" for line in ("hang-threshold = 0", "drain-timeout = 0", *lines)
                    )

            write("steer = round-robin")
            server = self.start_weir("--config", path, workers=2)
            self.set_some(server)
            had = "steering as configured (weirctl had set steer weighted-round-robin, weight 0 3)"
            write("steer = round-robin", "idle-timeout = 77s")
            self.assertEqual(
                self.told(server, "reload"), f"reloaded: --idle-timeout 77s (was 2m), {had}\n"
            )
            self.assertEqual(self.in_force(server), ("round-robin", [1, 1]))
            self.assertEqual(self.open(server, 8), [4, 4])
            self.assertEqual(self.told(server, "reload"), "nothing has changed\n")
            self.set_some(server)
            write("steer = weighted-round-robin", "weights = 1,3", "idle-timeout = 77s")
            self.assertEqual(
                self.told(server, "reload"),
                f"reloaded: --steer weighted-round-robin (was round-robin), --weights 1,3 (was all "
                f"equal), {had}\n",
            )
            self.assertEqual(self.in_force(server), ("weighted-round-robin", [1, 3]))
            self.assertEqual(self.open(server, 8), [2, 6])
            # One that is refused ends nothing.
            self.told(server, "weight", "0", "3")
            write("steer = fastest")
            server.expect_error("^not reloaded")
            self.assertEqual(server.weirctl("reload").returncode, 1)
            self.assertEqual(server.column("weight"), [3, 3])


if __name__ == "__main__":
    main()
