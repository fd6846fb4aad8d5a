#!/usr/bin/env python3
"""The conformance suite: what weir answers to each byte sequence, compared byte for byte.

Usage: run.py [--list] [--verbose] [CATEGORY] [NUMBER...]

A client of our own (peer.py, frames.py, compression.py) talks to the real program over loopback,
a weir for each set of flags, a session for each case. Every case has a number and a sentence that
says what it proves; scripts say how, in category_*.py, one file a category:

  1_framing         lengths, masks, headers in pieces
  2_pings           pings and pongs
  3_reserved_bits   RSV1 to RSV3 without an extension that gives them a meaning
  4_opcodes         reserved opcodes, of data and of control
  5_fragmentation   messages in several frames, control frames in between
  6_utf8            texts: valid, invalid at each place, told at the first bad byte
  7_closing         close codes and reasons, what comes after a close
  9_limits          large messages, the size limit, many writes; the message rate
  10_pieces         messages of every size in frames of every size
  12_compression    permessage-deflate: messages of all sizes and kinds
  13_negotiation    permessage-deflate: what is offered, agreed to and declined
  13_data           permessage-deflate: what compressed data may be, and what may not
  H_handshake       HTTP: what is upgraded, and what each other request is answered

The numbers are those of the Autobahn test suite, which are the ones people know: category 6 is
UTF-8 there and here, and group 6.12 has the lonely continuation bytes. 8 and 11 are not used
there. A group with a letter in its number (6a), and category H, are ours alone.

Without a CATEGORY all are run. NUMBERs narrow it down: a group's, or a case's. CTest runs each
category as conformance/CATEGORY and sets what harness/environment.py asks for.

Beside the session of a case another one, in the same worker, has to go on echoing; each weir has to
end with no session left, status 0 and no error in its log. A line for each failure, with its
sentence, and the count at the end; exits 1 if there are any.
"""

import argparse
import importlib
import pathlib
import sys
import time
import traceback

from harness.server import Server
from peer import Beside, Peer

CATEGORIES = (
    "1_framing", "2_pings", "3_reserved_bits", "4_opcodes", "5_fragmentation", "6_utf8",
    "7_closing", "9_limits", "10_pieces", "12_compression", "13_negotiation",
    "13_data", "H_handshake",
)


def numbered(groups):
    return [
        (group, f"{group.number}.{index}", case)
        for group in groups
        for index, case in enumerate(group.cases, 1)
    ]


def settings(group):
    """What two groups have to agree in to share a weir."""
    return group.flags, group.path, group.beside


def wanted(number, numbers):
    return not numbers or any(number == n or number.startswith(f"{n}.") for n in numbers)


class Bench:
    """One weir and the session beside the cases'."""

    def __init__(self, group):
        # One worker, so that the session beside is served by the one that is under test.
        self._server = Server("--idle-timeout", "0", "--ping-interval", "0", *group.flags, workers=1)
        self._beside = None

    def go_through(self, group, case):
        if group.beside and not self._beside:
            self._beside = Beside(self._server.address, group.path)
        try:
            self._go_through(group, case)
        except BaseException:
            if self._beside:  # it may have been hit as well: the next case gets another
                self._beside.drop()
                self._beside = None
            raise

    def _go_through(self, group, case):
        with Peer(self._server.address, self._beside) as peer:
            if group.opened:
                peer.open(path=group.path)
            case.script(peer)
            if peer.upgraded and not peer.ended:
                peer.say_goodbye()
        if self._beside:
            self._beside.echo()

    def end(self):
        """Says whether all that was opened is gone, and ends weir."""
        try:
            if self._beside:
                self._beside.end()
            self._server.await_status(lambda seen: seen["connections"] == 0, "no session is left")
        finally:
            self._server.close()


class Runner:
    # Each wait in vain costs PATIENCE. After so many the rest of a category is not tried.
    WAITS_IN_VAIN_MAX = 8

    def __init__(self, verbose):
        self._verbose = verbose
        self._failed = self._count = self._waits_in_vain = 0

    def run(self, cases):
        """Goes through the cases of one category, with one weir for each set of flags."""
        self._waits_in_vain = 0
        while cases:
            first = settings(cases[0][0])
            same = [row for row in cases if settings(row[0]) == first]
            cases = [row for row in cases if settings(row[0]) != first]
            self._run_with_one_weir(same)

    def _run_with_one_weir(self, rows):
        flags = " ".join(rows[0][0].flags)
        self._count += len(rows)
        bench = self._attempt(f"weir {flags} starts", lambda: Bench(rows[0][0]))
        if bench is None:
            self._failed += len(rows) - 1
            return print(f"FAILED {len(rows)} cases from {rows[0][1]} on: no weir to try them with")
        for tried, (group, number, case) in enumerate(rows):
            if self._waits_in_vain == self.WAITS_IN_VAIN_MAX:
                self._failed += len(rows) - tried
                print(f"FAILED {len(rows) - tried} cases from {number} on: too many waits in vain before")
                break
            self._attempt(f"{number} {case.sentence}", lambda: bench.go_through(group, case))
        self._attempt(f"weir {flags} ends in good order", bench.end)

    def _attempt(self, what, action):
        try:
            result = action()
        except Exception as error:  # whatever it is, it is this case's
            self._failed += 1
            self._waits_in_vain += isinstance(error, TimeoutError)
            at = traceback.extract_tb(error.__traceback__)[-1]
            why = f"{error or type(error).__name__} ({pathlib.Path(at.filename).name}:{at.lineno})"
            print(f"FAILED {what}\n    {why}", flush=True)
            return None
        if self._verbose:
            print(f"ok {what}", flush=True)
        return result

    def report(self, seconds):
        print(f"{self._count} cases, {self._failed} failed, in {seconds:.1f} s")
        return 1 if self._failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="print the cases and run none")
    parser.add_argument("--verbose", action="store_true", help="print what passes, too")
    parser.add_argument("category", nargs="?", choices=CATEGORIES, help="all if not named")
    parser.add_argument("number", nargs="*", help="a group, such as 6.12, or a case, 6.12.3")
    options = parser.parse_args()

    runner = Runner(options.verbose)
    began = time.monotonic()
    for category in [options.category] if options.category else CATEGORIES:
        module = importlib.import_module(f"category_{category}")
        cases = [row for row in numbered(module.GROUPS) if wanted(row[1], options.number)]
        if options.list:
            for group, number, case in cases:
                print(f"{number:<10}{group.title}: {case.sentence}")
        else:
            runner.run(cases)
    return 0 if options.list else runner.report(time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
