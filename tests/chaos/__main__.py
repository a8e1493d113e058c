"""`make chaos SEED=N`: campaigns that are disturbed at random, and must end with the rows of an undisturbed one.

`campaigns` says what is disturbed, `ending` what must hold afterwards. All draws follow from the seed, so that a
failure can be repeated as far as the machine's timing allows: the same disturbances, in the same order, after the same
numbers of trainings.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from campaigns import CAMPAIGNS, undisturbed
from ending import Unsound


def main() -> int:
    """Run every kind of campaign once, then again in random order while there is time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=11.0, help="after which no further campaign begins")
    parser.add_argument("--only", choices=CAMPAIGNS, help="one kind of campaign")
    asked = parser.parse_args()
    rng, counts, skipped = random.Random(asked.seed), Counter[str](), Counter[str]()
    latest = time.monotonic() + 60 * asked.minutes
    with tempfile.TemporaryDirectory(prefix="chaos-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        expected = undisturbed(Path(folder) / "undisturbed")
        names = [asked.only] if asked.only else list(CAMPAIGNS)
        for number, name in enumerate(names + rng.choices(names, k=100)):
            if number >= len(names) and time.monotonic() > latest:
                break
            started = time.monotonic()
            try:
                draws = random.Random(f"{asked.seed} {number}")
                CAMPAIGNS[name](Path(folder) / f"{name}-{number}", draws, expected, counts)
            except Unsound as fault:
                print(f"chaos: campaign {number} ({name}) of seed {asked.seed}: {fault}", flush=True)
                return 1
            except NotImplementedError as reason:
                skipped[f"{name}: {reason}"] += 1
                continue
            print(f"chaos: campaign {number} ({name}) is sound, {time.monotonic() - started:.0f} s", flush=True)
    for kind, count in sorted(counts.items()):
        print(f"chaos: {count:3d} x {kind}")
    for reason in skipped:
        print(f"chaos: not run: {reason}")
    print(f"chaos: {counts.total()} disturbances with seed {asked.seed}; every campaign ended as an undisturbed one")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
