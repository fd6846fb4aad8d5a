"""3: reserved bits. No extension is agreed here that gives one a meaning (RFC 6455, section 5.2)."""

from frames import BINARY, CLOSE, CONTINUATION, NAMES, PING, PONG, TEXT
from frames import client, close_payload, header, server, text
from table import RESERVED_BIT, Case, Group, refused, talk

HELLO, ECHO = client(TEXT, b"Hello"), server(TEXT, b"Hello")

AS_AUTOBAHN = (
    Case("a text with RSV3 is refused", refused(client(TEXT, b"Hello", rsv=1), RESERVED_BIT)),
    Case(
        "a text before one with RSV2 is answered; the ping behind both is not",
        refused([HELLO, client(TEXT, b"Hello", rsv=2), client(PING)], RESERVED_BIT, ECHO),
    ),
    Case(
        "so it is with RSV2 and RSV3 when weir gets a frame a write",
        refused(
            [HELLO, client(TEXT, b"Hello", rsv=3), client(PING)], RESERVED_BIT, ECHO, piece=len(HELLO)
        ),
    ),
    Case(
        "so it is with RSV1 when weir gets a byte a write",
        refused([HELLO, client(TEXT, b"Hello", rsv=4), client(PING)], RESERVED_BIT, ECHO, piece=1),
    ),
    Case(
        "a binary message with RSV1 and RSV3 is refused",
        refused(client(BINARY, b"\0\xff" * 4, rsv=5), RESERVED_BIT),
    ),
    Case(
        "a ping with RSV1 and RSV2 is refused, and gets no pong",
        refused(client(PING, b"Hello", rsv=6), RESERVED_BIT),
    ),
    Case(
        "a close with all three is refused, and not answered as a close",
        refused(client(CLOSE, close_payload(1000), rsv=7), RESERVED_BIT),
    ),
)

OPENERS = {CONTINUATION: client(TEXT, b"a", fin=False)}


def each_bit():
    for opcode in (TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE):
        for rsv in range(1, 8):
            yield Case(
                f"{NAMES[opcode]} with reserved bits {rsv:03b} is refused at its header",
                refused(OPENERS.get(opcode, b"") + header(opcode, 2, rsv=rsv), RESERVED_BIT),
            )


def also():
    yield Case(
        "a reserved bit on the first fragment is told before the message ends",
        refused(client(TEXT, b"a", fin=False, rsv=4), RESERVED_BIT),
    )
    yield Case(
        "a reserved bit counts before the opcode, which is reserved as well",
        refused(client(3, b"", rsv=1), RESERVED_BIT),
    )
    yield Case(
        "an offer of permessage-deflate that weir declined gives RSV1 no meaning",
        offered_and_declined,
    )
    yield Case(
        "without reserved bits the same frames are answered",
        talk([HELLO, client(BINARY, text(8)), client(PING)], [ECHO, server(BINARY, text(8)), server(PONG)]),
    )


def offered_and_declined(peer):
    with peer.another() as other:
        lines = other.open("Sec-WebSocket-Extensions: permessage-deflate; unheard_of")
        assert not any(line.lower().startswith(b"sec-websocket-extensions") for line in lines), lines
        other.send(client(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=4))  # "Hello", compressed
        other.expect_close(*RESERVED_BIT)


GROUPS = (
    Group("3", "reserved bits", AS_AUTOBAHN),
    Group("3a", "each reserved bit on each opcode", [*each_bit()]),
    Group("3b", "reserved bits, further", [*also()]),
)
