"""9: large messages, the limits that close a session, and messages in very many writes."""

from frames import BINARY, CLOSE, CONTINUATION, NAMES, PING, PONG, TEXT
from frames import binary, client, close, close_payload, fragments, header, join, payload, server
from table import TOO_BIG, Case, Group, refused, talk

KIB, MIB = 1024, 1024 * 1024

LARGE = ("--max-message-size", "16MiB")
SMALL_MAX = 70_000
SMALL = ("--max-message-size", str(SMALL_MAX))
TINY = ("--max-message-size", "1")


def spelt(size):
    if size % MIB == 0:
        return f"{size // MIB} MiB"
    return f"{size // KIB} KiB" if size % KIB == 0 else f"{size:,} bytes"


def echo(opcode, size, fragment=None, piece=None):
    """Made when it is run: the tables would hold hundreds of MiB."""

    def script(peer):
        data = payload(opcode, size)
        frames = fragments(opcode, data, fragment) if fragment else [client(opcode, data)]
        peer.send(b"".join(frames), piece)
        peer.expect(server(opcode, data))

    return script


def whole(opcode):
    for size in (64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB):
        yield Case(f"a {NAMES[opcode]} message of {spelt(size)} comes back", echo(opcode, size))


def fragmented(opcode):
    for fragment in (64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB):
        yield Case(
            f"a {NAMES[opcode]} message of 4 MiB in frames of {spelt(fragment)} comes back",
            echo(opcode, 4 * MIB, fragment=fragment),
        )


def chopped(opcode):
    for piece in (64, 128, 256, 512, KIB, 2 * KIB):
        yield Case(
            f"a {NAMES[opcode]} message of 1 MiB in writes of {piece:,} bytes comes back",
            echo(opcode, MIB, piece=piece),
        )


def turns(opcode):
    for size in (0, 16, 64, 256, KIB, 4 * KIB):

        def script(peer, size=size):
            sent, answer = client(opcode, payload(opcode, size)), server(opcode, payload(opcode, size))
            for _ in range(1_000):
                peer.send(sent)
                peer.expect(answer)

        yield Case(f"1,000 {NAMES[opcode]} messages of {size:,} bytes come back, one by one", script)


