#!/usr/bin/env python3
"""One WebSocket echo with the standard library alone: connects, upgrades, sends a text and expects
it back, closes. Exits 0, or says what came instead.

Usage: echo_client.py HOST PORT
"""

import base64
import hashlib
import os
import socket
import struct
import sys

ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
TIMEOUT = 10  # seconds, for each step
TEXT, CLOSE = 0x81, 0x88  # final frames


def expect(condition, what):
    if not condition:
        sys.exit(f"echo_client: {what}")


def frame(kind, payload):
    """A masked frame; the payload is shorter than 126 bytes."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes([kind, 0x80 | len(payload)]) + mask + masked


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        expect(piece, "the server closed the connection")
        data += piece
    return data


def read_frame(connection):
    kind, length = read_exactly(connection, 2)
    expect(length < 126, f"a masked or long frame: {length:#x}")
    return kind, read_exactly(connection, length)


def upgrade(connection, host, port):
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    response = b""
    while not response.endswith(b"\r\n\r\n"):
        response += read_exactly(connection, 1)
    status, *headers = response.decode().split("\r\n")
    expect(status.startswith("HTTP/1.1 101 "), f"no upgrade: {status}")
    accept = base64.b64encode(hashlib.sha1((key + ACCEPT_GUID).encode()).digest()).decode()
    expect(f"sec-websocket-accept: {accept}".lower() in [h.lower() for h in headers],
           f"no Sec-WebSocket-Accept for {key}: {headers}")


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    with socket.create_connection((host, port), timeout=TIMEOUT) as connection:
        upgrade(connection, host, port)
        connection.sendall(frame(TEXT, b"over the weir"))
        answer = read_frame(connection)
        expect(answer == (TEXT, b"over the weir"), f"not what was sent: {answer}")
        connection.sendall(frame(CLOSE, struct.pack(">H", 1000)))
        answer = read_frame(connection)
        expect(answer[0] == CLOSE and answer[1][:2] == struct.pack(">H", 1000),
               f"no close: {answer}")


if __name__ == "__main__":
    main()
