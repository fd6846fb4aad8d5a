"""Instructions of the codec for each message, counted by callgrind: the same on any machine that has
AVX2, however busy it is.

Valgrind shows the program a CPU of its own, with AVX2 where the host has it and never AVX-512, so
that weir's choice of kernels and libc's are the same everywhere. A host without AVX2 leads to
others, whose counts nobody has set bounds for: there the guard is skipped.
"""

import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import bounds
from guard import GuardTest
from harness.environment import PATIENCE
from harness.suite import main

WORK = os.environ["WEIR_CODEC_WORK"]
COUNTED = "weir_counted"  # the function of codec_work.cpp


def count(directory):
    """The lines of WORK, and the instructions of each call of what is counted, in its order."""
    out = os.path.join(directory, "counts")
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no"]
    command += [f"--toggle-collect={COUNTED}", f"--dump-after={COUNTED}", WORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    if done.returncode != 0:
        raise AssertionError(f"codec_work failed under valgrind:\n{done.stderr}")
    dumps = sorted(glob.glob(f"{out}.*"), key=lambda path: int(path.rpartition(".")[2]))
    counts = []
    for path in dumps:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if "--dump-after" in re.search(r"^desc: Trigger: (.*)$", text, re.MULTILINE)[1]:
            counts.append(int(re.search(r"^(?:summary|totals): (\d+)$", text, re.MULTILINE)[1]))
    return done.stdout.splitlines(), counts


@unittest.skipUnless(shutil.which("valgrind"), "valgrind is not installed")
class CodecTest(GuardTest):
    def test_instructions_of_each_message(self):
        """Of 2 N messages less those of N, divided by N."""
        with tempfile.TemporaryDirectory(prefix="weir-guard-") as directory:
            (kernel, *lines), counts = count(directory)
        if kernel != "avx2":
            self.skipTest(f"the bounds are for AVX2, and valgrind's CPU here unmasks by {kernel}")
        self.assertEqual(len(counts), len(lines))
        runs = [(name, int(messages), spent)
                for (name, messages), spent in zip((line.split("\t") for line in lines), counts)]
        self.assertEqual([name for name, *_ in runs[::2]], list(bounds.CODEC))
        for (name, once, less), (again, twice, more) in zip(runs[::2], runs[1::2]):
            self.assertEqual((name, 2 * once), (again, twice))
            with self.subTest(name):
                self.assert_within(bounds.CODEC[name], bounds.CODEC_UNIT, name, (more - less) / once)


if __name__ == "__main__":
    main()
