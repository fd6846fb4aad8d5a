"""What the kernel says about processes and their connections, read from /proc."""

import os
import re
import select
import signal
import time

from harness.environment import PATIENCE

CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_NET_ADMIN, CAP_IPC_LOCK = 5, 6, 7, 12, 14
CAP_SYS_ADMIN, CAP_BPF = 21, 39


def kernel():
    """The running kernel's version: (6, 1), say."""
    return tuple(int(number) for number in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())


def status(pid):
    """/proc/PID/status: a dict of its lines."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return {name: value.strip() for name, value in (line.split(":", 1) for line in file)}


def capabilities(pid="self", kind="CapEff"):
    """The numbers of what `pid` holds: CapEff, in effect; CapPrm, what it could put in effect."""
    mask = int(status(pid)[kind], 16)
    return {number for number in range(64) if mask >> number & 1}


def may_load_bpf():
    return CAP_BPF in capabilities()


def _stat(pid):
    """The fields of /proc/PID/stat from the state on; nothing if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def may_leave_the_network():
    """Whether a network namespace can be had, and be set up."""
    return {CAP_NET_ADMIN, CAP_SYS_ADMIN} <= capabilities()


def cpu_seconds(pid):
    """The CPU time that `pid` has used."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_nanoseconds(pid):
    """The CPU time that `pid` has used, of all its tasks, to the nanosecond."""
    used = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            used += int(file.read().split()[0])
    return used


def sleeps(pid):
    """How often `pid` has gone to sleep by itself, for want of work."""
    return int(status(pid)["voluntary_ctxt_switches"])


def await_sleeps(pid, count):
    """Returns once `pid` has gone to sleep so many times more."""
    deadline, before = time.monotonic() + PATIENCE, sleeps(pid)
    while sleeps(pid) - before < count:
        if time.monotonic() > deadline:
            raise AssertionError(f"process {pid} does not sleep")
        time.sleep(0.001)


def own_memory(pid):
    """Bytes of memory that `pid` has for itself: its heap and stacks, not what it maps of files or
    shares with its siblings."""
    return int(status(pid)["RssAnon"].removesuffix(" kB")) * 1024


def name(pid):
    """What `pid` calls itself; nothing if there is no such process."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            return file.read().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return None


def session_members(session):
    """Processes of this session (setsid) that have not ended."""
    members = []
    for name in os.listdir("/proc"):
        fields = _stat(name) if name.isdigit() else None
        if fields and int(fields[3]) == session and fields[0] not in "ZX":
            members.append(int(name))
    return members


def await_stopped(pid):
    """Returns once SIGSTOP has taken hold of `pid`."""
    deadline = time.monotonic() + PATIENCE
    while (fields := _stat(pid)) and fields[0] != "T":
        if time.monotonic() > deadline:
            raise AssertionError(f"process {pid} does not stop")
        time.sleep(0.001)


def await_pending(pid, number):
    """Returns once the signal `number` waits for `pid` to take it."""
    deadline = time.monotonic() + PATIENCE
    while not int(status(pid)["ShdPnd"], 16) >> (number - 1) & 1:
        if time.monotonic() > deadline:
            raise AssertionError(f"process {pid} has not been sent signal {number}")
        time.sleep(0.001)


def await_exit(pidfd):
    """Returns once the process of `pidfd` has ended."""
    if not select.select([pidfd], [], [], PATIENCE)[0]:
        raise AssertionError("a process that was sent SIGKILL does not end")


def kill(pid):
    """Returns once the process has ended: from then on it accepts nothing."""
    pidfd = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGKILL)
        await_exit(pidfd)
    finally:
        os.close(pidfd)


def descriptors(pid):
    """What the descriptors of `pid` are, by number."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:  # closed since
            pass
    return found


def connections_to(path):
    """The accepted connections to the Unix socket of `path`, as descriptors() names them."""
    found = set()
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
        for line in file:  # address, references, protocol, flags, type, state, inode, path
            fields = line.split()
            if len(fields) == 8 and fields[7] == path and fields[5] == "03":  # connected
                found.add(f"socket:[{fields[6]}]")
    return found


# Of a line of /proc/net/tcp: the client's port, 0 of a listener, and the inode, 0 of a socket in no
# process; between them state, queues, timer, retransmissions, uid and timeout.
_CONNECTION = r"^ *\d+: [0-9A-F]{8}:%04X [0-9A-F]{8}:(?!0000)([0-9A-F]{4})(?: +\S+){6} +([1-9]\d*) "


def held_ports(pid, server_port):
    """The client ports of the IPv4 connections to `server_port` that `pid` has accepted and holds."""
    return held_ports_of((pid,), server_port)[0]


def held_ports_of(pids, server_port):
    """The same of several processes, in their order, by one look at the connections."""
    held = [
        {
            what.removeprefix("socket:[").removesuffix("]")
            for what in descriptors(pid).values()
            if what.startswith("socket:[")
        }
        for pid in pids
    ]
    # One expression over all of it: of the many lines most are of sockets that nobody holds.
    with open("/proc/net/tcp", encoding="ascii") as file:
        found = re.findall(_CONNECTION % server_port, file.read(), re.MULTILINE)
    return [{int(port, 16) for port, inode in found if inode in inodes} for inodes in held]
