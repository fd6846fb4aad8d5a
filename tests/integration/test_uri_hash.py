"""--steer uri-hash: a session is answered by the worker that its request's key belongs to, wherever
its connection was accepted: which key, which worker, and what becomes of it as workers come and go."""

import os
import tempfile

from harness import proc, raw
from harness.environment import scaled
from harness.suite import main, needs_ebpf
from harness.uri_hash import NEVER_HUNG, PATHS, UriHashTest


class SpreadTest(UriHashTest):
    def many(self, server, count):
        """So many sessions on the paths, opened side by side; the slots of each path."""
        peers = []
        for first in range(0, count, 100):
            batch = [
                self.connect(server, raw.request(path=PATHS[i % len(PATHS)]))
                for i in range(first, min(first + 100, count))
            ]
            for peer in batch:
                self.assert_open(peer)
            peers += batch
        slots = self.slots_of(server, peers)
        return peers, [set(slots[i :: len(PATHS)]) for i in range(len(PATHS))]

    def check_1000(self, *flags):
        server = self.start(*flags)
        at_rest = [len(proc.descriptors(pid)) for pid in server.column("pid")]
        count = scaled(1000)
        peers, of_path = self.many(server, count)
        self.assertEqual([len(slots) for slots in of_path], [1] * len(PATHS))
        self.assertGreater(len(set().union(*of_path)), 3, "of 8 workers")
        workers = self.await_held(server, count)
        counters = server.status()["counters"]
        moved = counters["hash_moved"]
        self.assertGreater(moved, count // 2)
        self.assertEqual(sum(w["left"] for w in workers), moved)
        self.assertEqual(sum(w["arrived"] for w in workers), moved)
        self.assertEqual(sum(w["accepted"] for w in workers), count)
        self.assertEqual(counters["upgraded"], count)
        for name in ("hash_stayed", "hash_tls", "hash_no_key", "rejected", "handshake_timeouts"):
            self.assertEqual(counters[name], 0, name)
        print(f"{moved} of {count} sessions went to another worker", flush=True)
        for peer in peers:
            self.assert_echoes(peer)
            peer.close()
        self.await_held(server, 0)
        after = [len(proc.descriptors(pid)) for pid in server.column("pid")]
        self.assertEqual(after, at_rest)

    @needs_ebpf
    def test_of_1000_sessions_on_50_paths_each_path_has_one_worker(self):
        self.check_1000("--steer-backend", "ebpf")

    def test_without_a_program_as_well(self):
        self.check_1000("--steer-backend", "none")

    def check_killed(self, *flags):
        """The master is stopped, so that nobody takes the dead worker's place. It is passed over as
        one that hangs; until then what is for it waits in its inbox, for its successor."""
        server = self.start_weir(
            "--hang-threshold", "3s", "--hang-kill", "0", "--steer", "uri-hash", *flags, workers=8
        )
        server.expect_error(r"^slot \d: worker \d+ ended with signal 9")
        paths = PATHS[:24]
        before = self.owners(server, paths)
        victim = max(set(before), key=before.count)
        its_path = paths[before.index(victim)]
        pids = self.pids(server)
        killed = pids.pop(victim)
        self.freeze(server.pid)
        proc.kill(killed)
        _, waiting = self.answered_at_last(server, its_path)
        without = self.owners(server, paths, pids)
        for path, was, now in zip(paths, before, without, strict=True):
            if was == victim:
                self.assertNotEqual(now, victim, path)
            else:
                self.assertEqual(now, was, path)
        self.thaw(server.pid)
        for peer in waiting:
            self.assert_open(peer)
        server.await_status(
            lambda seen: seen["workers"][victim]["pid"] not in (0, killed)
            and seen["workers"][victim]["state"] == "serving",
            "it serves again",
        )
        self.await_owner(server, its_path, victim)
        self.assertEqual(self.owners(server, paths), before)

    @needs_ebpf
    def test_a_killed_worker_moves_only_its_paths_and_has_them_back(self):
        self.check_killed("--steer-backend", "ebpf")

    def test_and_without_a_program(self):
        self.check_killed("--steer-backend", "none")

    def test_when_the_workers_become_fewer_the_paths_of_others_stay(self):
        """All but a few: another number of workers is another table. Open sessions go on."""
        server = self.start(workers=8)
        before = self.owners(server)
        peers = [self.open(server, path) for path in PATHS]
        self.assertEqual(server.weirctl("workers", "7").returncode, 0)
        server.await_status(lambda seen: len(seen["workers"]) == 7, "7 are left")
        for peer in peers:
            self.assert_echoes(peer)
        after = self.owners(server)
        self.assertNotIn(7, after)
        moved = [path for path, a, b in zip(PATHS, before, after, strict=True) if a not in (b, 7)]
        self.assertLess(len(moved), 6, moved)
        self.assertEqual(server.weirctl("workers", "8").returncode, 0)
        server.await_status(
            lambda seen: [w["state"] for w in seen["workers"]] == ["serving"] * 8, "8 serve"
        )
        self.assertEqual(self.owners(server), before)


class KeyTest(UriHashTest):
    def assert_together(self, server, requests):
        peers = [self.open(server, path, headers) for path, headers in requests]
        self.assertEqual(len(set(self.slots_of(server, peers))), 1, requests)

    def assert_apart(self, server, pairs):
        """Not all pairs may be on one worker each: by chance they are once in 8^len."""
        slots = [
            self.slots_of(server, [self.open(server, path, headers) for path, headers in pair])
            for pair in pairs
        ]
        self.assertTrue(any(a != b for a, b in slots), pairs[0])

    def test_a_path_is_taken_as_it_is_sent_without_its_query(self):
        server = self.start()
        for i in range(4):
            self.assert_together(server, [(f"/p{i}", ()), (f"/p{i}?x=1", ()), (f"/p{i}?", ())])
        self.assert_together(server, [("/a%2Fb", ()), ("/a%2Fb?c", ())])
        self.assert_apart(server, [[(f"/p{i}", ()), (f"/P{i}", ())] for i in range(12)])
        self.assert_apart(server, [[(f"/a{i}", ()), (f"/%61{i}", ())] for i in range(12)])
        self.assert_apart(server, [[(f"/a{i}", ()), (f"/a{i}/", ())] for i in range(12)])
        self.assertEqual(self.counter(server, "hash_no_key"), 0)

    def test_an_argument_is_the_first_of_its_name_as_it_is_sent(self):
        server = self.start("--hash-on", "query:room")
        self.assertEqual(server.status()["hash_on"], "query:room")
        self.assertIn(": uri-hash on query:room by ", server.weirctl("status").stdout)
        for i in range(4):
            targets = (f"/a?room={i}", f"/b?x=y&room={i}&z", f"/?room={i}&room=other")
            self.assert_together(server, [(target, ()) for target in targets])
        rooms = [[(f"/?room=a{i}", ()), (f"/?room=%61{i}", ())] for i in range(12)]
        self.assert_apart(server, rooms)
        self.assert_apart(server, [[(f"/?room=a{i}", ()), (f"/?room=A{i}", ())] for i in range(12)])
        before = server.column("left")
        for target in ("/", "/?", "/?rooms=1", "/?Room=1", "/room=1"):
            self.open(server, target)
        self.await_counters(server, hash_no_key=5)
        self.assertEqual(server.column("left"), before, "they stay where they were accepted")

    def test_a_header_is_the_first_of_its_name_in_any_case(self):
        server = self.start("--hash-on", "header:X-Room")
        for i in range(4):
            lines = ((f"X-Room: {i}",), (f"x-room:{i}  ",), (f"X-ROOM: {i}", "X-Room: other"))
            self.assert_together(server, [(f"/{j}", one) for j, one in enumerate(lines)])
        self.assert_apart(server, [[("/", (f"X-Room: a{i}",)), ("/", (f"X-Room: A{i}",))] for i in range(12)])
        self.open(server, "/", ("X-Rooms: 1",))
        self.await_counters(server, hash_no_key=1)

    def test_a_cookie_is_the_first_of_its_name_as_it_is_sent(self):
        server = self.start("--hash-on", "cookie:sid")
        for i in range(4):
            lines = (
                (f"Cookie: sid={i}",),
                (f"cookie: a=b; sid={i}; c=d",),
                ("Cookie: a=b", f"Cookie: sid={i}; sid=other"),
            )
            self.assert_together(server, [(f"/{j}", one) for j, one in enumerate(lines)])
        pairs = [[("/", (f"Cookie: sid=a{i}",)), ("/", (f'Cookie: sid="a{i}"',))] for i in range(12)]
        self.assert_apart(server, pairs)
        self.open(server, "/", ("Cookie: SID=1; asid=2",))
        self.await_counters(server, hash_no_key=1)

    def test_policy_and_key_may_change_while_it_runs(self):
        server = self.start_config("steer = least-connections\n")
        self.assertEqual(server.status()["hash_on"], "")
        self.change(server, "steer = uri-hash\nhash-on = query:room\n")
        self.assertEqual(server.status()["hash_on"], "query:room")
        self.assert_together(server, [(f"/{i}?room=1", ()) for i in range(8)])
        self.change(server, "steer = uri-hash\n")
        self.assert_together(server, [(f"/a?room={i}", ()) for i in range(8)])
        self.assertEqual(self.counter(server, "hash_no_key"), 0)
        moved = self.counter(server, "hash_moved")
        self.change(server, "steer = least-connections\n")
        for _ in range(8):
            self.open(server, "/a")
        self.assertEqual(self.counter(server, "hash_moved"), moved)

    def start_config(self, lines):
        file, self.path = tempfile.mkstemp(prefix="weir-test-", suffix=".conf")
        os.close(file)
        self.addCleanup(os.unlink, self.path)
        self.told = 0
        self.write(lines)
        return self.start_weir("--config", self.path, workers=4)

    def write(self, lines):
        with open(self.path, "w", encoding="ascii") as file:
            file.write(f"log-level = debug\nhang-threshold = 0\nrebalance = off\ndrain-timeout = 0\n{lines}")

    def change(self, server, lines):
        """Returns once every worker keeps to the new rules."""
        self.write(lines)
        done = server.weirctl("reload")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.told += 4
        server.await_log("^keeps to new rules$", self.told - 1)


class UpgradeTest(UriHashTest):
    def test_an_upgrade_keeps_slots_and_keys(self):
        server = self.start_succession(*NEVER_HUNG, "--steer", "uri-hash", workers=4)
        paths = PATHS[:16]
        peers = [self.open(server, path) for path in paths]
        before = self.slots_of(server, peers)
        half = [self.connect(server, raw.request(path=path)[:-2]) for path in paths]
        server.await_status(lambda seen: sum(w["accepted"] for w in seen["workers"]) == 32, "all are in")
        done = server.weirctl("upgrade")
        self.assertEqual(done.returncode, 0, done.stderr)
        for peer in half:  # of the old workers, which may have handed over
            peer.sendall(b"\r\n")
            self.assert_open(peer)
        for peer in peers:
            self.assert_echoes(peer)
        server.await_log(r"^the workers of before have ended")
        self.assertEqual(self.slots_of(server, peers), before)
        self.assertEqual(self.slots_of(server, half), before)
        self.assertEqual(self.owners(server, paths), before)

    def test_a_worker_that_drains_leaves_its_keys_to_others_until_it_is_replaced(self):
        server = self.start("--drain-timeout", "10s", workers=4)
        before = self.owners(server)
        slot = before[0]
        peer = self.open(server, PATHS[0])
        pid = server.column("pid")[slot]
        self.assertEqual(server.weirctl("drain", str(slot)).returncode, 0)
        server.await_status(lambda seen: seen["workers"][slot]["state"] == "draining", "it drains")
        during = self.owners(server)
        self.assertNotIn(slot, during)
        self.assertEqual(
            [now for now, was in zip(during, before, strict=True) if was != slot],
            [was for was in before if was != slot],
        )
        peer.close()
        server.await_status(
            lambda seen: seen["workers"][slot]["pid"] not in (0, pid)
            and seen["workers"][slot]["state"] == "serving",
            "it is replaced",
        )
        self.assertEqual(self.owners(server), before)


if __name__ == "__main__":
    main(lanes=3)
