"""Peer: one connection to the weir under test, byte by byte, as the cases see it.

What a case expects is compared as it comes, so that the first wrong byte fails it. What weir sends
while a case still sends is kept, so that neither waits for the other.
"""

import select
import socket
import time

import frames
from harness import raw

PATIENCE = 5.0  # seconds; no wait of a case is longer, and none comes near it when all is well

_TCP_CLOSE = 7  # the kernel's state of a connection that is over on both sides


def _brief(data):
    return f"{bytes(data[:48]).hex(' ')}{' ...' if len(data) > 48 else ''}"


class Peer:
    """`beside`: a session of the same worker that goes on echoing (Beside), or None."""

    def __init__(self, address, beside=None):
        self._address = address
        self._beside = beside
        self._socket = raw.connect(address)
        self._socket.settimeout(PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._half_closed = False
        self.upgraded = False
        self.ended = False  # the end of both directions has been seen

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def another(self):
        """One more connection to the same weir."""
        return Peer(self._address, self._beside)

    # --- the handshake --------------------------------------------------------------------------

    def open(self, *headers, path="/"):
        """Upgrades, and returns the lines of the 101."""
        self.send(raw.request(path=path, headers=headers))
        lines = self.head()
        assert lines[0] == b"HTTP/1.1 101 Switching Protocols", lines[0]
        self.upgraded = True
        return lines

    def head(self):
        """The lines of an HTTP head."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.take(1)
        return head[:-4].split(b"\r\n")

    # --- there ----------------------------------------------------------------------------------

    def send(self, data, piece=None):
        """Sends all of `data`, in writes of `piece` bytes."""
        data = memoryview(data)
        piece = piece or len(data)
        self._socket.setblocking(False)
        for at in range(0, len(data), piece or 1):
            unsent = data[at : at + piece]
            while unsent:
                try:
                    unsent = unsent[self._socket.send(unsent) :]
                except BlockingIOError:
                    self._make_way()
        self._socket.settimeout(PATIENCE)

    def _make_way(self):
        """Waits until there is room to send, and takes what comes meanwhile."""
        readable, writable, _ = select.select([self._socket], [self._socket], [], PATIENCE)
        assert readable or writable, "weir neither reads nor sends"
        if readable:
            self._received += self._socket.recv(1 << 20)

    def settle(self):
        """Returns once weir has read what was sent so far. It has when a message that was sent
        later, to the same worker, is answered: a worker takes its input in the order it came."""
        self._beside.echo()

    def send_and_settle(self, *pieces):
        """Sends the pieces so that weir reads each by itself."""
        for piece in pieces:
            self.send(piece)
            self.settle()

    # --- and back -------------------------------------------------------------------------------

    def _some(self, count):
        """1 to `count` bytes; none at the end of the stream."""
        if not self._received:
            return self._socket.recv(min(count, 1 << 20))
        piece = bytes(self._received[:count])
        del self._received[:count]
        return piece

    def take(self, count):
        """Exactly so many bytes."""
        data = bytearray()
        while len(data) < count:
            piece = self._some(count - len(data))
            assert piece, f"the stream ended after {len(data)} of {count} bytes: {_brief(data)}"
            data += piece
        return bytes(data)

    def take_frame(self):
        """The first byte and the payload of a frame that is unmasked and spells its length in the
        fewest bytes."""
        first, second = self.take(2)
        assert second < 0x80, "a masked frame"
        size = second
        if second == 126:
            size = int.from_bytes(self.take(2), "big")
            assert size > 125, f"{size} spelt in 16 bits"
        elif second == 127:
            size = int.from_bytes(self.take(8), "big")
            assert size > 65_535, f"{size} spelt in 64 bits"
        return first, self.take(size)

    def expect(self, *data):
        """These bytes next."""
        expected = memoryview(b"".join(data))
        at = 0
        while at < len(expected):
            piece = self._some(len(expected) - at)
            assert piece, f"the stream ended {at} bytes into {len(expected)} that were expected"
            assert piece == expected[at : at + len(piece)], (
                f"{at} bytes into {len(expected)} that were expected, "
                f"not {_brief(expected[at:])} but {_brief(piece)}"
            )
            at += len(piece)

    def expect_silence(self):
        """Nothing is answered to what was sent so far."""
        self.settle()
        if not self._received:
            if not self.something_within(0):
                return
            self._received += self._socket.recv(1) or b"the end"
        raise AssertionError(f"not silent: {_brief(self._received)}")

    def something_within(self, seconds):
        """Whether anything, or the end, has come, waiting for it so long."""
        return bool(self._received or select.select([self._socket], [], [], seconds)[0])

    # --- the end --------------------------------------------------------------------------------

    def expect_close(self, code, reason=b""):
        """A close frame of this code and reason (None: any), nothing after it, and the end. What is
        sent after it is taken and ignored, and brings no reset."""
        if reason is None:
            first, payload = self.take_frame()
            assert first == 0x80 | frames.CLOSE, f"not a close but {first:#x}: {_brief(payload)}"
            got = int.from_bytes(payload[:2], "big")
            assert got == code, f"closed with {got} {payload[2:]!r}, not with {code}"
            payload[2:].decode()
        else:
            self.expect(frames.server(frames.CLOSE, frames.close_payload(code, reason)))
        self.expect_end(frames.client(frames.PING, b"too late"))

    def end_ours(self):
        """Ends our direction of the stream."""
        self._socket.shutdown(socket.SHUT_WR)
        self._half_closed = True

    def say_goodbye(self):
        """Ends a session that is open: the answer to a close is the same code, and nothing else."""
        self.send(frames.close(1000))
        self.expect(frames.server(frames.CLOSE, frames.close_payload(1000)))
        self.expect_end()

    def expect_end(self, late=b""):
        """Not one byte more but the end of the stream, in good order: by a FIN, not by a reset,
        which is not brought about by `late` either; nor is it by our own end."""
        try:
            self._see_the_end(late)
        except TimeoutError:
            raise
        except OSError as error:  # of a socket that was reset, mostly
            raise AssertionError(f"not ended in good order: {error}") from error
        self.ended = True

    def _see_the_end(self, late):
        rest = self._some(1 << 20)
        assert not rest, f"after all that was expected there is {_brief(rest)}"
        if late:
            self._socket.sendall(late)
            if self._beside:
                self.settle()
        if not self._half_closed:
            self.end_ours()
        deadline = time.monotonic() + PATIENCE
        while self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _TCP_CLOSE:
            assert time.monotonic() < deadline, "our end of the stream is not acknowledged"
            time.sleep(0.001)
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        assert error == 0, f"the connection ended with error {error}"


class Beside:
    """A healthy session of the same worker. It shows that what another does to its own session is
    that one's affair, and that the worker has come round (Peer.settle())."""

    _ASKED = frames.client(frames.TEXT, b"beside")
    _ANSWERED = frames.server(frames.TEXT, b"beside")

    def __init__(self, address, path):
        self._peer = Peer(address)
        self._peer.open(path=path)

    def echo(self):
        self._peer.send(self._ASKED)
        self._peer.expect(self._ANSWERED)

    def end(self):
        try:
            self._peer.say_goodbye()
        finally:
            self.drop()

    def drop(self):
        self._peer.__exit__()
