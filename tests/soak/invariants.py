"""Invariants: what has to be true of weir whenever nothing is done to it and its clients are silent
(a rest), and once it has ended."""

import json
import os
import re
import subprocess
import time
from collections import Counter

from harness import proc
from harness.environment import PATIENCE, SANITIZED

MIB = 1 << 20
# What the memory of a process may grow by after its first rest with so many workers, in all of a
# soak. A worker: blocks and slabs of as many sessions as it has ever had, malloc's own; the others'
# sessions may all become its own. The master: a line of log or an answer at a time, nothing kept.
WORKER_GROWS = 12 * MIB
MASTER_GROWS = 2 * MIB
# The one process that may be there besides master and workers; its descriptors and its memory are
# held to the same.
KEEPER = "weir-keeper"


def _kinds(pid):
    """How many descriptors there are of each kind."""
    kinds = Counter(re.sub(r"\d+", "N", what) for what in proc.descriptors(pid).values())
    return kinds


def _bpf_ids(pid):
    """("prog" or "map" or "link", id) of each BPF object that `pid` holds."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{name}", encoding="ascii") as file:
                found.update(re.findall(r"^(prog|map|link)_id:\s*(\d+)$", file.read(), re.MULTILINE))
        except FileNotFoundError:  # closed since
            pass
    return found


def _bpf_is_there(kind, number):
    done = subprocess.run(
        ["bpftool", "--json", kind, "show", "id", number], capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and "error" not in json.loads(done.stdout or "{}")


class Invariants:
    def __init__(self, service, crowd, standing):
        self._service, self._crowd, self._standing = service, crowd, standing
        self._descriptors = {}  # (role, workers, by an upgrade) -> Counter, the fewest seen
        self._memory = {}  # role -> bytes, as first seen
        self._most = Counter()
        self._keepers = []  # pids
        self._bpf = set()
        self._shared_memory = self._named_shared_memory()

    # --- at rest --------------------------------------------------------------------------------

    def rest(self, workers):
        """With so many workers. Clients are silent; returns a line about what was seen."""
        status = self._await_truth(workers)
        pids = [w["pid"] for w in status["workers"]]
        self._check_descriptors(status, pids)
        self._check_memory(status, pids)
        for pid in (status["master_pid"], *pids):
            self._bpf |= _bpf_ids(pid)
        counts = [w["connections"] for w in status["workers"]]
        return (
            f"{counts} connections, master {self._most['master'] // 1024} KiB, "
            f"workers up to {self._most['worker'] // 1024} KiB"
        )

    def _await_truth(self, workers):
        """The first status that agrees with what the clients hold and what /proc says, throughout."""
        deadline = time.monotonic() + PATIENCE
        while True:
            before = self._service.status()
            wrong = self._difference(before, workers)
            if not wrong and before["workers"] != self._service.status()["workers"]:
                wrong = "sessions still move"
            if not wrong:
                return before
            if time.monotonic() > deadline:
                raise AssertionError(f"at rest {wrong}; the status: {before}")
            time.sleep(0.02)

    def _difference(self, status, count):
        """What is not as it has to be; nothing if all is."""
        workers = status["workers"]
        if len(workers) != count:
            return f"there are {len(workers)} workers, not {count}"
        if any(w["state"] != "serving" for w in workers):
            return "not all workers serve"
        if status["connections"] != self._standing:
            return f"{status['connections']} connections are counted, {self._standing} are open"
        held = []
        for worker in workers:
            try:
                ports = proc.held_ports(worker["pid"], self._service.port)
            except FileNotFoundError:
                return f"worker {worker['pid']} has just ended"
            if not len(ports) == worker["connections"] == worker["load"] or worker["queued"]:
                return f"slot {worker['slot']} holds {len(ports)} connections and counts other"
            held += ports
        if sorted(held) != sorted(self._crowd.standing.ports()):
            return "the workers do not hold the clients' connections, each once"
        members = set(proc.session_members(self._service.pid))
        others = members - {status["master_pid"]} - {w["pid"] for w in workers}
        self._keepers = [pid for pid in others if proc.name(pid) == KEEPER]
        if len(self._keepers) > 1 or others - set(self._keepers):
            return f"processes {sorted(others)} are there besides"
        return None

    def _check_descriptors(self, status, pids):
        """Of each kind no more than there were in another rest with as many workers. A master that
        was handed everything may hold other things than one that made it, but each the same."""
        upgraded = status["master_pid"] != self._service.pid
        for role, pid in (
            ("master", status["master_pid"]),
            *(("worker", pid) for pid in pids),
            *(("keeper", pid) for pid in self._keepers),
        ):
            key = (role, len(pids), upgraded)
            deadline = time.monotonic() + PATIENCE
            while True:
                kinds = self._kinds_less_sessions(pid)
                known = self._descriptors.setdefault(key, kinds)
                if not kinds - known:
                    break
                # What answers us here may not have been closed yet, and what answered us when
                # these were counted first.
                if time.monotonic() > deadline:
                    raise AssertionError(
                        f"the descriptors of {role} {pid} are more than they were, by {kinds - known}"
                    )
                time.sleep(0.02)
            self._descriptors[key] = kinds & known

    def _kinds_less_sessions(self, pid):
        """Of one moment: weir may have just begun to rebalance."""
        while True:
            sessions = proc.held_ports(pid, self._service.port)
            kinds = _kinds(pid)
            if proc.held_ports(pid, self._service.port) == sessions:
                kinds["socket:[N]"] -= len(sessions)
                return kinds

    def _check_memory(self, status, pids):
        self._look_at_memory("master", [status["master_pid"]], MASTER_GROWS)
        self._look_at_memory("worker", pids, WORKER_GROWS)
        if self._keepers:
            self._look_at_memory("keeper", self._keepers, MASTER_GROWS)

    def _look_at_memory(self, role, pids, grows):
        most = max(proc.own_memory(pid) for pid in pids)
        self._most[role] = max(self._most[role], most)
        first = self._memory.setdefault(role, most)
        if not SANITIZED and most > first + grows:  # a sanitizer's allocator keeps what is freed
            raise AssertionError(f"the {role}'s memory grew from {first} to {most} bytes")

    # --- at the end -----------------------------------------------------------------------------

    @staticmethod
    def _named_shared_memory():
        return {name for name in os.listdir("/dev/shm") if "weir" in name}

    def ended(self, statuses):
        """Nothing of it is left, and every master of it, by pid, ended well."""
        bad = {pid: status for pid, status in statuses.items() if status != 0}
        if bad:
            raise AssertionError(f"masters did not end with status 0: {bad}")
        if more := self._named_shared_memory() - self._shared_memory:
            raise AssertionError(f"it left shared memory: {more}")
        deadline = time.monotonic() + PATIENCE
        # The kernel frees them a grace period after the last descriptor and socket.
        while left := {each for each in self._bpf if _bpf_is_there(*each)}:
            if time.monotonic() > deadline:
                raise AssertionError(f"it left BPF objects: {sorted(left)}")
            time.sleep(0.05)
        return len(self._bpf)
