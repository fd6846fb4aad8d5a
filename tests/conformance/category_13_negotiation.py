"""13: permessage-deflate (RFC 7692): what is offered, what is agreed to and what is declined, and
messages both ways under each agreement."""

from compression import SHARED_ANSWER, Talk, json, letters, open_offering, repeated_at
from frames import BINARY, PING, PONG, RSV1, TEXT, client, server
from harness import raw
from table import Case, Group

SHARED = ()  # as weir is if nothing is said
DEDICATED = ("--compression", "dedicated")
DEDICATED_11 = (*DEDICATED, "--compression-window", "11")
PMD = "permessage-deflate"


# --- what is agreed, to the letter ----------------------------------------------------------------


def answer(offers, expected):
    """These lines of offers get this answer in the 101 (None: none), and a message comes back under
    what was agreed."""

    def script(peer):
        message = json(300)
        if expected is None:
            got = open_offering(peer, *offers)
            assert got is None, f"answered {got!r}"
            peer.send(client(TEXT, message))
            peer.expect(server(TEXT, message))
        else:
            Talk(peer, offers, expected).echo(TEXT, message)

    return script


def answers(*rows):
    return [
        Case(
            f"{' | '.join(offers)!r} is answered with {expected!r}" if expected else
            f"{' | '.join(offers)!r} is declined, and the connection goes on without",
            answer(offers, expected),
        )
        for *offers, expected in rows
    ]


def shared_with_bits():
    return [(f"{PMD}; server_max_window_bits={bits}", f"{SHARED_ANSWER}; server_max_window_bits={bits}")
            for bits in range(8, 16)]


ANSWERS_SHARED = answers(
    (PMD, SHARED_ANSWER),
    (f"{PMD}; client_max_window_bits", SHARED_ANSWER),
    *((f"{PMD}; client_max_window_bits={bits}", SHARED_ANSWER) for bits in range(8, 16)),
    *shared_with_bits(),
    (f"{PMD}; server_no_context_takeover", SHARED_ANSWER),
    (f"{PMD}; client_no_context_takeover", SHARED_ANSWER),
    (f"{PMD}; client_no_context_takeover; server_no_context_takeover", SHARED_ANSWER),
    (f"{PMD}; server_max_window_bits=10; client_max_window_bits; client_no_context_takeover",
     f"{SHARED_ANSWER}; server_max_window_bits=10"),
    (f"{PMD}, {PMD}; server_max_window_bits=10", SHARED_ANSWER),
    (f"{PMD}; server_max_window_bits=10, {PMD}", f"{SHARED_ANSWER}; server_max_window_bits=10"),
    (f"{PMD}; unheard_of, {PMD}; server_max_window_bits=10", f"{SHARED_ANSWER}; server_max_window_bits=10"),
    (f"{PMD}; unheard_of", f"{PMD}; server_max_window_bits=10",
     f"{SHARED_ANSWER}; server_max_window_bits=10"),
    (f"{PMD}; server_max_window_bits=7, {PMD}", SHARED_ANSWER),
    (f"x-webkit-deflate-frame, {PMD}", SHARED_ANSWER),
    ("x-webkit-deflate-frame", PMD, SHARED_ANSWER),
    (f"bbf-usp-protocol; a=1, {PMD}", SHARED_ANSWER),
    (f"{PMD}; server_max_window_bits=\"10\"", f"{SHARED_ANSWER}; server_max_window_bits=10"),
    (f"  {PMD} ;  server_max_window_bits = 10 ", f"{SHARED_ANSWER}; server_max_window_bits=10"),
    (f"{PMD};server_max_window_bits=10", f"{SHARED_ANSWER}; server_max_window_bits=10"),
    (f", {PMD},", SHARED_ANSWER),
)

ANSWERS_DEDICATED = answers(
    (PMD, PMD),
    (f"{PMD}; client_max_window_bits", PMD),
    (f"{PMD}; server_no_context_takeover", f"{PMD}; server_no_context_takeover"),
    (f"{PMD}; client_no_context_takeover", f"{PMD}; client_no_context_takeover"),
    (f"{PMD}; client_no_context_takeover; server_no_context_takeover",
     f"{PMD}; server_no_context_takeover; client_no_context_takeover"),
    *((f"{PMD}; server_max_window_bits={bits}", f"{PMD}; server_max_window_bits={bits}")
      for bits in range(8, 16)),
    *((f"{PMD}; client_max_window_bits={bits}", f"{PMD}; client_max_window_bits={bits}")
      for bits in range(8, 15)),
    (f"{PMD}; client_max_window_bits=15", PMD),
    (f"{PMD}; client_max_window_bits=9; server_max_window_bits=12; server_no_context_takeover",
     f"{PMD}; server_no_context_takeover; server_max_window_bits=12; client_max_window_bits=9"),
    (f"{PMD}; server_max_window_bits=16, {PMD}; server_max_window_bits=9",
     f"{PMD}; server_max_window_bits=9"),
)

