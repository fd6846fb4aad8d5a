"""What compare, scale and the guards (tests/guards) share: servers as processes, the load that
drives them, and what the kernel says they cost. Where `server` is asked for, anything with a pid
and a port will do.

CPU is that of the server's whole process tree, thread by thread, from /proc/PID/task/*/schedstat:
nanoseconds on a CPU, exact whenever the thread sleeps, which it does while the load stands still
at either end of the window.
"""

import contextlib
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
PATIENCE = 30.0  # seconds for anything to come; nothing takes this long when all is well


class Failed(Exception):
    """A server or a load that did not do its part."""


# --- what the kernel says -----------------------------------------------------------------------


def read(path):
    """A file of /proc, or nothing if its process is gone."""
    try:
        return pathlib.Path(path).read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def family(pid):
    """`pid` and its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in os.listdir(f"/proc/{parent}/task"):
                # The loop goes on over what this appends.
                found += [int(child) for child in read(f"/proc/{parent}/task/{task}/children").split()]
    return found


def cpu_by_thread(pids):
    """Nanoseconds on a CPU so far, by thread."""
    spent = {}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in os.listdir(f"/proc/{pid}/task"):
                if text := read(f"/proc/{pid}/task/{task}/schedstat"):
                    spent[int(task)] = int(text.split()[0])
    return spent


def cpu_between(before, after):
    """Nanoseconds. A thread that ended meanwhile takes what it spent with it."""
    return sum(now - before.get(task, 0) for task, now in after.items())


def private_bytes(pids):
    """Memory that is theirs alone, and written to."""
    total = 0
    for pid in pids:
        for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith("Private_Dirty:"):
                total += int(line.split()[1]) * 1024
    return total


def steering_runs(pid):
    """(runs, nanoseconds) of the SK_REUSEPORT programs that `pid` holds, by program."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        facts = dict(line.split(":", 1) for line in read(f"/proc/{pid}/fdinfo/{name}").splitlines() if ":" in line)
        if facts.get("prog_type", "").strip() == "21":
            found[facts["prog_id"]] = (int(facts.get("run_cnt", 0)), int(facts.get("run_time_ns", 0)))
    return sum(runs for runs, _ in found.values()), sum(ns for _, ns in found.values())


def machine():
    """One line on where the figures come from."""
    names = [line.split(":")[1].strip() for line in read("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    return (f"{names[0] if names else 'unknown CPU'}, {os.cpu_count()} CPUs, "
            f"Linux {os.uname().release}, TCP {read('/proc/sys/net/ipv4/tcp_congestion_control').strip()}")


def commit():
    done = subprocess.run(["git", "-C", TREE, "describe", "--always", "--dirty", "--abbrev=7"],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


# --- processes ----------------------------------------------------------------------------------


def run_on(cpus):
    """For the child, before it executes: these CPUs, and no pre-emption by whoever wakes up."""
    def prepare():
        os.sched_setaffinity(0, cpus)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    return prepare


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server under measurement, from its start to its end."""

    def __init__(self, command, cpus, cwd=None):
        self.port = free_port()
        arguments = [word.replace("{port}", str(self.port)) for word in command]
        self._log = open(os.devnull, "wb") if not os.environ.get("BENCH_LOAD_VERBOSE") else None
        self._process = subprocess.Popen(arguments, cwd=cwd, stdin=subprocess.DEVNULL, stdout=self._log,
                                         stderr=self._log, start_new_session=True, preexec_fn=run_on(cpus))
        try:
            self._await_port()
        except BaseException:  # an interrupt too: nobody else knows of it yet
            self.close()
            raise

    def _await_port(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise Failed(f"it ended with {self._process.returncode} instead of serving")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise Failed("it does not listen")

    @property
    def pid(self):
        return self._process.pid

    def family(self):
        return family(self.pid)

    def close(self):
        members = self.family()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        for pid in members:  # children that outlived it
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(pid) == self._process.pid:
                    os.kill(pid, signal.SIGKILL)
        self._process.wait(5)
        if self._log:
            self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Load:
    """bench_load at work: stops at each event that it announces until go()."""

    def __init__(self, binary, port, arguments, cpus):
        command = [binary, *arguments, "--server", f"127.0.0.1:{port}", "--wait"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, preexec_fn=run_on(cpus), bufsize=0)

    @property
    def pid(self):
        return self._process.pid

    def await_event(self, name):
        ready, _, _ = select.select([self._process.stdout], [], [], 2 * PATIENCE)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            self._process.kill()
            raise Failed(self._process.communicate()[1].decode().strip() or "the load said nothing")
        event = json.loads(line)
        if event["event"] != name:
            raise Failed(f"the load said {event}, not {name}")
        return event

    def go(self):
        try:
            self._process.stdin.write(b"\n")
        except BrokenPipeError as why:
            raise Failed("the load ended early") from why

    def finish(self):
        self.go()
        if self._process.wait(PATIENCE) != 0:
            raise Failed(self._process.stderr.read().decode().strip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@dataclass
class Sample:
    """One window: what was done in it, and what it took."""
    count: int          # messages; of a cycle, connections
    seconds: float
    cpu_ns: int         # of the server
    facts: dict = field(default_factory=dict)

    @property
    def cpu_us_each(self):
        return self.cpu_ns / 1000 / self.count


def settle():
    """Lets a server that has just answered go back to sleep."""
    time.sleep(0.01)


def window(server, binary, arguments, cpus, reading):
    """What the load says of one window of `arguments` on `server`, and `reading()` just before it
    and just after, while nothing is in flight."""
    with Load(binary, server.port, arguments, cpus) as load:
        load.await_event("begin")
        settle()
        before = reading()
        load.go()
        facts = load.await_event("end")
        settle()
        after = reading()
        load.finish()
    if facts["messages"] == 0:
        raise Failed("nothing was done in the window")
    if "--deflate" in arguments and facts["compressed"] < facts["messages"]:
        raise Failed("it agreed to compress, and did not")
    return facts, before, after


def measure(server, binary, arguments, cpus):
    """A Sample of `server` under the load that `arguments` describe."""
    facts, before, after = window(server, binary, arguments, cpus, lambda: cpu_by_thread(family(server.pid)))
    return Sample(facts["messages"], facts["seconds"], cpu_between(before, after), facts)


FIRST_SESSIONS = 100  # before idle ones are counted: what the first of them make a server set up


def bytes_per_idle_session(server, binary, counts, cpus):
    """How much private memory `server` has more for each of so many idle sessions, by their count,
    over what it has with the first of them."""
    steps = [FIRST_SESSIONS + count for count in (0, *counts)]
    with Load(binary, server.port, ["idle", "--steps", ",".join(map(str, steps))], cpus) as load:
        sizes = []
        for _ in steps:
            if sizes:
                load.go()
            load.await_event("open")
            time.sleep(0.3)  # whatever is put off until there is nothing to do
            sizes.append(private_bytes(family(server.pid)))
        load.finish()
    return {count: (size - sizes[0]) / count for count, size in zip(counts, sizes[1:])}
