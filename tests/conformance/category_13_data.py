"""13, the data: what compressed messages may be made of, and how a session ends whose messages are
not (RFC 7692, sections 6 and 7.2.2), each message alone and with a context for each session."""

import zlib

from compression import TAIL, Talk, bomb, json, letters, noise, standing_alone
from frames import BINARY, CLOSE, CONTINUATION, PING, PONG, RSV1, RSV2, RSV3, TEXT
from frames import client, close_payload, fragments, header, server, text
from table import NOT_CONTINUED, NOT_UTF8, RESERVED_BIT, TOO_BIG, Case, Group

SHARED = ()  # as weir is if nothing is said
DEDICATED = ("--compression", "dedicated")
MAX = 70_000
LIMIT = ("--max-message-size", str(MAX))

CORRUPT = 1007, b"invalid compressed data"

PMD = "permessage-deflate"


# --- what breaks the rules ------------------------------------------------------------------------


def broken(sent, close, before=b""):
    """Sent in a session with compression: closed like this, after `before`."""

    def script(peer):
        Talk(peer, PMD)
        peer.send(b"".join(sent))
        peer.expect(before)
        peer.expect_close(*close)

    return script


HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"
HELLO_FRAME = client(TEXT, HELLO, rsv=RSV1)
ECHO = server(TEXT, b"Hello")


def marks():
    begun = client(TEXT, HELLO[:3], fin=False, rsv=RSV1)
    plain = client(TEXT, b"a", fin=False)
    for name, first in (("compressed", begun), ("plain", plain)):
        yield Case(
            f"RSV1 on a continuation of a {name} message is refused at its header",
            broken([first, header(CONTINUATION, 50, rsv=RSV1)], RESERVED_BIT),
        )
    for name, opcode, size in (("ping", PING, 5), ("pong", PONG, 5), ("close", CLOSE, 2)):
        yield Case(
            f"RSV1 on a {name} is refused at its header",
            broken([header(opcode, size, rsv=RSV1)], RESERVED_BIT),
        )
        yield Case(
            f"RSV1 on a {name} inside a compressed message is refused",
            broken([begun, header(opcode, size, rsv=RSV1)], RESERVED_BIT),
        )
    for rsv in (RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV3, RSV2 | RSV3, 7):
        yield Case(
            f"reserved bits {rsv:03b} mean nothing here either",
            broken([client(TEXT, HELLO, rsv=rsv)], RESERVED_BIT),
        )
    yield Case(
        "a compressed message inside an unfinished one is refused",
        broken([begun, HELLO_FRAME], NOT_CONTINUED),
    )
    yield Case(
        "what was whole before a mistake is answered",
        broken([HELLO_FRAME, client(PING, rsv=RSV1)], RESERVED_BIT, ECHO),
    )
    yield Case(
        "a close is a close inside a compressed message",
        broken([begun, client(CLOSE, close_payload(1000))], (1000, b"")),
    )


# What is no DEFLATE data (RFC 1951), whole messages.
NO_DEFLATE = (
    ("a block of type 3", b"\x07"),
    ("a stored block whose length is not its complement's", b"\x00\x05\x00\xfa\xfeHello\x00"),
    ("a stored block that is cut short", b"\x00\x05\x00\xfa\xffHel"),
    ("a block of fixed codes that is cut short", HELLO[:3]),
    ("a reference to before the beginning", b"\xf2\x00\x11\x00\x00"),
    ("a distance code that does not exist", b"\x02\x1f\x00"),
    ("garbage behind a final block", b"\xf3\x48\xcd\xc9\xc9\x07\x00garbage"),
    ("plain text with the mark", b"Hello, world"),
    ("a zlib header before the data", b"\x78\x9c" + HELLO),
    ("noise", noise(500)),
    ("64 KiB of ones", b"\xff" * 65_536),
)