def at_the_limit():
    data = binary(SMALL_MAX)
    over = binary(SMALL_MAX + 1)
    yield Case("a message of the limit's size comes back", talk(client(BINARY, data), server(BINARY, data)))
    yield Case("a message over it by one byte is closed with 1009", refused(client(BINARY, over), TOO_BIG))
    yield Case(
        "it is told by the header, before any payload",
        refused(header(BINARY, SMALL_MAX + 1), TOO_BIG),
    )
    for size in (1 << 20, 1 << 31, 1 << 32, (1 << 32) + 1, 1 << 62, (1 << 63) - 1):
        yield Case(f"so is one that declares {size:#x} bytes", refused(header(TEXT, size), TOO_BIG))
    for count in (2, 3, 7, 100):
        size = -(-SMALL_MAX // count)
        yield Case(
            f"a message of the limit's size in {count} fragments comes back",
            talk(fragments(BINARY, data, size), server(BINARY, data)),
        )
        begun = b"".join(fragments(BINARY, over, size)[:-1])
        last = SMALL_MAX + 1 - (count - 1) * size
        yield Case(
            f"over it by one byte in {count} fragments, it is told by the last one's header",
            told_silently(begun, header(CONTINUATION, last)),
        )
    yield Case(
        "a fragment after the limit may be empty",
        talk(join(BINARY, [data, b"", b""]), server(BINARY, data)),
    )
    yield Case(
        "a fragment of one byte after the limit may not be",
        refused([client(BINARY, data, fin=False), header(CONTINUATION, 1, fin=False)], TOO_BIG),
    )
    yield Case(
        "a sum of fragments past 2^64 is over the limit, and does not wrap",
        refused([client(BINARY, b"ab", fin=False), header(CONTINUATION, (1 << 63) - 1)], TOO_BIG),
    )
    yield Case(
        "pings inside a message do not count towards its size",
        talk(
            [client(BINARY, data, fin=False), *[client(PING, binary(125))] * 20, client(CONTINUATION)],
            [*[server(PONG, binary(125))] * 20, server(BINARY, data)],
        ),
    )
    yield Case(
        "each message is counted by itself",
        talk([client(BINARY, data)] * 5, [server(BINARY, data)] * 5),
    )
    yield Case(
        "a message before one over the limit is answered",
        refused([client(BINARY, data), header(BINARY, SMALL_MAX + 1)], TOO_BIG, server(BINARY, data)),
    )
    yield Case(
        "the payload that follows its refused header is taken and ignored",
        refused([header(BINARY, 8 * MIB), binary(4 * MIB)], TOO_BIG),
    )


def told_silently(begun, last):
    def script(peer):
        peer.send(begun)
        peer.expect_silence()
        peer.send(last)
        peer.expect_close(*TOO_BIG)

    return script


def tiny():
    yield Case(
        "with a limit of 1, a message of 1 byte comes back",
        talk(client(TEXT, b"a"), server(TEXT, b"a")),
    )
    yield Case("so does one of none", talk(client(TEXT), server(TEXT)))
    yield Case("one of 2 is closed with 1009", refused(client(TEXT, b"ab"), TOO_BIG))
    yield Case(
        "so is one of 1 and 1",
        refused([client(TEXT, b"a", fin=False), client(CONTINUATION, b"b")], TOO_BIG),
    )
    yield Case("a ping of 125 is answered", talk(client(PING, binary(125)), server(PONG, binary(125))))


def by_default():
    yield Case("1 MiB, the limit if none is set, comes back", echo(BINARY, MIB))
    yield Case("one byte more is closed with 1009", refused(header(BINARY, MIB + 1), TOO_BIG))
    for count in (1, 2, 3, 5, 10, 33, 100, 333, 1_000):
        yield Case(f"1 MiB in {count:,} writes comes back", echo(TEXT, MIB, piece=-(-(MIB + 14) // count)))
    for count in (2, 10, 100, 1_000):
        yield Case(
            f"1 MiB in {count:,} frames, in writes that cut them anywhere, comes back",
            echo(TEXT, MIB, fragment=-(-MIB // count), piece=1_021),
        )


RATE = 20  # messages a second
TOO_MANY = 1008, b"message rate exceeded"


def over_the_rate(sent, answer):
    """Ten times the rate at once: what the rate allows is answered, and not nearly all. The close is
    weir's own, so that it waits for ours."""

    def script(peer):
        peer.send(sent * RATE * 10)
        whole = answer[0], answer[2:]
        answered = 0
        while (frame := peer.take_frame()) == whole:
            answered += 1
        assert RATE <= answered <= RATE * 5, f"{answered} of {RATE * 10} were answered"
        assert frame == (0x80 | CLOSE, close_payload(*TOO_MANY)), frame
        peer.send(client(PING, b"too late") + close(1008))
        peer.expect_end()

    return script


def rate():
    yield Case(
        "who sends messages faster than --max-message-rate is closed with 1008",
        over_the_rate(client(TEXT, b"fast"), server(TEXT, b"fast")),
    )
    yield Case(
        "so is who sends pings faster than that",
        over_the_rate(client(PING, b"fast"), server(PONG, b"fast")),
    )
    yield Case(
        "as many as the rate at once are answered",
        talk([client(TEXT, b"fast")] * RATE, [server(TEXT, b"fast")] * RATE),
    )
    yield Case(
        "fragments are not counted, messages are",
        talk(join(BINARY, [b"a"] * RATE * 10), server(BINARY, b"a" * RATE * 10)),
    )


GROUPS = (
    Group("9.1", "large texts", [*whole(TEXT)], LARGE),
    Group("9.2", "large binary messages", [*whole(BINARY)], LARGE),
    Group("9.3", "a large text in frames", [*fragmented(TEXT)], LARGE),
    Group("9.4", "a large binary message in frames", [*fragmented(BINARY)], LARGE),
    Group("9.5", "a large text in many writes", [*chopped(TEXT)], LARGE),
    Group("9.6", "a large binary message in many writes", [*chopped(BINARY)], LARGE),
    Group("9.7", "many texts", [*turns(TEXT)], LARGE),
    Group("9.8", "many binary messages", [*turns(BINARY)], LARGE),
    Group("9a", "the size limit", [*at_the_limit()], SMALL),
    Group("9b", "the least size limit", [*tiny()], TINY, beside=False),
    Group("9c", "the usual size limit, and 1 MiB in many pieces", [*by_default()]),
    Group("9d", "the message rate", [*rate()], ("--max-message-rate", str(RATE)), beside=False),
)
