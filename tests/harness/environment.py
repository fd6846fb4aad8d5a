"""Where the binaries are and how patient to be. Set by CTest; see the CMakeLists.txt of each suite."""

import os
import resource


def _binary(name):
    path = os.environ.get(name)
    if not path or not os.access(path, os.X_OK):
        raise SystemExit(f"{name} has to name the binary under test, and is {path!r}")
    return os.path.abspath(path)


WEIR = _binary("WEIR_BIN")
WEIRCTL = _binary("WEIRCTL_BIN")

# No wait in these tests is longer than this, in seconds. Nothing waits this long when all is well.
PATIENCE = 30.0

# 1 for the plain build. Less scales the numbers of sessions down for slow builds; it changes no
# condition.
_SCALE = float(os.environ.get("WEIR_TEST_SCALE", "1"))


# A sanitizer's allocator keeps what is freed, for a while: then sizes say nothing.
SANITIZED = os.environ.get("WEIR_TEST_SANITIZED", "") not in ("", "0")


def scaled(count):
    return max(1, int(count * _SCALE))


def raise_descriptor_limit():
    """A client of 2,000 sessions needs 2,000 descriptors as well."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
