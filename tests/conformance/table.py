"""What a table of cases is made of, and the scripts that most of them follow.

A script is a function of a Peer. It leaves the session open unless that is what it is about: the
runner says goodbye to an open one, which shows as well that nothing unexpected was behind.
"""

import dataclasses
from collections.abc import Callable, Sequence

from peer import Peer

Script = Callable[[Peer], None]


@dataclasses.dataclass(frozen=True)
class Case:
    sentence: str  # what it proves
    script: Script


@dataclasses.dataclass(frozen=True)
class Group:
    """Cases that are numbered together. A number of digits alone is that of the Autobahn test
    suite's group of this subject; one with a letter in it is of our own, beside that."""

    number: str  # the category's and its own: "1.2"; case 3 is then 1.2.3
    title: str
    cases: Sequence[Case]
    flags: tuple[str, ...] = ()  # of the weir that they need
    opened: bool = True  # sessions are handed to the scripts upgraded
    path: str = "/"  # one that the weir of these flags serves
    beside: bool = True  # a healthy session runs beside, and echoes after each case


# How a session is closed for each broken rule: the code and the reason.
UNMASKED = 1002, b"a client's frame is not masked"
RESERVED_BIT = 1002, b"a reserved bit is set"
RESERVED_OPCODE = 1002, b"a reserved opcode"
NOT_MINIMAL = 1002, b"a length in more bytes than it needs"
LENGTH_TOO_BIG = 1002, b"a length of 2^63 or more"
CONTROL_TOO_LONG = 1002, b"a control frame of more than 125 bytes"
CONTROL_FRAGMENTED = 1002, b"a fragmented control frame"
NOTHING_TO_CONTINUE = 1002, b"a continuation with no message to continue"
NOT_CONTINUED = 1002, b"a new message inside an unfinished one"
TOO_BIG = 1009, b"a message over the size limit"
NOT_UTF8 = 1007, b"text that is not UTF-8"
HALF_A_CODE = 1002, b"half a close code"
BAD_CODE = 1002, b"a close code that may not be sent"
REASON_NOT_UTF8 = 1007, b"a close reason that is not UTF-8"


def talk(sent, answer, piece=None):
    """`sent`, in writes of `piece` bytes, is answered with `answer`. Either may be a list."""

    def script(peer):
        peer.send(_flat(sent), piece)
        peer.expect(_flat(answer))

    return script


def read_apart(pieces, answer):
    """The pieces, each of which weir reads by itself, are answered with `answer` after the last,
    and with nothing before."""

    def script(peer):
        for piece in pieces[:-1]:
            peer.send(piece)
            peer.expect_silence()
        peer.send(pieces[-1])
        peer.expect(_flat(answer))

    return script


def refused(sent, close, answer=b"", piece=None):
    """`sent` is answered with `answer` and then closed as `close` says. With `piece`, or nothing
    behind the mistake, the rest is never sent: the answer does not wait for it."""

    def script(peer):
        peer.send(_flat(sent), piece)
        peer.expect(_flat(answer))
        peer.expect_close(*close)

    return script


def _flat(data):
    return b"".join(data) if isinstance(data, list) else data
