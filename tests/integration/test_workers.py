"""Workers come and go while weir runs: weirctl workers N. No session ends, no client is turned away,
no byte is wrong, whatever the workers are at."""

import os
import signal

from harness import proc, raw
from harness.certificates import Certificates, careless
from harness.comers import Comers
from harness.environment import scaled
from harness.resizing import CLASSIC, NEVER_HUNG, NO_PROGRAM, WorkersTest
from harness.suite import main, needs_ebpf
from harness.talkers import Talkers


class TrafficTest(WorkersTest):
    def check_scaling(self, *flags, begin, then):
        """Talkers that stay, and clients that come and go, through each number of workers."""
        server = self.start_weir(*NEVER_HUNG, "--compression", "dedicated", *flags, workers=begin)
        count = scaled(200)
        talkers = Talkers(self, server, count, compressed=True)
        comers = Comers(self, server, 4)
        talkers.more()
        comers.more()
        for workers in then:
            before = len(server.workers())
            self.begin(server, workers)
            states = server.column("state")
            self.assertGreaterEqual(len(states), workers)
            self.assertEqual(set(states[: min(before, workers)]), {"serving"})
            self.assertTrue(set(states[workers:]) <= {"retiring"}, states)
            self.await_workers(server, workers)
            talkers.more()
            comers.more()
            if NO_PROGRAM[0] in flags:
                self.await_all_accept(server)
        came = comers.finish()
        self.assertEqual(comers.failures, [])
        echoes = talkers.finish()
        self.assertEqual(talkers.broken(), set())
        self.await_counted(server, count)
        talkers.end()
        seen = self.await_counted(server, 0)
        print(
            f"{begin} -> {' -> '.join(map(str, then))} workers: {echoes} echoes, none wrong; {came} "
            f"clients came, none in vain, the slowest took {comers.slowest:.2f} s",
            flush=True,
        )
        # What came and went is counted, also by workers that are no more.
        self.assertEqual(seen["counters"]["upgraded"], came + count)
        self.assertEqual(seen["counters"]["rejected"], 0)

    @needs_ebpf
    def test_2_to_8_to_1_under_load(self):
        self.check_scaling(begin=2, then=(8, 1))

    @needs_ebpf
    def test_8_to_1_to_8_under_load(self):
        self.check_scaling(begin=8, then=(1, 8))

    @needs_ebpf
    def test_again_and_again(self):
        self.check_scaling(begin=3, then=(5, 2, 4, 1, 3, 1, 6, 2))

    def check_in_haste(self, *flags):
        """No number waits for the one before it, unless workers are still ending."""
        server = self.start_weir(*NEVER_HUNG, *flags, workers=2)
        talkers = Talkers(self, server, scaled(100))
        comers = Comers(self, server, 4)
        comers.more()
        for first, second in ((3, 5), (7, 6), (7, 1), (2, 8), (9, 4)):
            self.begin(server, first)
            self.begin(server, second)
            self.await_workers(server, second)
            talkers.more()
            if NO_PROGRAM[0] in flags:
                self.await_all_accept(server)
        comers.finish()
        self.assertEqual(comers.failures, [])
        talkers.finish()
        self.assertEqual(talkers.broken(), set())
        self.await_counted(server, len(talkers.all))

    @needs_ebpf
    def test_in_haste(self):
        self.check_in_haste()

    def test_in_haste_without_a_program_in_the_kernel(self):
        self.check_in_haste(*NO_PROGRAM)

    def test_in_haste_by_a_classic_program(self):
        self.check_in_haste(*CLASSIC)

    @needs_ebpf
    def test_under_a_hash_policy(self):
        self.check_scaling("--steer", "tuple-hash", begin=2, then=(6, 1, 3))

    @needs_ebpf
    def test_while_it_rebalances_by_itself(self):
        self.check_scaling("--rebalance", "auto", begin=2, then=(8, 1))

    def test_2_to_8_to_1_without_a_program_in_the_kernel(self):
        self.check_scaling(*NO_PROGRAM, begin=2, then=(8, 1))

    def test_8_to_1_to_8_without_a_program_in_the_kernel(self):
        self.check_scaling(*NO_PROGRAM, begin=8, then=(1, 8))


