"""A weir of another version, as far as an upgrade goes: it takes everything over, has the old workers
hand over in no form of sessions that both know, and ends once they have."""

import array
import json
import os
import select
import socket
import struct
import sys

from harness.environment import PATIENCE

_HEAD = struct.Struct("<4sII")
_LETTER = struct.Struct("<4sIIIQ")
_HAND_OVER = 4


def _receive(channel):
    """One frame: its text and its descriptors."""
    fds = array.array("i")
    head, ancillary, _, _ = channel.recvmsg(_HEAD.size, socket.CMSG_SPACE(253 * 4))
    for _, _, data in ancillary:
        fds.frombytes(data)
    magic, size, count = _HEAD.unpack(head)
    assert magic == b"weir" and count == len(fds), head
    text = b""
    while len(text) < size:
        text += channel.recv(size - len(text))
    return text.decode(), fds


def _send(channel, text):
    channel.sendall(_HEAD.pack(b"weir", len(text), 0) + text.encode())


def main():
    workers = [int(pid) for pid in sys.argv[1].split(",")]
    channel = socket.socket(fileno=int(os.environ["WEIR_UPGRADE_FD"]))
    terms, _ = _receive(channel)
    terms = json.loads(terms)
    items = {}
    while (frame := _receive(channel))[1]:
        items.update(zip(frame[0].splitlines(), frame[1]))
    assert len(workers) == terms["workers"]
    pidfds = [os.pidfd_open(pid) for pid in workers]
    _send(channel, "ready")
    assert _receive(channel)[0] == "go"
    for slot, pid in enumerate(workers):
        with socket.socket(fileno=items[f"writer.{slot}"]) as writer:
            order = struct.pack("<iI", pid, 0)
            writer.send(_LETTER.pack(b"wbx1", _HAND_OVER, slot, 0, len(order)) + order)
    _send(channel, "in charge")
    for pidfd in pidfds:
        if not select.select([pidfd], [], [], PATIENCE)[0]:
            raise AssertionError("the old workers do not end")


if __name__ == "__main__":
    main()
