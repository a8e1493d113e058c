"""What the command costs before it does anything: seconds beyond an empty Python, interleaved."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.sizes import sized

ROUNDS = sized(7, 1)
COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "regarena --help": ("-m", "harness.cli", "--help"),
    "regarena list regularizers": ("-m", "harness.cli", "list", "regularizers"),
}


def run() -> list[dict[str, object]]:
    """One row per command: the median, and what it is above an empty Python."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    empty = medians["python -c pass"]
    return [
        {"command": name, "seconds": median, "above_empty_python": median - empty, "reach": 0.5}
        for name, median in medians.items()
    ]
