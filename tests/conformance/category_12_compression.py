"""12: permessage-deflate (RFC 7692): messages of all sizes and kinds, both ways, with what a client
offers that has no wishes. How the compressor's bytes look is its own affair; that they are one frame,
marked, within what was agreed, and not larger than the message, is not."""

from compression import Talk, json, letters, noise, open_offering, repeated_at
from frames import BINARY, CONTINUATION, PING, PONG, RSV1, TEXT, client, join, server, text
from table import RESERVED_BIT, Case, Group

SHARED = ()  # as weir is if nothing is said
DEDICATED = ("--compression", "dedicated")
OFF = ("--compression", "off")
MIN_1 = ("--compression-min-size", "1")
MIN_1_DEDICATED = (*DEDICATED, *MIN_1)
MIN_4K = ("--compression-min-size", "4KiB")

SIZES = (16, 64, 256, 1_024, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072)
IN_FRAMES = ((8_192, 256), (16_384, 512), (32_768, 1_024), (65_536, 2_048), (131_072, 4_096))

# What is said, of which opcode, and whether it can be made smaller.
KINDS = (
    ("12.1", "JSON", TEXT, json, True),
    ("12.2", "text of all widths", TEXT, text, True),
    ("12.3", "a repeated block", BINARY, lambda size: repeated_at(200, size), True),
    ("12.4", "noise", BINARY, noise, False),
    ("12.5", "zeroes", BINARY, bytes, True),
)

MESSAGES = 5  # of each case, so that what is left of one is seen in the next


def echoes(opcode, make, size, smaller, fragment=None, may_grow=False):
    def script(peer):
        message = make(size)
        talk = Talk(peer, "permessage-deflate", may_grow=may_grow)
        for _ in range(MESSAGES):
            talk.echo(opcode, message, fragment, smaller and size > 200)

    return script


def sizes(what, opcode, make, smaller):
    for size in SIZES:
        yield Case(
            f"{MESSAGES} messages of {size:,} bytes, {what}, come back",
            echoes(opcode, make, size, smaller),
        )
    for size, fragment in IN_FRAMES:
        yield Case(
            f"{MESSAGES} messages of {size:,} bytes, {what}, compressed in frames of {fragment:,}, come back",
            echoes(opcode, make, size, smaller, fragment),
        )


def dedicated():
    for _, what, opcode, make, smaller in KINDS:
        for size in (16, 256, 4_096, 65_536):
            yield Case(
                f"{MESSAGES} messages of {size:,} bytes, {what}, come back from a context of their own",
                echoes(opcode, make, size, smaller, may_grow=True),
            )
    yield Case(
        "the same message again is told by a reference to the first",
        takes_over,
    )
    yield Case(
        "an answer to what came uncompressed is compressed all the same",
        answers_plain_compressed,
    )


def takes_over(peer):
    talk = Talk(peer, "permessage-deflate", "permessage-deflate", may_grow=True)
    message = letters(1_000)
    talk.echo(BINARY, message)
    first = talk.last_size
    talk.echo(BINARY, message)
    assert first > 450 and talk.last_size < 50, f"{first} bytes, then {talk.last_size}"


def answers_plain_compressed(peer):
    talk = Talk(peer, "permessage-deflate")
    peer.send(client(TEXT, json(1_000)))
    talk.expect(TEXT, json(1_000))


def least_size(least, sizes, may_grow=False):
    """Echoes around the least size that is compressed."""

    def around(size):
        def script(peer):
            talk = Talk(peer, "permessage-deflate", min_size=least, may_grow=may_grow)
            for _ in range(3):
                talk.echo(TEXT, b"a" * size)

        return script

    for size in sizes:
        how = "as they are" if size < least else "compressed"
        yield Case(f"with a least size of {least:,}, {size:,} bytes come back {how}", around(size))


def not_smaller():
    """Messages that stand alone are compressed only where that makes them smaller."""

    def script_for(message, smaller):
        def script(peer):
            Talk(peer, "permessage-deflate", min_size=1).echo(BINARY, message, smaller=smaller)

        return script

    for message in (b"a", b"ab", b"Hello", noise(20), noise(500)):
        name = message if len(message) < 10 else f"{len(message)} bytes of noise"
        yield Case(f"{name!r} would not get smaller, and comes back as it is", script_for(message, False))
    for size in (30, 127, 1_000):
        yield Case(f"{size:,} bytes of the same get smaller", script_for(b"a" * size, True))


