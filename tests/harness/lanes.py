"""Lanes: the tests of one file side by side, each in a process of its own, for files whose tests
spend most of their time waiting: for a handshake that may still come, a drain, a timeout.

What a test does and asserts is the same as one after the other. It has only less of the machine, so
what it judges, if it judges how quickly something happens, has to be a matter of seconds. A test that
fails says so in its own words: what it printed comes out whole, once it has ended.
"""

import ctypes
import os
import signal
import sys
import tempfile
import traceback
import unittest

_PR_SET_PDEATHSIG = 1
_SKIPPED = 77  # a child's exit status


class _Lane:
    """One test, in a child that has begun it."""

    def __init__(self, test):
        self.test = test
        self._said = tempfile.TemporaryFile()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _run(test, self._said.fileno())

    def tell(self):
        self._said.seek(0)
        sys.stderr.write(self._said.read().decode(errors="replace"))
        sys.stderr.flush()
        self._said.close()


def _run(test, said):
    """In the child, which ends with it; the exit status says what came of the test."""
    status = 1
    try:
        # Should the parent be killed, this one goes too, and the weirs that it started with it.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.dup2(said, 1)
        os.dup2(said, 2)
        outcome = unittest.TextTestRunner(verbosity=2).run(unittest.TestSuite([test]))
        if outcome.wasSuccessful():
            status = _SKIPPED if outcome.skipped else 0
    except BaseException:  # here it ends in any case, and with it this process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _each(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _each(test)
        else:
            yield test


class LaneRunner:
    """What unittest.main() takes for `testRunner`. At most `lanes` tests run at a time, those of the
    names in `longest` first: nothing is left to run beside one that begins last."""

    def __init__(self, lanes, longest):
        self._lanes, self._longest = lanes, longest

    def run(self, suite):
        result = unittest.TestResult()
        is_long = lambda test: test.id().rpartition(".")[2] in self._longest
        waiting, running = sorted(_each(suite), key=is_long), {}  # the last is taken first
        while waiting or running:
            while waiting and len(running) < self._lanes:
                lane = _Lane(waiting.pop())
                running[lane.pid] = lane
            pid, status = os.wait()
            self._take(result, running.pop(pid), os.waitstatus_to_exitcode(status))
        failed = ", ".join(test.id() for test, _ in result.failures)
        print(f"{result.testsRun} tests in {self._lanes} lanes; failed: {failed or 'none'}", flush=True)
        return result

    def _take(self, result, lane, status):
        lane.tell()
        result.startTest(lane.test)
        if status == _SKIPPED:
            result.addSkip(lane.test, "it said why")
        elif status != 0:
            result.failures.append((lane.test, f"exit status {status}"))
