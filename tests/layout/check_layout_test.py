#!/usr/bin/env python3
"""Shows that check_layout.py finds what it is for: made-up trees, each with one violation."""

import pathlib
import tempfile
import unittest

import check_layout

ONCE = "#pragma once\n"

# A tree without a violation: each line is a file and what it holds.
SOUND = {
    "CMakeLists.txt": "",
    ".gitignore": "",
    "build/anything.cpp": '#include "weir/none/of_our_business.h"\n',
    "include/weir/base/fd.h": ONCE,
    "include/weir/io/ring.h": ONCE + '#include "weir/base/fd.h"\n',
    "include/weir/process/master.h": ONCE,
    "include/weir/process/worker_link.h": ONCE,
    "include/weir/steering/policy.h": ONCE,
    "include/weir/steering/table.h": ONCE,
    "include/weir/steering/abi.h": "#ifndef WEIR_ABI_H\n#define WEIR_ABI_H\n#endif\n",
    "include/weir/cli/options.h": ONCE + '#include "weir/steering/policy.h"\n',
    "include/weir/cli/ctl_options.h": ONCE,
    "src/io/ring.cpp": '#include "weir/io/ring.h"\n\n#include <vector>\n#include "probe.h"\n',
    "src/io/probe.h": ONCE,
    "src/steering/bpf/steer.bpf.c": '#include "weir/steering/abi.h"\n',
    "src/server/worker.cpp": '#include "weir/io/ring.h"\n#include "weir/process/worker_link.h"\n',
    "src/weirctl/main.cpp": '#include "weir/cli/ctl_options.h"\n',
    "src/launch/plan.h": ONCE,
    "src/main.cpp": '#include "launch/plan.h"\n#include "weir/process/master.h"\n',
    "tests/unit/io/ring_test.cpp": '#include "io/probe.h"\n' + "\n" * 599,
}

# A change to the sound tree, and how the one violation that follows begins.
VIOLATIONS = [
    ("a part includes one to its left",
     {"include/weir/io/bad.h": ONCE + '#include "weir/process/master.h"\n'},
     "include/weir/io/bad.h: weir/process/master.h points the wrong way: io may include base"),
    ("two parts that never meet",
     {"src/io/bad.cpp": '#include "weir/steering/policy.h"\n'},
     "src/io/bad.cpp: weir/steering/policy.h points the wrong way: io may include base"),
    ("angle brackets are an include too",
     {"src/io/bad.cpp": "#  include <weir/steering/policy.h>\n"},
     "src/io/bad.cpp: weir/steering/policy.h points the wrong way"),
    ("one header of a part is allowed, and another is not",
     {"src/cli/bad.cpp": '#include "weir/steering/table.h"\n'},
     "src/cli/bad.cpp: weir/steering/table.h points the wrong way: cli may include base, steering/"),
    ("the worker's link is not the master",
     {"src/server/bad.cpp": '#include "weir/process/master.h"\n'},
     "src/server/bad.cpp: weir/process/master.h points the wrong way"),
    ("weirctl does not know weir's options",
     {"src/weirctl/bad.cpp": '#include "weir/cli/options.h"\n'},
     "src/weirctl/bad.cpp: weir/cli/options.h points the wrong way"),
    ("admin does not know the master",
     {"src/admin/bad.cpp": '#include "weir/process/master.h"\n'},
     "src/admin/bad.cpp: weir/process/master.h points the wrong way"),
    ("base includes nothing",
     {"include/weir/base/bad.h": ONCE + '#include "weir/io/ring.h"\n'},
     "include/weir/base/bad.h: weir/io/ring.h points the wrong way: base may include nothing"),
    ("another part's private header, by its folder",
     {"src/server/bad.cpp": '#include "io/probe.h"\n'},
     "src/server/bad.cpp: io/probe.h is src/io's own header"),
    ("another part's private header, the long way round",
     {"src/server/bad.cpp": '#include "../io/probe.h"\n'},
     "src/server/bad.cpp: ../io/probe.h is src/io's own header"),
    ("launch is main.cpp's and no part's",
     {"src/server/bad.cpp": '#include "launch/plan.h"\n'},
     "src/server/bad.cpp: launch/plan.h is src/launch's own header"),
    ("a part that the layout does not know",
     {"src/util/misc.cpp": ""},
     "src/util/misc.cpp: 'util' is no part of the layout"),
    ("an entry at the top level",
     {"notes.txt": ""},
     "notes.txt: the top level is fixed"),
    ("a header that may be included twice",
     {"src/io/bad.h": "int x();\n"},
     "src/io/bad.h: a header begins with #pragma once"),
    ("a guard is for plain C",
     {"src/io/bad.h": "#ifndef WEIR_BAD_H\n#define WEIR_BAD_H\nnamespace weir {}\n#endif\n"},
     "src/io/bad.h: a header begins with #pragma once"),
    ("a file past 600 lines",
     {"tests/unit/io/long_test.cpp": "\n" * 601},
     "tests/unit/io/long_test.cpp: 601 lines, and 600 are enough"),
]


def violations_of(files):
    with tempfile.TemporaryDirectory() as directory:
        tree = pathlib.Path(directory).resolve()
        for name, text in files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return list(check_layout.violations(tree))


class CheckLayout(unittest.TestCase):
    def test_a_sound_tree_passes(self):
        self.assertEqual(violations_of(SOUND), [])

    def test_each_violation_is_found_and_named(self):
        for sentence, change, expected in VIOLATIONS:
            with self.subTest(sentence):
                found = violations_of(SOUND | change)
                self.assertEqual(len(found), 1, found)
                self.assertTrue(found[0].startswith(expected), found[0])

    def test_no_part_may_be_reached_from_below(self):
        # "Only downwards in this list" is what makes a cycle impossible.
        order = list(check_layout.ALLOWED)
        for part, allowed in check_layout.ALLOWED.items():
            for name in allowed:
                other = name.split("/")[0]
                self.assertGreater(order.index(other), order.index(part), f"{part} -> {other}")


if __name__ == "__main__":
    unittest.main()
