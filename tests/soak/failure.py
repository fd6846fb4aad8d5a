"""What must not be, for whoever uses the weir that is soaked."""

from harness import raw


class Failed(AssertionError):
    """weir did what it must not."""


def connect(address):
    """Must succeed, whatever goes on."""
    try:
        return raw.connect(address)
    except OSError as refused:
        raise Failed(f"a connect failed: {refused!r}") from refused
