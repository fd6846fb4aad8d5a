"""The clients that are programs of their own: they take cases and answer each with a line."""

import signal
import subprocess
import unittest

from cases import EXCHANGES, GOODBYE, MESSAGE_MAX, SILENCE, SILENCE_FLAGS
from harness.environment import PATIENCE
from harness.suite import WeirTest


def run_cases(command, address, cases):
    """What the client says to each case; "ok" is good."""
    host, port = address
    done = subprocess.run(
        [*command, host, str(port), *cases], capture_output=True, text=True, timeout=2 * PATIENCE, check=False
    )
    answers = done.stdout.splitlines()
    if len(answers) != len(cases):
        raise AssertionError(
            f"the client ended with status {done.returncode} after {len(answers)} of {len(cases)} "
            f"cases: {done.stdout}{done.stderr}"
        )
    return answers


class PeerTest(WeirTest):
    """The cases of cases.py, gone through by the program `command`."""

    command = None

    def go_through(self, table, *flags):
        server = self.start_weir(*flags)
        answers = run_cases(self.command, server.address, [case for _, case in table])
        for (sentence, _), answer in zip(table, answers):
            with self.subTest(sentence):
                self.assertEqual(answer, "ok")
        return server

    def test_every_exchange_comes_out_as_the_rfc_says(self):
        """Echoes of every size, fragments, pings, closes, and messages that are refused."""
        self.go_through(EXCHANGES, "--max-message-size", str(MESSAGE_MAX))

    def test_pings_keep_a_silent_session_alive(self):
        """The server's pings reach the client, and its pongs count as signs of life."""
        self.go_through(SILENCE, *SILENCE_FLAGS)

    def test_the_server_closes_with_a_code_and_a_reason(self):
        """SIGTERM: the client is told 1001 and why."""
        server = self.start_weir()
        host, port = server.address
        with subprocess.Popen(
            [*self.command, host, str(port), GOODBYE], stdout=subprocess.PIPE, text=True
        ) as client:
            self.addCleanup(client.kill)
            self.assertEqual(client.stdout.readline(), "waiting\n")
            server.signal(signal.SIGTERM)
            answer, _ = client.communicate(timeout=PATIENCE)
        self.assertEqual(answer, "ok\n")


def load_tests(loader, standard, pattern):
    """For the modules that make PeerTest concrete: not the base itself."""
    suite = unittest.TestSuite()
    for group in standard:
        for test in group:
            if type(test) is not PeerTest:
                suite.addTest(test)
    return suite
