"""Actions: what is done to weir while it serves. Each says when it can be done, and notes in the
excuses what it may cost before it does it; whatever else ends is a failure."""

import contextlib
import os
import signal
import time

from harness import proc

BALANCING = ("least-connections", "two-choices", "round-robin", "weighted-round-robin")
POLICIES = (*BALANCING, "source-hash", "tuple-hash")
WORKERS_MAX = 6
# What weirctl may be told at any time: two changes of all workers at once are refused.
NOT_NOW = ("is under way", "have not ended", "are still ending", "is changing", "starting")
FREEZE = 0.4  # seconds at most that a process stands still: far below HANG_KILL
HANG_KILL = 5  # seconds


class Soaked:
    """What actions work with."""

    def __init__(self, service, crowd, excuses, dice, config):
        self.service, self.crowd, self.excuses, self.dice = service, crowd, excuses, dice
        self.config = config  # path of weir's configuration file
        self.first_count = len(service.workers())
        self.weights = None  # in force, as far as we have given any
        self.count = self.first_count  # workers that there are to be

    def ctl(self, *words, refused=()):
        """Runs weirctl. Whether it was done, and what it said; a refusal has to be one of NOT_NOW or
        of `refused`."""
        done = self.service.weirctl(*words)
        said = (done.stdout + done.stderr).strip()
        if done.returncode != 0 and not any(text in said for text in (*NOT_NOW, *refused)):
            raise AssertionError(f"weirctl {' '.join(words)} failed: {said}")
        return done.returncode == 0, said

    @contextlib.contextmanager
    def frozen(self, pid):
        """The process stands still; then it goes on, if it is there yet."""
        os.kill(pid, signal.SIGSTOP)
        try:
            proc.await_stopped(pid)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def let_a_moment_pass(self):
        """In which clients come and go elsewhere, if they can."""
        self.crowd.await_visits(self.dice.randrange(1, 40), FREEZE)

    def excuse_sessions_of(self, worker):
        """What a frozen worker holds is what it takes with it, when it is killed now: by us or, for
        want of signs of life, by the master. Returns the ports."""
        ports = proc.held_ports(worker["pid"], self.service.port)
        self.excuses.worker_is_killed(ports)
        which = rf"^slot {worker['slot']}: worker {worker['pid']} "
        self.service.expect_error(which + "ended with signal 9 ")
        self.service.expect_error(which + "died before it handed over")  # in an upgrade
        self.service.expect_error(which + "has not woken for .*: killing it")
        return ports


class Action:
    """`weight`: how often it comes among the others."""

    weight = 2.0

    def can(self, soaked):
        """Whether it can be done to this weir, now."""
        return True

    def do(self, soaked):
        """Does it, and says in a few words what came of it."""
        raise NotImplementedError

    def __str__(self):
        return type(self).__name__


class OnAWorker(Action):
    def can(self, soaked):
        return bool(soaked.service.serving())

    def do(self, soaked):
        return self.to(soaked, soaked.dice.choice(soaked.service.serving()))

    def to(self, soaked, worker):
        raise NotImplementedError


class KillWorker(OnAWorker):
    """Costs the sessions that it holds, and nothing that waits for it."""

    def to(self, soaked, worker):
        with soaked.frozen(worker["pid"]):
            count = len(soaked.excuse_sessions_of(worker))
            with contextlib.suppress(ProcessLookupError):  # on a slow day the master was first
                proc.kill(worker["pid"])
        return f"slot {worker['slot']}, {worker['pid']}, with {count} connections"


class HangWorker(OnAWorker):
    """Costs nothing: others take over what waits for it, and its own sessions wait."""

    def to(self, soaked, worker):
        began = time.monotonic()
        with soaked.frozen(worker["pid"]):
            ports = soaked.excuse_sessions_of(worker)
            soaked.let_a_moment_pass()
        if time.monotonic() - began < HANG_KILL / 2:  # or else, on a slow day, the master killed it
            soaked.excuses.take_back(ports)
        return f"slot {worker['slot']}, {worker['pid']}"


class HangWorkerForGood(OnAWorker):
    """The master kills it in the end."""

    weight = 0.3

    def to(self, soaked, worker):
        with soaked.frozen(worker["pid"]):
            count = len(soaked.excuse_sessions_of(worker))
            soaked.service.await_status(
                lambda seen: worker["pid"] not in [w["pid"] for w in seen["workers"]],
                f"worker {worker['pid']}, which hangs, is replaced",
            )
        return f"slot {worker['slot']}, {worker['pid']}, with {count} connections"


class StopMaster(Action):
    """Costs nothing: it is in nobody's way."""

    def do(self, soaked):
        pid = soaked.service.master_pid
        with soaked.frozen(pid):
            soaked.let_a_moment_pass()
        return f"{pid}"


