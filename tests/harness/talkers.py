"""Talkers: sessions by hand that echo all the time, in one thread, and know every byte they are due.

Each keeps a few messages under way, of random sizes, whole or in fragments, written in pieces that
end anywhere; some compress with context takeover. A message begins with who sent it and its number,
so that one that is lost, repeated, out of order or another's is told from a wrong byte.
"""

import os
import random
import selectors
import threading
import time
import zlib

from harness import raw
from harness.environment import PATIENCE

UNDER_WAY = 3  # messages of one session
LARGE = 40_000  # bytes, of one message in sixteen
SMALL = 400
_FILLER = bytes(range(256)) * 256
_DEFLATE = ("Sec-WebSocket-Extensions: permessage-deflate",)


def masked(payload, mask):
    size = len(payload)
    if not size:
        return payload
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def client_frame(first, payload):
    mask = os.urandom(4)
    return raw.header(first, len(payload)) + mask + masked(payload, mask)


class Closed(ConnectionError):
    """weir has sent a close frame, with this payload."""

    def __init__(self, payload):
        super().__init__(f"closed with {payload!r}")
        self.payload = payload


class Talker:
    """One session, on a connection that is open already. Its socket is non-blocking from here on."""

    def __init__(self, peer, number, compressed, dice):
        self.number = number
        self.dice = dice
        self.deflater = self.inflater = None
        self.peer = peer
        self.peer.sendall(raw.request(headers=_DEFLATE if compressed else ()))
        head = raw.receive_head(self.peer)
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert (b"permessage-deflate" in head) == compressed, head
        if compressed:
            assert b"no_context_takeover" not in head, head
            self.deflater = zlib.compressobj(wbits=-15)
            self.inflater = zlib.decompressobj(wbits=-15)
        self.port = self.peer.getsockname()[1]
        self.peer.setblocking(False)
        self.sent = self.exchanged = 0
        self.out = bytearray()
        self.got = bytearray()
        self.due = []  # (message, when it was made), oldest first
        self.slowest = 0.0  # seconds from making a message to its whole echo
        self.broken = None

    def make_message(self):
        size = self.dice.randrange(LARGE if self.dice.randrange(16) == 0 else SMALL)
        if self.deflater and not self.sent:
            size = LARGE  # fills both windows: from now on the session needs no more memory
        start = self.dice.randrange(256)
        message = b"%d:%d:" % (self.number, self.sent) + _FILLER[start : start + size]
        self.sent += 1
        self.due.append((message, time.monotonic()))
        payload, first = message, raw.BINARY
        if self.deflater:
            payload = self.deflater.compress(message) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
            payload, first = payload[:-4], first | 0x40
        while self.dice.randrange(3) == 0:  # a fragment, which may be empty
            cut = self.dice.randrange(len(payload) + 1)
            self.out += client_frame(first, payload[:cut])
            payload, first = payload[cut:], 0
        self.out += client_frame(first | 0x80, payload)

    def step(self, readable, more):
        """Reads what has come and writes a piece. Returns whether it wants to write more."""
        if readable:
            piece = self.peer.recv(65_536)
            if not piece:
                raise ConnectionError("the stream ended")
            self.got += piece
            while self.take_message():
                pass
        while more and len(self.due) < UNDER_WAY:
            self.make_message()
        if self.out:
            # Mostly to the end; else the rest waits for the next turn, in the middle of anything.
            piece = len(self.out) if self.dice.randrange(3) else self.dice.randrange(len(self.out)) + 1
            try:
                del self.out[: self.peer.send(memoryview(bytes(self.out[:piece])))]
            except BlockingIOError:
                pass
        return bool(self.out)

    def take_message(self):
        """Takes one whole frame of the server's, which has to be the echo that is due next."""
        if len(self.got) < 2:
            return False
        size, begin = self.got[1], 2
        if size == 126:
            begin = 4
        elif size == 127:
            begin = 10
        if len(self.got) < begin:
            return False
        if begin > 2:
            size = int.from_bytes(self.got[2:begin], "big")
        if len(self.got) < begin + size:
            return False
        first, payload = self.got[0], bytes(self.got[begin : begin + size])
        del self.got[: begin + size]
        if first == 0x88:
            raise Closed(payload)
        if first == 0xC2 and self.inflater:
            payload = self.inflater.decompress(payload + b"\0\0\xff\xff")
        elif first != 0x82:
            raise AssertionError(f"a frame that begins with {first:#x}")
        if not self.due or payload != self.due[0][0]:
            due = self.due[0][0][:40] if self.due else None
            raise AssertionError(f"{payload[:40]!r} of {len(payload)} bytes came, due was {due!r}")
        self.slowest = max(self.slowest, time.monotonic() - self.due.pop(0)[1])
        self.exchanged += 1
        return True


class Talkers:
    """So many, each fourth compressed if asked for. Ends with the test."""

    def __init__(self, test, server, count, compressed=False):
        self.all = [
            Talker(raw.connect(server.address), i, compressed and i % 4 == 0, random.Random(i))
            for i in range(count)
        ]
        self._failure = None
        self.go_on()
        test.addCleanup(self.end)

    def go_on(self):
        """After finish()."""
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self._talk()
        except BaseException as failure:  # told by whoever waits
            self._failure = failure

    def _talk(self):
        selector = selectors.DefaultSelector()
        for talker in self.all:
            selector.register(talker.peer, selectors.EVENT_READ | selectors.EVENT_WRITE, talker)
        while selector.get_map():
            for key, events in selector.select(0.1):
                talker = key.data
                try:
                    more = talker.step(bool(events & selectors.EVENT_READ), not self._stop)
                except OSError as lost:
                    talker.broken = lost
                    selector.unregister(talker.peer)
                    continue
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if more else 0)
                if wanted != key.events:
                    selector.modify(talker.peer, wanted, talker)
            if self._stop:
                for key in list(selector.get_map().values()):
                    if not key.data.due:
                        selector.unregister(key.fileobj)

    def _await(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self._failure:
                raise self._failure
            if time.monotonic() > deadline:
                raise AssertionError(what())
            time.sleep(0.005)
        if self._failure:
            raise self._failure

    def more(self, of=None):
        """Returns once each of them, or of those of these ports, that is not broken has made and
        been echoed a message more than by now."""
        chosen = [t for t in self.all if of is None or t.port in of]
        before = {t: t.sent for t in chosen}
        still = lambda: [t.number for t in chosen if not t.broken and t.exchanged <= before[t]]
        self._await(lambda: not still(), lambda: f"sessions {still()} stand still")

    def broken(self):
        """The ports of those that ended."""
        return {t.port for t in self.all if t.broken}

    def exchanged(self):
        return sum(t.exchanged for t in self.all)

    def finish(self):
        """Has everything echoed that is under way, and stops. Returns how many messages there were."""
        self._stop = True
        self._thread.join(PATIENCE)
        if self._failure:
            raise self._failure
        assert not self._thread.is_alive(), "what is under way is not echoed"
        for talker in self.all:
            assert talker.broken or (talker.exchanged == talker.sent and not talker.got), talker.number
        return self.exchanged()

    def end(self):
        self._stop = True
        for talker in self.all:
            talker.due.clear()  # of a test that failed: nobody waits for them
        self._thread.join(PATIENCE)
        for talker in self.all:
            talker.peer.close()
