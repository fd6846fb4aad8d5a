"""H: the opening handshake (RFC 6455, section 4.2; RFC 9110 and 9112 for what is HTTP): what is upgraded,
and the whole answer that each other request gets."""

import base64
import hashlib

from frames import PING, PONG, TEXT, client, close, server, text
from table import Case, Group

SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %s\r\n%s\r\n"
)
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455, section 1.3, with the answer to it
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

STANDARD = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def request(line="GET / HTTP/1.1", changes=None):
    """An upgrade request with other or further lines: a name's value, its values for as many lines,
    or None for no line."""
    lines = [line]
    for name, values in (STANDARD | (changes or {})).items():
        for value in [] if values is None else [values] if isinstance(values, str) else values:
            lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def plain(line="GET / HTTP/1.1", *lines):
    """A request that asks for no upgrade."""
    return "\r\n".join([line, "Host: localhost", *lines, "", ""]).encode()


# --- what is upgraded -----------------------------------------------------------------------------


def upgraded(sent, accept=ACCEPT, further=b"", piece=None):
    """The whole 101, to the byte, and then an echo."""

    def script(peer):
        peer.send(sent, piece)
        peer.expect(SWITCHING % (accept, further))
        peer.send(client(TEXT, b"open"))
        peer.expect(server(TEXT, b"open"))
        peer.say_goodbye()

    return script


def upgrades(*rows):
    return [Case(f"{sentence}: upgraded", upgraded(sent)) for sentence, sent in rows]


UPGRADED = upgrades(
    ("the RFC's own key", request()),
    ("names in any case", request(changes={
        "Host": None, "hOST": "localhost", "Upgrade": None, "UPGRADE": "websocket",
        "Sec-WebSocket-Key": None, "sec-websocket-key": KEY})),
    ("tokens in any case", request(changes={"Upgrade": "WebSocket", "Connection": "uPGRADE"})),
    ("a list in Connection", request(changes={"Connection": "keep-alive, Upgrade"})),
    ("a list without blanks", request(changes={"Connection": "keep-alive,Upgrade"})),
    ("a list over two lines", request(changes={"Connection": ["keep-alive", "Upgrade"]})),
    ("several in Upgrade", request(changes={"Upgrade": "h2c, websocket"})),
    ("a version in Upgrade's list", request(changes={"Upgrade": "foo/1.0, websocket"})),
    ("blanks around values", request(changes={"Host": "  localhost \t", "Upgrade": "\twebsocket  "})),
    ("a path", request("GET /chat/room HTTP/1.1")),
    ("a query", request("GET /chat?room=1&x=/y HTTP/1.1")),
    ("a target of absolute form", request("GET http://localhost/chat HTTP/1.1")),
    ("a target of absolute form with a query and no path", request("GET ws://localhost?x=/y HTTP/1.1")),
    ("a path of percent signs", request("GET /%e4%00%zz HTTP/1.1")),
    ("a port in Host", request(changes={"Host": "localhost:9000"})),
    ("an IPv6 address in Host", request(changes={"Host": "[::1]:9000"})),
    ("a body of no bytes", request(changes={"Content-Length": "0"})),
    ("an Origin where all may connect", request(changes={"Origin": "https://example.com"})),
    ("headers that mean nothing here", request(changes={
        "User-Agent": "conformance", "Cookie": "a=b", "Pragma": "no-cache", "X-Empty": ""})),
    ("a hundred headers", request(changes={f"X-{n}": "v" * 20 for n in range(100)})),
    ("a subprotocol where none is served", request(changes={"Sec-WebSocket-Protocol": "chat"})),
    ("an extension that is not known", request(changes={"Sec-WebSocket-Extensions": "foo; bar=1"})),
)


