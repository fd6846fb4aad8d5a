"""What sessions do is recorded while weir runs: weirctl record. The trace has each session once, with
what it did, whatever the workers and masters are at, and steering_sim replays it."""

import csv
import fcntl
import io
import json
import os
import signal
import socket
import subprocess
import tempfile
import time

from harness import proc, raw
from harness.environment import PATIENCE, WEIRCTL
from harness.suite import WeirTest, main, needs_ebpf

NEVER_HUNG = ("--hang-threshold", "0", "--log-level", "debug")
HEADER = "arrival_s,client,lifetime_s,messages,cost_us,bytes"
SIMULATOR = os.environ.get("WEIR_SIM_BIN", "")
F_SETPIPE_SZ = 1031
# Of a message of so many bytes below 126, there and back: the header, its mask, the payload.
PER_MESSAGE = (2 + 4) + 2


class Client:
    """A session from an address of its own, and what it has done."""

    def __init__(self, test, server, number):
        self.address = f"127.0.1.{number}"
        self.peer = raw.open_session(server.address, self.address)
        test.addCleanup(self.peer.close)
        self.messages = self.bytes = 0

    def echo(self, count, size=10):
        for _ in range(count):
            self.peer.sendall(raw.frame(raw.BINARY, bytes(size)))
            assert raw.receive(self.peer, 2 + size) == bytes([0x82, size]) + bytes(size)
        self.messages += count
        self.bytes += count * (PER_MESSAGE + 2 * size)
        return self

    def close(self):
        """With a closing handshake of two empty frames."""
        self.peer.sendall(raw.frame(raw.CLOSE, b""))
        assert raw.receive_all(self.peer) == b"\x88\x00"
        self.peer.close()
        self.bytes += 6 + 2

    def answer_close(self):
        """The server's, which is on its way."""
        assert raw.receive(self.peer, len(raw.STOPPING)) == raw.STOPPING
        self.peer.sendall(raw.frame(raw.CLOSE, b"\x03\xe9"))

    def forget(self):
        """What it has done so far was before the recording."""
        self.messages = self.bytes = 0
        return self


