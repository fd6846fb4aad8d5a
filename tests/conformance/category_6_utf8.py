"""6: UTF-8 in texts (RFC 6455, section 8.1; RFC 3629), told at the first byte that cannot belong."""

from frames import CONTINUATION, TEXT, client, header, join, masked, server
from table import NOT_UTF8, Case, Group, read_apart, refused, talk

GREEK = "\u03ba\u1f79\u03c3\u03bc\u03b5".encode()
HELLO = "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!".encode()
MIXED = "a\u00df\u2202\U0001d11e\u03ba\u1f79\U0010ffff z".encode()  # 1 to 4 bytes a character


def bytewise(data):
    return [data[i : i + 1] for i in range(len(data))]


def first_bad(data):
    """Where the first byte stands that cannot continue any UTF-8 text; None if there is none. A text
    that only ends too early has none."""
    for size in range(1, len(data) + 1):
        if not may_go_on(data[:size]):
            return size - 1
    return None


def may_go_on(data):
    """By RFC 3629's table of sequences, spelt out; nothing of Python's own codec."""
    at = 0
    while at < len(data):
        first = data[at]
        if first < 0x80:
            at += 1
            continue
        if 0xC2 <= first <= 0xDF:
            ranges = [(0x80, 0xBF)]
        elif 0xE0 <= first <= 0xEF:
            low, high = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F)}.get(first, (0x80, 0xBF))
            ranges = [(low, high), (0x80, 0xBF)]
        elif 0xF0 <= first <= 0xF4:
            low, high = {0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}.get(first, (0x80, 0xBF))
            ranges = [(low, high), (0x80, 0xBF), (0x80, 0xBF)]
        else:
            return False
        tail = data[at + 1 : at + 1 + len(ranges)]
        if not all(low <= byte <= high for byte, (low, high) in zip(tail, ranges)):
            return False
        at += 1 + len(ranges)
    return True


def valid(data):
    return talk(client(TEXT, data), server(TEXT, data))


def invalid(data):
    """The text is refused whole. And it is refused at its first bad byte, in a frame that declares
    much more, and not before that byte; at the end, should it only have been cut."""
    bad = first_bad(data)

    def script(peer):
        with peer.another() as whole:
            whole.open()
            whole.send(client(TEXT, data))
            whole.expect_close(*NOT_UTF8)
        if bad is None:
            peer.send_and_settle(client(TEXT, data, fin=False))
            peer.expect_silence()
            peer.send(client(CONTINUATION))
        else:
            frame = header(TEXT, 5_000) + masked(data[: bad + 1])
            peer.send(frame[:-1])
            peer.expect_silence()
            peer.send(frame[-1:])
        peer.expect_close(*NOT_UTF8)

    return script


def table(*rows):
    """Rows of a name and the bytes, with what the standard says of them."""
    return [
        Case(f"{name} is a text", valid(data))
        if is_valid
        else Case(f"{name} is no text, told at once", invalid(data))
        for name, data, is_valid in rows
    ]


def rows(is_valid, *cases):
    return [(name, data, is_valid) for name, data in cases]


def numbered(is_valid, what, *cases):
    return table(*((f"{what} {data.hex(' ')}", data, is_valid) for data in cases))


EMPTY = (
    Case("an empty text comes back", talk(client(TEXT), server(TEXT))),
    Case("three empty fragments are an empty text", talk(join(TEXT, [b"", b"", b""]), server(TEXT))),
    Case(
        "a text between two empty fragments comes back",
        talk(join(TEXT, [b"", b"middle frame payload", b""]), server(TEXT, b"middle frame payload")),
    ),
)
VALID = (
    Case("a text with umlauts comes back", valid(HELLO)),
    Case(
        "it does in two fragments that are cut between characters",
        talk(join(TEXT, [HELLO[:12], HELLO[12:]]), server(TEXT, HELLO)),
    ),
    Case("it does in fragments of a byte", talk(join(TEXT, bytewise(HELLO)), server(TEXT, HELLO))),
    Case("so does a Greek word", talk(join(TEXT, bytewise(GREEK)), server(TEXT, GREEK))),
)
SURROGATE = GREEK + b"\xed\xa0\x80" + b"edited"
INVALID = (
    Case("a surrogate between characters is refused", invalid(SURROGATE)),
    Case(
        "it is in fragments of a byte",
        refused(join(TEXT, bytewise(SURROGATE)), NOT_UTF8),
    ),
)
OVER = b"\xf4\x90\x80\x80"


def told_at(*pieces):
    """All but the last piece are taken in silence, the last is answered with 1007; nothing follows
    it that would end the message."""

    def script(peer):
        for piece in pieces[:-1]:
            peer.send(piece)
            peer.expect_silence()
        peer.send(pieces[-1])
        peer.expect_close(*NOT_UTF8)

    return script


