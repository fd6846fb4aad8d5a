"""What the guards allow, in one place: for each figure what was measured when the bound was set,
and the most that passes. More than that fails; a change that is meant to cost more moves the bound
in the commit that brings it, and says there what the cost buys. A change that makes something
cheaper lowers it, so that the gain is held.

To see every figure: ctest --test-dir build/release -R guards/ --verbose
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    measured: float
    most: float


# Instructions a message, GCC 12 -O3, AVX2: exact on any machine, so 10 % above.
CODEC_UNIT = "instructions a message"
CODEC = {
    "text of 64 B": Bound(265, 292),
    "text of 64 B, 16 in a buffer": Bound(154, 169),
    "text of 1 KiB": Bound(384, 422),
    "text of 1,023 B, Japanese": Bound(1_766, 1_943),
    # An instruction a vector more than it needs: unmasking looks for ASCII in passing, for text.
    "binary of 16 KiB": Bound(2_184, 2_402),
    "ping of 4 B": Bound(420, 462),
    "upgrade of a browser": Bound(12_765, 14_040),
}

# The worker's, per 1,000 messages of 64 B, one in flight on each connection: 1.5 times, since how
# full batches are is the scheduler's as well. Alone, a message takes its turn exactly.
ENTERS_UNIT = "io_uring_enter calls per 1,000 messages"
ENTERS = {
    "64 connections": Bound(47, 75),
    "one connection": Bound(1_000, 1_050),
}
SWITCHES_UNIT = "context switches per 1,000 messages"
SWITCHES = {
    "64 connections": Bound(15.7, 24),
    "one connection": Bound(1_000, 1_500),
}

# The worker's calls of malloc and its kin. Exact: the half leaves no room for one more.
MESSAGE_UNIT = "allocations a message"
MESSAGE = {
    "64 B": Bound(0, 0),
    "1 KiB": Bound(0, 0),
    "16 KiB": Bound(0, 0),
    "256 KiB": Bound(0, 0),
    "64 B, 16 in flight": Bound(0, 0),
    "64 B in 3 fragments": Bound(0, 0),
    "1 KiB, compressed": Bound(0, 0),
    "1 KiB, TLS": Bound(6, 6.5),  # OpenSSL's, which keeps no record buffer between messages
}
SESSION_UNIT = "allocations a session"
SESSION = Bound(0, 0.5)

# Private memory of master and worker, over that with 100 sessions; by sessions.
IDLE_UNIT = "bytes an idle session"
IDLE = {
    2_000: Bound(252, 275),
    6_000: Bound(222, 240),
}