class RecordTest(WeirTest):
    def start(self, *flags, **options):
        return self.start_weir(*NEVER_HUNG, *flags, **options)

    def setUp(self):
        self.begun = self.ended = 0

    def await_recorded_by(self, server, workers):
        """Until so many workers more have begun to record."""
        self.begun += workers
        server.await_log(r"^records its sessions$", self.begun - 1)

    def record(self, server, *words, workers=2):
        """A weirctl that records, and that so many workers have begun to tell."""
        process = subprocess.Popen(
            [WEIRCTL, "--control", server.control, "record", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.addCleanup(self.end_process, process)
        self.await_recorded_by(server, workers)
        return process

    def leave(self, clients):
        """Before their weir ends, or it would wait for their answers."""
        for client in clients:
            client.peer.close()

    def end_process(self, process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def trace(self, process, number=signal.SIGINT):
        """The rows of the trace of one that is interrupted, by client, and its comments."""
        if number:
            process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, err), (0, ""))
        lines = out.splitlines()
        self.assertEqual(lines[0], HEADER)
        self.text = out
        rows = list(csv.DictReader(io.StringIO("\n".join(x for x in lines if x[0] != "#"))))
        arrivals = [float(row["arrival_s"]) for row in rows]
        self.assertEqual(arrivals, sorted(arrivals))
        by_client = {row["client"]: row for row in rows}
        self.assertEqual(len(by_client), len(rows), out)
        return by_client, [x for x in lines if x[0] == "#"]

    def check(self, trace, clients):
        """The trace has exactly these."""
        self.assertEqual(
            {client: (int(row["messages"]), int(row["bytes"])) for client, row in trace.items()},
            {client.address: (client.messages, client.bytes) for client in clients},
        )
        for client, row in trace.items():
            self.assertGreaterEqual(float(row["lifetime_s"]), 0)
            # A worker's time for an echo: more than nothing, less than a millisecond even here.
            cost = float(row["cost_us"])
            if int(row["messages"]) > 0:
                self.assertGreater(cost, 0, client)
            else:
                self.assertEqual(cost, 0, client)

    def began(self, server):
        """Asks as weirctl does; the moment of the answer, and the pipe's reading end."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE)
            control.connect(server.control)
            control.sendall(b'{"command":"record"}\n')
            text, fds, _, _ = socket.recv_fds(control, 4096, 1)
        answer = json.loads(text)
        self.assertTrue(answer["ok"], answer)
        self.addCleanup(os.close, fds[0])
        return answer["began_ns"], fds[0]

    def end(self, server, began):
        return server.ask(json.dumps({"command": "record", "end": began}).encode())

    def pipes(self, server):
        """How many ends of pipes each worker has open."""
        return [
            sum(what.startswith("pipe:") for what in proc.descriptors(pid).values())
            for pid in server.column("pid")
        ]


class TraceTest(RecordTest):
    def test_has_each_session_once_with_what_it_did(self):
        """Those that were there, those that come and go, those that stay, one that says nothing."""
        server = self.start(workers=2)
        before = [Client(self, server, n).echo(3).forget() for n in range(1, 4)]
        process = self.record(server)
        came = [Client(self, server, n).echo(n, size=100) for n in range(10, 16)]
        for client in came[:3]:
            client.close()
        before[0].echo(5)
        before[1].echo(1).close()
        silent = Client(self, server, 30)
        last = Client(self, server, 40).echo(2)
        trace, comments = self.trace(process)
        self.assertEqual(comments, [])
        self.check(trace, [*before, *came, silent, last])
        for client in before:
            self.assertEqual(trace[client.address]["arrival_s"], "0.000000")
        self.assertGreater(
            float(trace[last.address]["arrival_s"]), float(trace[came[0].address]["arrival_s"])
        )
        self.assertLess(
            float(trace[came[0].address]["lifetime_s"]), float(trace[before[2].address]["lifetime_s"])
        )

    def test_has_large_messages_fragments_and_those_of_one_batch(self):
        server = self.start(workers=1)
        process = self.record(server, workers=1)
        client = Client(self, server, 1)
        large = os.urandom(300_000)
        frames = 50 * raw.frame(raw.TEXT, b"x" * 20) + raw.frame(raw.BINARY, b"abc", fin=False)
        frames += raw.frame(0, b"def") + raw.frame(raw.BINARY, large)
        client.peer.sendall(frames)
        answer = 50 * (b"\x81\x14" + b"x" * 20) + b"\x82\x06abcdef"
        answer += b"\x82\x7f" + len(large).to_bytes(8, "big") + large
        self.assertEqual(raw.receive(client.peer, len(answer)), answer)
        client.messages, client.bytes = 52, len(frames) + len(answer)
        client.close()
        trace, _ = self.trace(process)
        self.check(trace, [client])

    def test_costs_come_to_the_time_that_the_worker_had_on_its_cpu(self):
        """No more than that, and, of a worker that does nothing but echo, most of it."""
        server = self.start(workers=1)
        (worker,) = server.column("pid")
        process = self.record(server, workers=1)
        clients = [Client(self, server, n) for n in range(1, 4)]
        before = proc.cpu_nanoseconds(worker)
        for _ in range(40):
            for n, client in enumerate(clients, 1):
                client.echo(10 * n)
        trace, _ = self.trace(process)
        spent = (proc.cpu_nanoseconds(worker) - before) / 1e3
        told = sum(int(row["messages"]) * float(row["cost_us"]) for row in trace.values())
        self.assertLess(told, spent)
        self.assertGreater(told, spent / 2)
        self.check(trace, clients)

    def test_is_replayed_by_the_simulator(self):
        if not SIMULATOR:
            self.skipTest("there is no steering_sim")
        server = self.start(workers=2)
        process = self.record(server)
        for n in range(1, 41):
            Client(self, server, n).echo(n % 4).close()
        trace, _ = self.trace(process)
        self.assertEqual(len(trace), 40)
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            file.write(self.text + "# and a comment\n")
            file.flush()
            done = subprocess.run(
                [SIMULATOR, "--trace", file.name, "--workers", "2",
                 "--policy", "least-connections,round-robin"],
                capture_output=True, text=True, timeout=PATIENCE, check=False,
            )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("trace least-connections seed 1: 40 sessions in ", done.stderr)
        self.assertIn("trace round-robin seed 1: 40 sessions in ", done.stderr)
        self.assertIn("| least-connections | ", done.stdout)


class EndTest(RecordTest):
    def test_after_the_time(self):
        server = self.start(workers=2)
        client = Client(self, server, 1)
        begun = time.monotonic()
        trace, comments = self.trace(self.record(server, "--seconds", "300ms"), number=None)
        self.assertGreaterEqual(time.monotonic() - begun, 0.3)
        self.check(trace, [client])
        self.assertEqual(comments, [])

    def test_leaves_nothing_behind_however_it_comes(self):
        """By a signal, with weirctl killed, or by whoever holds the pipe closing it."""
        server = self.start(workers=2)
        before = self.pipes(server)
        rest = lambda _: self.pipes(server) == before
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.record(server)
            self.assertEqual(self.pipes(server), [n + 1 for n in before])
            self.trace(process, number)
            server.await_status(rest, "the pipes are closed")
        process = self.record(server)
        process.kill()
        server.await_status(rest, "the pipes are closed, for nobody reads")
        Client(self, server, 1).echo(1).close()
        trace, _ = self.trace(self.record(server))
        self.check(trace, [])

    def test_one_at_a_time(self):
        server = self.start(workers=2)
        process = self.record(server)
        done = server.weirctl("record", "--seconds", "1")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(
            done.stderr,
            "weirctl: a recording is under way already; it ends with the weirctl that makes it\n",
        )
        for end, error in (
            (1, "that recording is not under way; it has ended, or was never begun"),
            (
                "now",
                'expected when the recording began, as the answer to {"command":"record"} says',
            ),
        ):
            self.assertEqual(self.end(server, end), {"ok": False, "error": error})
        client = Client(self, server, 1).echo(1)
        trace, _ = self.trace(process)
        self.check(trace, [client])

    def test_what_the_pipe_has_no_room_for_is_counted(self):
        """Nobody reads: sessions go on, and what was not told is told of."""
        server = self.start(workers=1)
        began, pipe = self.began(server)
        fcntl.fcntl(pipe, F_SETPIPE_SZ, 4096)
        self.await_recorded_by(server, 1)
        count = 1_400  # of which 1,024 wait in the worker
        for _ in range(count):
            peer = raw.open_session(server.address)
            peer.sendall(raw.frame(raw.TEXT, b"hi"))
            self.assertEqual(raw.receive(peer, 4), b"\x81\x02hi")
            raw.reset(peer)
        server.await_status(lambda s: s["connections"] == 0, "all have gone")
        self.assertEqual(self.end(server, began), {"ok": True})
        os.set_blocking(pipe, True)
        with open(pipe, "rb", closefd=False) as reader:
            lines = reader.read().decode().splitlines()  # to its end
        pieces = [line for line in lines if line.startswith("s,")]
        self.assertEqual([line for line in lines if line[0] not in "sm"], [])
        (missing,) = (int(line[2:]) for line in lines if line.startswith("m,"))
        self.assertGreater(missing, 0)
        self.assertGreaterEqual(len(pieces), 1_024)
        self.assertEqual(len(pieces) + missing, count)


class ThroughTest(RecordTest):
    """Sessions that move, and workers that come and go, during a recording."""

    def test_a_session_that_moves_is_one(self):
        server = self.start(workers=2)
        early = Client(self, server, 1).echo(2).forget()
        process = self.record(server)
        clients = [early, *(Client(self, server, n).echo(3) for n in range(2, 6))]
        for source, target in ((0, 1), (1, 0), (0, 1)):
            self.assertEqual(server.weirctl("move", "10", str(source), str(target)).returncode, 0)
            server.await_status(
                lambda s, slot=source: s["workers"][slot]["connections"] == 0
                and s["connections"] == len(clients),
                "they have moved",
            )
            for client in clients:
                client.echo(2)
        clients[2].close()
        trace, comments = self.trace(process)
        self.check(trace, clients)
        self.assertEqual(comments, [])

    @needs_ebpf
    def test_workers_that_come_join_and_those_that_go_have_said_all(self):
        server = self.start(workers=1)
        process = self.record(server, workers=1)
        clients = [Client(self, server, n).echo(1) for n in range(1, 9)]

        def scale(count):
            self.assertEqual(server.weirctl("workers", str(count)).returncode, 0)
            server.await_status(
                lambda s: [w["state"] for w in s["workers"]] == ["serving"] * count
                and s["connections"] == len(clients),
                f"{count} serve",
            )

        scale(3)
        self.await_recorded_by(server, 2)
        clients += [Client(self, server, n).echo(2) for n in range(11, 17)]
        for client in clients:
            client.echo(1)
        scale(1)
        for client in clients:
            client.echo(1)
        trace, comments = self.trace(process)
        self.check(trace, clients)
        self.assertEqual(comments, [])

    @needs_ebpf
    def test_a_worker_that_dies_is_told_of_and_its_successor_joins(self):
        server = self.start("--steer", "round-robin", workers=2)
        server.expect_error(r"^slot 0: worker \d+ ended with signal 9")
        process = self.record(server)
        clients = [Client(self, server, n).echo(1) for n in range(1, 9)]
        victim = server.column("pid")[0]
        lost = proc.held_ports(victim, server.port)
        self.assertEqual(len(lost), 4)
        left = [c for c in clients if c.peer.getsockname()[1] not in lost]
        proc.kill(victim)
        self.await_recorded_by(server, 1)
        left += [Client(self, server, n).echo(1) for n in range(11, 19)]
        trace, comments = self.trace(process)
        self.check(trace, left)
        self.assertEqual(
            comments, ["# the worker of slot 0 died: what its sessions did is not told"]
        )

    def test_an_upgrade(self):
        """The new workers take the sessions over, and the recording with them."""
        server = self.start_succession(*NEVER_HUNG, workers=2)
        clients = [Client(self, server, 1).echo(1).forget()]
        process = self.record(server)
        for turn in range(2):
            clients += [Client(self, server, 10 * turn + n).echo(2) for n in range(2, 6)]
            server.upgrade()
            self.await_recorded_by(server, 2)
            for client in clients:
                client.echo(1)
        clients[1].close()
        trace, comments = self.trace(process)
        self.check(trace, clients)
        self.assertEqual(comments, [])
        trace, _ = self.trace(self.record(server))
        self.assertEqual(len(trace), len(clients) - 1)

    def test_a_masters_death_and_the_takeover(self):
        """The workers tell on, and the next master ends it, whether they are its own or others take
        over from them."""
        for more in ((), ("--idle-timeout", "77s")):
            with self.subTest(more):
                self.begun = 0
                server = self.start_succession(*NEVER_HUNG, workers=2)
                process = self.record(server)
                clients = [Client(self, server, n).echo(2) for n in range(1, 6)]
                server.kill_master()
                clients[0].echo(1).close()
                server = self.start_succession(
                    "--takeover", *NEVER_HUNG, *more, control=server.control, workers=2
                )
                if more:
                    self.begun = 0
                    self.await_recorded_by(server, 2)
                clients += [Client(self, server, n).echo(2) for n in range(6, 10)]
                for client in clients[1:]:
                    client.echo(1)
                trace, comments = self.trace(process)
                self.check(trace, clients)
                self.assertEqual(comments, [])
                self.leave(clients[1:])

    def test_who_ends_it_between_two_masters_waits_for_the_next(self):
        server = self.start_succession(*NEVER_HUNG, workers=2)
        process = self.record(server)
        clients = [Client(self, server, n).echo(2) for n in range(1, 6)]
        server.kill_master()
        process.send_signal(signal.SIGINT)
        self.start_succession("--takeover", *NEVER_HUNG, control=server.control, workers=2)
        trace, comments = self.trace(process, number=None)
        self.check(trace, clients)
        self.assertEqual(comments, [])
        self.leave(clients)

    def test_without_a_master_what_has_ended_is_told(self):
        server = self.start_succession(*NEVER_HUNG, workers=2)
        process = self.record(server)
        clients = [Client(self, server, n).echo(2) for n in range(1, 6)]
        server.kill_master()
        for client in clients[:3]:
            client.echo(1).close()
        trace, (comment,) = self.trace(process)
        self.check(trace, clients[:3])
        self.assertTrue(
            comment.startswith(
                "# sessions that are still open are missing: the master of this weir has died"
            )
        )
        self.leave(clients[3:])
        self.start_succession("--takeover", *NEVER_HUNG, control=server.control, workers=2)

    def test_the_end_of_weir(self):
        server = self.start(workers=2)
        process = self.record(server)
        clients = [Client(self, server, n).echo(2) for n in range(1, 6)]
        server.signal(signal.SIGTERM)
        for client in clients:
            client.answer_close()
        server.wait()
        trace, comments = self.trace(process, number=None)
        self.assertEqual(set(trace), {c.address for c in clients})
        self.assertEqual([int(row["messages"]) for row in trace.values()], [2] * 5)
        self.assertEqual(comments, ["# weir ended before the recording did"])


if __name__ == "__main__":
    main(lanes=4)
