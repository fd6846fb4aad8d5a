"""The worker's entries into the kernel and its context switches for each message, load and worker
sharing one CPU: what separates servers is how often these happen, not how long they take.

A neighbour on that CPU can cut a batch short; see assert_a_window_within().
"""

import bounds
import measure
from guard import CPUS, LOAD, GuardTest
from harness import proc
from harness.suite import main


class LoopTest(GuardTest):
    def check(self, case, connections, messages):
        server = self.start_weir_on_one_cpu()
        pid = server.column("pid")[0]
        load = ["echo", "--connections", str(connections), "--warm-up", "0.05", "--seconds", "20"]
        load += ["--messages", str(messages)]

        def reading():
            switches = proc.status(pid)
            return server.status()["counters"]["io_uring_enters"], sum(
                int(switches[name]) for name in ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
            )

        def window():
            facts, before, after = measure.window(server, LOAD, load, CPUS, reading)
            self.assertEqual(facts["messages"], messages)
            return [1_000 * (now - then) / messages for then, now in zip(before, after)]

        of_each = [(bounds.ENTERS_UNIT, bounds.ENTERS[case]), (bounds.SWITCHES_UNIT, bounds.SWITCHES[case])]
        self.assert_a_window_within(of_each, case, window)

    def test_a_full_batch_shares_its_enters(self):
        """64 connections with a message in flight on each."""
        self.check("64 connections", 64, 20_000)

    def test_a_message_alone_costs_no_more_than_its_two_turns(self):
        """One connection, ping-pong."""
        self.check("one connection", 1, 5_000)


if __name__ == "__main__":
    main()
