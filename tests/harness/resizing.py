"""WorkersTest: what the tests of weirctl workers share."""

from harness import raw
from harness.suite import WeirTest

# On a busy host with fewer CPUs than workers, a worker may not be given one for longer than the
# threshold. These tests are not about that.
NEVER_HUNG = ("--hang-threshold", "0")
NO_PROGRAM = ("--steer-backend", "none")
CLASSIC = ("--steer-backend", "cbpf")


class WorkersTest(WeirTest):
    def begin(self, server, count):
        done = server.weirctl("workers", str(count))
        self.assertEqual(
            (done.stdout, done.stderr),
            (f"there are to be {count} workers; status shows them come and go\n", ""),
        )

    def await_workers(self, server, count):
        """The status once there are so many, and all of them serve."""
        return server.await_status(
            lambda seen: [w["state"] for w in seen["workers"]] == ["serving"] * count,
            f"{count} workers serve",
        )

    def scale(self, server, count):
        self.begin(server, count)
        return self.await_workers(server, count)

    def await_counted(self, server, connections):
        """The status once so many are open, and the load table says the same."""
        return server.await_status(
            lambda seen: seen["connections"] == connections
            and all(w["load"] == w["connections"] and w["queued"] == 0 for w in seen["workers"]),
            f"{connections} are open and counted",
        )

    def refused(self, server, count, error):
        answer = server.ask(b'{"command":"workers","count":%d}' % count)
        self.assertEqual(answer, {"ok": False, "error": error})

    def await_all_accept(self, server):
        """Clients that come now are every worker's, where they are not sent to the emptiest one."""
        before = server.column("accepted")
        server.await_status(
            lambda seen: all(w["accepted"] > b for w, b in zip(seen["workers"], before, strict=True)),
            "every worker accepts",
        )

    def open_sessions(self, server, count):
        peers = []
        for _ in range(count):
            peers.append(raw.open_session(server.address))
            self.addCleanup(peers[-1].close)
        server.await_status(lambda seen: seen["connections"] == count, "all are open")
        return peers

    def echo_all(self, peers):
        for number, peer in enumerate(peers):
            peer.sendall(raw.frame(raw.BINARY, b"%08d" % number))
        for number, peer in enumerate(peers):
            self.assertEqual(raw.receive(peer, 10), b"\x82\x08%08d" % number)

    def await_spread(self, server, counts):
        return server.await_status(
            lambda seen: sorted(w["connections"] for w in seen["workers"]) == sorted(counts)
            and [w["load"] for w in seen["workers"]] == [w["connections"] for w in seen["workers"]],
            f"the workers hold {counts}",
        )
