"""The cases that every client goes through: one sentence each, and what the client is told to do.

What the clients understand:
  echo text|binary BYTES            one message, back as it was
  pieces text|binary BYTES PIECE    the same, fragmented, with an empty last fragment
  interleaved text|binary BYTES PIECE   the same, with a ping after each fragment
  pipeline COUNT                    so many messages sent before the first answer is read
  ping BYTES                        a ping, whose pong carries the same bytes
  silent MILLISECONDS               says nothing for that long, answers pings, then an echo
  close CODE REASON                 ends the session; the answer has the same code
  oversized BYTES PIECE             a message over the limit, which is answered with 1009
  invalid-text                      a text that is no UTF-8, which is answered with 1007
  await-close CODE REASON           prints "waiting", and expects to be closed like this

A text is made of characters of 1, 2, 3 and 4 bytes, so that fragments cut through them.
"""

KIB, MIB = 1024, 1024 * 1024
MESSAGE_MAX = 16 * MIB

# The edges of the three ways to spell a length (RFC 6455, section 5.2), and a big one.
SIZES = (0, 1, 125, 126, 65_535, 65_536, MESSAGE_MAX)

# Of a server with --max-message-size 16MiB.
EXCHANGES = (
    *((f"a {kind} message of {n:,} bytes comes back", f"echo {kind} {n}")
      for kind in ("text", "binary") for n in SIZES),
    ("a text in fragments that cut through characters comes back", "pieces text 150 1"),
    ("a binary message in 70 fragments comes back", "pieces binary 70000 1000"),
    ("16 MiB in fragments of 64 KiB come back", f"pieces binary {MESSAGE_MAX} 65536"),
    ("pings between the fragments disturb no text", "interleaved text 3000 100"),
    ("pings between the fragments disturb no binary message", "interleaved binary 3000 100"),
    ("1,000 messages come back in order when sent without waiting", "pipeline 1000"),
    ("an empty ping is answered", "ping 0"),
    ("a ping of 125 bytes is answered with the same bytes", "ping 125"),
    ("a close with a code and a reason is answered with the code", "close 4001 that is all"),
    ("a close with the longest reason is answered with the code", "close 1000 " + "r" * 123),
    ("a message over the limit by one byte is closed with 1009", f"oversized {MESSAGE_MAX + 1} 0"),
    ("fragments over the limit in sum are closed with 1009", f"oversized {MESSAGE_MAX + 1} 65536"),
    ("a text that is no UTF-8 is closed with 1007", "invalid-text"),
)

# Of a server with SILENCE_FLAGS: without its pings, and the pongs, the session would not last.
SILENCE_FLAGS = ("--ping-interval", "100ms", "--idle-timeout", "400ms")
SILENCE = (
    ("a session that answers pings outlives the idle timeout three times over", "silent 1200"),
)

# Of a server that is told to stop while the client waits.
GOODBYE = "await-close 1001 server is shutting down"
