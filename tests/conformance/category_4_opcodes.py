"""4: reserved opcodes, 3 to 7 of data and 11 to 15 of control (RFC 6455, section 5.2)."""

from frames import CONTINUATION, PING, TEXT, client, header, server
from table import RESERVED_OPCODE, Case, Group, refused

HELLO, ECHO = client(TEXT, b"Hello"), server(TEXT, b"Hello")


def as_autobahn(opcodes):
    """Five frames in five surroundings, as the Autobahn suite has them."""
    a, b, c, d, e = opcodes
    yield Case(f"opcode {a} without a payload is refused", refused(client(a), RESERVED_OPCODE))
    yield Case(f"opcode {b} with a payload is refused", refused(client(b, b"reserved"), RESERVED_OPCODE))
    yield Case(
        f"a text before opcode {c} is answered; the ping behind is not",
        refused([HELLO, client(c), client(PING)], RESERVED_OPCODE, ECHO),
    )
    yield Case(
        f"so it is with opcode {d} and a payload",
        refused([HELLO, client(d, b"reserved"), client(PING)], RESERVED_OPCODE, ECHO),
    )
    yield Case(
        f"so it is with opcode {e} when weir gets a byte a write",
        refused([HELLO, client(e, b"reserved"), client(PING)], RESERVED_OPCODE, ECHO, piece=1),
    )


def surroundings(opcodes):
    for opcode in opcodes:
        yield Case(
            f"opcode {opcode} is refused at its header, before the payload that it declares",
            refused(header(opcode, 100), RESERVED_OPCODE),
        )
        yield Case(
            f"opcode {opcode} without FIN is refused for the opcode",
            refused(client(opcode, b"a", fin=False), RESERVED_OPCODE),
        )
        yield Case(
            f"opcode {opcode} inside a message is refused, and the message is not delivered",
            refused([client(TEXT, b"a", fin=False), client(opcode), client(CONTINUATION, b"b")],
                    RESERVED_OPCODE),
        )


DATA, CONTROL = range(3, 8), range(11, 16)

GROUPS = (
    Group("4.1", "reserved opcodes of data", [*as_autobahn(DATA)]),
    Group("4.2", "reserved opcodes of control", [*as_autobahn(CONTROL)]),
    Group("4a", "each reserved opcode", [*surroundings([*DATA, *CONTROL])]),
)
