"""Storm: connections that come and go at a steady high rate, made by the Beast client."""

import dataclasses
import os
import subprocess

from harness.environment import PATIENCE


@dataclasses.dataclass
class Failure:
    stage: str  # "connect", "handshake", "send", "echo" or "close"
    port: int  # the client's; 0: not even connected
    began_at: float  # seconds of time.monotonic(), before the connect
    what: str


class Storm:
    """So many connections at a time, each replaced by the next as soon as it has had its echo."""

    def __init__(self, address, width):
        host, port = address
        command = [os.environ["WEIR_BEAST_CLIENT"], host, str(port), "--storm", str(width)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def kill(self):
        self._process.kill()
        self._process.communicate()

    def end(self):
        """How many connections came through, and what became of those that did not."""
        out, _ = self._process.communicate(timeout=PATIENCE)
        *failures, last = out.splitlines()
        parsed = []
        for line in failures:
            _, stage, port, began_ns, what = line.split(" ", 4)
            parsed.append(Failure(stage, int(port), int(began_ns) / 1e9, what))
        return int(last.removeprefix("done ")), parsed
