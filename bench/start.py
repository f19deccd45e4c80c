"""How long a user waits before anything is said: `python bench/start.py [--rounds 11] [--out FILE]`.

`sightword --help` and the listing against an empty Python program, which is the floor; they take turns, and
medians are shown.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from _results import append

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "sightword --help": [sys.executable, "-m", "sightword", "--help"],
    "sightword train --help": [sys.executable, "-m", "sightword", "train", "--help"],
    "sightword train --list": [sys.executable, "-m", "sightword", "train", "--list"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(given.rounds + 1):
        for name, command in COMMANDS.items():
            seconds[name].append(wall(command))
    rows = [{"command": name, "seconds": statistics.median(times[1:])} for name, times in seconds.items()]
    for row in rows:
        print(f"{row['command']:<28}{row['seconds']:>8.3f} s")
    append(given.out, "start", rows, rounds=given.rounds)


def wall(command: list[str]) -> float:
    """Seconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
