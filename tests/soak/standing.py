"""Standing sessions: they stay open and echo on, every byte checked (harness/talkers.py), in one
thread. One that was lost or closed with an excuse, or was hung up, comes again."""

import queue
import random
import selectors
import socket
import threading
import time

from harness import raw
from harness.environment import PATIENCE
from harness.talkers import Closed, Talker
from excuses import RESTART
from failure import Failed, connect

THINKS = 0.05  # seconds between two messages of a session, at most


class Standing(Talker):
    def __init__(self, peer, number, dice, opened_at):
        self.opened_at = opened_at
        self.next_at = 0.0
        super().__init__(peer, number, number % 4 == 0, dice)

    def go_on(self, readable, talks):
        """As step(), with a pause for thought before each message. Whether it wants to write."""
        now = time.monotonic()
        more = talks and now >= self.next_at
        if more:
            self.next_at = now + self.dice.random() * THINKS
        return self.step(readable, more)


class StandingSessions:
    """So many. They are opened by a thread of its own: a connect waits where weir lets it wait."""

    def __init__(self, address, excuses, count, seed):
        self._address, self._excuses, self._seed, self._count = address, excuses, seed, count
        self.failure = None
        self.reopened = 0
        self._exchanged_before = 0  # by those that have ended
        self._wanted, self._opened, self._hang_up = queue.Queue(), queue.Queue(), queue.Queue()
        self._talkers = {}  # by number, those that are open
        self._talks = True
        self._ending = False
        self._selector = selectors.DefaultSelector()
        self._threads = [
            threading.Thread(target=self._guarded, args=(run,), daemon=True)
            for run in (self._open_wanted, self._run)
        ]
        for number in range(count):
            self._wanted.put(number)
        for thread in self._threads:
            thread.start()

    def _guarded(self, run):
        try:
            run()
        except BaseException as failure:
            self.failure = self.failure or failure

    # --- opening --------------------------------------------------------------------------------

    def _open_wanted(self):
        while (number := self._wanted.get()) is not None:
            while (talker := self._open(number)) is None:
                pass
            self._opened.put(talker)

    def _open(self, number):
        """Nothing if it was lost before it began, with an excuse."""
        opened_at = time.monotonic()
        peer = connect(self._address)
        port = peer.getsockname()[1]
        dice = random.Random(f"{self._seed}/{number}/{self.reopened}")
        try:
            return Standing(peer, number, dice, opened_at)
        except (OSError, AssertionError) as lost:
            peer.close()
            if self._excuses.lost(port, opened_at):
                return None
            raise Failed(f"session {number}, port {port}, could not be opened: {lost!r}") from lost

    # --- talking --------------------------------------------------------------------------------

    def _run(self):
        while not self._ending:
            while not self._opened.empty():
                talker = self._opened.get()
                self._talkers[talker.number] = talker
                self._selector.register(talker.peer, selectors.EVENT_READ, talker)
            while not self._hang_up.empty():
                self._say_goodbye(self._hang_up.get())
            for key, _ in self._selector.select(0.005):
                self._step(key.data, True)
            now = time.monotonic()
            for talker in list(self._talkers.values()):
                if talker.out or (self._talks and now >= talker.next_at):
                    self._step(talker, False)

    def _step(self, talker, readable):
        try:
            talker.go_on(readable, self._talks)
        except Closed as closed:
            if not self._excuses.closed(closed.payload, talker.opened_at):
                raise Failed(f"session {talker.number}, port {talker.port}, was {closed}") from closed
            self._answer_close(talker)
            self._again(talker)
        except OSError as lost:
            if not self._excuses.lost(talker.port, talker.opened_at):
                raise Failed(f"session {talker.number}, port {talker.port}: {lost!r}") from lost
            self._again(talker)

    def _answer_close(self, talker):
        """A close that was begun in good order ends in good order: nothing comes after it but the
        end of the stream."""
        if talker.got:
            raise Failed(f"session {talker.number}: bytes followed a close frame")
        talker.peer.settimeout(PATIENCE)
        try:
            talker.peer.sendall(raw.frame(raw.CLOSE, RESTART) if not talker.out else b"")
            talker.peer.shutdown(socket.SHUT_WR)
            if raw.receive_all(talker.peer):
                raise Failed(f"session {talker.number}: bytes followed a close frame")
        except OSError as lost:
            # With half a message sent, weir may reset what it will not read.
            if not talker.out and not self._excuses.lost(talker.port, talker.opened_at):
                raise Failed(f"session {talker.number}: after its close: {lost!r}") from lost

    def _say_goodbye(self, ports):
        """These sessions end by themselves, in the midst of things, and come again."""
        for talker in [t for t in self._talkers.values() if t.port in ports]:
            self._again(talker)

    def _again(self, talker):
        self._selector.unregister(talker.peer)
        talker.peer.close()
        del self._talkers[talker.number]
        self.reopened += 1
        self._exchanged_before += talker.exchanged
        self._wanted.put(talker.number)

    # --- for the one who soaks ------------------------------------------------------------------

    def ports(self):
        return {talker.port for talker in list(self._talkers.values())}

    def hang_up(self, ports):
        self._hang_up.put(ports)

    def pause(self):
        """Returns once all are open and everything is echoed."""
        self._talks = False
        deadline = time.monotonic() + PATIENCE
        while True:
            open_now = list(self._talkers.values())
            unanswered = [t.number for t in open_now if t.due or t.out]
            if len(open_now) == self._count and not unanswered and self._hang_up.empty():
                return
            if self.failure:
                raise self.failure
            if time.monotonic() > deadline:
                raise Failed(f"{len(open_now)} sessions are open; not echoed: {unanswered}")
            time.sleep(0.005)

    def go(self):
        self._talks = True

    def exchanged(self):
        """Messages, of all that there ever were."""
        return self._exchanged_before + sum(t.exchanged for t in list(self._talkers.values()))

    def end(self):
        self._ending = True
        self._wanted.put(None)
        for thread in self._threads:
            thread.join(PATIENCE)
        for talker in self._talkers.values():
            talker.peer.close()
