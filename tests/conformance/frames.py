"""Frames by hand: what a client sends, right or wrong, and what weir has to answer (RFC 6455,
section 5.2). Bytes only; peer.py is who sends them."""

import functools
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NAMES = {0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}
RSV1, RSV2, RSV3 = 4, 2, 1

MASK = b"\x37\xfa\x21\x3d"  # of the RFC's examples, section 5.7


def masked(payload, mask=MASK):
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def header(opcode, size, *, fin=True, rsv=0, mask=MASK, spelt=None):
    """A frame's header. `mask`: None for a frame without; `spelt`: the bytes of the length that
    follow the second byte, 0, 2 or 8, should they not be the fewest."""
    if spelt is None:
        spelt = 0 if size < 126 else 2 if size < 65_536 else 8
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    short = {0: size, 2: 126, 8: 127}[spelt]
    length = size.to_bytes(spelt, "big") if spelt else b""
    return bytes([first, (0x80 if mask is not None else 0) | short]) + length + (mask or b"")


def client(opcode, payload=b"", *, fin=True, rsv=0, mask=MASK, spelt=None):
    """A frame of a client."""
    begin = header(opcode, len(payload), fin=fin, rsv=rsv, mask=mask, spelt=spelt)
    return begin + (payload if mask is None else masked(payload, mask))


def server(opcode, payload=b"", *, rsv=0):
    """The frame that a server has to send for this: whole, unmasked, its length in the fewest
    bytes."""
    return header(opcode, len(payload), rsv=rsv, mask=None) + payload


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


def close(code, reason=b""):
    """A client's close."""
    return client(CLOSE, close_payload(code, reason))


def fragments(opcode, payload, size, rsv=0):
    """A message as frames of `size` bytes, the last with what is left; a list."""
    return join(opcode, [payload[at : at + size] for at in range(0, len(payload), size)], rsv)


def join(opcode, pieces, rsv=0):
    """A message as a list of frames, one for each piece."""
    last = len(pieces) - 1
    return [
        client(opcode if i == 0 else CONTINUATION, piece, fin=i == last, rsv=rsv if i == 0 else 0)
        for i, piece in enumerate(pieces)
    ]


PATTERN = "weir \u00df\u2202\U0001d11e ".encode()  # characters of 1, 2, 3 and 4 bytes


@functools.lru_cache(maxsize=64)
def text(size):
    """Valid UTF-8 of exactly so many bytes."""
    return PATTERN * (size // len(PATTERN)) + b"x" * (size % len(PATTERN))


@functools.lru_cache(maxsize=64)
def binary(size):
    """Bytes that are no UTF-8, and whose period is coprime to every power of two."""
    return bytes(range(250, -1, -1)) * (size // 251) + bytes(range(size % 251))


def payload(opcode, size):
    return text(size) if opcode == TEXT else binary(size)
