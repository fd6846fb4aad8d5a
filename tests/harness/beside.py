"""Beside: a well-behaved session in a process of its own, which echoes all the time while a test
does its worst, and says how long its echoes take.

Times of a shared machine jump about. What is compared are windows of many echoes, each summed up by
its 99th percentile: a server that has become slow is slow in every window, a neighbour that takes
the CPU for a moment is not. So one good window afterwards acquits, and none in many condemns.
"""

import select
import subprocess
import sys
import time

from harness import raw

WINDOW = 200  # echoes
BEFORE, AFTER = 7, 40  # windows looked at, the latter at most
SLOWER = 2.0  # times as slow is too slow
GRAIN = 200e-6  # seconds; differences below are the scheduler's


class Beside:
    """Reads its answers from the child: a session that dies or is not served ends the child."""

    def __init__(self, test, server):
        host, port = server.address
        command = [sys.executable, "-m", "harness.beside", host, str(port)]
        self._child = subprocess.Popen(
            command, cwd=sys.path[0], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        test.addCleanup(self._end)
        self._test = test
        for _ in range(2):  # warms both ends up
            self._window()
        self._before = sorted(self._window() for _ in range(BEFORE))[BEFORE // 2]

    def _window(self):
        """The 99th percentile of the next window, in seconds."""
        self._child.stdin.write("window\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise AssertionError("the session beside was not served any more")
        return float(line)

    def served(self):
        """A window of echoes comes back, however long that takes."""
        self._window()

    def assert_as_quick_as_before(self):
        limit = SLOWER * self._before + GRAIN
        seen = []
        for _ in range(AFTER):
            seen.append(self._window())
            if seen[-1] <= limit:
                return
        self._test.fail(
            f"the session beside had a p99 of {self._before * 1e6:.0f} us before, and in {AFTER} "
            f"windows after never less than {min(seen) * 1e6:.0f} us"
        )

    def _end(self):
        self._child.kill()
        self._child.communicate()


def _serve():
    """Echoes on and on, with a pause while nobody has asked for a window."""
    sent, expected = raw.frame(raw.TEXT, b"beside"), b"\x81\x06beside"
    with raw.open_session((sys.argv[1], int(sys.argv[2]))) as peer:
        times, wanted = [], False
        while True:
            began = time.perf_counter()
            peer.sendall(sent)
            assert raw.receive(peer, len(expected)) == expected
            times.append(time.perf_counter() - began)
            if not wanted and select.select([sys.stdin], [], [], 0.0005)[0]:
                if not sys.stdin.readline():
                    return
                times, wanted = [], True
            if wanted and len(times) == WINDOW:
                print(sorted(times)[WINDOW * 99 // 100], flush=True)
                times, wanted = [], False
            elif not wanted:
                times.clear()


if __name__ == "__main__":
    _serve()
