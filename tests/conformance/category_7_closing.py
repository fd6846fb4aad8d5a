"""7: closing (RFC 6455, sections 5.5.1 and 7): codes, reasons, and what comes after a close."""

from frames import BINARY, CLOSE, CONTINUATION, PING, TEXT
from frames import binary, client, close, server, text
from table import BAD_CODE, CONTROL_TOO_LONG, HALF_A_CODE, REASON_NOT_UTF8, UNMASKED
from table import Case, Group, refused

NORMAL = 1000, b""
HELLO, ECHO = client(TEXT, b"Hello World!"), server(TEXT, b"Hello World!")


def answered_empty(sent, answer=b"", piece=None):
    """A close without a code is answered by one without a code."""

    def script(peer):
        peer.send(sent, piece)
        peer.expect(answer, server(CLOSE))
        peer.expect_end(client(PING, b"too late"))

    return script


def end_without_close(sent):
    """The client ends the stream without a close: weir does too, and sends nothing more."""

    def script(peer):
        peer.send(sent)
        peer.end_ours()
        peer.expect_end()

    return script


def end_after_a_text(peer):
    peer.send(HELLO)
    peer.end_ours()
    peer.expect(ECHO)
    peer.expect_end()


AFTER = (
    Case("a text is answered, and then the close", refused([HELLO, close(1000)], NORMAL, ECHO)),
    Case("of two closes the first is answered, once", refused([close(1000), close(1001)], NORMAL)),
    Case("a ping after a close gets no pong", refused([close(1000), client(PING)], NORMAL)),
    Case("a text after a close gets no echo", refused([close(1000), HELLO], NORMAL)),
    Case(
        "the rest of a message after a close is ignored",
        refused(
            [client(TEXT, b"fragment1", fin=False), close(1000), client(CONTINUATION, b"fragment2")],
            NORMAL,
        ),
    ),
    Case(
        "256 KiB are echoed before the close is answered, and the ping behind is not",
        refused(
            [client(BINARY, binary(262_144)), close(1000), client(PING)],
            NORMAL,
            server(BINARY, binary(262_144)),
        ),
    ),
    Case("what breaks the rules after a close is ignored", refused([close(1000), b"\xff" * 50], NORMAL)),
    Case(
        "1 MiB of garbage after a close is taken and ignored",
        refused([close(1000), b"\xff" * (1 << 20)], NORMAL),
    ),
    Case(
        "half a frame after a close is ignored",
        refused([close(1000), client(TEXT, text(500))[:99]], NORMAL),
    ),
    Case(
        "a mistake is answered once, and the close behind it not",
        refused([client(TEXT, mask=None), close(1000)], UNMASKED),
    ),
)

PAYLOADS = (
    Case("a close without a payload is answered without one", answered_empty(client(CLOSE))),
    Case("a close of one byte is half a code", refused(client(CLOSE, b"a"), HALF_A_CODE)),
    Case("a close with a code is answered with it", refused(close(1000), NORMAL)),
    Case("a reason is not sent back", refused(close(1000, b"Hello World!"), NORMAL)),
    Case("a reason of 123 bytes, the most there may be, is taken", refused(close(1000, b"*" * 123), NORMAL)),
    Case(
        "a reason of 124 bytes makes a frame that is too long",
        refused(close(1000, b"*" * 124), CONTROL_TOO_LONG),
    ),
)

BAD_REASONS = (
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\xff",
    b"ends inside \xce",
    b"\xc0\xaf",
    b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"a" * 122 + b"\x80",
)
REASONS = (
    *(
        Case(f"a reason of {n} bytes of UTF-8 is taken", refused(close(1000, text(n)), NORMAL))
        for n in (1, 2, 3, 16, 63, 64, 121, 122, 123)
    ),
    Case(
        "a reason in characters of 4 bytes is taken",
        refused(close(1000, "\U0001d11e".encode() * 30), NORMAL),
    ),
)

VALID_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
# Those that stand for what no frame can say, the reserved ones, and everybody else's.
INVALID_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 5001, 32_768, 65_535)

IN_PIECES = (
    *(
        Case(
            f"a close that weir reads in two pieces, cut after byte {cut}, is answered when it is whole",
            refused([close(1000, b"bye")], NORMAL, piece=cut),
        )
        for cut in (1, 2, 3, 6, 7, 8)
    ),
    Case("a close of one byte, a byte a write", refused(client(CLOSE, b"a"), HALF_A_CODE, piece=1)),
    Case("an empty close, a byte a write", answered_empty(client(CLOSE), piece=1)),
    Case("a close right behind a message in one write", refused([HELLO, close(4_000)], (4_000, b""), ECHO)),
    Case(
        "1,000 messages and a close in one write are all answered, in order",
        refused([HELLO] * 1_000 + [close(1001)], (1001, b""), ECHO * 1_000),
    ),
)

WITHOUT = (
    Case("a stream that ends without a close is ended by weir without one", end_without_close(b"")),
    Case("what came before such an end is answered", end_after_a_text),
    Case("an end inside a header ends the session", end_without_close(client(TEXT, b"abc")[:1])),
    Case("an end inside a payload ends the session", end_without_close(client(TEXT, text(500))[:99])),
    Case("an end inside a message ends the session", end_without_close(client(TEXT, b"a", fin=False))),
    Case("an end inside a ping ends the session", end_without_close(client(PING, binary(100))[:50])),
)


GROUPS = (
    Group("7.1", "frames after a close", AFTER),
    Group("7.3", "a close's payload", PAYLOADS),
    Group("7.5", "reasons that are no UTF-8", [
        Case(f"the reason {reason[-24:]!r} is no UTF-8", refused(close(1000, reason), REASON_NOT_UTF8))
        for reason in BAD_REASONS
    ]),
    Group("7.7", "codes that may be sent", [
        Case(f"the code {code} is answered with itself", refused(close(code), (code, b"")))
        for code in VALID_CODES
    ]),
    Group("7.9", "codes that may not be sent", [
        Case(f"the code {code} is answered with 1002", refused(close(code), BAD_CODE))
        for code in INVALID_CODES
    ]),
    Group("7.13", "codes that may not be sent, with a reason", [
        Case(f"the code {code} is refused with a reason as well", refused(close(code, b"why"), BAD_CODE))
        for code in (999, 1005, 1006, 5000, 65_535)
    ]),
    Group("7a", "reasons", REASONS),
    Group("7b", "a close in pieces", IN_PIECES),
    Group("7c", "an end without a close", WITHOUT),
)
