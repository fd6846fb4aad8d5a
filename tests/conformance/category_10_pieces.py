"""10: messages of every size in frames of every size, as clients make them that cut by themselves."""

from frames import BINARY, NAMES, TEXT, client, fragments, join, payload, server
from table import Case, Group, talk


def in_frames(opcode, size, frame):
    data = payload(opcode, size)
    return talk(fragments(opcode, data, frame), server(opcode, data))


AS_AUTOBAHN = (
    Case("a text of 65,536 bytes in frames of 1,300 comes back", in_frames(TEXT, 65_536, 1_300)),
)


def every_size(opcode):
    for size in (100, 1_000, 65_536):
        for frame in (1, 2, 7, 64, 125, 126, 127, 1_024, 65_535):
            if frame < size and size // frame <= 10_000:
                yield Case(
                    f"a {NAMES[opcode]} message of {size:,} bytes in frames of {frame:,} comes back whole",
                    in_frames(opcode, size, frame),
                )


def growing():
    sizes = [1, 2, 4, 8, 16, 32, 64, 125, 126, 128, 256, 4_096, 65_535, 65_536]
    for order, name in ((sizes, "grow"), (sizes[::-1], "shrink")):
        data, pieces = payload(BINARY, sum(order)), []
        for size in order:
            at = sum(map(len, pieces))
            pieces.append(data[at : at + size])
        yield Case(
            f"a message whose frames {name} comes back whole",
            talk(join(BINARY, pieces), server(BINARY, data)),
        )
    sent = [fragments(TEXT, payload(TEXT, n), 64) if n else [client(TEXT)] for n in range(0, 1_000, 17)]
    yield Case(
        "messages in frames, one behind the other in one write, come back one by one",
        talk(
            [frame for message in sent for frame in message],
            [server(TEXT, payload(TEXT, n)) for n in range(0, 1_000, 17)],
        ),
    )
    yield Case(
        "they do when the writes cut the frames anywhere",
        talk(
            [frame for message in sent for frame in message],
            [server(TEXT, payload(TEXT, n)) for n in range(0, 1_000, 17)],
            piece=61,
        ),
    )


GROUPS = (
    Group("10.1", "a message in frames", AS_AUTOBAHN),
    Group("10a", "texts in frames of every size", [*every_size(TEXT)]),
    Group("10b", "binary messages in frames of every size", [*every_size(BINARY)]),
    Group("10c", "frames of different sizes", [*growing()]),
)
