"""Visitors: they connect, upgrade, echo, end in one of several ways, and come again at once; each in
a thread of its own."""

import random
import threading
import time

from harness import raw
from harness.environment import PATIENCE
from harness.talkers import Closed
from failure import Failed, connect

VISITORS = 3
CLOSE_1000 = raw.frame(raw.CLOSE, b"\x03\xe8")


def _frame_of_server(peer, payload_max=1 << 17):
    """One whole frame: first byte, payload."""
    first, size = raw.receive(peer, 2)
    if size >= 126:
        size = int.from_bytes(raw.receive(peer, 2 if size == 126 else 8), "big")
    if size > payload_max:
        raise Failed(f"a frame of {size} bytes came")
    return first, raw.receive(peer, size)


class Visitors:
    def __init__(self, address, excuses, seed):
        self._address, self._excuses = address, excuses
        self.failure = None
        self.visits = 0
        self._may_come = threading.Event()
        self._ending = False
        self._idle = threading.Semaphore(0)
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(f"{seed}/{i}"),), daemon=True)
            for i in range(VISITORS)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, dice):
        while not self._ending:
            if not self._may_come.is_set():
                self._idle.release()
                self._may_come.wait()
                continue
            try:
                self._visit(dice)
                self.visits += 1
            except BaseException as failure:
                self.failure = self.failure or failure
                return

    def _visit(self, dice):
        opened_at = time.monotonic()
        with connect(self._address) as peer:
            port = peer.getsockname()[1]
            try:
                self._talk(peer, dice)
            except Closed as closed:
                if not self._excuses.closed(closed.payload, opened_at):
                    raise Failed(f"a visitor, port {port}, was {closed}") from closed
            except (OSError, AssertionError) as lost:
                if isinstance(lost, Failed) or not self._excuses.lost(port, opened_at):
                    raise Failed(f"a visitor, port {port}, was lost: {lost!r}") from lost

    def _talk(self, peer, dice):
        peer.sendall(raw.request())
        head = raw.receive_head(peer)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Failed(f"an upgrade was answered {head!r}")
        for _ in range(dice.randrange(4)):
            payload = dice.randbytes(dice.randrange(4_000 if dice.randrange(8) == 0 else 200))
            peer.sendall(raw.frame(raw.BINARY, payload))
            self._expect(peer, 0x82, payload)
        end = dice.randrange(4)
        if end == 0:
            raw.reset(peer)
        elif end > 1:  # 1: the stream just ends
            peer.sendall(CLOSE_1000)
            self._expect(peer, 0x88, b"\x03\xe8")
            if raw.receive_all(peer):
                raise Failed("bytes followed a close frame")

    @staticmethod
    def _expect(peer, first, payload):
        got = _frame_of_server(peer)
        if got[0] == 0x88 and got != (first, payload):
            peer.sendall(CLOSE_1000)
            if raw.receive_all(peer):
                raise Failed("bytes followed a close frame")
            raise Closed(got[1])
        if got != (first, payload):
            raise Failed(f"{got[0]:#x} {got[1][:40]!r} came, due was {first:#x} {payload[:40]!r}")

    def go(self):
        self._may_come.set()

    def pause(self):
        """Returns once nobody is there."""
        self._may_come.clear()
        for _ in self._threads:
            while not self._idle.acquire(timeout=PATIENCE):
                if self.failure:
                    raise self.failure
                raise Failed(f"a visit took more than {PATIENCE:.0f} s")

    def end(self):
        self._ending = True
        self._may_come.set()
        for thread in self._threads:
            thread.join(PATIENCE)