ANSWERS_11 = answers(
    (PMD, f"{PMD}; client_no_context_takeover; server_max_window_bits=11"),
    (f"{PMD}; client_max_window_bits", f"{PMD}; server_max_window_bits=11; client_max_window_bits=11"),
    (f"{PMD}; client_max_window_bits=14; server_max_window_bits=14",
     f"{PMD}; server_max_window_bits=11; client_max_window_bits=11"),
    (f"{PMD}; client_max_window_bits=9; server_max_window_bits=10",
     f"{PMD}; server_max_window_bits=10; client_max_window_bits=9"),
)

# Parameters that are wrong decline the offer, and not the connection (7.1).
DECLINED = answers(*((offer, None) for offer in (
    "x-webkit-deflate-frame",
    "permessage-bzip2",
    "Permessage-Deflate",
    "permessage-deflate2",
    f"{PMD}; unheard_of",
    f"{PMD}; unheard_of=1",
    f"{PMD}; Server_No_Context_Takeover",
    f"{PMD}; server_no_context_takeover=1",
    f"{PMD}; client_no_context_takeover=true",
    f"{PMD}; server_max_window_bits",
    *(f"{PMD}; {side}_max_window_bits={value}" for side in ("server", "client")
      for value in ("7", "16", "0", "08", "+10", "-10", "10.0", "0xa", "auto", "4294967306", '"0010"')),
    f"{PMD}; server_no_context_takeover; server_no_context_takeover",
    f"{PMD}; client_no_context_takeover; client_no_context_takeover",
    f"{PMD}; server_max_window_bits=10; server_max_window_bits=10",
    f"{PMD}; client_max_window_bits=10; client_max_window_bits=10",
    f"{PMD}; client_max_window_bits; client_max_window_bits=10",
    f"{PMD}; unheard_of, {PMD}; server_max_window_bits=99",
)))


def malformed():
    """What is not of the grammar of RFC 6455, section 9.1, is no offer but a bad request."""

    def script_for(value):
        def script(peer):
            peer.send(raw.request(headers=[f"Sec-WebSocket-Extensions: {value}"]))
            lines = peer.head()
            assert lines[0] == b"HTTP/1.1 400 Bad Request", lines[0]
            peer.expect(b"Sec-WebSocket-Extensions is malformed\n")
            peer.expect_end(b"too late")

        return script

    for value in (
        "", " , ,", "; server_no_context_takeover", f"{PMD};", f"{PMD};; server_no_context_takeover",
        f"{PMD}; =10", f"{PMD}; server_max_window_bits=", f"{PMD}; server_max_window_bits=10=11",
        f"{PMD}=1", f"{PMD} server_no_context_takeover", f"{PMD}; server_max_window_bits=1 0",
        f'"{PMD}"', f'{PMD}; server_max_window_bits="10', f'{PMD}; server_max_window_bits=""',
        f'{PMD}; server_max_window_bits="1 0"', f"{PMD}; a/b", f"{PMD}, foo;",
    ):
        yield Case(f"{value!r} is malformed, which is answered with 400", script_for(value))


# --- messages under each agreement ----------------------------------------------------------------

# The offers of the Autobahn suite's 13.1 to 13.7.
OFFERS = (
    (PMD, PMD),
    (f"{PMD}; server_no_context_takeover", f"{PMD}; server_no_context_takeover"),
    (f"{PMD}; server_max_window_bits=9", f"{PMD}; server_max_window_bits=9"),
    (f"{PMD}; server_max_window_bits=15", f"{PMD}; server_max_window_bits=15"),
    (f"{PMD}; server_no_context_takeover; server_max_window_bits=9",
     f"{PMD}; server_no_context_takeover; server_max_window_bits=9"),
    (f"{PMD}; server_no_context_takeover; server_max_window_bits=15",
     f"{PMD}; server_no_context_takeover; server_max_window_bits=15"),
    (f"{PMD}; server_no_context_takeover; server_max_window_bits=9, "
     f"{PMD}; server_no_context_takeover, {PMD}",
     f"{PMD}; server_no_context_takeover; server_max_window_bits=9"),
)


def echoes(offers, expected, opcode, message, fragment=None, may_grow=False):
    def script(peer):
        talk = Talk(peer, offers, expected, may_grow=may_grow)
        for _ in range(3):
            talk.echo(opcode, message, fragment)

    return script


def sizes(offers, expected):
    for size in (16, 64, 256, 1_024, 8_192, 32_768):
        yield Case(
            f"JSON of {size:,} bytes, three times, keeps to what was agreed",
            echoes(offers, expected, TEXT, json(size), may_grow=True),
        )
    yield Case(
        "JSON of 8,192 bytes in frames of 256, three times, keeps to what was agreed",
        echoes(offers, expected, TEXT, json(8_192), 256, may_grow=True),
    )