class Move(Action):
    weight = 4.0

    def can(self, soaked):
        return len(soaked.service.serving()) >= 2

    def do(self, soaked):
        source, target = soaked.dice.sample(soaked.service.serving(), 2)
        count = soaked.dice.choice((1, 5, 1_000))
        words = ("move", str(count), str(source["slot"]), str(target["slot"]))
        return soaked.ctl(*words, refused=("sessions move between workers that serve",))[1]


class Rebalance(Action):
    def can(self, soaked):
        status = soaked.service.status()
        return status["policy"] in BALANCING and len(soaked.service.serving()) >= 2

    def do(self, soaked):
        return soaked.ctl("rebalance", refused=("there is nobody to share with",))[1]


class Skew(OnAWorker):
    """Every session of one worker is ended by its client, and comes back somewhere."""

    def to(self, soaked, worker):
        ports = proc.held_ports(worker["pid"], soaked.service.port) & soaked.crowd.standing.ports()
        soaked.crowd.standing.hang_up(ports)
        return f"slot {worker['slot']}: {len(ports)} sessions hang up"


class Drain(OnAWorker):
    """Costs closes with 1012."""

    def to(self, soaked, worker):
        soaked.excuses.worker_drains(worker["pid"])
        refused = ("only one that serves can be drained",)
        return soaked.ctl("drain", str(worker["slot"]), refused=refused)[1]


class Workers(Action):
    """Costs nothing: sessions move to those that stay."""

    weight = 3.0

    def can(self, soaked):
        return "workers" in soaked.service.commands and not soaked.weights

    def do(self, soaked):
        count = soaked.dice.randint(1, WORKERS_MAX)
        done, said = soaked.ctl("workers", str(count))
        if done:
            soaked.count = count
        return said


class Reload(Action):
    """Costs nothing, whatever changes: the limits stay above what the clients do."""

    def can(self, soaked):
        return "reload" in soaked.service.commands

    def do(self, soaked):
        dice, lines = soaked.dice, []
        policy = dice.choice(POLICIES)
        lines.append(f"steer = {policy}")
        lines.append(f"max-message-size = {dice.choice(('64KiB', '1MiB', '2MiB'))}")
        lines.append(f"max-backlog = {dice.choice(('1MiB', '16MiB'))}")
        lines.append(f"idle-timeout = {dice.choice((0, '60s', '120s'))}")
        lines.append(f"busy-poll = {dice.choice((0, '50us', '1ms'))}")
        lines.append(f"rebalance-rate = {dice.choice((100, 1_000, 100_000))}")
        lines.append(f"max-connections = {dice.choice((2_000, 10_000))}")
        weights = None
        if soaked.count == soaked.first_count and dice.randrange(3) == 0:
            weights = ",".join(str(dice.randint(1, 4)) for _ in range(soaked.count))
            lines.append(f"weights = {weights}")
        with open(soaked.config, "r+", encoding="ascii") as file:
            before = file.read()
            self.write(file, "\n".join([*lines, ""]))
            done, said = soaked.ctl("reload")
            if not done:  # nor is the next weir to find it
                self.write(file, before)
                return said
        soaked.weights = weights
        assert soaked.service.status()["policy"] == policy, f"the policy is not {policy}"
        return f"{', '.join(lines)}: {said}"

    @staticmethod
    def write(file, text):
        file.seek(0)
        file.truncate()
        file.write(text)
        file.flush()


class Upgrade(Action):
    """Costs nothing."""

    def can(self, soaked):
        return "upgrade" in soaked.service.commands

    def do(self, soaked):
        before = soaked.service.master_pid
        _, said = soaked.ctl("upgrade")
        after = soaked.service.master_pid
        return f"master {before}, then {after}: {said}"


class FailedUpgrade(Upgrade):
    """To a binary that is not there, or ends at once: changes nothing."""

    weight = 1.0

    def do(self, soaked):
        before = soaked.service.master_pid
        binary = soaked.dice.choice(("/nonexistent/weir", "/bin/false", "/bin/true"))
        done = soaked.service.weirctl("upgrade", "--binary", binary)
        assert done.returncode != 0, f"an upgrade to {binary} succeeded: {done.stdout}"
        soaked.service.expect_error("^the upgrade failed: ")
        assert soaked.service.master_pid == before, "another master is there"
        return f"to {binary}: {done.stderr.strip()}"


ALL = (
    KillWorker(), HangWorker(), HangWorkerForGood(), StopMaster(), Move(), Rebalance(), Skew(),
    Drain(), Workers(), Reload(), Upgrade(), FailedUpgrade(),
)  # fmt: skip


def next_action(soaked):
    able = [action for action in ALL if action.can(soaked)]
    return soaked.dice.choices(able, [action.weight for action in able])[0]


def note_drains_that_ended(soaked):
    """A worker that drained is gone: what opened since cannot have been its."""
    for pid in soaked.excuses.drains():
        if not os.path.exists(f"/proc/{pid}"):
            soaked.excuses.drain_ended(pid)


def let_come(soaked):
    """Some clients come and go before the next action; none need to, when all workers are busy."""
    soaked.crowd.await_visits(soaked.dice.randrange(30), 1.0)
