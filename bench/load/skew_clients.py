"""skew's clients: processes of bench_sessions, one for each CPU they may have, that share a plan."""

import contextlib
import json
import os
import subprocess
import time

from measure import PATIENCE, Failed

HEAD_START = 0.2  # seconds from when the begin is told until it is
MERGED = ("connects", "messages", "late")  # histograms
ADDED = ("cpu_ns", "sessions", "opened", "lost", "lost_owed", "unopened", "unanswered")


class Clients:
    def __init__(self, binary, cpus, arguments):
        if not binary.exists():
            raise Failed(f"{binary} is missing; tools/build release")
        self._processes = []
        try:
            for number in range(len(cpus)):
                command = [binary, *arguments, "--part", f"{number}/{len(cpus)}"]
                self._processes.append(subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                    start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, cpus)))
        except BaseException:
            self.__exit__()
            raise

    def await_ready(self):
        for process in self._processes:
            if not process.stdout.readline():
                raise Failed(f"the clients: {process.stderr.read().strip() or 'they ended early'}")

    def begin(self):
        """Tells them when; returns it, by time.monotonic()."""
        moment = time.monotonic_ns() + int(HEAD_START * 1e9)
        for process in self._processes:
            process.stdin.write(f"{moment}\n")
            process.stdin.flush()
        # What they say at the end is more than a pipe may hold: it is read as it comes.
        self._said = [b""] * len(self._processes)
        for process in self._processes:
            os.set_blocking(process.stdout.fileno(), False)
        return moment / 1e9

    def ended(self):
        """Whether all are; raises Failed if one did not come to its end."""
        codes = [process.poll() for process in self._processes]
        for i, process in enumerate(self._processes):  # after poll(): who has ended says no more
            with contextlib.suppress(BlockingIOError):
                while piece := os.read(process.stdout.fileno(), 1 << 16):
                    self._said[i] += piece
            if codes[i]:
                raise Failed(f"the clients: {process.stderr.read().strip() or codes[i]}")
        return None not in codes

    def results(self):
        """The counts of all, and their histograms: {name: {upper end in ns: count}}."""
        facts = {name: 0 for name in ADDED} | {name: {} for name in MERGED}
        for said in self._said:
            end = json.loads(said)
            for name in ADDED:
                facts[name] += end[name]
            for name in MERGED:
                for upper, count in end[name]:
                    facts[name][upper] = facts[name].get(upper, 0) + count
        return facts

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=PATIENCE)
