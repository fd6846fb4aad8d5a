"""Excuses: which sessions may end by something that the soak did. Noted before it is done, so that
whoever loses a session can look it up at once."""

import threading
import time

RESTART = b"\x03\xf4"  # 1012, in a close frame's payload


class Excuses:
    def __init__(self):
        self._lock = threading.Lock()
        self._lost = {}  # port -> when its worker was killed
        self._used_ports = set()
        self._drains = []  # [pid, when it had ended or None]
        self.used = {"lost": 0, "closed with 1012": 0}

    def worker_is_killed(self, ports):
        """These connections, which it holds, end as they may."""
        with self._lock:
            now = time.monotonic()
            self._used_ports -= ports
            self._lost.update((port, now) for port in ports)

    def take_back(self, ports):
        """They were not needed; had one been used, its worker would have lost a session unkilled."""
        with self._lock:
            for port in ports:
                self._lost.pop(port, None)
            if used := self._used_ports & ports:
                raise AssertionError(f"a worker that only hung lost the sessions of ports {used}")

    def worker_drains(self, pid):
        """Some sessions are closed with 1012, until drain_ended()."""
        with self._lock:
            self._drains.append([pid, None])

    def drains(self):
        """The workers that drain."""
        with self._lock:
            return {pid for pid, ended in self._drains if ended is None}

    def drain_ended(self, pid):
        with self._lock:
            for drain in self._drains:
                if drain[0] == pid and drain[1] is None:
                    drain[1] = time.monotonic()

    def all_is_over(self):
        """Nothing is on its way any more: from here on nothing is excused by what was."""
        with self._lock:
            self._lost.clear()
            self._drains.clear()

    def lost(self, port, opened_at):
        """Whether a session may end without a word. An older excuse was of another's port."""
        with self._lock:
            excused = self._lost.get(port, 0) > opened_at
            if excused:
                self._used_ports.add(port)
            self.used["lost"] += excused
            return excused

    def closed(self, payload, opened_at):
        """Whether it may end with a close frame of this payload."""
        with self._lock:
            excused = payload[:2] == RESTART and any(
                ended is None or opened_at < ended for _, ended in self._drains
            )
            self.used["closed with 1012"] += excused
            return excused
