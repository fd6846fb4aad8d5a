"""weir against Boost.Beast's own client."""

import os

from harness.peers import PeerTest, load_tests  # noqa: F401 (unittest looks for load_tests)
from harness.suite import main


class BeastTest(PeerTest):
    command = (os.environ["WEIR_BEAST_CLIENT"],)


if __name__ == "__main__":
    main()
