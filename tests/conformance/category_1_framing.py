"""1: framing. Lengths, masks, and headers in pieces (RFC 6455, sections 5.1 to 5.3)."""

from frames import BINARY, CLOSE, CONTINUATION, MASK, NAMES, PING, PONG, TEXT
from frames import binary, client, header, masked, payload, server
from table import LENGTH_TOO_BIG, NOT_MINIMAL, UNMASKED, Case, Group, read_apart, refused, talk

# The edges of the three ways to spell a length.
SIZES = (0, 125, 126, 127, 128, 65_535, 65_536)


def echoes(opcode):
    kind = NAMES[opcode]
    return [
        *(
            Case(
                f"a {kind} message of {size:,} bytes comes back, its length in the fewest bytes",
                talk(client(opcode, payload(opcode, size)), server(opcode, payload(opcode, size))),
            )
            for size in SIZES
        ),
        Case(
            f"a {kind} message of 65,536 bytes comes back when it is sent 997 at a time",
            talk(
                client(opcode, payload(opcode, 65_536)),
                server(opcode, payload(opcode, 65_536)),
                piece=997,
            ),
        ),
    ]


def cut_headers():
    """Every cut of every form of header: weir has to keep what it has of it, and wait."""
    for size in (5, 126, 65_536):
        sent = client(BINARY, binary(size))
        for cut in range(1, len(sent) - size + 1):
            yield Case(
                f"the frame of {size:,} bytes is understood when its first {cut} come alone",
                read_apart([sent[:cut], sent[cut:]], server(BINARY, binary(size))),
            )
    for size in (5, 126):
        sent = client(BINARY, binary(size))
        yield Case(
            f"the frame of {size:,} bytes is understood when every byte comes alone",
            read_apart([sent[i : i + 1] for i in range(len(sent))], server(BINARY, binary(size))),
        )


def cut_payloads():
    """A mask goes on where the last piece ended, whatever the pieces' sizes."""
    sent = client(BINARY, binary(67))
    for cut in (1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 66):
        at = len(sent) - 67 + cut
        yield Case(
            f"the mask goes on after the first {cut} bytes of a payload",
            read_apart([sent[:at], sent[at:]], server(BINARY, binary(67))),
        )


def masks():
    for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\x80\0\0\0", b"\1\2\4\x80"):
        yield Case(
            f"a payload under the mask {mask.hex()} comes back clear",
            talk(client(BINARY, binary(1_000), mask=mask), server(BINARY, binary(1_000))),
        )
    yield Case(
        "each frame of a message has a mask of its own",
        talk(
            [
                client(TEXT, b"one ", fin=False, mask=b"\1\2\3\4"),
                client(CONTINUATION, b"two ", fin=False, mask=b"\xff\xfe\xfd\xfc"),
                client(CONTINUATION, b"three", mask=b"\0\0\0\0"),
            ],
            server(TEXT, b"one two three"),
        ),
    )


def several_in_one_write():
    yield Case(
        "messages that come in one write are answered one by one, in order",
        talk(
            [client(BINARY, binary(n)) for n in range(300)],
            [server(BINARY, binary(n)) for n in range(300)],
        ),
    )
    yield Case(
        "what was whole before a mistake is answered before the close",
        refused([client(TEXT, b"good"), client(TEXT, b"bad", mask=None)], UNMASKED, server(TEXT, b"good")),
    )


def not_minimal():
    for size, spelt in ((0, 2), (5, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65_535, 8)):
        yield Case(
            f"{size:,} may not be spelt in {8 * spelt} bits; the payload is not waited for",
            refused(header(TEXT, size, spelt=spelt), NOT_MINIMAL),
        )
    yield Case(
        "nor may a continuation's length",
        refused([client(TEXT, b"a", fin=False), client(CONTINUATION, b"b", spelt=2)], NOT_MINIMAL),
    )
    for size in (1 << 63, (1 << 64) - 1):
        yield Case(
            f"a length of {size:#x} has the bit that has to be 0",
            refused(header(BINARY, size, spelt=8), LENGTH_TOO_BIG),
        )


def unmasked():
    for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
        yield Case(
            f"a client's {NAMES[opcode]} frame without a mask is refused",
            refused(client(opcode, b"\x03\xe8" if opcode == CLOSE else b"clear", mask=None), UNMASKED),
        )
    yield Case(
        "a continuation without a mask is refused",
        refused([client(TEXT, b"a", fin=False), client(CONTINUATION, b"b", mask=None)], UNMASKED),
    )
    yield Case("an empty frame without a mask is refused", refused(client(TEXT, mask=None), UNMASKED))
    for size in (126, 65_536):
        yield Case(
            f"a frame of {size:,} bytes without a mask is refused at its header",
            refused(header(BINARY, size, mask=None), UNMASKED),
        )


def first_bytes():
    yield Case(
        "the RFC's own example of a masked text comes back",
        talk(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", b"\x81\x05Hello"),
    )
    yield Case(
        "the echo of zeroes under a mask is zeroes, not the mask",
        talk(header(BINARY, 64) + masked(bytes(64), MASK), server(BINARY, bytes(64))),
    )


GROUPS = (
    Group("1.1", "text messages", echoes(TEXT)),
    Group("1.2", "binary messages", echoes(BINARY)),
    Group("1a", "a header in two pieces", [*cut_headers()]),
    Group("1b", "a payload in two pieces", [*cut_payloads()]),
    Group("1c", "masks", [*masks(), *first_bytes()]),
    Group("1d", "frames in one write", [*several_in_one_write()]),
    Group("1e", "lengths that are not minimal", [*not_minimal()]),
    Group("1f", "frames without a mask", [*unmasked()]),
)
