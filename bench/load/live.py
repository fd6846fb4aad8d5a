"""What churn and skew share: a weir of several workers as it is measured over time, and its control
socket, which says what each worker has open. Processes and CPU are measure.py's.
"""

import contextlib
import json
import os
import resource
import socket
import time

from measure import PATIENCE, Failed

NOBODY = 65_534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all",
             "--no-new-privs"]


def weir_command(build, directory, workers, policy, backend, *more, unprivileged=False):
    """The command for measure.Server. `directory`: an empty one, for a copy of the binary, which
    nobody could not reach in the tree, and for the control socket, `control`."""
    binary = directory / "weir"
    binary.write_bytes((build / "bin" / "weir").read_bytes())
    binary.chmod(0o755)
    directory.chmod(0o755)
    if unprivileged:
        os.chown(directory, NOBODY, NOBODY)
    # Nothing moves or closes sessions but the clients, and no worker counts as hung for having to wait.
    return [*(AS_NOBODY if unprivileged else []), str(binary), "--listen", "127.0.0.1:{port}",
            "--workers", str(workers), "--pin", "none", "--control", str(directory / "control"), "--steer", policy,
            "--steer-backend", backend, "--rebalance", "off", "--idle-timeout", "0", "--hang-threshold", "0",
            "--drain-timeout", "0", "--backlog", "65535", *more]


def ask(control):
    """The status of the weir at that control socket."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(control)
        peer.sendall(b'{"command":"status"}\n')
        text = b""
        while not text.endswith(b"\n"):
            piece = peer.recv(65_536)
            if not piece:
                raise Failed("weir ended")
            text += piece
    answer = json.loads(text)
    if not answer.get("ok"):
        raise Failed(f"weir says {answer}")
    return answer["status"]


def await_serving(control, workers):
    """It listens before it answers there, and before its workers serve."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            if [worker["state"] for worker in ask(control)["workers"]] == ["serving"] * workers:
                return
        time.sleep(0.05)
    raise Failed("weir does not come to serve")


def raise_descriptor_limit():
    """As far as it may be; returns how far that is. Children inherit it."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return limit
