"""`python -m benchmarks [NAME...]`: run the benchmarks named, or all but the long ones; print a row per measurement."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "start_up",
    "loading",
    "tables",
    "report",
    "execution",
    "launches",
    "gpu",
    "masks",
    "small_nets",
    "thresholding",
    "many_seeds",
    "matrix_completion",
    "subnetworks",
    "attacks",
    "reading",
    "simulated_cluster",
    "harness_cost",
    "price_of_width",
)
LONG = ("price_of_width",)  # hours: only by name


def main() -> None:
    chosen = sys.argv[1:] or [name for name in NAMES if name not in LONG]
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        raise SystemExit(f"There is no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}.")
    for name in chosen:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"\n{name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
        for row in module.run():
            print("  " + "  ".join(f"{key}={_text(value)}" for key, value in row.items()), flush=True)


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
