"""A worker is killed: what it had accepted is lost, and nothing else is, not even what waits in
its queue. Its successor serves from the same listener."""

import asyncio
import os
import signal
import time

from websockets.exceptions import ConnectionClosed

from harness import proc, raw, sessions
from harness.environment import PATIENCE, SANITIZED, scaled
from harness.storm import Storm
from harness.suite import WeirTest, in_loop, main, needs_ebpf

NEVER_HUNG = ("--hang-threshold", "0")  # so that a stopped worker goes on being steered to
VICTIM = 2  # its slot

ENDED = r"^slot 2: worker \d+ ended with signal 9 \(Killed\); its successor starts now$"


def await_successor(server, dead):
    """The slot's row, once another process serves it."""
    return server.await_status(
        lambda seen: seen["workers"][VICTIM]["pid"] not in (0, dead)
        and seen["workers"][VICTIM]["state"] == "serving",
        "the slot is served again",
    )["workers"][VICTIM]


class Talker:
    """A session that exchanges numbered messages all the time."""

    def __init__(self, session):
        self.port = sessions.local_port(session)
        self.exchanged = 0
        self.broken = False
        self._session = session
        self._stop = False
        self._task = asyncio.create_task(self._talk())

    async def _talk(self):
        try:
            while not self._stop:
                await sessions.echo(self._session, f"from {self.port}: {self.exchanged}")
                self.exchanged += 1
                await asyncio.sleep(0.002)  # the pace, so that the machine has time for the rest
        except ConnectionClosed:
            self.broken = True

    async def more(self):
        """Returns once it has exchanged more than by now."""
        seen = self.exchanged
        deadline = time.monotonic() + PATIENCE
        while self.exchanged == seen:
            assert time.monotonic() < deadline, f"the session of port {self.port} stands still"
            await asyncio.sleep(0.005)

    async def breaks(self):
        """Returns once it has: the kernel closes what a dead worker's ring holds in its own time."""
        deadline = time.monotonic() + PATIENCE
        while not self.broken:
            assert time.monotonic() < deadline, f"the session of port {self.port} goes on"
            await asyncio.sleep(0.005)

    async def end(self):
        self._stop = True
        await self._task
        await self._session.close()


