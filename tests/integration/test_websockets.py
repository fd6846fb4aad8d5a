"""weir against websockets, the Python client."""

import asyncio
import signal

from websockets.exceptions import ConnectionClosed

from cases import EXCHANGES, GOODBYE, MESSAGE_MAX, SILENCE, SILENCE_FLAGS
from harness import sessions
from harness.environment import PATIENCE
from harness.suite import WeirTest, in_loop, main

PATTERN = "weir \u00df\u2202\U0001d11e "  # characters of 1, 2, 3 and 4 bytes


def message_of(kind, size):
    if kind == "binary":
        return bytes(range(251)) * (size // 251) + bytes(range(size % 251))
    pattern_bytes = len(PATTERN.encode())
    return PATTERN * (size // pattern_bytes) + "x" * (size % pattern_bytes)


async def receive(session):
    return await asyncio.wait_for(session.recv(), PATIENCE)


async def closed(session):
    """The close frame that ends the session."""
    try:
        message = await receive(session)
    except ConnectionClosed as end:
        assert end.rcvd is not None, "the session ended without a close frame"
        return end.rcvd
    raise AssertionError(f"not closed, but got {message!r:.60}")


async def expect_close(session, code):
    end = await closed(session)
    assert end.code == code, f"closed with {end.code}: {end.reason}"
    return end


async def pieces_of(session, message, piece, with_pings):
    """`message` for a fragmented send; this client cuts a text between characters."""
    for at in range(0, len(message), piece):
        yield message[at : at + piece]
        if with_pings:
            await session.ping(f"after {at}".encode())
    yield message[:0]


async def echo(session, kind, size):
    await sessions.echo(session, message_of(kind, int(size)))


async def pieces(session, kind, size, piece, with_pings=False):
    message = message_of(kind, int(size))
    await session.send(pieces_of(session, message, int(piece), with_pings))
    assert await receive(session) == message, "came back different"


async def interleaved(session, *words):
    await pieces(session, *words, with_pings=True)


async def pipeline(session, count):
    for i in range(int(count)):
        await session.send(f"number {i}")
    for i in range(int(count)):
        answer = await receive(session)
        assert answer == f"number {i}", f"{answer} came in place of {i}"


async def ping(session, size):
    pong = await session.ping(b"p" * int(size))  # websockets matches the pong by its bytes
    await asyncio.wait_for(pong, PATIENCE)


async def silent(session, milliseconds):
    await asyncio.sleep(int(milliseconds) / 1000)
    await sessions.echo(session, "still here")


async def close(session, code, *reason):
    await session.close(int(code), " ".join(reason))
    assert session.close_rcvd.code == int(code), session.close_rcvd


async def oversized(session, size, piece):
    message = message_of("binary", int(size))
    fragmented = int(piece) > 0
    await session.send(pieces_of(session, message, int(piece), False) if fragmented else message)
    await expect_close(session, 1009)


async def invalid_text(session):
    await session.write_frame(True, 1, b"good so far \xc3(")  # send() takes a str only
    await expect_close(session, 1007)


CASES = {
    "echo": echo,
    "pieces": pieces,
    "interleaved": interleaved,
    "pipeline": pipeline,
    "ping": ping,
    "silent": silent,
    "close": close,
    "oversized": oversized,
    "invalid-text": invalid_text,
}


class WebsocketsTest(WeirTest):
    async def go_through(self, table, *flags):
        server = self.start_weir(*flags)
        for sentence, case in table:
            name, *words = case.split(" ")
            with self.subTest(sentence):
                session = await sessions.connect(server.address)
                try:
                    await CASES[name](session, *words)
                finally:
                    await session.close()

    @in_loop
    async def test_every_exchange_comes_out_as_the_rfc_says(self):
        """Echoes of every size, fragments, pings, closes, and messages that are refused."""
        await self.go_through(EXCHANGES, "--max-message-size", str(MESSAGE_MAX))

    @in_loop
    async def test_pings_keep_a_silent_session_alive(self):
        """The server's pings reach the client, and its pongs count as signs of life."""
        await self.go_through(SILENCE, *SILENCE_FLAGS)

    @in_loop
    async def test_the_server_closes_with_a_code_and_a_reason(self):
        """SIGTERM: the client is told 1001 and why."""
        server = self.start_weir()
        session = await sessions.connect(server.address)
        server.signal(signal.SIGTERM)
        _, code, *reason = GOODBYE.split(" ")
        end = await expect_close(session, int(code))
        self.assertEqual(end.reason, " ".join(reason))


if __name__ == "__main__":
    main()
