"""Comers: clients that come all the time. Each connects, upgrades, has one message echoed, closes in
good order, and comes again, in a thread of its own; whatever does not go like that is kept."""

import threading
import time

from harness import raw
from harness.environment import PATIENCE


class Comers:
    """So many at once. They end with the test."""

    def __init__(self, test, server, count):
        self.failures = []
        self.slowest = 0.0  # seconds, of one visit
        self._address = server.address
        self._visits = [0] * count
        self._stop = threading.Event()
        self.go_on()
        test.addCleanup(self.finish)

    def go_on(self):
        """After finish()."""
        self._stop.clear()
        self._threads = [
            threading.Thread(target=self._come, args=(i,), daemon=True)
            for i in range(len(self._visits))
        ]
        for thread in self._threads:
            thread.start()

    def _come(self, number):
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._visit(b"%d:%d" % (number, self._visits[number]))
            except (OSError, AssertionError) as failure:
                self.failures.append(repr(failure))
            self._visits[number] += 1
            self.slowest = max(self.slowest, time.monotonic() - began)

    def _visit(self, message):
        with raw.connect(self._address) as peer:
            peer.sendall(raw.request())
            head = raw.receive_head(peer)
            assert head.startswith(b"HTTP/1.1 101 "), head
            peer.sendall(raw.frame(raw.BINARY, message) + raw.frame(raw.CLOSE, b"\x03\xe8"))
            due = bytes([0x82, len(message)]) + message + b"\x88\x02\x03\xe8"
            assert (got := raw.receive_all(peer)) == due, (got, due)

    def visits(self):
        return sum(self._visits)

    def more(self, count=50):
        """Returns once so many more have come."""
        deadline = time.monotonic() + PATIENCE
        wanted = self.visits() + count
        while self.visits() < wanted:
            if time.monotonic() > deadline:
                raise AssertionError(f"clients come no more: {self.failures[:3]}")
            time.sleep(0.005)

    def finish(self):
        """Returns how many have come in all, once the last has gone."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        return self.visits()