class CrashTest(WeirTest):
    @needs_ebpf
    @in_loop
    async def test_what_waits_in_the_queue_is_served_by_the_successor(self):
        """Connections that the kernel had queued for the worker when it was killed: all of them
        complete their handshake and are echoed, none is reset."""
        server = self.start_weir(*NEVER_HUNG)
        server.expect_error(ENDED)
        victim = server.workers()[VICTIM]["pid"]
        os.kill(victim, signal.SIGSTOP)
        proc.await_stopped(victim)
        arriving = [asyncio.create_task(sessions.connect(server.address)) for _ in range(100)]
        queued = await asyncio.to_thread(
            server.await_status,
            lambda seen: [w["queued"] for w in seen["workers"]] == [0, 0, 25, 0]
            and seen["connections"] == 75,
            "a quarter waits for the stopped worker",
        )
        self.assertEqual(queued["workers"][VICTIM]["assigned"], 25)
        await asyncio.to_thread(proc.kill, victim)
        crowd = await asyncio.gather(*arriving)
        await asyncio.gather(*(sessions.echo(s, f"message {i}") for i, s in enumerate(crowd)))
        slot = await asyncio.to_thread(await_successor, server, victim)
        self.assertEqual(slot["connections"], 25)
        await sessions.close_all(crowd)

    @needs_ebpf
    @in_loop
    async def test_only_what_it_had_accepted_is_lost(self):
        """While connections arrive and leave at a high rate, a worker is frozen, what it holds is
        noted, and it is killed. Whatever broke is among what it held: nothing failed to connect,
        nothing that was queued was reset, and the sessions of the others went on."""
        server = self.start_weir(*NEVER_HUNG)
        server.expect_error(ENDED)
        talkers = [Talker(s) for s in await sessions.connect_many(server.address, 40)]
        storm = Storm(server.address, 16)
        self.addCleanup(storm.kill)
        await self.arrivals(server, 500)

        victim = server.workers()[VICTIM]["pid"]
        os.kill(victim, signal.SIGSTOP)
        proc.await_stopped(victim)
        held = proc.held_ports(victim, server.port)
        await asyncio.to_thread(
            server.await_status, lambda s: s["workers"][VICTIM]["queued"] > 0, "some wait for it"
        )
        await asyncio.to_thread(proc.kill, victim)
        slot = await asyncio.to_thread(await_successor, server, victim)
        await self.arrivals(server, 500)
        after = server.workers()[VICTIM]
        self.assertGreater(after["accepted"], slot["accepted"], "the slot gets new connections")

        broken = await self.judge_talkers(talkers, held)
        done, failures = storm.end()
        self.assertGreater(done, scaled(900))
        strangers = [failure for failure in failures if failure.port not in held]
        self.assertEqual(strangers, [])
        self.assertEqual(len(broken), 10, "a quarter of the sessions was the victim's")

    @needs_ebpf
    @in_loop
    async def test_a_kill_at_full_speed_loses_no_connection_that_comes_after_it(self):
        """As above, without freezing it first. Every connect succeeds; what breaks had begun while
        the worker lived, and is no more than was open at once."""
        server = self.start_weir()
        server.expect_error(ENDED)
        talkers = [Talker(s) for s in await sessions.connect_many(server.address, 40)]
        width = 16
        storm = Storm(server.address, width)
        self.addCleanup(storm.kill)
        await self.arrivals(server, 500)

        victim = server.workers()[VICTIM]["pid"]
        held = proc.held_ports(victim, server.port)
        await asyncio.to_thread(proc.kill, victim)
        dead_at = time.monotonic()
        await asyncio.to_thread(await_successor, server, victim)
        await self.arrivals(server, 500)

        await self.judge_talkers(talkers, held)
        _, failures = storm.end()
        self.assertEqual([f for f in failures if f.stage == "connect"], [])
        self.assertEqual([f for f in failures if f.began_at > dead_at], [])
        self.assertLessEqual(len(failures), width)

    @needs_ebpf
    @in_loop
    async def test_kills_at_full_speed_cost_only_the_victims_sessions(self):
        """One worker after another, each once its predecessor's slot is served again, which takes
        less than 250 ms in the usual case: no connect ever fails, and what breaks had begun while
        a worker lived that was killed, no more each time than was open at once."""
        server = self.start_weir()
        server.expect_error(r"^slot \d: worker \d+ ended with signal 9 \(Killed\)")
        width = 16
        storm = Storm(server.address, width)
        self.addCleanup(storm.kill)
        await self.arrivals(server, 500)
        gaps, kills = [], []
        for round_ in range(4 if SANITIZED else 10):
            slot = round_ % 4
            seen = server.workers()[slot]
            await asyncio.to_thread(proc.kill, seen["pid"])
            kills.append(time.monotonic())
            await asyncio.to_thread(
                server.await_status,
                lambda now, slot=slot, dead=seen["pid"]: now["workers"][slot]["pid"] not in (0, dead)
                and now["workers"][slot]["state"] == "serving",
                "the slot is served again",
            )
            gaps.append(time.monotonic() - kills[-1])
            await self.arrivals(server, 200)
        _, failures = storm.end()
        self.assertEqual([f for f in failures if f.stage == "connect"], [])
        self.assertEqual([f for f in failures if f.began_at > kills[-1]], [])
        for before, after in zip([0.0, *kills], kills):
            lost = [f for f in failures if before < f.began_at <= after]
            self.assertLessEqual(len(lost), width)
        if not SANITIZED:  # which makes a fork four times as long
            self.assertLess(sorted(gaps)[len(gaps) // 2], 0.250)
        print("back after", " ".join(f"{gap * 1000:.0f}" for gap in gaps), "ms", flush=True)

    async def arrivals(self, server, count):
        """Returns once so many more connections have been accepted."""
        before = sum(server.column("accepted"))
        await asyncio.to_thread(
            server.await_status,
            lambda seen: sum(w["accepted"] for w in seen["workers"]) >= before + scaled(count),
            "connections arrive",
        )

    async def judge_talkers(self, talkers, held):
        """The sessions that broke, which have to be those of the victim, all of them."""
        sound = [talker for talker in talkers if talker.port not in held]
        lost = [talker for talker in talkers if talker.port in held]
        await asyncio.gather(*(t.more() for t in sound), *(t.breaks() for t in lost))
        broken = {talker.port for talker in talkers if talker.broken}
        self.assertEqual(broken, {t.port for t in talkers if t.port in held})
        await asyncio.gather(*(talker.end() for talker in talkers))
        return broken

    def test_repeated_crashes_are_survived(self):
        """Each successor is replaced as well, later each time, and the totals of the slot's
        messages go on from where the dead one left them."""
        server = self.start_weir("--steer-backend", "none", workers=3)
        server.expect_error(r"^slot 2: worker \d+ ended with signal 9")
        before = -1
        for _ in range(3):
            slot = server.workers()[VICTIM]
            proc.kill(slot["pid"])
            slot = await_successor(server, slot["pid"])
            while not self.echo_on(server, slot["pid"]):  # the kernel's hash picks the worker
                pass
            total = server.await_status(
                lambda seen: seen["workers"][VICTIM]["messages_out"] > before, "it is counted"
            )["workers"][VICTIM]["messages_out"]
            self.assertGreater(total, before)
            before = total
        self.assertEqual(len(server.messages("error")), 3)

    def test_without_the_program_a_dead_workers_queue_counts_once(self):
        """Where workers count what they accept, what waited for the dead one is counted by its
        successor alone: afterwards there is room for as many as the limit says."""
        limit = 4
        server = self.start_weir(
            *NEVER_HUNG, "--steer-backend", "none", "--max-connections", str(limit), workers=1
        )
        server.expect_error(r"^slot 0: worker \d+ ended with signal 9")
        victim = server.column("pid")[0]
        os.kill(victim, signal.SIGSTOP)
        proc.await_stopped(victim)
        waiting = [raw.connect(server.address) for _ in range(3)]
        server.await_status(lambda seen: seen["workers"][0]["queued"] == 3, "they wait")
        proc.kill(victim)
        server.await_status(lambda seen: seen["connections"] == 3, "its successor has them")
        for peer in waiting:
            peer.close()
        server.await_status(lambda seen: seen["connections"] == 0, "they have left")
        peers = [raw.open_session(server.address) for _ in range(limit)]
        for peer in peers:
            self.addCleanup(peer.close)
        with self.assertRaises(ConnectionError), raw.connect(server.address) as peer:
            peer.sendall(raw.request())
            raw.receive_head(peer)
        for peer in peers:
            peer.close()

    def echo_on(self, server, pid):
        """An echo by whoever gets the connection; whether it was `pid`."""
        with raw.open_session(server.address) as peer:
            peer.sendall(raw.frame(raw.TEXT, b"hello"))
            self.assertEqual(raw.receive(peer, 7), b"\x81\x05hello")
            return peer.getsockname()[1] in proc.held_ports(pid, server.port)


if __name__ == "__main__":
    main()
