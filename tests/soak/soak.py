"""Soak: everything that can be done to weir while it serves, mixed at random and without a pause,
and clients who notice nothing of it.

    soak.py [--seconds N] [--seed S]        600 s and a new seed if not said

Clients (crowd.py) connect, echo and leave all the time, and standing sessions check every byte of
theirs by sequence. Meanwhile one action (actions.py) follows on the other: workers are killed, hang
and drain, the master stands still, sessions move, weir is reloaded, resized and upgraded, as far as
this weirctl knows the commands. What an action may cost is noted before it is done (excuses.py).
Every few actions the clients fall silent, and weir has to come to rest (invariants.py): what it
counts is what is there, and it holds no more than before. At the end nothing of it is left.

It stops at the first failure, exits 1 and says all that is known of it; --seed with the seed it
printed first gives the same actions with the same choices, though not the same instants.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
import traceback

from harness import proc
from harness.environment import raise_descriptor_limit, scaled
import actions
from crowd import Crowd
from excuses import Excuses
from invariants import Invariants
from journal import Journal
from service import Service, adopt_orphans

WORKERS = 4
STANDING = 60  # sessions
ACTIONS = (5, 15)  # from one rest to the next


class Soak:
    def __init__(self, seed, journal):
        self._dice = random.Random(seed)
        self._journal = journal
        self._directory = tempfile.mkdtemp(prefix="weir-soak-")
        config = os.path.join(self._directory, "weir.conf")
        with open(config, "w", encoding="ascii"):
            pass
        self._service = Service(
            "--rebalance", "auto", "--drain-timeout", "300ms", "--hang-kill", f"{actions.HANG_KILL}s",
            "--compression", "dedicated", "--compression-min-size", "0",
            "--config", config, workers=WORKERS,
        )  # fmt: skip
        standing = scaled(STANDING)
        self._excuses = Excuses()
        self._crowd = Crowd(self._service.address, self._excuses, standing, seed)
        self._soaked = actions.Soaked(self._service, self._crowd, self._excuses, self._dice, config)
        self._invariants = Invariants(self._service, self._crowd, standing)
        self._done = 0

    def run(self, seconds):
        journal, soaked = self._journal, self._soaked
        journal.note(f"weir {self._service.pid} on port {self._service.port}")
        ends_at = time.monotonic() + seconds
        self._crowd.standing.pause()  # all are there
        self._rest()
        while time.monotonic() < ends_at:
            self._crowd.go()
            for _ in range(self._dice.randint(*ACTIONS)):
                actions.let_come(soaked)
                action = actions.next_action(soaked)
                journal.note(f"{action} ...")
                journal.note(f"{action}: {action.do(soaked)}")
                self._done += 1
                actions.note_drains_that_ended(soaked)
                self._crowd.check()
                if time.monotonic() > ends_at:
                    break
            self._rest()

    def _rest(self):
        self._journal.note("rest ...")
        self._crowd.pause()
        seen = self._invariants.rest(self._soaked.count)
        self._crowd.check()
        self._excuses.all_is_over()
        self._journal.note(f"rest: {seen}")

    def finish(self):
        """Ends weir in good order, and sees to it that it does."""
        crowd = self._crowd
        visits, reopened = crowd.visitors.visits, crowd.standing.reopened
        exchanged = crowd.standing.exchanged()
        crowd.end()
        statuses = self._service.stop()
        self._service.close()
        objects = self._invariants.ended(statuses)
        self._journal.note(
            f"passed: {self._done} actions, {visits} visits, {reopened} sessions opened again, "
            f"{exchanged} messages; excused: {self._excuses.used}; {len(statuses)} "
            f"masters ended, none of {objects} BPF objects left"
        )

    def tell(self):
        """All that is known, for who looks for the cause."""
        try:
            self._journal.note(f"status: {self._service.status()}")
        except (OSError, AssertionError) as failure:
            self._journal.note(f"no status: {failure!r}")
        print(f"weir's log, the end of it:\n{self._service.tail()}", flush=True)

    def clean_up(self):
        self._service._kill_all()
        shutil.rmtree(self._directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    given = parser.parse_args()
    if not proc.may_load_bpf():
        print("skipped: loading the steering program needs CAP_BPF: run as root")
        sys.exit(77)
    raise_descriptor_limit()
    # The clients' threads keep the interpreter busy, and each look into /proc gives it up: at 5 ms
    # a turn a frozen worker's connections would take seconds to list.
    sys.setswitchinterval(1e-4)
    adopt_orphans()
    print(f"seed {given.seed}, {given.seconds} s", flush=True)
    journal = Journal()
    soak = Soak(given.seed, journal)
    try:
        soak.run(given.seconds)
        soak.finish()
    except BaseException as failure:
        journal.note(f"FAILED, seed {given.seed}: {failure!r}")
        traceback.print_exc()
        soak.tell()
        sys.exit(1)
    finally:
        soak.clean_up()


if __name__ == "__main__":
    main()