class GrowingTest(WorkersTest):
    @needs_ebpf
    def test_sessions_move_to_new_workers_also_while_rebalancing_is_off(self):
        server = self.start_weir(*NEVER_HUNG, "--rebalance", "off", workers=2)
        peers = self.open_sessions(server, 40)
        self.scale(server, 4)
        self.await_spread(server, [10, 10, 10, 10])
        self.echo_all(peers)

    @needs_ebpf
    def test_those_that_stay_share_what_the_others_had_evenly(self):
        server = self.start_weir(*NEVER_HUNG, "--rebalance", "off", workers=5)
        peers = self.open_sessions(server, 60)
        self.scale(server, 3)
        self.await_spread(server, [20, 20, 20])
        self.scale(server, 1)
        self.await_spread(server, [60])
        self.echo_all(peers)
        self.assertEqual(server.column("arrived"), [12 // 3 * 2 + 40])

    @needs_ebpf
    def test_by_a_hash_sessions_stay_where_they_are_when_workers_come(self):
        server = self.start_weir(*NEVER_HUNG, "--steer", "source-hash", workers=2)
        peers = self.open_sessions(server, 20)
        before = server.column("connections")
        self.scale(server, 4)
        self.assertEqual(server.column("connections"), [*before, 0, 0])
        self.echo_all(peers)

    @needs_ebpf
    def test_what_can_be_open_follows_the_number_of_workers(self):
        """Unless it was given by a flag: then it stays."""
        limit = ("prlimit", "--nofile=200")
        server = self.start_weir(*NEVER_HUNG, workers=1, through=limit)
        most = 200 - 32 - 2
        peers = self.open_sessions(server, most)
        with self.assertRaises(OSError):
            raw.connect(server.address).recv(1)
        self.scale(server, 2)
        with raw.open_session(server.address) as another:
            self.echo_all([*peers, another])
            self.refused(
                server, 1, f"{most + 1} connections are open, and 1 workers can hold {most}; raise the "
                "descriptor limit (ulimit -n), or keep more workers",
            )  # fmt: skip
        self.await_counted(server, most)
        self.scale(server, 1)
        self.echo_all(peers)


    def test_old_workers_stay_on_their_cpu_and_new_ones_have_none_where_there_are_too_few(self):
        cpus = sorted(os.sched_getaffinity(0))
        server = self.start_weir(*NO_PROGRAM, workers=1)
        seen = self.scale(server, len(cpus) + 1)
        self.assertEqual([w["cpu"] for w in seen["workers"]], [cpus[0]] + [None] * len(cpus))
        seen = self.scale(server, 1)
        self.assertEqual([w["cpu"] for w in seen["workers"]], cpus[:1])

    def test_more_listen_addresses_than_a_letter_takes_descriptors(self):
        """A worker that runs has every listener of the new one."""
        listen = [f"127.0.{1 + i // 250}.{1 + i % 250}:0" for i in range(300)]
        server = self.start_weir(*NEVER_HUNG, *NO_PROGRAM, listen=listen, workers=1)
        first = server.workers()[0]["pid"]
        held = len(proc.descriptors(first))
        self.scale(server, 2)
        server.await_status(
            lambda _: len(proc.descriptors(first)) == held + 1 + len(listen), "it has them and an inbox"
        )
        for address in (server.addresses[0], server.addresses[252], server.addresses[299]):
            with raw.open_session(address) as peer:
                self.echo_all([peer])
        self.scale(server, 1)
        server.await_status(lambda _: len(proc.descriptors(first)) == held, "it has let them go")


    @needs_ebpf
    def test_what_a_client_has_open_is_known_to_new_workers_and_forgotten_with_them(self):
        server = self.start_weir(*NEVER_HUNG, "--max-connections-per-ip", "40", workers=1)
        server.expect_error(r"^slot 2: worker \d+ ended with signal 9")
        self.scale(server, 3)
        peers = self.open_sessions(server, 40)
        with self.assertRaises(OSError):
            raw.connect(server.address).recv(1)
        victim = server.workers()[2]
        lost = proc.held_ports(victim["pid"], server.port)
        proc.kill(victim["pid"])
        self.await_workers(server, 3)
        self.scale(server, 1)
        left = [p for p in peers if p.getsockname()[1] not in lost]
        self.echo_all(left)
        self.assertGreater(len(lost), 0)
        more = [raw.open_session(server.address) for _ in lost]
        for peer in more:
            self.addCleanup(peer.close)
        with self.assertRaises(OSError):
            raw.connect(server.address).recv(1)
        self.echo_all([*left, *more])


class GoingTest(WorkersTest):
    def check_half_open(self, *flags):
        """A request of which half has come stays with its worker until it is whole; then its session
        moves as well."""
        server = self.start_weir(*NEVER_HUNG, *flags, workers=4)
        early = [raw.connect(server.address) for _ in range(12)]
        for peer in early:
            self.addCleanup(peer.close)
            peer.sendall(raw.request()[:40])
        server.await_status(lambda seen: seen["connections"] == 12, "half a request is there")
        self.begin(server, 1)
        server.await_log(r"4 workers become 1")
        going = [w for w in server.workers() if w["state"] == "retiring"]
        self.assertEqual(len(going), 3)
        for peer in early:
            peer.sendall(raw.request()[40:])
            self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
        self.await_workers(server, 1)
        self.await_counted(server, 12)
        self.echo_all(early)

    @needs_ebpf
    def test_who_is_in_the_handshake_stays(self):
        self.check_half_open()

    def test_who_is_in_the_handshake_stays_without_a_program_in_the_kernel(self):
        self.check_half_open(*NO_PROGRAM)

    def test_who_is_in_the_handshake_stays_by_a_classic_program(self):
        self.check_half_open(*CLASSIC)

    def check_queued(self, *flags):
        """Connections that wait in the queue of a worker that hangs, when it is to go."""
        server = self.start_weir(*flags, workers=2)
        hung = server.workers()[1]["pid"]
        self.freeze(hung)
        early = [raw.connect(server.address) for _ in range(20)]
        for peer in early:
            self.addCleanup(peer.close)
            peer.sendall(raw.request())
        self.begin(server, 1)
        for peer in early:
            self.assertTrue(raw.receive_head(peer).startswith(b"HTTP/1.1 101 "))
        self.assertEqual(server.column("state")[1], "retiring")
        self.echo_all(early)
        self.thaw(hung)
        self.await_workers(server, 1)
        self.await_counted(server, 20)
        self.echo_all(early)

    @needs_ebpf
    def test_what_a_hung_worker_has_queued_is_taken_by_others(self):
        self.check_queued()

    @needs_ebpf
    def test_what_a_hung_worker_has_queued_is_moved_although_nobody_covers_for_it(self):
        self.check_queued(*NEVER_HUNG)

    def test_what_a_hung_worker_has_queued_is_taken_without_a_program_in_the_kernel(self):
        self.check_queued(*NO_PROGRAM)

    def test_what_a_hung_worker_has_queued_is_taken_by_a_classic_program(self):
        self.check_queued(*CLASSIC)

    @needs_ebpf
    def test_a_worker_waits_until_all_that_can_move_has_moved(self):
        """At a rate that takes a second and more."""
        server = self.start_weir(*NEVER_HUNG, "--rebalance-rate", "20", workers=2)
        talkers = Talkers(self, server, 60)
        talkers.more()
        self.scale(server, 1)
        talkers.more()
        talkers.finish()
        self.assertEqual(talkers.broken(), set())
        self.assertEqual(server.column("arrived"), [30])

    def check_kept_off(self, *flags):
        """While a worker that hangs is to go, whoever comes is another's; what was queued before
        waits until it wakes, for nobody covers for it."""
        server = self.start_weir(*NEVER_HUNG, *flags, workers=3)
        hung = server.workers()[1:]
        for worker in hung:
            self.freeze(worker["pid"])
        self.begin(server, 1)
        self.echo_all(self.open_sessions(server, 30))
        for worker in hung:
            self.thaw(worker["pid"])
        self.await_workers(server, 1)

    @needs_ebpf
    def test_nothing_new_is_sent_to_a_worker_that_goes(self):
        self.check_kept_off()

    def test_nothing_new_is_sent_to_it_without_a_program_in_the_kernel(self):
        self.check_kept_off(*NO_PROGRAM)

    def test_nothing_new_is_sent_to_it_by_a_classic_program(self):
        self.check_kept_off(*CLASSIC)

    def check_letters(self, *flags):
        """Sessions that were posted to a worker which hangs, is to go, and is killed: not one of
        them is its own yet, and all go on with another."""
        server = self.start_weir(*NEVER_HUNG, *flags, workers=3)
        server.expect_error(r"^slot 2: worker \d+ ended with signal 9")
        talkers = Talkers(self, server, scaled(60))
        talkers.more()
        source, other, target = server.workers()
        lost = proc.held_ports(target["pid"], server.port)
        held = len(proc.descriptors(other["pid"]))
        self.freeze(target["pid"])
        server.ask(b'{"command":"move","count":1000,"from":0,"to":2}')
        server.await_status(lambda seen: seen["workers"][0]["connections"] == 0, "all are posted")
        self.begin(server, 2)
        # Its listeners are closed, and the others know: nobody is to come back for the letters.
        server.await_status(
            lambda _: len(proc.descriptors(other["pid"])) == held - 2, "its listener and inbox are gone"
        )
        proc.kill(target["pid"])
        self.await_workers(server, 2)
        talkers.more()
        talkers.finish()
        self.assertEqual(talkers.broken(), lost)
        self.await_counted(server, len(talkers.all) - len(lost))
        self.assertGreater(source["connections"], 0)

    @needs_ebpf
    def test_sessions_on_their_way_to_a_worker_that_dies_are_handed_on(self):
        self.check_letters()

    def test_sessions_on_their_way_are_handed_on_without_a_program_in_the_kernel(self):
        self.check_letters(*NO_PROGRAM)

    @needs_ebpf
    def test_what_cannot_move_is_closed_and_nothing_else(self):
        """TLS sessions, spread over the drain timeout; meanwhile no other number is taken."""
        certificates = Certificates(self).make("a")
        server = self.start_weir(
            *NEVER_HUNG, *certificates.flags("a"), "--drain-timeout", "1s",
            listen=("127.0.0.1:0", "tls:127.0.0.1:0"), workers=2,
        )  # fmt: skip
        secure = []
        for _ in range(8):
            plain = raw.connect(server.addresses[1])
            secure.append(careless().wrap_socket(plain, server_hostname="localhost"))
            self.addCleanup(secure[-1].close)
            secure[-1].sendall(raw.request())
            self.assertTrue(raw.receive_head(secure[-1]).startswith(b"HTTP/1.1 101 "))
        peers = [raw.open_session(server.address) for _ in range(8)]
        for peer in peers:
            self.addCleanup(peer.close)
        server.await_status(lambda seen: [w["connections"] for w in seen["workers"]] == [8, 8], "open")
        self.begin(server, 1)
        server.await_status(lambda seen: seen["workers"][0]["connections"] == 12, "plain ones moved")
        self.refused(
            server, 3, "the workers from slot 1 on are still ending; try again when weirctl status "
            "shows them no more",
        )  # fmt: skip
        for command, error in (
            (b'"drain","slot":1', "the worker of slot 1 is retiring; only one that serves can be drained"),
            (
                b'"move","count":1,"from":0,"to":1',
                "the worker of slot 1 is retiring; sessions move between workers that serve",
            ),
        ):
            answer = server.ask(b'{"command":%s}' % command)
            self.assertEqual(answer, {"ok": False, "error": error})
        ended = []
        for peer in secure:
            peer.settimeout(0.01)
        # Half of them are told to come back; those of the worker that stays are not.
        while len(ended) < 4:
            for peer in [p for p in secure if p not in ended]:
                try:
                    self.assertEqual(raw.receive(peer, 2), b"\x88\x16")
                except TimeoutError:
                    continue
                peer.settimeout(5)
                self.assertEqual(raw.receive(peer, 22), b"\x03\xf4server is restarting")
                peer.sendall(raw.frame(raw.CLOSE, b"\x03\xf4"))
                ended.append(peer)
        self.await_workers(server, 1)
        self.echo_all(peers)
        left = [p for p in secure if p not in ended]
        for peer in left:
            peer.settimeout(10)
        self.echo_all(left)


class StopTest(WorkersTest):
    def check_stop(self, *flags):
        """While workers go, and while they come."""
        server = self.start_weir(*NEVER_HUNG, *flags, workers=3)
        early = raw.connect(server.address)
        self.addCleanup(early.close)
        early.sendall(raw.request()[:40])
        server.await_status(lambda seen: seen["connections"] == 1, "half a request is there")
        self.begin(server, 1)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        server = self.start_weir(*NEVER_HUNG, *flags, workers=1)
        self.begin(server, 9)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)

    @needs_ebpf
    def test_it_can_be_stopped_in_the_midst(self):
        self.check_stop()

    def test_it_can_be_stopped_in_the_midst_without_a_program_in_the_kernel(self):
        self.check_stop(*NO_PROGRAM)

    def test_it_can_be_stopped_in_the_midst_by_a_classic_program(self):
        self.check_stop(*CLASSIC)


class CrashTest(WorkersTest):
    def check_crash(self, *flags):
        """A worker that dies while it is to go takes its own sessions with it, and nothing else."""
        server = self.start_weir(*NEVER_HUNG, "--rebalance-rate", "20", *flags, workers=2)
        server.expect_error(r"^slot 1: worker \d+ ended with signal 9")
        talkers = Talkers(self, server, 80)
        comers = Comers(self, server, 2)
        talkers.more()
        self.begin(server, 1)
        victim = server.workers()[1]["pid"]
        self.freeze(victim)
        lost = proc.held_ports(victim, server.port)
        proc.kill(victim)
        self.await_workers(server, 1)
        talkers.more()
        came = comers.finish()
        talkers.finish()
        # A client that was just being served there is lost with it.
        self.assertLessEqual(len(comers.failures), 2, comers.failures)
        self.assertGreater(came, 0)
        self.assertLessEqual(talkers.broken(), lost)
        self.assertGreater(len(talkers.broken()), 0)
        self.await_counted(server, len(talkers.all) - len(talkers.broken()))

    @needs_ebpf
    def test_one_that_dies_while_it_is_to_go(self):
        self.check_crash()

    def test_one_that_dies_while_it_is_to_go_without_a_program_in_the_kernel(self):
        self.check_crash(*NO_PROGRAM)

    def test_one_that_dies_while_it_is_to_go_by_a_classic_program(self):
        self.check_crash(*CLASSIC)


if __name__ == "__main__":
    main(
        lanes=5,
        longest=(
            "test_in_haste_without_a_program_in_the_kernel",
            "test_what_cannot_move_is_closed_and_nothing_else",
        ),
    )
