"""weir against Boost.Beast's own client."""

import os

from harness.suite import main
from peers import PeerTest, load_tests  # noqa: F401 (unittest looks for load_tests)


class BeastTest(PeerTest):
    command = (os.environ["WEIR_BEAST_CLIENT"],)


if __name__ == "__main__":
    main()