FAIL_FAST = (
    Case(
        "a fragment that is no UTF-8 is refused before the message ends",
        told_at(client(TEXT, GREEK, fin=False), client(CONTINUATION, OVER, fin=False)),
    ),
    Case(
        "so it is when the fragments are cut inside the bad sequence",
        told_at(client(TEXT, GREEK + OVER[:1], fin=False), client(CONTINUATION, OVER[1:2], fin=False)),
    ),
    Case(
        "so it is inside a frame whose rest is never sent",
        told_at(header(TEXT, 100) + masked(GREEK), masked(GREEK + OVER)[len(GREEK) :]),
    ),
    Case(
        "so it is when every byte of the frame comes alone, at the first that cannot be",
        told_at(header(TEXT, 100), *bytewise(masked(GREEK + OVER[:2]))),
    ),
)
# The first byte of each bad sequence here may begin a character; the second cannot go on.
SECOND_BYTES = [
    Case(
        f"the byte {bad[-1:].hex()} after {bad[:-1].hex(' ')} is refused before the rest comes",
        told_at(client(TEXT, bad[:-1], fin=False), header(CONTINUATION, 50) + masked(bad[-1:])),
    )
    for bad in (
        b"\xc2\x7f", b"\xc2\xc0", b"\xdf\x20", b"\xe0\x9f", b"\xe0\xc0", b"\xe1\x7f", b"\xed\xa0",
        b"\xed\xbf", b"\xef\xc0", b"\xe2\x82\x28", b"\xf0\x8f", b"\xf0\xc0", b"\xf1\x7f",
        b"\xf4\x90", b"\xf4\xbf", b"\xf0\x90\x28", b"\xf0\x90\x8c\x28", b"\xf0\x90\x8c\xf0",
    )
]


def prefixes():
    """Of a Greek word: a text if it ends after a character, and not if it ends inside one."""
    for size in range(1, len(GREEK) + 1):
        cut = GREEK[:size]
        try:
            cut.decode()
            yield Case(f"the first {size} bytes of a Greek word are a text", valid(cut))
        except UnicodeDecodeError:
            yield Case(f"the first {size} bytes of a Greek word end inside a character", invalid(cut))


