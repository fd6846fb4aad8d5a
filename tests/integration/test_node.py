"""weir against ws, the client of the Node world, which npm brings."""

import os
import shutil
import subprocess
import unittest

from harness.environment import PATIENCE
from harness.suite import main
from peers import PeerTest, load_tests  # noqa: F401 (unittest looks for load_tests)

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node")
PLACE = os.environ["WEIR_NODE_DIR"]  # in the build directory
LOCK = "package-lock.json"


def contents(directory, name):
    try:
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def install():
    """Has npm put what the lock file names into PLACE, unless it is there already."""
    if contents(PLACE, "installed") == contents(SOURCE, LOCK):
        return
    os.makedirs(PLACE, exist_ok=True)
    for name in ("package.json", LOCK):
        shutil.copy(os.path.join(SOURCE, name), PLACE)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    try:
        done = subprocess.run(
            command, cwd=PLACE, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise AssertionError(f"npm cannot install ws, the Node client of this test: {error}") from None
    if done.returncode != 0:
        raise AssertionError(f"npm cannot install ws, the Node client of this test:\n{done.stderr}")
    shutil.copy(os.path.join(SOURCE, LOCK), os.path.join(PLACE, "installed"))


class NodeTest(PeerTest):
    command = ("env", f"NODE_PATH={PLACE}/node_modules", "node", os.path.join(SOURCE, "client.js"))

    @classmethod
    def setUpClass(cls):
        install()


if __name__ == "__main__":
    main()
