"""Bytes by hand, for what no client library would send, and to see what weir really sends."""

import socket
import struct

from harness.environment import PATIENCE

# RFC 6455, section 1.3: this key, and the answer it has to get.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
# What weir closes sessions with: 1001 as it ends, 1012 as a worker is replaced.
STOPPING = b"\x88\x19\x03\xe9server is shutting down"
RESTARTING = b"\x88\x16\x03\xf4server is restarting"


def connect(address, source=None):
    return socket.create_connection(address, PATIENCE, (source, 0) if source else None)


def request(method="GET", path="/", upgrade=True, headers=()):
    """An upgrade request, or a plain one."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if upgrade:
        lines += ["Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


def receive(peer, count):
    """Exactly `count` bytes."""
    data = bytearray()
    while len(data) < count:
        piece = peer.recv(count - len(data))
        if not piece:
            raise AssertionError(f"the stream ended after {len(data)} of {count} bytes: {bytes(data)!r}")
        data += piece
    return bytes(data)


def receive_all(peer):
    """Everything up to the end of the stream, which has to be in good order: no reset."""
    data = bytearray()
    while piece := peer.recv(65_536):
        data += piece
    return bytes(data)


def receive_head(peer):
    """An HTTP head, byte by byte: what follows it belongs to somebody else."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += receive(peer, 1)
    return head


def open_session(address, source=None):
    peer = connect(address, source)
    peer.sendall(request())
    head = receive_head(peer)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return peer


def reset(peer):
    """Closes with a reset: the peer is gone, and has not said goodbye."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def header(first, size):
    """Of a client's frame with the byte `first` and a payload of `size` bytes, up to its mask."""
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65_536:
        length = b"\xfe" + struct.pack("!H", size)
    else:
        length = b"\xff" + struct.pack("!Q", size)
    return bytes([first]) + length


def frame(opcode, payload, fin=True):
    """A client's frame. The mask is all zeroes: allowed, and it leaves the payload readable."""
    return header((0x80 if fin else 0) | opcode, len(payload)) + b"\0\0\0\0" + payload


TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
