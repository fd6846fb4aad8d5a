"""Private memory of weir for each idle session, each of which has had one message echoed."""

import bounds
import measure
from guard import CPUS, LOAD, GuardTest
from harness.suite import main


class MemoryTest(GuardTest):
    def test_idle_sessions(self):
        """A busy machine may have more handshakes under way at once, which costs memory that does
        not come back: hence a new server for each window."""

        def window():
            server = self.start_weir_on_one_cpu()
            growth = measure.bytes_per_idle_session(server, LOAD, list(bounds.IDLE), CPUS)
            server.close()
            return list(growth.values())

        of_each = [(f"{bounds.IDLE_UNIT}, of {count:,}", bound) for count, bound in bounds.IDLE.items()]
        self.assert_a_window_within(of_each, "idle", window, windows=5)


if __name__ == "__main__":
    main()