def sequences():
    """Markus Kuhn's stress test, in the groups that the Autobahn suite makes of it."""
    yield "6.5", "valid texts of all lengths", table(*rows(
        True, ("a Greek word", GREEK), ("ASCII", bytes(range(128))), ("a character of 2 bytes", b"\xc2\xa2"),
        ("one of 3", b"\xe2\x82\xac"), ("one of 4", b"\xf0\x90\x8d\x88"),
        ("a word before one of 4", GREEK + b"\xf0\x90\x8d\x88")))
    yield "6.6", "prefixes of a valid text", [*prefixes()]
    yield "6.7", "the first character of each length", numbered(
        True, "the sequence", b"\0", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80")
    yield "6.8", "the first of 5 and 6 bytes", numbered(
        False, "the sequence", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80")
    yield "6.9", "the last character of each length", numbered(
        True, "the sequence", b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf")
    yield "6.10", "the last of a length, past Unicode's end", numbered(
        False, "the sequence", b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf")
    yield "6.11", "other edges", [
        *numbered(True, "the sequence", b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd",
                  b"\xf4\x8f\xbf\xbf"),
        *numbered(False, "the sequence", b"\xf4\x90\x80\x80")]
    yield "6.12", "continuation bytes of nothing", [
        *numbered(False, "the byte", b"\x80", b"\xbf"),
        *(case for n in range(2, 7)
          for case in table((f"a run of {n} continuation bytes", b"\x80\xbf\x80\xbf\x80\xbf"[:n], False))),
        *table(("all 64 continuation bytes", bytes(range(0x80, 0xC0)), False))]
    yield "6.13", "first bytes of nothing", table(*(
        (f"each first byte of {n}, with a blank behind it",
         b" ".join(bytewise(bytes(range(low, high)))) + b" ", False)
        for n, low, high in ((2, 0xC0, 0xE0), (3, 0xE0, 0xF0), (4, 0xF0, 0xF8), (5, 0xF8, 0xFC),
                             (6, 0xFC, 0xFE))))
    cut = (b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80",
           b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xfb\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf")
    yield "6.14", "the last byte missing", numbered(False, "the sequence", *cut)
    yield "6.15", "all of these in a row", table(("the ten together", b"".join(cut), False))
    yield "6.16", "bytes that stand in no UTF-8", numbered(
        False, "the bytes", b"\xfe", b"\xff", b"\xfe\xfe\xff\xff")
    yield "6.17", "overlong spellings of /", numbered(
        False, "the sequence", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf",
        b"\xfc\x80\x80\x80\x80\xaf")
    yield "6.18", "the greatest overlong spellings", numbered(
        False, "the sequence", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf",
        b"\xfc\x83\xbf\xbf\xbf\xbf")
    yield "6.19", "overlong spellings of NUL", numbered(
        False, "the sequence", b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf8\x80\x80\x80\x80",
        b"\xfc\x80\x80\x80\x80\x80")
    high = (b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf")
    low = (b"\xed\xb0\x80", b"\xed\xbe\x80", b"\xed\xbf\xbf")
    yield "6.20", "surrogates", numbered(False, "the sequence", *high, *low)
    yield "6.21", "pairs of surrogates", numbered(
        False, "the sequence", *(first + second for first in high for second in (low[0], low[2])))
    yield "6.22", "noncharacters, which are valid", table(*(
        (f"U+{point:04X}", chr(point).encode(), True)
        for plane in range(17) for point in (plane << 16 | 0xFFFE, plane << 16 | 0xFFFF)))
    yield "6.23", "around the replacement character", numbered(
        True, "the sequence", *(chr(point).encode() for point in range(0xFFF9, 0x10000)))


# The validator takes ASCII in blocks: a bad byte has to be found wherever it stands in one.
POSITIONS = (*range(0, 41), 47, 48, 62, 63, 64, 65, 127, 128, 129, 255, 256, 4_095, 4_096)


def positions():
    for at in POSITIONS:
        yield Case(
            f"a bad byte after {at:,} good ones is found, with a good text behind it",
            refused(client(TEXT, b"a" * at + b"\xff" + b"b" * 64), NOT_UTF8),
        )
    for at in (0, 1, 13, 14, 15, 16, 30, 31, 32, 63, 64):
        text = b"a" * at + "\U0001d11e\u2202".encode() + b"b" * 40
        yield Case(f"characters of 4 and 3 bytes after {at} of ASCII are good", valid(text))


def splits():
    for at in range(1, len(MIXED)):
        place = "between characters" if may_end(MIXED[:at]) else "inside a character"
        yield Case(
            f"a text in two fragments, cut after byte {at}, {place}, comes back",
            read_apart(join(TEXT, [MIXED[:at], MIXED[at:]]), server(TEXT, MIXED)),
        )
    frame = client(TEXT, MIXED)
    begin = len(frame) - len(MIXED)
    for at in range(1, len(MIXED)):
        yield Case(
            f"a frame that weir reads up to byte {at} of its text, and then the rest, comes back",
            read_apart([frame[: begin + at], frame[begin + at :]], server(TEXT, MIXED)),
        )
    points = [char.encode() for char in MIXED.decode()]
    yield Case("a fragment for each character comes back", talk(join(TEXT, points), server(TEXT, MIXED)))
    yield Case(
        "a ping inside a character does not disturb it",
        read_apart_with_ping,
    )


def may_end(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def read_apart_with_ping(peer):
    peer.send_and_settle(client(TEXT, GREEK[:1], fin=False))
    peer.send(client(9, b"inside"))
    peer.expect(server(10, b"inside"))
    peer.send(client(CONTINUATION, GREEK[1:]))
    peer.expect(server(TEXT, GREEK))


def between_messages():
    yield Case(
        "a text that ends inside a character does not go on in the next message",
        refused([client(TEXT, b"\xce"), client(TEXT, b"\xba")], NOT_UTF8),
    )
    yield Case(
        "a text that ends inside a character is refused though its last fragment is empty",
        refused(join(TEXT, [b"\xce", b""]), NOT_UTF8),
    )
    yield Case(
        "binary messages are not looked at",
        talk(client(2, SURROGATE + OVER), server(2, SURROGATE + OVER)),
    )
    yield Case(
        "a text after a binary message that ends like half a character is looked at from its start",
        talk([client(2, b"\xce"), client(TEXT, b"a")], [server(2, b"\xce"), server(TEXT, b"a")]),
    )
    yield Case(
        "a bad text after a good one is refused, the good one answered",
        refused([client(TEXT, GREEK), client(TEXT, b"\xff")], NOT_UTF8, server(TEXT, GREEK)),
    )


GROUPS = (
    Group("6.1", "empty texts", EMPTY),
    Group("6.2", "valid texts, in fragments", VALID),
    Group("6.3", "invalid texts, in fragments", INVALID),
    Group("6.4", "told at the first bad byte", FAIL_FAST),
    *(Group(number, title, cases) for number, title, cases in sequences()),
    Group("6a", "told at the second byte and later", SECOND_BYTES),
    Group("6b", "a bad byte at each position", [*positions()]),
    Group("6c", "a valid text cut at each position", [*splits()]),
    Group("6d", "texts beside other messages", [*between_messages()]),
)
