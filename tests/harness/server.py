"""Server: one weir under test, from its start to its checked end.

Its log is read as it comes, so that a test waits for what weir says and never for time to pass.
weir is the leader of a session of its own: whoever is in that session was started by this test,
and has to be gone when weir is.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from harness import proc
from harness.environment import PATIENCE, WEIR, WEIRCTL


class Passed:
    """Sockets for a child, each with its name, as a service manager passes them: from descriptor 3
    on, and the environment names the child itself, which a shell in between sees to."""

    def __init__(self, sockets):
        self.fds = [each.fileno() for each, _ in sockets]
        self.through, self.environment = [], {}
        if sockets:
            high = [f"{fd}<&{given}" for fd, given in enumerate(self.fds, 100)]
            low = [f"{3 + i}<&{100 + i}" for i in range(len(high))]
            shut = [f"{100 + i}<&-" for i in range(len(high))]
            script = f'exec {" ".join(high)}; LISTEN_PID=$$ exec "$@" {" ".join(low + shut)}'
            self.through = ["bash", "-c", script, "bash"]
            names = ":".join(name for _, name in sockets)
            self.environment = {"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names}


def run_weir(*flags, environment=None, passed=(), through=()):
    """Runs a weir that is expected to end by itself."""
    given = Passed(passed)
    return subprocess.run(
        [*given.through, *through, WEIR, *flags], capture_output=True, text=True, timeout=PATIENCE,
        check=False, pass_fds=given.fds,
        env={**os.environ, **given.environment, **(environment or {})},
    )  # fmt: skip


class Server:
    def __init__(
        self, *flags, listen=("127.0.0.1:0",), workers=4, through=(), binary=WEIR, owner=None,
        environment=None, passed=(), stored=(), control=None,
    ):  # fmt: skip
        """Starts weir and returns when all its workers serve. `workers`: None leaves the flag out;
        `through`: a command that runs it;
        `owner`: the user id that has to be able to make the control socket; `environment`: what it
        has besides ours; `passed`: listening sockets for it, each with its name; `stored`:
        listeners of its own that the service manager had kept; `control`: the path of its control
        socket, where it is to be another weir's."""
        self._directory = tempfile.mkdtemp(prefix="weir-test-")
        if owner is not None:
            os.chown(self._directory, owner, owner)
        self.control = control or os.path.join(self._directory, "control.sock")
        # Should this test be killed, weir gets SIGTERM and takes its workers with it.
        given = Passed([*passed, *((each, "weir-listener") for each in stored)])
        arguments = ["setpriv", "--pdeathsig", "TERM", *given.through, *through, binary]
        arguments += ["--control", self.control, "--log-format", "json", *flags]
        if workers is not None:
            arguments += ["--workers", str(workers)]
        if "--config" not in flags:  # whose lines these would go before
            if "--drain-timeout" not in flags:  # who does not look at a drain does not wait for one
                arguments += ["--drain-timeout", "0"]
            if "--rebalance" not in flags:  # nor has its sessions wander
                arguments += ["--rebalance", "off"]
        for address in listen:
            arguments += ["--listen", address]
        self._lines = []
        self._more = threading.Condition()
        self._expected = []
        self._told_to_stop = False
        self._deaf = False
        self._closed = False
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
            pass_fds=given.fds, env={**os.environ, **given.environment, **(environment or {})},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        try:
            # Sockets of one address are one listen address.
            places = {each.getsockname() for each, _ in passed}
            self.addresses = [self._await_address(i) for i in range(len(places) + len(listen))]
        except BaseException:
            self._kill_all()
            raise

    # --- what it says ---------------------------------------------------------------------------

    def _read_log(self):
        with self._process.stderr as log:
            for raw in log:
                try:
                    line = json.loads(raw)
                except ValueError:  # a sanitizer's report, say
                    line = {"level": "none", "message": raw.decode(errors="replace").rstrip("\n")}
                with self._more:
                    self._lines.append(line)
                    self._more.notify_all()
                    if self._deaf:
                        break
        with self._more:
            self._lines.append(None)  # the end
            self._more.notify_all()

    def log(self):
        with self._more:
            return [line for line in self._lines if line]

    def messages(self, level=None):
        return [line["message"] for line in self.log() if level in (None, line["level"])]

    def await_log(self, pattern, occurrence=0):
        """The match of the given occurrence (from 0) of a message that has `pattern` in it."""
        deadline = time.monotonic() + PATIENCE
        with self._more:
            while True:
                found = [m for line in self._lines if line and (m := re.search(pattern, line["message"]))]
                if len(found) > occurrence:
                    return found[occurrence]
                ended = bool(self._lines) and self._lines[-1] is None
                if ended or not self._more.wait(deadline - time.monotonic()):
                    what = "ended" if ended else f"said for {PATIENCE:.0f} s"
                    raise AssertionError(f"weir {what} without {pattern!r}; its log:\n{self._text()}")

    def _text(self):
        return "\n".join(line["message"] for line in self._lines[-20:] if line)

    def _await_address(self, index):
        text = self.await_log(r"^listening on (?:tls:|proxy:)*(\S+)$", index)[1]
        host, _, port = text.rpartition(":")
        return host.strip("[]"), int(port)

    def hang_up(self, cause):
        """Closes the log's pipe for good after the next line, which `cause` brings about."""
        with self._more:
            self._deaf = True
        cause()
        self._reader.join(PATIENCE)

    def expect_error(self, pattern):
        """Lets the log have errors like this one."""
        self._expected.append(pattern)

    def unexpected(self):
        """Lines that are errors, or no log lines at all, and were not announced."""
        return [
            line["message"]
            for line in self.log()
            if line["level"] in ("error", "critical", "none")
            and not any(re.search(pattern, line["message"]) for pattern in self._expected)
        ]

    # --- what it does ---------------------------------------------------------------------------

    @property
    def pid(self):
        return self._process.pid

    @property
    def address(self):
        return self.addresses[0]

    @property
    def port(self):
        return self.addresses[0][1]

    def weirctl(self, *words):
        """Runs weirctl on this server."""
        command = [WEIRCTL, "--control", self.control, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def ask(self, line):
        """The answer to one line on the control socket."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE)
            control.connect(self.control)
            control.sendall(line + b"\n")
            with control.makefile("rb") as answers:
                return json.loads(answers.readline())

    def status(self):
        """What weirctl says."""
        done = self.weirctl("status", "--json")
        if done.returncode != 0:
            raise AssertionError(f"weirctl failed: {done.stderr}")
        return json.loads(done.stdout)

    def workers(self):
        return self.status()["workers"]

    def column(self, name):
        """One value of each worker, by slot."""
        return [worker[name] for worker in self.workers()]

    def await_status(self, condition, what):
        """The first status that meets `condition`. Workers report within a turn of their loop, so
        that a look right after an event may come too early."""
        deadline = time.monotonic() + PATIENCE
        while not condition(seen := self.status()):
            if time.monotonic() > deadline:
                raise AssertionError(f"weir never came to this: {what}; its status:\n{seen}")
            time.sleep(0.005)
        return seen

    def signal(self, number):
        self._told_to_stop |= number in (signal.SIGTERM, signal.SIGINT)
        self._process.send_signal(number)

    def interrupt_group(self):
        """What Ctrl-C in a terminal does: SIGINT to the workers as well."""
        self._told_to_stop = True
        os.killpg(self.pid, signal.SIGINT)

    def running(self):
        return self._process.poll() is None

    def descriptors(self, pid):
        """What the descriptors of `pid` are, by number, less the connections to the control socket:
        how soon the master closes one whose client has left is no matter."""
        asking = proc.connections_to(self.control)
        return {fd: what for fd, what in proc.descriptors(pid).items() if what not in asking}

    # --- its end --------------------------------------------------------------------------------

    def wait(self, timeout=PATIENCE):
        """The exit status, once it has ended by itself. Nobody of its session may be left then."""
        status = self._process.wait(timeout)
        self._reader.join(PATIENCE)
        left = proc.session_members(self.pid)
        if left:
            self._kill_all()
            raise AssertionError(f"weir ended and left processes {left}")
        return status

    def close(self):
        """Ends it if a test did not, and says whether that was as it should be."""
        if self._closed:
            return
        self._closed = True
        try:
            if self.running() and not self._told_to_stop:
                self.signal(signal.SIGTERM)
            status = self.wait()
            if status != 0:
                raise AssertionError(f"weir ended with status {status}; its log:\n{self._text()}")
            if os.path.exists(self.control):
                raise AssertionError("weir ended and left its control socket")
        finally:
            self._kill_all()
            shutil.rmtree(self._directory, ignore_errors=True)
        if unexpected := self.unexpected():
            raise AssertionError(
                f"weir logged {len(unexpected)} lines that it should not have, the first of them:\n"
                + "\n".join(unexpected[:20])
            )

    def _kill_all(self):
        for pid in proc.session_members(self.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._process.wait(PATIENCE)
