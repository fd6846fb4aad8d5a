"""What weirctl workers refuses, and says why; what workers that come may do; and that nothing is left
of those that went."""

import os
import socket
import unittest

from harness import proc
from harness.resizing import NEVER_HUNG, NO_PROGRAM, WorkersTest
from harness.suite import main, needs_ebpf

CAP_NET_BIND_SERVICE = 10
needs_root = unittest.skipUnless(os.geteuid() == 0, "becoming another user takes root")


def passed_socket(test, address=("127.0.0.1", 0)):
    """A listening socket as a service manager makes it."""
    listener = socket.socket()
    test.addCleanup(listener.close)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(address)
    listener.listen(64)
    return listener


class RefusedTest(WorkersTest):
    def test_what_cannot_be_is_refused_and_says_why(self):
        server = self.start_weir(*NO_PROGRAM, workers=2)
        for count in (0, 1_025, 4_294_967_295):
            self.refused(server, count, f"{count} workers; choose between 1 and 1024")
        for line in (b'{"command":"workers"}', b'{"command":"workers","count":-1}'):
            self.assertEqual(
                server.ask(line),
                {
                    "ok": False,
                    "error": "expected how many workers there are to be, such as "
                    '{"command":"workers","count":8}',
                },
            )
        self.assertEqual(server.ask(b'{"command":"workers","count":2}'), {"ok": True, "workers": 2})
        self.await_workers(server, 2)

    def test_too_few_descriptors(self):
        server = self.start_weir(*NO_PROGRAM, workers=1, through=("prlimit", "--nofile=120"))
        self.refused(
            server, 40, "--workers 40 needs 312 descriptors a process, and the limit is 120; raise it "
            "(ulimit -n, or LimitNOFILE= of the unit), or start fewer workers",
        )  # fmt: skip
        self.scale(server, 4)

    def test_fewer_than_max_connections_needs(self):
        server = self.start_weir(
            *NO_PROGRAM, "--max-connections", "150", workers=4, through=("prlimit", "--nofile=120")
        )
        self.refused(
            server, 1, "--max-connections 150 needs 184 descriptors a process, and the limit is 120; "
            "raise it (ulimit -n, or LimitNOFILE= of the unit), or lower it, or start more workers",
        )  # fmt: skip
        self.scale(server, 2)

    def test_a_list_of_cpus_too_short(self):
        cpu = min(os.sched_getaffinity(0))
        server = self.start_weir(*NO_PROGRAM, "--pin", f"{cpu},{cpu}", workers=1)
        self.refused(
            server, 3, "--pin names 2 CPUs for 3 workers; choose fewer workers, or start weir with a "
            "longer list or --pin auto",
        )  # fmt: skip
        self.assertEqual([w["cpu"] for w in self.scale(server, 2)["workers"]], [cpu, cpu])

    def test_what_weirctl_says(self):
        server = self.start_weir(*NO_PROGRAM, "--weights", "2,1", workers=2)
        done = server.weirctl("workers", "4")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertTrue(done.stderr.startswith("weirctl: --weights names a weight for each"), done)
        done = server.weirctl("workers", "0")
        self.assertEqual(
            (done.returncode, done.stdout, done.stderr),
            (2, "", "weirctl: workers: '0' is not accepted: expected how many workers, 1 to 1024\n"),
        )

    def test_weights(self):
        server = self.start_weir(*NO_PROGRAM, "--weights", "2,1", workers=2)
        self.refused(
            server, 3, "--weights names a weight for each of 2 workers, and none for 3; start weir anew "
            "with as many weights, or without",
        )  # fmt: skip
        self.assertEqual(server.ask(b'{"command":"workers","count":2}'), {"ok": True, "workers": 2})


class PassedTest(WorkersTest):
    """Sockets of a service manager, which holds them open as well."""

    def passed(self, count):
        sockets = [passed_socket(self)]
        while len(sockets) < count:
            sockets.append(passed_socket(self, address=sockets[0].getsockname()))
        return [(each, "plain") for each in sockets]

    @needs_ebpf
    def test_none_of_them_is_given_up(self):
        server = self.start_weir(*NEVER_HUNG, passed=self.passed(2), listen=(), workers=2)
        self.refused(
            server, 1, "1 workers for 2 sockets that were passed; choose at least as many; whoever "
            "passed them holds them open",
        )  # fmt: skip
        peers = self.open_sessions(server, 20)
        self.scale(server, 5)
        self.scale(server, 2)
        self.echo_all(peers)

    @needs_root
    def test_beside_anothers_socket_there_can_be_no_more(self):
        """And all is as it was: the first worker goes on alone."""
        user = ("setpriv", "--reuid", "65534", "--clear-groups")
        server = self.start_weir(
            *NO_PROGRAM, passed=self.passed(1), listen=(), workers=1, through=user, owner=65534
        )
        held = len(server.descriptors(server.pid))
        for _ in range(3):
            self.refused(
                server, 3, f"cannot listen on 127.0.0.1:{server.port} beside the socket that was passed: "
                "it is another user's; have one socket for each worker passed (3, not 1), or run weir "
                "as the user that makes it, with --user for its workers",
            )  # fmt: skip
        self.await_workers(server, 1)
        self.echo_all(self.open_sessions(server, 20))
        self.assertEqual(len(server.descriptors(server.pid)), held)


@needs_root
class PrivilegeTest(WorkersTest):
    def test_a_port_below_1024_is_listened_on_again_after_privileges_are_gone(self):
        port = next(p for p in range(1_023, 600, -1) if self.is_free(p))
        server = self.start_weir(*NO_PROGRAM, listen=(f"127.0.0.1:{port}",), workers=1)
        self.scale(server, 3)
        self.echo_all(self.open_sessions(server, 20))
        self.assertEqual(proc.capabilities(server.pid) - {proc.CAP_IPC_LOCK}, {CAP_NET_BIND_SERVICE})
        for pid in server.column("pid"):
            self.assertEqual(proc.capabilities(pid), set())

    def is_free(self, port):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
        return True

    def test_workers_that_come_run_as_the_user_too(self):
        server = self.start_weir(*NO_PROGRAM, "--user", "nobody", workers=1)
        self.scale(server, 3)
        self.scale(server, 2)
        for pid in server.column("pid"):
            self.assertEqual(set(proc.status(pid)["Uid"].split()), {"65534"})
        self.echo_all(self.open_sessions(server, 20))


class LeftoverTest(WorkersTest):
    def check_descriptors(self, rounds, *flags):
        server = self.start_weir(*NEVER_HUNG, *flags, workers=2)
        self.scale(server, 3)
        self.scale(server, 2)
        pids = [server.pid, *server.column("pid")]
        before = [sorted(server.descriptors(pid).items()) for pid in pids]
        held = [len(each) for each in before]
        for _ in range(rounds):
            self.scale(server, 9)
            self.scale(server, 2)
        self.assertEqual([server.pid, *server.column("pid")], pids)
        server.await_status(
            lambda _: [len(server.descriptors(pid)) for pid in pids] == held,
            f"{held} descriptors are held",
        )

    @needs_ebpf
    def test_after_many_rounds_as_many_descriptors_are_open_as_before(self):
        self.check_descriptors(25)

    def test_likewise_without_a_program_in_the_kernel(self):
        self.check_descriptors(2, *NO_PROGRAM)


if __name__ == "__main__":
    main(lanes=4, longest=("test_likewise_without_a_program_in_the_kernel",))
