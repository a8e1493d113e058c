"""The time limit of a trial, from the known times of its cell: a trial that hangs must not block its slot forever."""

from __future__ import annotations

FACTOR = 30  # of the longest trial that is known: a hyperparameter may cost ten times, a slow node three times
LEAST_SECONDS = 900.0  # of a limit: for a busy machine, and for trials whose start takes longer than their steps
IN_WORDS = f"{FACTOR} times the longest known of its cell or task, at least {LEAST_SECONDS / 60:g} min; 0 for none"


def known_limit(of_cell: float, of_task: float) -> float | None:
    """Seconds that a trial may run; None if nothing is known.

    Args:
        of_cell: seconds of the longest trial of its cell, as if it had run to the last epoch; 0 if none has ended.
        of_task: the same over all cells of its task.

    >>> known_limit(60.0, 100.0), known_limit(0.0, 100.0), known_limit(1.0, 1.0), known_limit(0.0, 0.0)
    (1800.0, 3000.0, 900.0, None)
    """
    longest = of_cell or of_task
    return max(LEAST_SECONDS, FACTOR * longest) if longest else None
