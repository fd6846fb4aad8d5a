#!/usr/bin/env python3
"""Holds the tree to its layout: which part may include which, what stands at the top level, and
how headers and files are kept. CMake's link lines say the same of code; this says it of headers,
which a part can include without linking anything.

Usage: check_layout.py TREE. Prints one line for each violation and exits 1 if there are any.
"""

import pathlib
import re
import sys

# What each part may include besides itself: a part, or one header of a part. Includes point only
# downwards in this list. "main" is src/main.cpp.
ALLOWED = {
    "main": {"launch", "admin", "apps", "cli", "process", "server", "base"},
    "launch": {"admin", "apps", "cli", "process", "server", "session", "steering", "tls", "base",
               "io/ring.h"},
    # weirctl shares the flag machinery and nothing of weir's own options.
    "weirctl": {"admin", "base", "cli/control_path.h", "cli/ctl_options.h"},
    "cli": {"base", "steering/policy.h", "wire/deflate.h", "wire/hash_on.h"},
    # Of process, what runs in a worker: its word to the master, its inbox, and its sandbox. Of admin,
    # what a worker writes to weirctl.
    "server": {"apps", "session", "steering", "io", "tls", "wire", "process/worker_link.h",
               "process/inbox.h", "process/privileges.h", "process/sandbox.h",
               "admin/recording.h", "base"},
    "apps": {"session", "base"},
    "admin": {"steering", "base"},
    "process": {"steering", "base"},
    "session": {"io", "tls", "wire", "base"},
    "steering": {"base"},
    "io": {"base"},
    "tls": {"base"},
    "wire": {"base"},
    "base": set(),
}

# The parts whose private headers (src/<part>/) another part may include. main.cpp is the rest of
# launch: it would be in that folder if programs were not looked for at the top of src/.
PRIVATE_HEADERS_OPEN_TO = {"launch": {"main"}}

TOP_LEVEL = {
    "CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md",
    "bench", "include", "packaging", "src", "tests", "tools",
    "build",  # what is built; never committed
}

SOURCE_SUFFIXES = {".c", ".cpp", ".h"}
LINES_MAX = 600  # past this there is a second noun in the file
CODE_FOLDERS = ("src", "include", "bench", "tests", "tools", "packaging")

INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)
GUARD = re.compile(r"^#ifndef (WEIR_\w+_H)\n#define \1$", re.MULTILINE)
CPLUSPLUS = re.compile(r"^\s*(namespace|class|template)\b", re.MULTILINE)


def part_of(path):
    """The part that a file (relative to the tree) belongs to; None outside src/ and include/."""
    if path.parts[:2] == ("include", "weir") and len(path.parts) > 3:
        return path.parts[2]
    if path.parts[0] == "src":
        return path.parts[1] if len(path.parts) > 2 else "main"
    return None


def target_of(tree, path, name):
    """(part, is it private, the header within the part) of an include; None for other libraries."""
    public = re.fullmatch(r"weir/(\w+)/(.+)", name)
    if public:
        return public[1], False, public[2]
    for base in (path.parent, pathlib.Path("src")):
        found = (tree / base / name).resolve()
        if found.is_file() and found.is_relative_to((tree / "src").resolve()):
            relative = found.relative_to((tree / "src").resolve())
            return part_of("src" / relative), True, "/".join(relative.parts[1:])
    return None


def check_includes(tree, path, text):
    part = part_of(path)
    if part is None:
        return
    if part not in ALLOWED:
        yield f"{path}: '{part}' is no part of the layout; parts are listed in check_layout.py"
        return
    for name in INCLUDE.findall(text):
        target = target_of(tree, path, name)
        if target is None or target[0] == part:
            continue
        other, private, header = target
        if private and part not in PRIVATE_HEADERS_OPEN_TO.get(other, ()):
            yield f"{path}: {name} is src/{other}'s own header"
        elif not {other, f"{other}/{header}"} & ALLOWED[part]:
            may = ", ".join(sorted(ALLOWED[part])) or "nothing"
            yield f"{path}: {name} points the wrong way: {part} may include {may}"


def check_header(path, text):
    """#pragma once; plain C that BPF shares may have a guard, which its compilers agree on."""
    if path.suffix != ".h" or re.search(r"^#pragma once$", text, re.MULTILINE):
        return
    if not GUARD.search(text) or CPLUSPLUS.search(text):
        yield f"{path}: a header begins with #pragma once"


def check_length(path, text):
    lines = text.count("\n")
    if lines > LINES_MAX:
        yield f"{path}: {lines} lines, and {LINES_MAX} are enough for one noun"


def check_top_level(tree):
    for entry in sorted(tree.iterdir()):
        if entry.name not in TOP_LEVEL and not entry.name.startswith("."):
            yield f"{entry.name}: the top level is fixed; see TOP_LEVEL in check_layout.py"


def violations(tree):
    yield from check_top_level(tree)
    for folder in CODE_FOLDERS:
        for file in sorted((tree / folder).rglob("*")):
            if file.suffix not in SOURCE_SUFFIXES or not file.is_file():
                continue
            path = file.relative_to(tree)
            if "node_modules" in path.parts:
                continue
            text = file.read_text(encoding="utf-8", errors="replace")
            yield from check_includes(tree, path, text)
            yield from check_header(path, text)
            yield from check_length(path, text)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check_layout.py TREE")
    found = list(violations(pathlib.Path(sys.argv[1]).resolve()))
    for violation in found:
        print(violation)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