def keys():
    for key in (bytes(16), b"\xff" * 16, b"weir weir weir w", bytes(range(16)), bytes(range(200, 216))):
        text = base64.b64encode(key)
        accept = base64.b64encode(hashlib.sha1(text + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        yield Case(
            f"the key {text.decode()} gets the answer that proves it was read",
            upgraded(request(changes={"Sec-WebSocket-Key": text.decode()}), accept),
        )


def in_pieces():
    sent = request()
    yield Case("a request in writes of a byte is upgraded", upgraded(sent, piece=1))
    yield Case("a request in writes of 7 bytes is upgraded", upgraded(sent, piece=7))
    ends = [at + 1 for at in range(len(sent)) if sent[at : at + 1] in b"\r\n"]
    for cut in (1, 3, 4, *ends[:-1], len(sent) - 5):

        def script(peer, cut=cut):
            peer.send(sent[:cut])
            peer.expect_silence()
            upgraded(sent[cut:])(peer)

        yield Case(f"a request that weir reads up to byte {cut}, and then the rest, is upgraded", script)


def with_frames():
    """Bytes behind the request are the first frames."""
    first, answer = client(TEXT, b"early"), server(TEXT, b"early")

    def script_for(writes, *answers):
        def script(peer):
            for write in writes[:-1]:
                peer.send_and_settle(write)
            peer.send(writes[-1])
            peer.expect(SWITCHING % (ACCEPT, b""), *answers)
            peer.upgraded = True

        return script

    yield Case("a frame behind the request in one write is answered", script_for([request() + first], answer))
    for cut in (1, 2, 4, 6, 8):
        yield Case(
            f"a frame whose first {cut} bytes come with the request is answered",
            script_for([request() + first[:cut], first[cut:]], answer),
        )
    yield Case(
        "a request cut inside its end, with the frame behind the rest, is answered",
        script_for([request()[:-2], request()[-2:] + first], answer),
    )
    yield Case(
        "many frames behind the request are answered in order",
        script_for([request() + first * 50 + client(PING, b"x")], answer * 50, server(PONG, b"x")),
    )
    yield Case(
        "100,000 bytes behind the request are answered",
        script_for([request() + client(TEXT, text(100_000))], server(TEXT, text(100_000))),
    )
    yield Case("a close behind the request is answered, and is the end", closes_at_once)
    yield Case("a bad frame behind the request is closed with 1002 after the 101", breaks_at_once)


def closes_at_once(peer):
    peer.send(request() + close(1001))
    peer.expect(SWITCHING % (ACCEPT, b""))
    peer.expect_close(1001)


def breaks_at_once(peer):
    peer.send(request() + client(TEXT, mask=None))
    peer.expect(SWITCHING % (ACCEPT, b""))
    peer.expect_close(1002, b"a client's frame is not masked")


# --- what is answered -----------------------------------------------------------------------------

UPGRADE_LINES = (b"Upgrade: websocket", b"Sec-WebSocket-Version: 13")
STATUS = {
    200: b"OK",
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Payload Too Large",
    414: b"URI Too Long",
    426: b"Upgrade Required",
    431: b"Request Header Fields Too Large",
    505: b"HTTP Version Not Supported",
}


def expect_answer(peer, status, further=(), body=None, is_head=False):
    """The whole answer, which is one and the last: its lines in their order, as many bytes as it
    says, and the end in good order."""
    lines = peer.head()
    assert lines[0] == b"HTTP/1.1 %d %s" % (status, STATUS[status]), lines[0]
    connection = b"Connection: close, Upgrade" if status == 426 else b"Connection: close"
    if status == 426:
        further = UPGRADE_LINES
    assert lines[1:3] == [connection, b"Content-Type: text/plain"], lines
    name, _, size = lines[3].partition(b": ")
    assert name == b"Content-Length", lines
    assert tuple(lines[4:]) == tuple(further), lines
    if not is_head:
        got = peer.take(int(size))
        assert got.endswith(b"\n") and got.count(b"\n") == 1 and got.isascii(), f"no line: {got!r}"
        assert body is None or got == body, got
    peer.expect_end(b"GET / HTTP/1.1\r\n\r\n")


def answered(sent, status, *further, body=None, piece=None):
    def script(peer):
        peer.send(sent, piece)
        expect_answer(peer, status, further, body, is_head=sent.startswith(b"HEAD "))

    return script


def answers(status, *rows, further=()):
    return [Case(f"{sentence}: {status}", answered(sent, status, *further)) for sentence, sent in rows]


LINES = [
    *answers(426, ("a plain GET", plain()), ("a GET of any path", plain("GET /index.html HTTP/1.1"))),
    *answers(
        405,
        *((f"a {method}", request(f"{method} / HTTP/1.1"))
          for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "HEAD", "WEBSOCKET")),
        ("a CONNECT", plain("CONNECT localhost:80 HTTP/1.1")),
        further=(b"Allow: GET",),
    ),
    *answers(
        505,
        *((f"HTTP/{version}", request(f"GET / HTTP/{version}"))
          for version in ("1.0", "1.2", "0.9", "2.0", "3.0")),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ),
    *answers(
        400,
        ("a target that is no path", request("GET chat HTTP/1.1")),
        ("a target of asterisk form", request("GET * HTTP/1.1")),
        ("no target", request("GET HTTP/1.1")),
        ("a request of one word", request("GET")),
        ("a version in small letters", request("GET / http/1.1")),
        ("a version without a minor", request("GET / HTTP/1")),
        ("a version of another protocol", request("GET / HTCPCP/1.0")),
        ("a blank in the target", request("GET /a b HTTP/1.1")),
        ("a control character in the target", request("GET /a\x01b HTTP/1.1")),
        ("a method that is no token", request("G@T / HTTP/1.1")),
    ),
]

HEADERS = [
    *answers(
        400,
        ("no Host", request(changes={"Host": None})),
        ("an empty Host", request(changes={"Host": ""})),
        ("two Hosts", request(changes={"Host": ["localhost", "localhost"]})),
        ("no Connection", request(changes={"Connection": None})),
        ("Connection: close", request(changes={"Connection": "close"})),
        ("Connection with a longer word", request(changes={"Connection": "Upgrades"})),
        ("no key", request(changes={"Sec-WebSocket-Key": None})),
        ("two keys", request(changes={"Sec-WebSocket-Key": [KEY, KEY]})),
        ("an empty key", request(changes={"Sec-WebSocket-Key": ""})),
        ("a key of 15 bytes", request(changes={"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAA"})),
        ("a key of 17 bytes", request(changes={"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAAA="})),
        ("a key of 32 bytes", request(changes={"Sec-WebSocket-Key": "A" * 43 + "="})),
        ("a key without its padding", request(changes={"Sec-WebSocket-Key": KEY[:-2]})),
        ("a key in the other base64", request(changes={"Sec-WebSocket-Key": "_-AAAAAAAAAAAAAAAAAAAA=="})),
        ("a key with a blank in it", request(changes={"Sec-WebSocket-Key": "dGhlIHNhbXBs ZSBub25jZQ=="})),
        ("a header without a colon", request(changes={"Host": ["localhost\r\nNo colon here"]})),
        ("a blank before the colon", request(changes={"Host": None, "Host ": "localhost"})),
        ("a name of no letters", request(changes={"": "value"})),
        ("a name that is no token", request(changes={"X(Y)": "value"})),
        ("a NUL in a value", request(changes={"X-Nul": "a\0b"})),
        ("a control character in a value", request(changes={"X-Bell": "a\x07b"})),
        ("a bare CR in a value", request(changes={"X-Cr": "a\rb"})),
    ),
    *answers(
        426,
        ("no Upgrade", request(changes={"Upgrade": None})),
        ("an upgrade to HTTP/2", request(changes={"Upgrade": "h2c"})),
        ("an upgrade with a longer word", request(changes={"Upgrade": "websockets"})),
        ("no version", request(changes={"Sec-WebSocket-Version": None})),
        *((f"version {version!r}", request(changes={"Sec-WebSocket-Version": version}))
          for version in ("", "0", "7", "8", "12", "14", "25", "013", "13.0", "13, 8", "thirteen", "-13")),
        ("two versions", request(changes={"Sec-WebSocket-Version": ["13", "13"]})),
        ("two versions, one of them 8", request(changes={"Sec-WebSocket-Version": ["13", "8"]})),
    ),
    *answers(
        413,
        ("a body of 5 bytes", request(changes={"Content-Length": "5"}) + b"hello"),
        ("a body in chunks", request(changes={"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n0\r\n\r\n"),
    ),
    *answers(
        400,
        ("a length that is no number", request(changes={"Content-Length": "five"})),
        ("two lengths that differ", request(changes={"Content-Length": ["5", "6"]}) + b"hello"),
    ),
]

HELLO_TLS = bytes.fromhex("16030100c8010000c40303") + bytes(range(189))
GARBAGE = answers(
    400,
    ("the first bytes of TLS", HELLO_TLS[:11]),
    ("a whole ClientHello of TLS", HELLO_TLS),
    ("the first byte of TLS alone", HELLO_TLS[:1]),
    ("a frame where a request should be", client(TEXT, b"hello")),
    ("a NUL", b"\0"),
    ("bytes past ASCII", b"\xff\xfe\xfd"),
    ("a blank first", b" GET / HTTP/1.1\r\n\r\n"),
    ("an SSH client's greeting, ended like a request", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ("the PROXY protocol where it is not spoken", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + request()),
    ("version 2 of the PROXY protocol where it is not spoken",
     b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + request()),
)


def more():
    yield Case(
        "what comes behind a refused request is not a second one",
        answered(plain() + request(), 426),
    )
    yield Case("a refused request in writes of a byte gets its answer once", answered(plain(), 426, piece=1))
    yield Case(
        "a megabyte behind a refused request brings no reset",
        answered(plain() + b"x" * (1 << 20), 426),
    )
    yield Case("an end inside a request is an end", ends_inside)
    yield Case("a client that says nothing and ends is ended", ends_unsaid)


def ends_inside(peer):
    peer.send(request()[:50])
    peer.end_ours()
    peer.expect_end()


def ends_unsaid(peer):
    peer.end_ours()
    peer.expect_end()


# --- limits ---------------------------------------------------------------------------------------


def head_of(size):
    """An upgrade request of exactly so many bytes."""
    sent = request(changes={"X-Fill": ""})
    return sent[:-4] + b"f" * (size - len(sent)) + b"\r\n\r\n"


def line_of(size):
    """One whose request line has exactly so many bytes, without its end."""
    return request("GET /" + "p" * (size - len("GET / HTTP/1.1")) + " HTTP/1.1")


def limits(head_max, line_max):
    yield Case(f"a head of {head_max:,} bytes is upgraded", upgraded(head_of(head_max)))
    yield Case("it is in writes of 100 bytes", upgraded(head_of(head_max), piece=100))
    yield Case("a head of a byte more: 431", answered(head_of(head_max + 1), 431))
    yield Case("a head of four times that: 431", answered(head_of(4 * head_max), 431))
    yield Case(
        "so is one whose end never comes: the answer does not wait for it",
        answered(head_of(2 * head_max)[: head_max + 1], 431),
    )
    yield Case(
        "so are very many short headers",
        answered(request(changes={f"X-{n}": "v" for n in range(head_max // 4)}), 431),
    )
    yield Case(f"a request line of {line_max:,} bytes is upgraded", upgraded(line_of(line_max)))
    yield Case("one of a byte more: 414", answered(line_of(line_max + 1), 414))
    yield Case(
        "one whose end never comes: 414, as soon as it is over",
        answered(line_of(2 * head_max)[: line_max + 2], 414),
    )
    yield Case("one over both limits: 414", answered(line_of(2 * head_max), 414))


# --- with flags -----------------------------------------------------------------------------------

PATHS = [
    *(Case(f"{path} is served", upgraded(request(f"GET {path} HTTP/1.1")))
      for path in ("/chat", "/b", "/b?room=1", "/chat?", "http://localhost/b", "ws://localhost/chat?x")),
    *answers(404, *((f"{path} is not served", request(f"GET {path} HTTP/1.1"))
                    for path in ("/", "/chat/", "/chat/more", "/cha", "/Chat", "/%63hat", "//chat",
                                 "/?/chat", "http://localhost", "http://chat/"))),
    *answers(404, ("a plain GET of another path", plain("GET /other HTTP/1.1"))),
    *answers(426, ("a plain GET of a path that is served", plain("GET /chat HTTP/1.1"))),
]

ORIGINS = [
    *(Case(f"the origin {origin} may connect", upgraded(request(changes={"Origin": origin})))
      for origin in ("https://example.com", "HTTPS://Example.COM", "http://localhost:3000", "null")),
    Case("who names no origin is no browser, and may connect", upgraded(request())),
    *answers(403, *((f"the origin {origin!r}", request(changes={"Origin": origin}))
                    for origin in (
                        "https://example.org", "http://example.com", "https://example.com:444",
                        "https://sub.example.com", "https://example.com.evil.org", "https://example.com/",
                        "http://localhost", "http://localhost:30000", "", "example.com"))),
    *answers(400, ("two origins, alike", request(changes={"Origin": ["https://example.com"] * 2})),
             ("two origins, one not allowed",
              request(changes={"Origin": ["https://example.com", "https://example.org"]}))),
]


def subprotocols():
    for offered, selected in (
        ("chat", "chat"),
        ("superchat", "superchat"),
        ("chat, superchat", "chat"),
        ("superchat, chat", "superchat"),
        ("other, superchat, chat", "superchat"),
        ("other,chat", "chat"),
        (["other", "chat"], "chat"),
        (["superchat", "chat"], "superchat"),
        ("v1.chat+json", "v1.chat+json"),
        (", chat,", "chat"),
        ("other", None),
        ("Chat", None),
        ("chat2, chats", None),
        (None, None),
    ):
        further = b"Sec-WebSocket-Protocol: %s\r\n" % selected.encode() if selected else b""
        yield Case(
            f"{offered!r} offered selects {selected or 'none, and is upgraded all the same'}",
            upgraded(request(changes={"Sec-WebSocket-Protocol": offered}), further=further),
        )
    yield from answers(
        400,
        *((f"{offered!r} is no list of tokens, each there once",
           request(changes={"Sec-WebSocket-Protocol": offered}))
          for offered in ("chat, chat", ["chat", "chat"], "cha t", "chat;x", '"chat"', "chat/1", "", " , ")),
    )


HEALTH = [
    Case("a GET of the health path: 200 ok", answered(plain("GET /healthz HTTP/1.1"), 200, body=b"ok\n")),
    Case("with a query", answered(plain("GET /healthz?full HTTP/1.1"), 200, body=b"ok\n")),
    Case("a HEAD gets the same head and no body", answered(plain("HEAD /healthz HTTP/1.1"), 200)),
    Case("in HTTP/1.0, without a Host", answered(b"GET /healthz HTTP/1.0\r\n\r\n", 200, body=b"ok\n")),
    Case("a HEAD in HTTP/1.0", answered(b"HEAD /healthz HTTP/1.0\r\n\r\n", 200)),
    Case("in writes of a byte", answered(plain("GET /healthz HTTP/1.1"), 200, body=b"ok\n", piece=1)),
    *answers(405, ("a POST of the health path", plain("POST /healthz HTTP/1.1")),
             ("a DELETE of it", plain("DELETE /healthz HTTP/1.1")), further=(b"Allow: GET, HEAD",)),
    *answers(400, ("a GET of it in HTTP/1.1 without a Host", b"GET /healthz HTTP/1.1\r\n\r\n")),
    *answers(413, ("a GET of it with a body",
                   plain("GET /healthz HTTP/1.1", "Content-Length: 5") + b"hello")),
    *answers(404, ("an upgrade of it, where other paths are served", request("GET /healthz HTTP/1.1")),
             ("a path below it", plain("GET /healthz/more HTTP/1.1"))),
    *answers(505, ("HTTP/1.0 anywhere else", b"GET /chat HTTP/1.0\r\nHost: localhost\r\n\r\n")),
    Case("an upgrade of the path that is served", upgraded(request("GET /chat HTTP/1.1"))),
]


def slow():
    """The clock is weir's. Nothing here is sooner or later than it says, or is judged by time."""

    def begun(size):
        def script(peer):
            peer.send(request()[:size])
            expect_answer(peer, 408)

        return script

    for size in (1, 14, 100, len(request()) - 1):
        yield Case(f"a request of which {size} bytes came in time: 408", begun(size))
    yield Case("who sends nothing in time is ended without an answer", lambda peer: peer.expect_end())
    yield Case("a byte now and then does not keep the clock from running: 408", dribbles)
    yield Case("a session that was open in time stays", stays)


def dribbles(peer):
    for byte in request(changes={"X-Fill": "f" * 5_000}):
        peer.send(bytes([byte]))
        if peer.something_within(0.01):
            break
    expect_answer(peer, 408)


def stays(peer):
    with peer.another() as silent:
        upgrade = SWITCHING % (ACCEPT, b"")
        peer.send(request())
        peer.expect(upgrade)
        silent.expect_end()  # the deadline of who came later has passed
        peer.send(client(TEXT, b"still here"))
        peer.expect(server(TEXT, b"still here"))
        peer.say_goodbye()


def group(number, title, cases, flags=(), path="/"):
    return Group(number, title, [*cases], flags, opened=False, path=path)


PATH_FLAGS = ("--path", "/chat", "--path", "/b")
ORIGIN_FLAGS = ("--origin=https://example.com", "--origin=http://localhost:3000", "--origin=null")
SUBPROTOCOL_FLAGS = ("--subprotocol=chat", "--subprotocol=superchat", "--subprotocol=v1.chat+json")
LIMIT_FLAGS = ("--max-header-size", "2KiB", "--max-request-line", "512")

GROUPS = (
    group("H.1", "upgraded", UPGRADED),
    group("H.2", "keys", keys()),
    group("H.3", "a request in pieces", in_pieces()),
    group("H.4", "frames behind the request", with_frames()),
    group("H.5", "request lines", LINES),
    group("H.6", "headers", HEADERS),
    group("H.7", "what is no HTTP", GARBAGE),
    group("H.8", "around a refusal", more()),
    group("H.9", "paths", PATHS, PATH_FLAGS, path="/chat"),
    group("H.10", "limits as they are", limits(8_192, 4_096)),
    group("H.11", "limits of 2 KiB and 512 bytes", limits(2_048, 512), LIMIT_FLAGS),
    group("H.12", "origins", ORIGINS, ORIGIN_FLAGS),
    group("H.13", "subprotocols", subprotocols(), SUBPROTOCOL_FLAGS),
    group("H.14", "health checks", HEALTH, ("--health-path", "/healthz", "--path", "/chat"), path="/chat"),
    group("H.15", "slow requests", slow(), ("--handshake-timeout", "300ms")),
)
