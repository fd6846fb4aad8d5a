"""5: fragmentation (RFC 6455, section 5.4): messages in several frames, control frames between."""

from frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from frames import binary, client, fragments, header, join, server, text
from table import CONTROL_FRAGMENTED, NOT_CONTINUED, NOTHING_TO_CONTINUE
from table import Case, Group, read_apart, refused, talk

TWO = join(TEXT, [b"fragment1", b"fragment2"])
WHOLE = server(TEXT, b"fragment1fragment2")
PINGED = [TWO[0], client(PING, b"ping payload"), TWO[1]]
PONG_THEN_WHOLE = [server(PONG, b"ping payload"), WHOLE]
FIVE = [b"fragment%d" % n for n in range(1, 6)]
FIVE_PINGED = join(TEXT, FIVE)
FIVE_PINGED[2:2] = [client(PING, b"pongme 1!")]
FIVE_PINGED[5:5] = [client(PING, b"pongme 2!")]
FIVE_ANSWERS = [server(PONG, b"pongme 1!"), server(PONG, b"pongme 2!"), server(TEXT, b"".join(FIVE))]
LONELY = client(CONTINUATION, b"non-continuation payload")
LONELY_OPEN = client(CONTINUATION, b"non-continuation payload", fin=False)
HELLO, ECHO = client(TEXT, b"Hello, world!"), server(TEXT, b"Hello, world!")


def three_ways(sentence, sent, answer):
    """In one write, each frame read by itself, and byte by byte."""
    return (
        Case(f"{sentence}, in one write", talk(sent, answer)),
        Case(f"{sentence}, a frame a write", frame_by_frame(sent, answer)),
        Case(f"{sentence}, a byte a write", talk(sent, answer, piece=1)),
    )


def frame_by_frame(sent, answer):
    def script(peer):
        peer.send_and_settle(*sent)
        peer.expect(*(answer if isinstance(answer, list) else [answer]))

    return script


def refused_three_ways(sentence, sent, close, answer=b""):
    return (
        Case(f"{sentence}, in one write", refused(sent, close, answer)),
        Case(f"{sentence}, 11 bytes a write", refused(sent, close, answer, piece=11)),
        Case(f"{sentence}, a byte a write", refused(sent, close, answer, piece=1)),
    )


# In the order of the Autobahn suite's 5.1 to 5.20.
AS_AUTOBAHN = (
    Case(
        "a ping in two fragments is refused",
        refused([client(PING, b"1", fin=False), client(CONTINUATION, b"2")], CONTROL_FRAGMENTED),
    ),
    Case(
        "a pong in two fragments is refused",
        refused([client(PONG, b"1", fin=False), client(CONTINUATION, b"2")], CONTROL_FRAGMENTED),
    ),
    *three_ways("a text in two fragments comes back whole, in one frame", TWO, WHOLE),
    *three_ways("a ping between two fragments is answered at once", PINGED, PONG_THEN_WHOLE),
    *refused_three_ways("a continuation of nothing is refused", [LONELY, HELLO], NOTHING_TO_CONTINUE),
    *refused_three_ways(
        "a first fragment of a continuation of nothing is refused", [LONELY_OPEN, HELLO], NOTHING_TO_CONTINUE
    ),
    Case(
        "a continuation after a message that has ended is refused",
        refused([*TWO, client(CONTINUATION, b"fragment3", fin=False), HELLO], NOTHING_TO_CONTINUE, WHOLE),
    ),
    *refused_three_ways(
        "a continuation after a whole text is refused",
        [HELLO, client(CONTINUATION, b"more")], NOTHING_TO_CONTINUE, ECHO,
    ),
    Case(
        "a text inside an unfinished text is refused",
        refused([TWO[0], client(TEXT, b"fragment2")], NOT_CONTINUED),
    ),
    *three_ways("five fragments with two pings between come back whole", FIVE_PINGED, FIVE_ANSWERS),
)


def not_continued():
    for opcode, name in ((TEXT, "text"), (BINARY, "binary message")):
        for inside, inner in ((TEXT, "text"), (BINARY, "binary message")):
            for fin in (True, False):
                kind = inner if fin else f"first fragment of a {inner}"
                yield Case(
                    f"a {kind} inside an unfinished {name} is refused at its header",
                    refused([client(opcode, b"a", fin=False), header(inside, 50, fin=fin)], NOT_CONTINUED),
                )


def control():
    for name, opcode in (("ping", PING), ("pong", PONG), ("close", CLOSE)):
        yield Case(
            f"a {name} without FIN is refused at its header",
            refused(header(opcode, 2, fin=False), CONTROL_FRAGMENTED),
        )
        yield Case(
            "so it is inside a message",
            refused([client(TEXT, b"a", fin=False), header(opcode, 0, fin=False)], CONTROL_FRAGMENTED),
        )
    for between in (1, 2, 10, 100):
        pings = [client(PING, b"%d" % n) for n in range(between)]
        yield Case(
            f"{between} pings between two fragments are all answered before the message",
            talk([TWO[0], *pings, TWO[1]], [*(server(PONG, b"%d" % n) for n in range(between)), WHOLE]),
        )


def empty_fragments():
    for name, pieces in (
        ("first", [b"", b"abc"]),
        ("last", [b"abc", b""]),
        ("middle", [b"ab", b"", b"c"]),
        ("first and the last", [b"", b"abc", b""]),
    ):
        yield Case(
            f"a message whose {name} fragment is empty comes back whole",
            frame_by_frame(join(TEXT, pieces), server(TEXT, b"abc")),
        )
    yield Case(
        "a message of 100 empty fragments is an empty message",
        talk(join(BINARY, [b""] * 100), server(BINARY)),
    )
    yield Case(
        "10,000 empty fragments before the last cost nothing but their reading",
        talk(join(BINARY, [b""] * 10_000 + [b"end"]), server(BINARY, b"end")),
    )


def every_size():
    for count in (2, 3, 10, 126, 1_000):
        size = 1_000
        sent = fragments(BINARY, binary(size), -(-size // count))
        yield Case(
            f"1,000 bytes in {len(sent)} fragments come back in one frame",
            talk(sent, server(BINARY, binary(size))),
        )
    for spelt, first in ((0, 100), (2, 200), (8, 70_000)):
        yield Case(
            f"a first fragment with a length of {spelt or 1} bytes is gathered, and a long one after it",
            talk(join(TEXT, [text(first), text(66_000)]), server(TEXT, text(first) + text(66_000))),
        )
    yield Case(
        "the message after a fragmented one is a message of its own",
        talk([*TWO, client(BINARY, b"\xff"), *TWO], [WHOLE, server(BINARY, b"\xff"), WHOLE]),
    )
    yield Case(
        "the kind of a message is that of its first frame",
        read_apart(join(BINARY, [b"\xff", b"\xfe", b"\xfd"]), server(BINARY, b"\xff\xfe\xfd")),
    )
    yield Case(
        "a message that is cut by a close is not delivered, and the close is answered",
        refused([TWO[0], client(CLOSE, b"\x03\xe8")], (1000, b"")),
    )


GROUPS = (
    Group("5", "fragmentation", AS_AUTOBAHN),
    Group("5a", "a message inside another", [*not_continued()]),
    Group("5b", "control frames in fragments and between them", [*control()]),
    Group("5c", "empty fragments", [*empty_fragments()]),
    Group("5d", "fragments of every size", [*every_size()]),
)
