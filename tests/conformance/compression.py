"""permessage-deflate by hand (RFC 7692): what a client compresses, and a strict reading of what weir
compresses. Python's zlib does the DEFLATE; the rules around it are here."""

import dataclasses
import random
import zlib

import frames

TAIL = b"\0\0\xff\xff"  # what a sender removes and a receiver adds (7.2.1, 7.2.2)

SHARED_ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@dataclasses.dataclass(frozen=True)
class Terms:
    """What was agreed for one connection."""

    server_takeover: bool
    client_takeover: bool
    server_bits: int
    client_bits: int


def terms_of(answer):
    """What the value of Sec-WebSocket-Extensions in a 101 says."""
    name, *parameters = [word.strip() for word in answer.split(";")]
    assert name == "permessage-deflate", answer
    said = dict(parameter.partition("=")[::2] for parameter in parameters)
    assert len(said) == len(parameters), f"a parameter twice: {answer}"
    terms = Terms(
        server_takeover=said.pop("server_no_context_takeover", None) is None,
        client_takeover=said.pop("client_no_context_takeover", None) is None,
        server_bits=int(said.pop("server_max_window_bits", 15)),
        client_bits=int(said.pop("client_max_window_bits", 15)),
    )
    assert not said, f"what is this: {answer}"
    return terms


class Codec:
    """Both directions of one connection, from the client's end."""

    def __init__(self, terms):
        self.terms = terms
        self._deflater = self._inflater = None

    def compress(self, message, level=6, strategy=zlib.Z_DEFAULT_STRATEGY):
        """The payload of a compressed message."""
        if not message:  # zlib says nothing for nothing
            return b"\0"
        if self._deflater is None or not self.terms.client_takeover:
            # zlib has no raw window of 8 bits; in one of 9 it refers back 250 bytes at most.
            bits = max(self.terms.client_bits, 9)
            self._deflater = zlib.compressobj(level, zlib.DEFLATED, -bits, 8, strategy)
        data = self._deflater.compress(message) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        assert data.endswith(TAIL)
        return data[: -len(TAIL)]

    def expand(self, payload):
        """The message of a payload of weir's. It may not refer to what it should not: further back
        than the window goes, or to an earlier message without context takeover."""
        if self._inflater is None or not self.terms.server_takeover:
            self._inflater = zlib.decompressobj(-self.terms.server_bits)
        if self.terms.server_bits == 15:
            message = self._inflater.decompress(payload + TAIL)
        else:
            message = self._expand_bytewise(payload + TAIL)
        assert not self._inflater.eof, "a final block, after which a tail means nothing"
        return message

    def _expand_bytewise(self, data):
        """zlib looks back beyond the window for what it has just written: it may write one byte."""
        message = bytearray()
        for at in range(0, len(data), 64):
            rest = data[at : at + 64]
            while piece := self._inflater.decompress(rest, 1):
                message += piece
                rest = self._inflater.unconsumed_tail
        return bytes(message)


def standing_alone(message, bits=15, level=6):
    """The payload of a compressed message that refers to no other."""
    return Codec(Terms(True, True, 15, bits)).compress(message, level)


def bomb(size, byte=b"\0"):
    """A payload that inflates to `size` bytes, a multiple of 1 MiB, made of one MiB's over and over."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflater.compress(byte * (1 << 20)) + deflater.flush(zlib.Z_FULL_FLUSH)
    return (block * (size >> 20))[: -len(TAIL)]


# --- messages -------------------------------------------------------------------------------------


def json(size):
    """Records that differ, as services send them."""
    text, number = bytearray(b"["), 0
    while len(text) < size:
        number += 1
        text += b'{"id":%d,"price":%d.%02d,"side":"%s"},' % (
            number, number * 7919 % 9973, number % 100, b"buy" if number % 3 else b"sell"
        )
    return bytes(text[:size])


def noise(size):
    """What no compressor makes smaller, and is the same each time."""
    return random.Random(size).randbytes(size)


def letters(size):
    """Text that compresses by its alphabet alone: there is next to nothing to refer back to."""
    return bytes(random.Random(size).choices(b"abcdefgh01234567", k=size))


def repeated_at(distance, size):
    """Letters that come again after so many bytes."""
    return (letters(distance) * (size // distance + 1))[:size]


# --- sessions -------------------------------------------------------------------------------------


def open_offering(peer, *values):
    """Opens a session that offers these; what is agreed to, None if weir declines."""
    lines = peer.open(*(f"Sec-WebSocket-Extensions: {value}" for value in values))
    answers = [
        line.partition(b":")[2].strip().decode()
        for line in lines
        if line.lower().startswith(b"sec-websocket-extensions:")
    ]
    assert len(answers) < 2, answers
    return answers[0] if answers else None


class Talk:
    """A session that has agreed on compression: messages out, their echoes checked."""

    def __init__(self, peer, offers, answer=None, min_size=128, may_grow=False):
        """`offers`: the value of a header line, or those of several. `answer`: what weir has to agree to, if that is known. `may_grow`: a message of at least
        `min_size` may be compressed even if that does not make it smaller."""
        got = open_offering(peer, *([offers] if isinstance(offers, str) else offers))
        assert got is not None, "weir declined"
        assert answer is None or got == answer, f"answered {got!r}, not {answer!r}"
        self.peer = peer
        self.codec = Codec(terms_of(got))
        self.last_size = 0  # of the last echo's payload on the wire
        self._min_size = min_size
        self._may_grow = may_grow

    def send(self, opcode, message, fragment=None):
        """One compressed message, in frames of `fragment` bytes if that is given."""
        payload = self.codec.compress(message)
        pieces = frames.fragments(opcode, payload, fragment or len(payload), rsv=frames.RSV1)
        self.peer.send(b"".join(pieces))

    def expect(self, opcode, message, smaller=True):
        """One message. `smaller`: there is a compressor that makes it smaller."""
        first, payload = self.peer.take_frame()
        assert first & 0x8F == 0x80 | opcode, f"a frame that begins {first:#x}"
        self.last_size = len(payload)
        is_compressed = {0: False, frames.RSV1: True}[first >> 4 & 7]
        if len(message) < self._min_size:
            assert not is_compressed, "compressed below the least size for it"
        elif smaller:
            assert is_compressed, "not compressed"
        if not is_compressed:
            assert payload == message, "another message"
            return
        assert self._may_grow or len(payload) < len(message), f"{len(message)} became {len(payload)}"
        assert self.codec.expand(payload) == message, "another message, once inflated"

    def echo(self, opcode, message, fragment=None, smaller=True):
        self.send(opcode, message, fragment)
        self.expect(opcode, message, smaller)