def corrupt():
    for name, data in NO_DEFLATE:
        yield Case(f"{name} is closed with 1007", broken([client(BINARY, data, rsv=RSV1)], CORRUPT))
        yield Case(
            f"{name}, in fragments, is closed with 1007",
            broken(fragments(BINARY, data, max(1, len(data) // 7), rsv=RSV1), CORRUPT),
        )
    data = bytearray(standing_alone(json(4_000)))
    data[len(data) // 2 : len(data) // 2 + 8] = b"\xff" * 8
    yield Case(
        "eight wrong bytes in the middle are closed with 1007, or were no text by then",
        broken([client(TEXT, bytes(data), rsv=RSV1)], (1007, None)),
    )
    yield Case(
        "a good message before is answered",
        broken([HELLO_FRAME, client(BINARY, b"\x07", rsv=RSV1)], CORRUPT, ECHO),
    )


def not_taken_over():
    """Shared: each message stands alone, so that there is nothing to refer to."""
    yield Case(
        "a reference to the message before is one to before the beginning",
        broken([HELLO_FRAME, client(TEXT, b"\xf2\x00\x11\x00\x00", rsv=RSV1)], CORRUPT, ECHO),
    )
    yield Case("nor may it be made to what another session said", broken_by_another)


def broken_by_another(peer):
    with peer.another() as other:
        Talk(other, PMD)
        other.send(HELLO_FRAME)
        other.expect(ECHO)
        Talk(peer, PMD)
        peer.send(client(TEXT, b"\xf2\x00\x11\x00\x00", rsv=RSV1))
        peer.expect_close(*CORRUPT)
        other.send(HELLO_FRAME)
        other.expect(ECHO)
        other.say_goodbye()


def not_text():
    for name, message in (
        ("a byte of no text", b"\xff"),
        ("an overlong spelling", b"good \xc0\xaf"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("an end inside a character", b"good \xe2\x82"),
        ("a bad byte after 10,000 good ones", b"a" * 10_000 + b"\xff" + b"b" * 100),
        ("a character past Unicode's end", b"\xf4\x90\x80\x80"),
    ):
        payload = standing_alone(message)
        yield Case(
            f"a text that inflates to {name} is closed with 1007",
            broken([client(TEXT, payload, rsv=RSV1)], NOT_UTF8),
        )
        yield Case(
            f"so it is in fragments: {name}",
            broken(fragments(TEXT, payload, -(-len(payload) // 3), rsv=RSV1), NOT_UTF8),
        )
    good = text(3_000)
    yield Case("a text whose fragments cut anywhere comes back", text_in_fragments(good, 1))
    yield Case("so it does in fragments of 7", text_in_fragments(good, 7))
    yield Case("a binary message may inflate to anything", binary_of(noise(50) + b"\xff\xc0"))


def text_in_fragments(message, size):
    def script(peer):
        talk = Talk(peer, PMD)
        talk.echo(TEXT, message, fragment=size)

    return script


def binary_of(message):
    def script(peer):
        Talk(peer, PMD)
        peer.send(client(BINARY, standing_alone(message), rsv=RSV1))
        peer.expect(server(BINARY, message))

    return script


# How a compressed message may grow over its size: an eighth and 1 KiB is what weir lets it declare.
DECLARED_MAX = MAX + MAX // 8 + 1_024


def limits(may_grow):
    at, over = letters(MAX), letters(MAX + 1)
    stored = standing_alone(noise(MAX), level=0)
    assert MAX < len(stored) <= DECLARED_MAX
    yield Case("a message that inflates to the limit comes back", limit_echo(TEXT, at, may_grow))
    yield Case("so it does in fragments", limit_echo(TEXT, at, may_grow, 1_000))
    yield Case(
        "one that inflates to a byte more is closed with 1009",
        broken([client(TEXT, standing_alone(over), rsv=RSV1)], TOO_BIG),
    )
    yield Case(
        "so it is in fragments",
        broken(fragments(TEXT, standing_alone(over), 1_000, rsv=RSV1), TOO_BIG),
    )
    yield Case(
        "one that compression made longer than the limit is taken if it inflates to no more",
        stored_echo(stored, noise(MAX), may_grow),
    )
    for size in (DECLARED_MAX + 1, 1 << 32, 1 << 62):
        yield Case(
            f"a compressed message that declares {size:,} bytes is closed with 1009 at its header",
            broken([header(BINARY, size, rsv=RSV1)], TOO_BIG),
        )
    yield Case(
        "a plain message may not declare more than the limit",
        broken([header(BINARY, MAX + 1)], TOO_BIG),
    )
    for mib in (1, 64):
        payload = bomb(mib << 20)
        yield Case(
            f"{len(payload):,} bytes that would inflate to {mib} MiB are closed with 1009",
            broken([client(BINARY, payload, rsv=RSV1)], TOO_BIG),
        )
    yield Case(
        "a bomb in fragments is closed with 1009, and what is left of it ignored",
        broken(fragments(BINARY, bomb(32 << 20), 100, rsv=RSV1), TOO_BIG),
    )


def limit_echo(opcode, message, may_grow, fragment=None):
    def script(peer):
        Talk(peer, PMD, may_grow=may_grow).echo(opcode, message, fragment)

    return script


def stored_echo(payload, message, may_grow):
    def script(peer):
        talk = Talk(peer, PMD, may_grow=may_grow)
        peer.send(client(BINARY, payload, rsv=RSV1))
        talk.expect(BINARY, message, smaller=False)

    return script


def gigabyte():
    payload = bomb(1 << 30)
    yield Case(
        f"{len(payload):,} bytes that would inflate to 1 GiB are closed with 1009",
        broken([client(BINARY, payload, rsv=RSV1)], TOO_BIG),
    )


# --- lawful ways to compress ----------------------------------------------------------------------


def lawful(may_grow):
    message = json(6_000)
    for level in range(10):
        yield Case(f"what zlib compresses at level {level} is read", other_way(message, may_grow, level))
    for name, strategy in (("codes alone", zlib.Z_HUFFMAN_ONLY), ("runs alone", zlib.Z_RLE),
                           ("fixed codes", zlib.Z_FIXED)):
        yield Case(f"{name} are read", other_way(message, may_grow, 6, strategy))
    parts = [standing_alone(message[i : i + 1_000]) for i in range(0, 6_000, 1_000)]
    yield Case("a message of six flushed parts is read", payload_echo(TAIL.join(parts), message, may_grow))
    finals = b"".join(_final(message[i : i + 1_000]) for i in range(0, 6_000, 1_000))
    yield Case("a message of six final blocks is read", payload_echo(finals + b"\0", message, may_grow))


def _final(data):
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush(zlib.Z_FINISH)


def other_way(message, may_grow, *how):
    def script(peer):
        talk = Talk(peer, PMD, may_grow=may_grow)
        for _ in range(2):
            peer.send(client(TEXT, talk.codec.compress(message, *how), rsv=RSV1))
            talk.expect(TEXT, message)

    return script


def payload_echo(payload, message, may_grow):
    def script(peer):
        talk = Talk(peer, PMD, may_grow=may_grow)
        for piece in (None, 100):
            peer.send(b"".join(fragments(TEXT, payload, piece or len(payload), rsv=RSV1)))
            talk.expect(TEXT, message)

    return script


def writes(may_grow):
    """A compressed message in pieces of the stream."""
    message = json(20_000)
    for piece in (1, 2, 3, 7, 64, 1_000, 4_096):

        def script(peer, piece=piece):
            talk = Talk(peer, PMD, may_grow=may_grow)
            peer.send(client(TEXT, talk.codec.compress(message), rsv=RSV1), piece)
            talk.expect(TEXT, message)

        yield Case(f"a compressed message in writes of {piece:,} bytes comes back", script)
    for size in (1, 3, 100, 1_000):

        def script(peer, size=size):
            talk = Talk(peer, PMD, may_grow=may_grow)
            pieces = fragments(TEXT, talk.codec.compress(message), size, rsv=RSV1)
            pings = [client(PING, b"%d" % n) for n in range(len(pieces) - 1)]
            sent = [frame for pair in zip(pieces, pings) for frame in pair] + [pieces[-1]]
            peer.send(b"".join(sent))
            for n in range(len(pings)):
                peer.expect(server(PONG, b"%d" % n))
            talk.expect(TEXT, message)

        yield Case(
            f"pings between compressed frames of {size:,} bytes are answered before the message", script
        )


def group(number, title, cases, flags):
    """The scripts open their sessions themselves, by Talk."""
    return Group(number, title, [*cases], flags, opened=False)


GROUPS = (
    group("13l", "marks in wrong places, each message alone", marks(), SHARED),
    group("13m", "marks in wrong places, a context for each session", marks(), DEDICATED),
    group("13n", "corrupt data, each message alone", [*corrupt(), *not_taken_over()], SHARED),
    group("13o", "corrupt data, a context for each session", corrupt(), DEDICATED),
    group("13p", "texts that are none, each message alone", not_text(), SHARED),
    group("13q", "texts that are none, a context for each session", not_text(), DEDICATED),
    group("13r", "limits, each message alone", limits(may_grow=False), LIMIT),
    group("13s", "limits, a context for each session", limits(may_grow=True), (*DEDICATED, *LIMIT)),
    group("13t", "a bomb", gigabyte(), SHARED),
    group("13u", "lawful data, each message alone", lawful(may_grow=False), SHARED),
    group("13v", "lawful data, a context for each session", lawful(may_grow=True), DEDICATED),
    group("13w", "pieces, each message alone", writes(may_grow=False), SHARED),
    group("13x", "pieces, a context for each session", writes(may_grow=True), DEDICATED),
)
