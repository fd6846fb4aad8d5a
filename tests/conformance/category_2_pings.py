"""2: pings and pongs (RFC 6455, sections 5.5.2 and 5.5.3)."""

from frames import BINARY, CONTINUATION, PING, PONG, TEXT, binary, client, header, server, text
from table import CONTROL_TOO_LONG, Case, Group, read_apart, refused, talk


def ping_inside(peer):
    peer.send_and_settle(client(TEXT, text(9), fin=False))
    peer.send(client(PING, b"now"))
    peer.expect(server(PONG, b"now"))
    peer.send(client(CONTINUATION, text(9)))
    peer.expect(server(TEXT, text(9) * 2))


TEN = [b"payload %d" % i for i in range(10)]

AS_AUTOBAHN = (
    Case("an empty ping gets an empty pong", talk(client(PING), server(PONG))),
    Case("a pong carries the ping's text", talk(client(PING, b"Hello"), server(PONG, b"Hello"))),
    Case(
        "a pong carries bytes that are no text",
        talk(client(PING, b"\0\xff\xfe\xfd\xfc\xfb\0\xff"), server(PONG, b"\0\xff\xfe\xfd\xfc\xfb\0\xff")),
    ),
    Case(
        "a ping of 125 bytes, the most there may be, is answered in full",
        talk(client(PING, b"\xfe" * 125), server(PONG, b"\xfe" * 125)),
    ),
    Case("a ping of 126 bytes is refused", refused(client(PING, b"\xfe" * 126), CONTROL_TOO_LONG)),
    Case(
        "a ping of 125 bytes is answered when it is sent byte by byte",
        talk(client(PING, b"\xfe" * 125), server(PONG, b"\xfe" * 125), piece=1),
    ),
    Case("a pong that nobody asked for is taken", talk(client(PONG), b"")),
    Case("a pong with a payload that nobody asked for is taken", talk(client(PONG, b"unasked"), b"")),
    Case(
        "a ping after such a pong is answered with its own payload",
        talk([client(PONG, b"unasked"), client(PING, b"asked")], server(PONG, b"asked")),
    ),
    Case(
        "ten pings get ten pongs in their order",
        talk([client(PING, each) for each in TEN], [server(PONG, each) for each in TEN]),
    ),
    Case(
        "ten pings get ten pongs when they are sent byte by byte",
        talk([client(PING, each) for each in TEN], [server(PONG, each) for each in TEN], piece=1),
    ),
)

OUR_OWN = (
    *(
        Case(f"a pong of {n} bytes is taken in silence", read_apart([client(PONG, binary(n)), b""], b""))
        for n in (0, 1, 125)
    ),
    *(
        Case(
            f"a {name} that declares {size:,} bytes is refused at its header",
            refused(header(opcode, size), CONTROL_TOO_LONG),
        )
        for name, opcode in (("ping", PING), ("pong", PONG))
        for size in (126, 65_535, 65_536)
    ),
    *(
        Case(
            f"a ping of 5 bytes in {8 * spelt} bits of length is over 125 by its spelling",
            refused(client(PING, b"Hello", spelt=spelt), CONTROL_TOO_LONG),
        )
        for spelt in (2, 8)
    ),
    *(
        Case(
            f"a ping of 20 bytes is answered when weir reads its first {cut} apart",
            read_apart(
                [client(PING, binary(20))[:cut], client(PING, binary(20))[cut:]], server(PONG, binary(20))
            ),
        )
        for cut in (1, 2, 5, 6, 7, 10, 25)
    ),
    Case(
        "pings before, between and after messages are answered where they stand",
        talk(
            [client(PING, b"1"), client(TEXT, b"a"), client(PING, b"2"), client(BINARY, b"b")],
            [server(PONG, b"1"), server(TEXT, b"a"), server(PONG, b"2"), server(BINARY, b"b")],
        ),
    ),
    Case(
        "a ping inside a message is answered before the message",
        ping_inside,
    ),
    Case(
        "1,000 pings get 1,000 pongs",
        talk([client(PING, binary(n % 126)) for n in range(1_000)],
             [server(PONG, binary(n % 126)) for n in range(1_000)]),
    ),
    Case(
        "pongs inside a message do not become part of it",
        talk(
            [client(TEXT, b"a", fin=False), client(PONG, b"x"), client(CONTINUATION, b"b")],
            server(TEXT, b"ab"),
        ),
    ),
)


GROUPS = (
    Group("2", "pings and pongs", AS_AUTOBAHN),
    Group("2a", "pings and pongs, further", OUR_OWN),
)
