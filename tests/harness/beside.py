"""Beside: a well-behaved session in a process of its own, which echoes all the time while a test
does its worst, and says what its echoes cost.

Times of a shared machine jump about, and the neighbours' work makes each echo slower. So what is
compared, before and after, is weir against a control: a plain blocking echo beside it, asked in turn
with weir, on the CPUs that weir's worker may use. Windows of many echoes are summed up by what none
of the neighbours changes much:

    CPU     of the worker for an echo, in terms of the control's: work that is left in the loop
    sleeps  of the worker for an echo: a loop that is woken for something else
    time    of an echo, the 90th percentile, in terms of the control's: answers that are held back

A server that has become slow is so in every window, a neighbour is not. So one good window
afterwards acquits, and none in many condemns.
"""

import json
import os
import select
import socket
import subprocess
import sys
import time
from typing import NamedTuple

from harness import proc, raw

WINDOW = 200  # echoes
BEFORE, AFTER = 9, 40  # windows looked at, the latter at most


class Window(NamedTuple):
    cpu: float  # of weir's worker for an echo, over that of the control
    sleeps: float  # of weir's worker for an echo
    time: float  # 90th percentile of weir's echoes over that of the control's


# How much more than before is too much: times as much, and what is added to that.
LIMITS = Window(cpu=(1.3, 0.1), sleeps=(1.0, 0.2), time=(1.5, 0.3))


class Beside:
    """Of a weir with one worker. Reads its answers from the child: a session that dies or is not
    served ends the child."""

    def __init__(self, test, server):
        host, port = server.address
        worker = server.workers()[0]["pid"]
        command = [sys.executable, "-m", "harness.beside", host, str(port), str(worker)]
        self._child = subprocess.Popen(
            command, cwd=sys.path[0], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        test.addCleanup(self._end)
        self._test = test
        for _ in range(2):  # warms both ends up
            self._window()
        before = [self._window() for _ in range(BEFORE)]
        self._before = Window(*(sorted(figures)[BEFORE // 2] for figures in zip(*before)))

    def _window(self):
        self._child.stdin.write("window\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise AssertionError("the session beside was not served any more")
        return Window(*json.loads(line))

    def served(self):
        """A window of echoes comes back, however long that takes."""
        self._window()

    def assert_as_quick_as_before(self):
        limit = Window(
            *(before * times + more for before, (times, more) in zip(self._before, LIMITS))
        )
        seen = []
        for _ in range(AFTER):
            seen.append(self._window())
            if all(figure <= most for figure, most in zip(seen[-1], limit)):
                return
        least = Window(*(min(figures) for figures in zip(*seen)))
        self._test.fail(
            f"the session beside is served worse than before, in each of {AFTER} windows; before: "
            f"{self._before}, allowed: {limit}, the least seen: {least}"
        )

    def _end(self):
        self._child.kill()
        self._child.communicate()


# --- the child -----------------------------------------------------------------------------------


def _control(cpus):
    """A socket to a process that echoes what comes on it, and ends with it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pid = os.fork()
        if pid == 0:
            os.sched_setaffinity(0, cpus)
            with listener.accept()[0] as peer:
                while data := peer.recv(4096):
                    peer.sendall(data)
            os._exit(0)
        return pid, socket.create_connection(listener.getsockname())


def _echo(peer, sent, expected):
    """How long it took, in seconds."""
    began = time.perf_counter()
    peer.sendall(sent)
    assert raw.receive(peer, len(expected)) == expected
    return time.perf_counter() - began


def _p90(times):
    return sorted(times)[len(times) * 9 // 10]


def _measure(weir, worker, control, control_pid):
    """One window."""
    cpu = proc.cpu_nanoseconds(worker), proc.cpu_nanoseconds(control_pid)
    sleeps = proc.sleeps(worker)
    times, control_times = [], []
    for _ in range(WINDOW):
        times.append(weir())
        control_times.append(control())
    spent = proc.cpu_nanoseconds(worker) - cpu[0]
    spent_by_control = proc.cpu_nanoseconds(control_pid) - cpu[1]
    return Window(
        cpu=spent / spent_by_control,
        sleeps=(proc.sleeps(worker) - sleeps) / WINDOW,
        time=_p90(times) / _p90(control_times),
    )


def _serve(host, port, worker):
    """Echoes on and on, with a pause while nobody has asked for a window."""
    control_pid, control_peer = _control(os.sched_getaffinity(worker))
    control = lambda: _echo(control_peer, b"control", b"control")
    with raw.open_session((host, port)) as peer:
        weir = lambda: _echo(peer, raw.frame(raw.TEXT, b"beside"), b"\x81\x06beside")
        while True:
            weir()
            if select.select([sys.stdin], [], [], 0.0005)[0]:
                if not sys.stdin.readline():
                    return
                print(json.dumps(_measure(weir, worker, control, control_pid)), flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
