"""Slow cores: each worker gets a core of its own that is a fraction of one, by the CPU bandwidth
control of cgroups, so that a machine of two CPUs shows what many would. Without it, where workers
share a CPU, uneven load costs nobody anything: the CPU works for whoever has something to do.

A group may run for `share` of every period, and is stopped until the next when it has. How even
that is has limits: the kernel looks at each of its ticks (4 ms at 250 Hz) and whenever something else
wakes up on that CPU; what a group ran too long is taken off its next periods.
"""

import contextlib
import os
import pathlib
import time

from measure import PATIENCE, Failed, read

ROOT = pathlib.Path("/sys/fs/cgroup")
# Of the CPU's time while others want it too; a process outside of any group has 1,024 (100).
SHARES_V1, WEIGHT_V2 = 16_384, 1_600


class SlowCores:
    """Groups, one a slot, below one of this process; removed at the end. Version 1 or 2 of cgroups,
    whichever has the cpu controller. What is in a group as it is removed is moved back first."""

    def __init__(self, count, share, period_us, root=ROOT):
        self._base = hierarchy(root)
        self._v1 = (self._base / "cpu.cfs_period_us").exists() or not (self._base / "cgroup.controllers").exists()
        self._parent = self._base / f"weir-skew-{os.getpid()}"
        self._groups = [self._parent / f"worker-{slot}" for slot in range(count)]
        quota_us = round(share * period_us)
        try:
            self._make(self._parent)
            self._write(self._parent, *(("cpu.shares", SHARES_V1) if self._v1 else ("cpu.weight", WEIGHT_V2)))
            if not self._v1:
                self._write(self._parent, "cgroup.subtree_control", "+cpu")
            for group in self._groups:
                self._make(group)
                if self._v1:
                    self._write(group, "cpu.cfs_period_us", period_us)
                    self._write(group, "cpu.cfs_quota_us", quota_us)
                else:
                    self._write(group, "cpu.max", f"{quota_us} {period_us}")
        except BaseException:
            self.remove()
            raise

    @staticmethod
    def _make(group):
        try:
            group.mkdir()
        except OSError as why:
            raise Failed(f"{group}: {why.strerror}; slow cores need root and a cgroup hierarchy that may be written to "
                         "(a container often has none); --quota 0 does without them") from why

    @staticmethod
    def _write(group, name, value):
        try:
            (group / name).write_text(f"{value}\n", encoding="ascii")
        except OSError as why:
            raise Failed(f"{group / name}: {why.strerror}; is the cpu controller on, and CONFIG_CFS_BANDWIDTH?") from why

    def put(self, slot, pid):
        """The whole process, into that slot's group."""
        self._write(self._groups[slot], "cgroup.procs", pid)

    def remove(self):
        """May be called again."""
        deadline = time.monotonic() + PATIENCE
        for group in [*self._groups, self._parent]:
            while group.exists():
                for pid in read(group / "cgroup.procs").split():
                    with contextlib.suppress(OSError):  # it ended
                        (self._base / "cgroup.procs").write_text(pid, encoding="ascii")
                try:
                    group.rmdir()
                except OSError as why:
                    if time.monotonic() > deadline:
                        raise Failed(f"{group} cannot be removed: {why.strerror}") from why
                    time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def hierarchy(root):
    """Where groups with CPU bandwidth control can be made."""
    for name in ("cpu", "cpu,cpuacct"):
        if (root / name / "cpu.cfs_quota_us").exists():
            return root / name
    if "cpu" in read(root / "cgroup.subtree_control").split():
        return root
    raise Failed(f"no cpu controller of cgroups in {root}: version 1 has it in {root}/cpu, version 2 in "
                 f"{root}/cgroup.subtree_control; --quota 0 does without slow cores")