def exact(sent, answer):
    """Of a session with compression: these bytes there, those back."""

    def script(peer):
        Talk(peer, "permessage-deflate")
        peer.send(b"".join(sent))
        peer.expect(*answer)

    return script


HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"  # RFC 7692, 7.2.3.1
ECHO = server(TEXT, b"Hello")


def compressed(payload, opcode=TEXT):
    return client(opcode, payload, rsv=RSV1)


# What section 7.2.3 of RFC 7692 prints, and what follows from it. Answers of 5 bytes are below the
# least size that is compressed, so that they are known to the byte.
EXAMPLES = (
    Case("a block of fixed codes is read", exact([compressed(HELLO)], [ECHO])),
    Case(
        "a block of no compression is read",
        exact([compressed(b"\x00\x05\x00\xfa\xffHello\x00")], [ECHO]),
    ),
    Case("a final block is read", exact([compressed(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00")], [ECHO])),
    Case(
        "two blocks are read",
        exact([compressed(b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")], [ECHO]),
    ),
    Case("an empty message is one byte", exact([compressed(b"\0")], [server(TEXT)])),
    Case("a message may be in two frames", exact(join(TEXT, [HELLO[:3], HELLO[3:]], RSV1), [ECHO])),
    Case(
        "a message may be in a frame for each byte",
        exact(join(TEXT, [HELLO[i : i + 1] for i in range(len(HELLO))], RSV1), [ECHO]),
    ),
    Case(
        "an empty first frame carries the mark",
        exact(join(TEXT, [b"", HELLO], RSV1), [ECHO]),
    ),
    Case(
        "empty frames between and behind are nothing",
        exact(join(TEXT, [HELLO[:2], b"", HELLO[2:], b""], RSV1), [ECHO]),
    ),
    Case(
        "compressed and plain messages may take turns",
        exact([compressed(HELLO), client(TEXT, b"plain")] * 10, [ECHO, server(TEXT, b"plain")] * 10),
    ),
    Case(
        "a ping between compressed frames is answered at once, as it is",
        exact(
            [
                client(TEXT, HELLO[:3], fin=False, rsv=RSV1),
                client(PING, b"now"),
                client(CONTINUATION, HELLO[3:]),
            ],
            [server(PONG, b"now"), ECHO],
        ),
    ),
    Case(
        "a final block is no end of the compression: the next message is read as well",
        exact([compressed(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), compressed(HELLO)], [ECHO, ECHO]),
    ),
    Case(
        "a hundred messages in one write are all answered",
        exact([compressed(HELLO)] * 100, [ECHO] * 100),
    ),
    Case(
        "a message of many empty blocks is an empty message",
        exact([compressed(b"\0\0\0\xff\xff" * 1_000 + b"\0")], [server(TEXT)]),
    ),
)


def off():
    def declined(offers):
        def script(peer):
            got = open_offering(peer, offers)
            assert got is None, got
            peer.send(client(TEXT, json(1_000)))
            peer.expect(server(TEXT, json(1_000)))

        return script

    def marked(peer):
        open_offering(peer, "permessage-deflate")
        peer.send(compressed(HELLO))
        peer.expect_close(*RESERVED_BIT)

    for offers in ("permessage-deflate", "permessage-deflate; client_max_window_bits"):
        yield Case(f"{offers!r} is not agreed to, and what comes back is not compressed", declined(offers))
    yield Case("a compressed message is one with a reserved bit", marked)


GROUPS = (
    *(
        Group(number, what, [*sizes(what, opcode, make, smaller)], SHARED, opened=False)
        for number, what, opcode, make, smaller in KINDS
    ),
    *(
        Group(number, what, [*cases], flags, opened=False)
        for number, what, cases, flags in (
            ("12a", "a context for each session", dedicated(), DEDICATED),
            ("12b", "the RFC's examples", EXAMPLES, SHARED),
            ("12c", "the RFC's examples, a context for each session", EXAMPLES, DEDICATED),
            ("12d", "the usual least size", least_size(128, (1, 127, 128, 129)), SHARED),
            ("12e", "a least size of 4 KiB", least_size(4_096, (128, 4_095, 4_096, 4_097)), MIN_4K),
            ("12f", "a least size of 1", least_size(1, (0, 30, 127), may_grow=True), MIN_1_DEDICATED),
            ("12g", "a least size of 1, each message alone", not_smaller(), MIN_1),
            ("12h", "compression off", off(), OFF),
        )
    ),
)
