"""Shards: a GoogleTest program as so many processes at a time, each with its share of the tests, for
programs of which some tests wait for seconds.

    shards.py COUNT PROGRAM [its flags]

The exit status is 0 if each of them ends well, and 77, CTest's "skipped", if all say that.
"""

import os
import subprocess
import sys
import tempfile

SKIPPED = 77


def main():
    count, program = int(sys.argv[1]), sys.argv[2:]
    shards = []
    for index in range(count):
        said = tempfile.TemporaryFile()
        environment = {**os.environ, "GTEST_TOTAL_SHARDS": str(count), "GTEST_SHARD_INDEX": str(index)}
        command = ["setpriv", "--pdeathsig", "KILL", *program]  # should this be killed, they go too
        shard = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=environment)
        shards.append((shard, said))
    statuses = [shard.wait() for shard, _ in shards]
    for _, said in shards:
        said.seek(0)
        print(said.read().decode(errors="replace"), end="", flush=True)
    if all(status == SKIPPED for status in statuses):
        sys.exit(SKIPPED)
    sys.exit(any(statuses))


if __name__ == "__main__":
    main()