def windows(may_grow):
    """Repetitions just inside and just outside of the window, both ways: who refers back too far
    is found out by who has no more than was agreed."""
    for bits in range(8, 16):
        window = 1 << bits
        for name, offer in (
            ("the server's", f"server_max_window_bits={bits}"),
            ("the client's", f"client_max_window_bits={bits}"),
            ("either's", f"server_max_window_bits={bits}; client_max_window_bits={bits}"),
        ):
            for away in (-10, 10):
                distance = window + away
                yield Case(
                    f"{name} window of {bits} bits holds under repetitions every {distance:,} bytes",
                    echoes(
                        f"{PMD}; {offer}", None, TEXT, repeated_at(distance, 3 * window + 100),
                        may_grow=may_grow,
                    ),
                )


def combinations(may_grow):
    """Each context taken over or not, with windows that differ."""
    for server_no, client_no in ((0, 0), (0, 1), (1, 0), (1, 1)):
        for server_bits, client_bits in ((9, 15), (15, 9), (8, 8), (12, 10)):
            offer = PMD
            offer += "; server_no_context_takeover" * server_no
            offer += "; client_no_context_takeover" * client_no
            offer += f"; server_max_window_bits={server_bits}; client_max_window_bits={client_bits}"
            yield Case(
                f"{offer!r}: three messages keep to it",
                echoes(offer, None, TEXT, repeated_at(300, 2_000), may_grow=may_grow),
            )


def contexts():
    def taken_over(offer, taken):
        def script(peer):
            talk = Talk(peer, offer, may_grow=True)
            message = letters(1_000)  # half of that when it is told by its alphabet alone
            talk.echo(BINARY, message)
            talk.echo(BINARY, message)
            if taken:
                assert talk.last_size < 50, f"{talk.last_size} bytes for what went before"
            else:
                assert talk.last_size > 450, f"{talk.last_size} bytes: it refers back"

        return script

    yield Case("a context that is taken over tells a second message by the first", taken_over(PMD, True))
    yield Case(
        "one that is not tells it anew",
        taken_over(f"{PMD}; server_no_context_takeover", False),
    )
    yield Case(
        "the client's context does not hold the server's",
        taken_over(f"{PMD}; client_no_context_takeover", True),
    )
    yield Case("a client's message may refer to the one before", refers_back)
    yield Case("contexts of sessions beside each other are their own", beside)
    yield Case(
        "a message in a small window refers to the one before",
        taken_over(f"{PMD}; server_max_window_bits=12", True),
    )
    yield Case("a context goes on over plain messages and pings", over_plain)


def refers_back(peer):
    Talk(peer, PMD, PMD, may_grow=True)
    # RFC 7692, 7.2.3.2: "Hello", and "Hello" by a reference to it.
    peer.send(client(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=RSV1))
    peer.send(client(TEXT, b"\xf2\x00\x11\x00\x00", rsv=RSV1))
    peer.expect(server(TEXT, b"Hello") * 2)


def beside(peer):
    talk = Talk(peer, PMD, PMD, may_grow=True)
    with peer.another() as second:
        other = Talk(second, PMD, PMD, may_grow=True)
        for n in range(5):
            talk.echo(TEXT, letters(500 + n))
            other.echo(TEXT, letters(700 + n))
        second.say_goodbye()


def over_plain(peer):
    talk = Talk(peer, PMD, PMD, may_grow=True)
    for n in range(5):
        talk.echo(BINARY, letters(600))
        peer.send(client(PING, b"between"))
        peer.expect(server(PONG, b"between"))
        peer.send(client(TEXT, b"plain"))
        peer.expect(server(TEXT, b"plain"))
        assert n == 0 or talk.last_size < 50, talk.last_size


def group(number, title, cases, flags):
    """The scripts open their sessions themselves: each has its own offer."""
    return Group(number, title, [*cases], flags, opened=False)


GROUPS = (
    *(
        group(f"13.{n}", offer, sizes(offer, expected), DEDICATED)
        for n, (offer, expected) in enumerate(OFFERS, 1)
    ),
    group("13a", "what is agreed, each message alone", ANSWERS_SHARED, SHARED),
    group("13b", "what is agreed, a context for each session", ANSWERS_DEDICATED, DEDICATED),
    group("13c", "what is agreed, with a window of 11 bits", ANSWERS_11, DEDICATED_11),
    group("13d", "what is declined, each message alone", DECLINED, SHARED),
    group("13e", "what is declined, a context for each session", DECLINED, DEDICATED),
    group("13f", "what is malformed", malformed(), SHARED),
    group("13g", "windows, each message alone", windows(may_grow=False), SHARED),
    group("13h", "windows, a context for each session", windows(may_grow=True), DEDICATED),
    group("13i", "combinations, each message alone", combinations(may_grow=False), SHARED),
    group("13j", "combinations, a context for each session", combinations(may_grow=True), DEDICATED),
    group("13k", "contexts", contexts(), DEDICATED),
)
