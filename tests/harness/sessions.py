"""Sessions of the Python client (the package websockets)."""

import asyncio

import websockets

from harness.environment import PATIENCE

# Handshakes under way at once. More would only wait for each other, and the first to time out.
OPENING = 64


def url(address, path="/"):
    host, port = address
    return f"ws://[{host}]:{port}{path}" if ":" in host else f"ws://{host}:{port}{path}"


async def connect(address, path="/", source=None):
    """A session from the address `source`. It pings only when it is told to, and takes any size."""
    options = {"local_addr": (source, 0)} if source else {}
    return await websockets.connect(
        url(address, path), ping_interval=None, max_size=None, open_timeout=PATIENCE, **options
    )


async def connect_many(address, count):
    gate = asyncio.Semaphore(OPENING)

    async def one():
        async with gate:
            return await connect(address)

    return await asyncio.gather(*(one() for _ in range(count)))


async def echo(session, message, patience=PATIENCE):
    """Sends `message` and fails unless it is what comes back."""
    await session.send(message)
    answer = await asyncio.wait_for(session.recv(), patience)
    assert answer == message, f"sent {message!r:.60}, got {answer!r:.60}"


async def close_all(sessions):
    await asyncio.gather(*(session.close() for session in sessions))


def local_port(session):
    return session.local_address[1]
